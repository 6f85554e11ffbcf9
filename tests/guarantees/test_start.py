"""T-START: a start is executed at most once, and the client's result is true, whatever happens on the wire."""

from itertools import product

import pytest
from attrs import evolve

from tests.conftest import FakeTime, See
from tests.support.faulty_starts import (
    EITHER,
    created_response,
    cut_requests,
    cut_responses,
    on_both_systems,
    start_harness,
    status_treatments,
)
from tests.support.start_server import HTML_PAGES, System, Treatment, http_response, wrong_result
from workflow_async._core import retry
from workflow_async._core.call import Replay
from workflow_async.errors import CallError, ConnectionBroken, TransportError

# Faults on the wire


@on_both_systems
@pytest.mark.figure("T-START")
async def test_wherever_a_request_is_cut_the_result_is_true(system: System, fake_time: FakeTime, see: See) -> None:
    async with start_harness(system, fake_time) as harness:
        tried, wrong = await harness.check(cut_requests(harness.server.longest_request))
    assert wrong == []
    assert tried > 500
    see(f"{system}: {tried} cuts of the request")


@on_both_systems
@pytest.mark.figure("T-START")
async def test_wherever_a_response_is_cut_the_result_is_true(system: System, fake_time: FakeTime, see: See) -> None:
    async with start_harness(system, fake_time) as harness:
        tried, wrong = await harness.check(cut_responses(created_response(system)))
    assert wrong == []
    assert tried > 250
    see(f"{system}: {tried} cuts of the response")


@on_both_systems
@pytest.mark.figure("T-START")
async def test_with_any_status_and_body_the_result_is_true(system: System, fake_time: FakeTime, see: See) -> None:
    async with start_harness(system, fake_time) as harness:
        tried, wrong = await harness.check(status_treatments(system))
    assert wrong == []
    assert tried > 600
    see(f"{system}: {tried} responses")


@on_both_systems
async def test_a_303_is_not_taken_for_a_rejection(system: System, fake_time: FakeTime) -> None:
    async with start_harness(system, fake_time) as harness:
        treatments = [Treatment(f"{status}", executed=True, response=http_response(status, b"")) for status in (303,)]
        assert (await harness.check(treatments))[1] == []


@on_both_systems
async def test_an_html_page_of_any_form_is_not_taken_for_success(system: System, fake_time: FakeTime) -> None:
    async with start_harness(system, fake_time) as harness:
        pages = [
            Treatment(f"{status} {page!r}", response=http_response(status, page))
            for page in HTML_PAGES
            for status in (200, 201)
        ]
        assert (await harness.check(pages))[1] == []


@on_both_systems
@pytest.mark.figure("T-START")
async def test_a_start_larger_than_any_buffer_may_be_cut_anywhere_and_the_result_is_true(
    system: System, fake_time: FakeTime, see: See
) -> None:
    async with start_harness(system, fake_time, "x" * 2**22) as harness:
        early = [
            Treatment(f"{status} before the end", response=http_response(status, b""), bytes_read=9)
            for status in (400, 413, 503)
        ]
        cuts = [
            Treatment(f"{bytes_read} bytes, {reset}", bytes_read=bytes_read, reset=reset)
            for bytes_read, reset in product((0, 1, 300, 2**16, 2**21, 2**22), EITHER)
        ]
        tried, wrong = await harness.check([*early, *cuts])
    assert wrong == []
    see(f"{system}: {tried} cuts of 4 MiB")


@on_both_systems
@pytest.mark.figure("T-START")
@pytest.mark.parametrize("then", ["success", "cut", "server error", "unauthorized"])
async def test_after_a_401_a_start_is_sent_once_more_at_most(system: System, then: str, fake_time: FakeTime) -> None:
    second = {
        "success": Treatment("then 201", executed=True, response=created_response(system)),
        "cut": Treatment("then cut", executed=True, response=created_response(system)[:-9]),
        "server error": Treatment("then 500", executed=True, response=http_response(500, b"")),
        "unauthorized": Treatment("then 401 each time", response=http_response(401, b"")),
    }[then]
    async with start_harness(system, fake_time) as harness:
        unauthorized = Treatment("401", response=http_response(401, b""))
        assert await wrong_result(harness.server, harness.client, harness.ticket, unauthorized, second) is None
        assert harness.server.received == {"opencast": 1, "preservica": 2}[system]
        assert harness.server.executed == (system == "preservica" and then != "unauthorized")


# Wrong clients are detected


def always_retryable(error: CallError, replay: Replay) -> bool:
    """Decide as a client would that retries starts like all other calls."""
    return isinstance(error, TransportError)


@on_both_systems
@pytest.mark.parametrize("sweep", ["request", "response"])
async def test_a_client_that_repeats_starts_is_detected(
    system: System, sweep: str, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "retryable", always_retryable)
    async with start_harness(system, fake_time) as harness:
        cuts = list(cut_responses(created_response(system)))[::40] if sweep == "response" else [*cut_requests(9)]
        twice = [evolve(cut, executed=True) for cut in cuts]
        tried, wrong = await harness.check(twice if sweep == "response" else cuts)
        found = [result for result in wrong if "executed 4 times" in result]
    assert len(found) == (tried if sweep == "response" else 0)


@on_both_systems
async def test_a_client_that_takes_a_broken_connection_for_a_failed_one_is_detected(
    system: System, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def init_as_not_sent(error: ConnectionBroken, reason: str, *, sent: bool = True, reused: bool = False) -> None:
        TransportError.__init__(error, reason, sent=False, reused=reused)

    monkeypatch.setattr(ConnectionBroken, "__init__", init_as_not_sent)
    async with start_harness(system, fake_time) as harness:
        tried, wrong = await harness.check(
            [cut for cut in cut_responses(created_response(system)) if cut.executed][::40]
        )
    assert len(wrong) == tried


@on_both_systems
async def test_a_client_that_takes_a_server_error_for_a_rejection_is_detected(
    system: System, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = retry.may_have_happened
    monkeypatch.setattr(
        "workflow_async.batch.start_sender.may_have_happened",
        lambda error: not hasattr(error, "status") and original(error),
    )
    async with start_harness(system, fake_time) as harness:
        _, wrong = await harness.check(t for t in status_treatments(system) if t.name.startswith("50") and t.executed)
    assert len(wrong) > 20
