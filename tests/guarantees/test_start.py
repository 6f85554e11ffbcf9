"""T-START: a start is carried out at most once, and the verdict never lies, whatever happens on the wire."""

from itertools import product

import pytest
from attrs import evolve

from tests.conftest import FakeTime, See
from tests.support.faulty_starts import BOTH, bench, created, cut_requests, cut_responses, either, statuses
from tests.support.start_server import PAGES, System, Treatment, answer, lie
from workflow_async._core import retry
from workflow_async._core.call import Replay
from workflow_async.errors import CallError, ConnectionBroken, TransportError

# What may happen on the wire


@either
@pytest.mark.figure("T-START")
async def test_wherever_a_request_is_cut_the_verdict_is_true(system: System, fake_time: FakeTime, see: See) -> None:
    async with bench(system, fake_time) as made:
        tried, lies = await made.lies(cut_requests(made.desk.heard))
    assert lies == []
    assert tried > 500
    see(f"{system}: {tried} cuts of the request")


@either
@pytest.mark.figure("T-START")
async def test_wherever_a_response_is_cut_the_verdict_is_true(system: System, fake_time: FakeTime, see: See) -> None:
    async with bench(system, fake_time) as made:
        tried, lies = await made.lies(cut_responses(created(system)))
    assert lies == []
    assert tried > 250
    see(f"{system}: {tried} cuts of the response")


@either
@pytest.mark.figure("T-START")
async def test_whatever_status_and_body_come_the_verdict_is_true(system: System, fake_time: FakeTime, see: See) -> None:
    async with bench(system, fake_time) as made:
        tried, lies = await made.lies(statuses(system))
    assert lies == []
    assert tried > 600
    see(f"{system}: {tried} answers")


@either
async def test_a_server_that_says_see_other_is_not_taken_for_one_that_refuses(
    system: System, fake_time: FakeTime
) -> None:
    async with bench(system, fake_time) as made:
        done = [Treatment(f"{status}", carried_out=True, said=answer(status, b"")) for status in (303,)]
        assert (await made.lies(done))[1] == []


@either
async def test_a_page_in_whatever_clothes_is_no_yes(system: System, fake_time: FakeTime) -> None:
    async with bench(system, fake_time) as made:
        pages = [Treatment(f"{status} {page!r}", said=answer(status, page)) for page in PAGES for status in (200, 201)]
        assert (await made.lies(pages))[1] == []


@either
@pytest.mark.figure("T-START")
async def test_a_start_larger_than_any_buffer_is_cut_anywhere_and_the_verdict_is_true(
    system: System, fake_time: FakeTime, see: See
) -> None:
    async with bench(system, fake_time, "x" * 2**22) as made:
        early = [Treatment(f"{status} before the end", said=answer(status, b""), heard=9) for status in (400, 413, 503)]
        cuts = [
            Treatment(f"{heard} bytes, {reset}", heard=heard, reset=reset)
            for heard, reset in product((0, 1, 300, 2**16, 2**21, 2**22), BOTH)
        ]
        tried, lies = await made.lies([*early, *cuts])
    assert lies == []
    see(f"{system}: {tried} cuts of 4 MiB")


@either
@pytest.mark.figure("T-START")
@pytest.mark.parametrize("then", ["success", "cut", "fault", "refused"])
async def test_after_a_401_it_is_sent_once_more_at_most(system: System, then: str, fake_time: FakeTime) -> None:
    second = {
        "success": Treatment("then 201", carried_out=True, said=created(system)),
        "cut": Treatment("then cut", carried_out=True, said=created(system)[:-9]),
        "fault": Treatment("then 500", carried_out=True, said=answer(500, b"")),
        "refused": Treatment("then 401 for ever", said=answer(401, b"")),
    }[then]
    async with bench(system, fake_time) as made:
        refused = Treatment("401", said=answer(401, b""))
        assert await lie(made.desk, made.client, made.ticket, refused, second) is None
        assert made.desk.asked == {"opencast": 1, "preservica": 2}[system]
        assert made.desk.done == (system == "preservica" and then != "refused")


# Whether the checks would notice


def sends_again(error: CallError, replay: Replay) -> bool:
    """The decision of a client that tries starts again as it tries everything."""
    return isinstance(error, TransportError)


@either
@pytest.mark.parametrize("sweep", ["request", "response"])
async def test_a_client_that_repeats_starts_is_found_out(
    system: System, sweep: str, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "retryable", sends_again)
    async with bench(system, fake_time) as made:
        cuts = list(cut_responses(created(system)))[::40] if sweep == "response" else [*cut_requests(9)]
        twice = [evolve(cut, carried_out=True) for cut in cuts]
        tried, lies = await made.lies(twice if sweep == "response" else cuts)
        found = [lie for lie in lies if "carried out 4 times" in lie]
    assert len(found) == (tried if sweep == "response" else 0)


@either
async def test_a_client_that_takes_a_broken_connection_for_one_that_was_never_made_is_found_out(
    system: System, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never_made(error: ConnectionBroken, reason: str, *, sent: bool = True, reused: bool = False) -> None:
        TransportError.__init__(error, reason, sent=False, reused=reused)

    monkeypatch.setattr(ConnectionBroken, "__init__", never_made)
    async with bench(system, fake_time) as made:
        tried, lies = await made.lies([cut for cut in cut_responses(created(system)) if cut.carried_out][::40])
    assert len(lies) == tried


@either
async def test_a_client_that_takes_a_fault_of_the_server_for_a_refusal_is_found_out(
    system: System, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = retry.may_have_happened
    for module in ("opencast", "preservica"):
        monkeypatch.setattr(
            f"workflow_async.{module}.start_backend.may_have_happened",
            lambda error: not hasattr(error, "status") and before(error),
        )
    async with bench(system, fake_time) as made:
        _, lies = await made.lies(t for t in statuses(system) if t.about.startswith("50") and t.carried_out)
    assert len(lies) > 20
