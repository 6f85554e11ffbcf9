"""Every start has its own result, and an error of one start does not affect the others."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.gateway import BUSY, Gateway, Treat, opencast, preservica
from tests.unit.batch.conftest import OFTEN, posts, results, runs
from workflow_async import Clock, OpencastClient, Poll
from workflow_async.batch import Ambiguous, Completed, NotStarted, OutcomeUnknown, Rejected, read_journal
from workflow_async.errors import (
    ClientClosed,
    ConnectFailed,
    DecodeError,
    Forbidden,
    InvalidArgument,
    JournalError,
    StartOutcomeUnknown,
)
from workflow_async.monitor import PollingFailed
from workflow_async.opencast import Start
from workflow_async.preservica import PreservicaClient, Start as ContextStart
from workflow_async.sandbox import Fault, Faults, ManualClock, Step
from workflow_async.sandbox.systems import FakeOpencast, FakePreservica

on_all = pytest.mark.parametrize("sandbox", ["11", "16", "19"], indirect=True)


async def results_by_key(client: OpencastClient, starts: Any, **settings: Any) -> dict[str, Any]:
    """Run a batch and return its results by key."""
    run = client.workflows.run_all(starts, **{"poll": OFTEN, "settle": 4.0, **settings})
    return {each.key: each for each in await results(run)}


# Invalid starts


@on_all
async def test_an_invalid_event_id_has_its_own_result(oc: OpencastClient, fake: FakeOpencast) -> None:
    events = [fake.event(), fake.event(), fake.event(identifier="a;b"), fake.event(), fake.event()]
    reported = await results_by_key(oc, [Start(event, "quick", key=event) for event in events], max_running=4)
    assert {event: reported[event].succeeded for event in events} == dict.fromkeys(events, True)
    assert len(runs(fake)) == 5


@pytest.mark.parametrize("event", ["a/b", "a\\b", "..", "a%b", "a?b", "x" * 256, "a\nb"])
async def test_an_event_whose_workflows_cannot_be_requested_is_rejected_alone(
    oc: OpencastClient, fake: FakeOpencast, event: str
) -> None:
    starts = [Start(event, "quick", key="unfit"), *(Start(fake.event(), "quick", key=str(n)) for n in range(2))]
    reported = await results_by_key(oc, starts)
    assert isinstance(reported["unfit"], Rejected)
    assert isinstance(reported["unfit"].error, InvalidArgument)
    assert reported["0"].succeeded
    assert reported["1"].succeeded
    assert len(runs(fake)) == 2


async def test_an_event_whose_workflows_cannot_be_read_delays_no_other_start(
    fake: FakeOpencast, clock: Clock, time: ManualClock
) -> None:
    unfit, sent_at = fake.event(), []
    rows = httpx.Response(200, json={"workflows": {"workflow": [{"id": "seven", "state": []}]}})

    def treat(request: httpx.Request) -> httpx.Response | None:
        if request.method == "POST":
            sent_at.append(time())
        return rows if unfit in request.url.path else None

    gateway, began = Gateway(fake, treat), time()
    async with opencast(gateway, clock) as oc:
        starts = [Start(unfit, "quick", key="unfit"), *(Start(fake.event(), "quick", key=str(n)) for n in range(4))]
        reported = await results_by_key(oc, starts, max_running=2, poll=Poll(interval=1.0, ceiling=2.0, outage=300.0))
    assert isinstance(reported["unfit"], NotStarted)
    assert isinstance(reported["unfit"].error, DecodeError)
    assert [reported[str(n)].succeeded for n in range(4)] == [True] * 4
    assert max(sent_at) - began < 60
    assert gateway.posts == [201] * 4


class Odd:
    """An item whose attributes all raise."""

    @property
    def key(self) -> str:
        raise LookupError("no key")


UNFIT_ITEMS: list[Any] = [
    Start("e", "quick", configuration=[1]),  # type: ignore[arg-type]  # as rows of a file may be
    Start("e", "quick", configuration={"n": object()}),  # type: ignore[dict-item]  # likewise
    Start("e", "quick", configuration={1: "x"}),  # type: ignore[dict-item]  # likewise
    Start("e", "quick", key=7),  # type: ignore[arg-type]  # likewise
    Start(7, "quick"),  # type: ignore[arg-type]  # likewise
    Start("\ud800", "quick"),
    Odd(),
    None,
]


@pytest.mark.parametrize("unfit", UNFIT_ITEMS, ids=lambda unfit: type(unfit).__name__)
async def test_an_item_that_is_not_a_start_is_rejected_alone(
    oc: OpencastClient, fake: FakeOpencast, unfit: Any
) -> None:
    reported = await results(oc.workflows.run_all([unfit, Start(fake.event(), "quick", key="0")], poll=OFTEN))
    rejected, completed = sorted(reported, key=lambda each: each.succeeded)
    assert isinstance(rejected, Rejected)
    assert completed.succeeded
    assert posts(fake) == 1


async def test_an_invalid_item_on_a_preservica_is_rejected_alone(pv: PreservicaClient, archive: FakePreservica) -> None:
    bad: Any = [ContextStart(42, {"n": object()}), ContextStart(-1), object()]  # type: ignore[dict-item]  # as it comes
    reported = await results(pv.workflows.run_all([*bad, ContextStart(42)], poll=OFTEN))
    assert sum(isinstance(each, Rejected) for each in reported) == 3
    assert len(archive.starts) == 1


# Errors of the caller's transport


def sometimes(matches: Callable[[httpx.Request], bool], first: int = 0, last: int = 10**9) -> Treat:
    """Return a treatment that raises an unexpected error for the matching requests from `first` to `last`."""
    count = 0

    def treat(request: httpx.Request) -> httpx.Response | None:
        nonlocal count
        if matches(request):
            count += 1
            if first < count <= last:
                raise ZeroDivisionError("of the caller")
        return None

    return treat


async def test_an_error_of_the_callers_transport_in_the_check_leaves_a_start_unsent(
    fake: FakeOpencast, clock: Clock
) -> None:
    unfit = fake.event()
    gateway = Gateway(fake, sometimes(lambda request: unfit in request.url.path))
    async with opencast(gateway, clock) as oc:
        reported = await results_by_key(oc, [Start(unfit, "quick", key="unfit"), Start(fake.event(), "quick", key="0")])
    assert isinstance(reported["unfit"], NotStarted)
    assert "ZeroDivisionError" in str(reported["unfit"].error)
    assert reported["0"].succeeded
    assert gateway.posts == [201]


async def test_an_error_of_the_callers_transport_in_the_start_leaves_it_to_be_searched_for(
    fake: FakeOpencast, clock: Clock
) -> None:
    gateway = Gateway(fake, sometimes(lambda request: request.method == "POST", last=1))
    async with opencast(gateway, clock) as oc:
        starts = [Start(fake.event(), "quick", key=str(n)) for n in range(3)]
        reported = await results_by_key(oc, starts, max_running=1)
    assert isinstance(reported["0"], OutcomeUnknown)
    assert "ZeroDivisionError" in reported["0"].why
    assert [reported["1"].succeeded, reported["2"].succeeded] == [True, True]
    assert gateway.posts == [0, 201, 201]


class Carried(Gateway):
    """Carries out starts, and raises afterwards."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        if request.method == "POST" and "accesstoken" not in request.url.path:
            raise ZeroDivisionError("of the caller")
        return response


async def test_a_start_that_was_carried_out_before_the_callers_transport_raised_is_found(
    fake: FakeOpencast, archive: FakePreservica, clock: Clock
) -> None:
    async with opencast(Carried(fake), clock) as oc:
        assert (await results_by_key(oc, [Start(fake.event(), "quick", key="0")]))["0"].succeeded
    async with preservica(Carried(archive), clock) as pv:
        (reported,) = await results(pv.workflows.run_all([ContextStart(42)], poll=OFTEN))
    assert isinstance(reported, Completed)
    assert reported.workflow is not None
    assert reported.workflow.correlation_id == archive.starts[0]


async def test_an_error_of_the_callers_transport_in_the_search_leaves_a_start_unknown(
    fake: FakeOpencast, clock: Clock
) -> None:
    unfit = fake.event()
    gateway = Gateway(fake)

    def treat(request: httpx.Request) -> httpx.Response | None:
        if request.method == "POST" and unfit.encode() in request.content:
            return BUSY
        if gateway.posts and unfit in request.url.path:
            raise ZeroDivisionError("of the caller")
        return None

    gateway.treat = treat
    async with opencast(gateway, clock) as oc:
        reported = await results_by_key(oc, [Start(unfit, "quick", key="unfit"), Start(fake.event(), "quick", key="0")])
    assert isinstance(reported["unfit"], OutcomeUnknown)
    assert reported["unfit"].search_result is None
    assert reported["0"].succeeded


async def test_an_error_of_the_callers_transport_while_watching_leaves_a_workflow_unobserved(
    fake: FakeOpencast, clock: Clock, tmp_path: Path
) -> None:
    gateway = Gateway(fake, sometimes(lambda request: request.url.path.startswith("/api/workflows/")))
    async with opencast(gateway, clock) as oc:
        path = tmp_path / "batch.sqlite"
        reported = await results_by_key(oc, [Start(fake.event(), "quick", key="0")], journal=path)
        gateway.treat = lambda _: None
        again = await results_by_key(oc, [], journal=path)
    assert isinstance(reported["0"].outcome, PollingFailed)
    assert "ZeroDivisionError" in str(reported["0"].outcome.error)
    assert again["0"].succeeded
    assert gateway.posts == [201]


# Unexpected errors of this library


class Broken(Exception):
    """An unexpected error."""


@pytest.mark.parametrize(
    ("step", "result"),
    [("refreshed", NotStarted), ("send_for_id", OutcomeUnknown), ("reconcile", OutcomeUnknown), ("watch", Completed)],
)
async def test_an_unexpected_error_is_reported_by_what_was_known_about_the_start(
    oc: OpencastClient, fake: FakeOpencast, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, step: str, result: type
) -> None:
    async def broken(*_: Any, **__: Any) -> Any:
        raise Broken("oh")

    if step == "reconcile":
        fake.faults = Faults(script=[Fault.SERVER_ERROR], methods=("POST",))
    starts, path = [Start(fake.event(), "quick", key="0")], tmp_path / "batch.sqlite"
    run = oc.workflows.run_all(starts, poll=OFTEN, settle=4.0, journal=path)
    if step == "watch":
        monkeypatch.setattr("workflow_async.batch.pipeline.watch_outcome", broken)
    else:
        monkeypatch.setattr(oc.workflows._starts.__class__, step, broken)
    (reported,) = await results(run)
    assert type(reported) is result
    error = reported.outcome.error if isinstance(reported, Completed) else reported.error  # type: ignore[union-attr]  # each has one
    assert "Broken: oh" in str(error)
    item = (await read_journal(path)).items["0"]
    assert item.word == {NotStarted: "not sent", OutcomeUnknown: "unknown", Completed: "unobserved"}[result]


async def test_a_client_that_is_closed_ends_the_batch(oc: OpencastClient, fake: FakeOpencast) -> None:
    fake.define("slow", [Step("one", 600.0)])
    starts = [Start(fake.event(), "slow", key=str(n)) for n in range(3)]
    with pytest.raises(ClientClosed):  # noqa: PT012 - the block is what is tested
        async with oc.workflows.run_all(starts, max_running=1, poll=OFTEN) as outcomes:
            while not posts(fake):
                await oc.version()
            await oc.aclose()
            async for _ in outcomes:
                pass


# Errors of the iterable


async def test_an_error_of_the_items_comes_after_the_results_of_what_was_started(
    oc: OpencastClient, fake: FakeOpencast
) -> None:
    def starts() -> Iterator[Start]:
        yield Start(fake.event(), "quick", key="0")
        yield Start(fake.event(), "quick", key="1")
        raise LookupError("no more rows")

    reported = []
    with pytest.raises(LookupError, match="no more rows"):  # noqa: PT012 - the block is what is tested
        async with oc.workflows.run_all(starts(), poll=OFTEN) as outcomes:
            while True:
                reported.append(await anext(outcomes))
    assert sorted((each.key, each.succeeded) for each in reported) == [("0", True), ("1", True)]


async def test_a_count_that_is_forbidden_comes_after_the_results_of_what_was_started(
    oc: OpencastClient, fake: FakeOpencast, clock: Clock
) -> None:
    gateway = Gateway(fake)

    def treat(request: httpx.Request) -> httpx.Response | None:
        counts = request.url.path == "/api/events" and "PROCESSING" in str(request.url)
        return httpx.Response(403, text="no") if counts and gateway.posts else None

    gateway.treat = treat
    async with opencast(gateway, clock) as client:
        reported = []
        starts = [Start(fake.event(), "quick", key=str(n)) for n in range(2)]
        with pytest.raises(Forbidden):  # noqa: PT012 - the block is what is tested
            run = client.workflows.run_all(starts, max_running=1, count_others=True, poll=OFTEN)
            async with run as outcomes:
                while True:
                    reported.append(await anext(outcomes))
    assert [(each.key, each.succeeded) for each in reported] == [("0", True)]


# Responses that show neither a start nor a refusal


@pytest.mark.parametrize("status", [204, 301, 302, 303, 307, 308, 500, 502, 600, 777, 999])
async def test_a_response_that_shows_neither_a_start_nor_a_refusal_is_unknown(
    fake: FakeOpencast, clock: Clock, status: int
) -> None:
    elsewhere = httpx.Response(status, headers={"location": "https://elsewhere.example.org/"})
    gateway = Gateway(fake, lambda request: elsewhere if request.method == "POST" else None)
    async with opencast(gateway, clock) as oc:
        (reported,) = (await results_by_key(oc, [Start(fake.event(), "quick")])).values()
    assert isinstance(reported, OutcomeUnknown)
    assert isinstance(reported.error, StartOutcomeUnknown)
    assert gateway.posts == [status]


@pytest.mark.parametrize("status", [301, 302, 600, 999])
async def test_a_preservica_response_that_shows_neither_a_start_nor_a_refusal_is_unknown(
    archive: FakePreservica, clock: Clock, status: int
) -> None:
    def treat(request: httpx.Request) -> httpx.Response | None:
        starts = request.method == "POST" and request.url.path.endswith("/instances")
        return httpx.Response(status, headers={"location": "https://elsewhere.example.org/"}) if starts else None

    async with preservica(Gateway(archive, treat), clock) as pv:
        (reported,) = await results(pv.workflows.run_all([ContextStart(42)], poll=OFTEN, settle=4.0))
    assert isinstance(reported, OutcomeUnknown)


async def test_a_redirect_to_opencasts_login_is_a_refusal(fake: FakeOpencast, clock: Clock) -> None:
    login = httpx.Response(302, headers={"location": "https://oc.example.org/login.html"})
    gateway = Gateway(fake, lambda request: login if request.method == "POST" else None)
    async with opencast(gateway, clock) as oc:
        (reported,) = (await results_by_key(oc, [Start(fake.event(), "quick")])).values()
    assert isinstance(reported, Rejected)
    assert not runs(fake)


# The ticket that was sent


async def test_the_result_and_the_running_table_hold_the_ticket_as_it_was_sent(
    oc: OpencastClient, fake: FakeOpencast, time: ManualClock
) -> None:
    event = fake.event()
    before = fake.start(event, "quick")
    ticket = oc.workflows.prepare_start(event, "quick", key="0")
    time.advance(60)
    run = oc.workflows.run_all([ticket], poll=OFTEN)
    async with run as outcomes:
        while not posts(fake):
            await oc.version()
        sent, _ = run._pipeline.running.starts["0"]
        reported = [each async for each in outcomes]
    assert (sent.baseline, sent.prepared_at > ticket.prepared_at) == (before, True)
    assert [each.ticket for each in reported] == [sent]


async def test_the_count_of_others_knows_the_ids_of_the_starts_that_run(oc: OpencastClient, fake: FakeOpencast) -> None:
    starts = [Start(fake.event(), "quick", key=str(n)) for n in range(5)]
    reported = await results_by_key(oc, starts, count_others=True, max_running=2)
    assert [each.succeeded for each in reported.values()] == [True] * 5


async def test_a_conflict_is_reported_and_not_raised(oc: OpencastClient, fake: FakeOpencast) -> None:
    event = fake.event()
    fake.start(event, "quick")
    reported = await results_by_key(oc, [Start(event, "quick", key="0")], on_conflict="raise")
    assert type(reported["0"]).__name__ == "Conflicted"
    assert not isinstance(reported["0"], Ambiguous)


async def test_an_invalid_argument_that_is_found_on_sending_is_a_result(
    oc: OpencastClient, fake: FakeOpencast, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: Any) -> int:
        raise InvalidArgument("event_id", "is invalid")

    monkeypatch.setattr(oc.workflows._starts.__class__, "send_for_id", refuse)
    reported = await results_by_key(oc, [Start(fake.event(), "quick", key="0")])
    assert isinstance(reported["0"], Rejected)
    assert isinstance(reported["0"].error, InvalidArgument)


@pytest.mark.parametrize("step", ["refreshed", "send_for_id"])
async def test_a_client_that_is_closed_during_a_start_ends_the_batch(
    oc: OpencastClient, fake: FakeOpencast, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def closed(*_: Any) -> Any:
        raise ClientClosed("open it")

    monkeypatch.setattr(oc.workflows._starts.__class__, step, closed)
    with pytest.raises(ClientClosed):
        await results_by_key(oc, [Start(fake.event(), "quick", key=str(n)) for n in range(2)])


async def test_a_start_without_a_connection_is_reported_as_not_started(fake: FakeOpencast, clock: Clock) -> None:
    def treat(request: httpx.Request) -> httpx.Response | None:
        if request.method == "POST":
            raise httpx.ConnectError("refused")
        return None

    gateway = Gateway(fake, treat)
    async with opencast(gateway, clock) as oc:
        reported = await results_by_key(oc, [Start(fake.event(), "quick", key="0")])
    assert isinstance(reported["0"], NotStarted)
    assert isinstance(reported["0"].error, ConnectFailed)
    assert len(gateway.posts) == 31


async def test_an_event_is_free_once_its_workflow_has_vanished(
    oc: OpencastClient, fake: FakeOpencast, time: ManualClock
) -> None:
    fake.define("endless", [Step("one", 1e9)])
    event = fake.event()
    id = fake.start(event, "endless")
    run = oc.workflows.run_all([Start(event, "quick", key="0")], on_conflict="wait", poll=OFTEN)
    async with run as outcomes:
        while not run.items or run.items["0"].word != "waiting":
            await oc.version()
        fake.engine.remove(fake.engine.runs[id])
        reported = [each async for each in outcomes]
    assert [each.succeeded for each in reported] == [True]


async def test_a_start_that_was_rejected_in_an_earlier_run_is_rejected_again(
    oc: OpencastClient, fake: FakeOpencast, tmp_path: Path
) -> None:
    for _ in range(2):
        reported = await results_by_key(oc, [Start("", "quick", key="unfit")], journal=tmp_path / "batch.sqlite")
        assert isinstance(reported["unfit"], Rejected)


async def test_a_journal_that_cannot_be_written_ends_the_batch_immediately(
    oc: OpencastClient, fake: FakeOpencast, tmp_path: Path
) -> None:
    path = tmp_path / "batch.sqlite"
    fake.define("endless", [Step("one", 1e9)])

    def starts() -> Iterator[Start]:
        yield Start(fake.event(), "endless", key="0")
        path.write_bytes(b"")
        yield Start("", "quick", key="unfit")

    with pytest.raises(JournalError, match="another program has changed it while it was open"):
        await results_by_key(oc, starts(), journal=path)
