"""How results and failures of the list, of bulk checks and of GETs are applied."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import anyio
import pytest
from attrs import define, evolve

from tests.support import virtual_time as virtual
from tests.support.monitored_server import SERVER_KEY, Detailed, Operation, Record, Server, new_poller, running
from tests.unit.monitor.test_poller import STEADY, later, waiting, watch
from workflow_async import Phase, Poll
from workflow_async.errors import (
    BadRequest,
    CallError,
    ClientClosed,
    ConnectFailed,
    DeadlineExceeded,
    DecodeError,
    Forbidden,
    ForeignResponse,
    ListingInconsistent,
    ListingNotSupported,
    NotFound,
    RateLimited,
    ServerError,
    WaitTimeout,
)
from workflow_async.monitor import Change, Finished, PollingFailed, Replaced, Stalled
from workflow_async.monitor._engine import discovery
from workflow_async.monitor._engine.bulk import BULK_SIZE
from workflow_async.monitor._engine.engine import Engine
from workflow_async.monitor._engine.fallback import BULK_FAILURES, DISABLED_FOR
from workflow_async.monitor._engine.poller import Poller
from workflow_async.monitor._engine.scheduler import MAX_IN_FLIGHT
from workflow_async.monitor._engine.tracking import Tracking
from workflow_async.monitor.waits import WaitOptions, wait_all
from workflow_async.monitor.watch import watching

MANY = range(300)
FEW = range(40)
NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)


def started(server: Server, ids: Any = MANY, **more: Any) -> tuple[Poller[Any], "asyncio.Task[list[Any]]"]:
    """Start a watch of many workflows. Return the poller and a task that collects the events."""
    poller = new_poller(server)

    async def reading() -> list[Any]:
        async with watch(poller, *ids, **more) as changes:
            return [event async for event in changes]

    return poller, asyncio.create_task(reading())


def gets(server: Server, since: float = 0.0) -> list[int]:
    """Return the ids of the GETs since this instant."""
    return [id for at, id, _ in server.gets if at >= since]


def phases(events: list[Any], id: int) -> list[Phase]:
    return [event.now for event in events if event.id == id and isinstance(event, Change)]


def ends(events: list[Any], ids: Iterable[int]) -> set[tuple[Phase, ...]]:
    """Return the phases that were reported of each workflow."""
    return {tuple(phases(events, id)) for id in ids}


# The list


def test_an_end_that_a_list_shows_by_an_absence_is_reported_from_a_get() -> None:
    async def main() -> None:
        server = Server(supports_listing=True, workflows=running(*MANY))
        _, events = started(server)
        later(9, lambda: server.set_phase(Phase.FAILED, 7))
        later(30, lambda: server.set_phase(Phase.SUCCEEDED, *(set(MANY) - {7})))
        assert phases(await events, 7) == [Phase.RUNNING, Phase.FAILED]
        assert gets(server).count(7) == 1

    virtual.run(main())


def test_a_workflow_that_a_list_omits_by_mistake_gives_no_event() -> None:
    async def main() -> None:
        server = Server(supports_listing=True, workflows=running(*MANY))
        _, events = started(server)
        await anyio.sleep(5)
        server.listed = {id: Record(id) for id in MANY if id % 10}
        await anyio.sleep(5)
        server.listed = None
        later(30, lambda: server.set_phase(Phase.SUCCEEDED, *MANY))
        assert ends(await events, MANY) == {(Phase.RUNNING, Phase.SUCCEEDED)}

    virtual.run(main())


def test_a_list_that_lags_causes_no_event_backwards_nor_twice() -> None:
    async def main() -> None:
        server = Server(supports_listing=True, list_lag=10.0, workflows=running(*MANY))
        poller, events = started(server)
        await anyio.sleep(15)
        server.listed = dict(server.workflows)
        for n, phase in enumerate([Phase.PARKED, Phase.RUNNING, Phase.PARKED]):
            later(n, partial(server.set_phase, phase, 7), partial(poller.wake, 7))
        later(9, lambda: setattr(server, "listed", None))
        later(40, lambda: server.set_phase(Phase.SUCCEEDED, *MANY))
        true = [Phase.RUNNING, Phase.PARKED, Phase.RUNNING, Phase.PARKED, Phase.SUCCEEDED]
        assert phases(await events, 7) == true

    virtual.run(main())


def test_a_page_that_was_overtaken_by_a_get_is_not_believed() -> None:
    async def main() -> None:
        server = Server(supports_listing=True, workflows=running(*MANY))
        poller, events = started(server)
        await anyio.sleep(3)
        server.seconds = 4.0
        await anyio.sleep(2)  # the list has been asked for, and is slow
        server.seconds = 0.1
        server.set_phase(Phase.PARKED, 7)
        poller.wake(7)
        later(10, lambda: server.set_phase(Phase.SUCCEEDED, *MANY))
        assert phases(await events, 7) == [Phase.RUNNING, Phase.PARKED, Phase.SUCCEEDED]

    virtual.run(main())


def test_a_get_that_was_overtaken_by_the_list_is_sent_again() -> None:
    async def main() -> None:
        server = Server(supports_listing=True, workflows=running(*MANY))
        poller, events = started(server)
        await anyio.sleep(3)
        server.seconds = 5.0
        poller.wake(7)  # it still runs as `a`, and the answer is slow
        await anyio.sleep(0.1)
        server.seconds = 0.0
        server.set_phase(Phase.RUNNING, 7, step="b")
        later(30, lambda: server.set_phase(Phase.SUCCEEDED, *MANY))
        steps = [event.workflow.step for event in await events if event.id == 7]
        assert steps == [None, "b", "b"]

    virtual.run(main())


@pytest.mark.sweep
@pytest.mark.parametrize(
    "refusal",
    [
        ListingNotSupported("404"),
        Forbidden(403),
        BadRequest(400),
        ListingInconsistent("2 pages"),
        DecodeError("$[3].title"),
        ServerError(500),
    ],
    ids=lambda refusal: type(refusal).__name__,
)
def test_without_a_list_gets_are_sent(refusal: CallError) -> None:
    async def main() -> None:
        server = Server(supports_listing=True, workflows=running(*MANY), list_error=refusal)
        _, events = started(server)
        later(30, lambda: server.set_phase(Phase.SUCCEEDED, *MANY))
        assert ends(await events, MANY) == {(Phase.RUNNING, Phase.SUCCEEDED)}
        assert len(server.pages) <= 4

    virtual.run(main())


def test_a_list_that_fails_for_a_while_is_requested_again_later() -> None:
    async def main() -> None:
        server = Server(supports_listing=True, workflows=running(*MANY), list_error=Forbidden(403))
        _, events = started(server, poll=Poll(interval=20, backoff=1, ceiling=20, jitter=0))
        await anyio.sleep(100)
        server.list_error = None
        await anyio.sleep(220)
        assert max(server.pages) == pytest.approx(310, abs=12)
        before = len(server.gets)
        await anyio.sleep(60)
        assert len(server.gets) == before
        events.cancel()

    virtual.run(main())


def test_in_an_outage_every_workflow_gets_the_outcome_polling_failed() -> None:
    async def main() -> None:
        server = Server(supports_listing=True, workflows=running(*MANY))
        _, events = started(server)
        await anyio.sleep(10)
        server.list_error = ConnectFailed("refused")
        server.workflows = {id: ConnectFailed("refused") for id in MANY}
        assert sum(isinstance(event, PollingFailed) for event in await events) == len(MANY)
        assert 310 <= asyncio.get_running_loop().time() <= 420

    virtual.run(main())


def test_a_workflow_that_a_list_shows_again_has_no_failures() -> None:
    async def main() -> None:
        server = Server(supports_listing=True, workflows=running(*MANY))
        poller, events = started(server)
        await anyio.sleep(5)
        for _ in range(4):
            server.workflows[7] = ServerError(503)
            server.listed = running(*MANY)
            poller.wake(7)
            await anyio.sleep(400)
            server.listed = None
            server.put(Record(7))
            await anyio.sleep(20)
        assert not poller.engine.tracker.is_done(7)
        events.cancel()

    virtual.run(main())


def test_a_list_that_fails_says_nothing_about_what_it_should_show() -> None:
    async def main() -> None:
        server = Server(supports_listing=True, workflows=running(*FEW))
        poller, events = started(server, FEW, poll=evolve(STEADY, outage=1.0))
        await anyio.sleep(10)
        server.list_error = ServerError(500)
        await anyio.sleep(100)
        assert not any(observation.failures or observation.over for observation in poller.engine.observations.values())
        server.set_phase(Phase.SUCCEEDED, *FEW)
        assert ends(await events, FEW) == {(Phase.RUNNING, Phase.SUCCEEDED)}

    virtual.run(main())


def test_a_workflow_that_cannot_be_read_ends_alone_although_the_list_fails_too() -> None:
    async def main() -> None:
        server = Server(supports_listing=True, workflows=running(*FEW))
        _, events = started(server, FEW, poll=Poll())
        await anyio.sleep(10)
        first = next(iter(set(FEW)))
        server.list_error, server.workflows[first] = ServerError(500), ServerError(500)
        later(1000, lambda: server.set_phase(Phase.SUCCEEDED, *(set(FEW) - {first})))
        assert [event.id for event in await events if isinstance(event, PollingFailed)] == [first]
        assert ends(events.result(), set(FEW) - {first}) == {(Phase.RUNNING, Phase.SUCCEEDED)}

    virtual.run(main())


def test_a_disabled_list_is_read_again_later() -> None:
    async def main() -> None:
        server = Server(supports_listing=True, workflows=running(*FEW))
        _, events = started(server, FEW, poll=Poll())
        await anyio.sleep(10)
        server.list_error = ServerError(500)
        await anyio.sleep(100)
        assert gets(server, 50)
        server.list_error = None
        await anyio.sleep(DISABLED_FOR + 60)
        before = len(server.gets)
        await anyio.sleep(100)
        assert len(server.gets) == before
        events.cancel()

    virtual.run(main())


def test_a_list_that_was_read_once_is_not_taken_for_unsupported() -> None:
    async def main() -> None:
        server = Server(supports_listing=True, workflows=running(*FEW))
        _, events = started(server, FEW, poll=Poll())
        await anyio.sleep(10)
        server.list_error = ListingNotSupported("404")
        await anyio.sleep(60)
        server.list_error, pages = None, len(server.pages)
        await anyio.sleep(DISABLED_FOR + 60)
        assert len(server.pages) > pages
        events.cancel()

    virtual.run(main())


@pytest.mark.parametrize("listed", [set[int](), set(range(30)), set(range(0, 500, 7))])
@pytest.mark.parametrize("begin", [0.0, 60.0])
def test_a_list_that_was_inconsistent_once_is_not_given_up(listed: set[int], begin: float) -> None:
    async def main() -> None:
        server = Server(supports_listing=True, workflows=running(*range(500)))
        later(begin - 1, lambda: setattr(server, "listed", running(*listed)))
        later(begin + 8, lambda: setattr(server, "listed", None))
        _, events = started(server, range(500))
        await anyio.sleep(300)
        server.set_phase(Phase.SUCCEEDED, *range(500))
        assert ends(await events, range(500)) == {(Phase.RUNNING, Phase.SUCCEEDED)}
        assert len(server.gets) <= 500 * 9
        assert not gets(server, begin + 40)[500:]

    virtual.run(main())


# A server that is busy


def everything(server: Server, error: CallError | None) -> None:
    """Raise this error for the list, bulk checks and GETs. None answers them again."""
    server.list_error = server.bulk_error = server.get_error = error


def with_retry_after(error: CallError, seconds: float) -> CallError:
    """Return an error with which the server asks for a pause."""
    error.retry_after = seconds
    return error


def test_a_pause_that_the_server_asks_for_holds_for_all_requests_of_the_client() -> None:
    async def main() -> None:
        server = Server(workflows=running(*range(1000)), seconds=0.01)
        _, events = started(server, range(1000), poll=Poll(interval=2, outage=300))
        await anyio.sleep(20)
        everything(server, with_retry_after(RateLimited(429), 60.0))
        await anyio.sleep(120)
        asked = [at for at, _, _ in server.gets if at >= 20]
        assert len(asked) <= 3 * MAX_IN_FLIGHT
        assert not [at for at in asked if asked[0] + 0.1 < at < asked[0] + 60]
        everything(server, None)
        later(90, lambda: server.set_phase(Phase.SUCCEEDED, *range(1000)))
        assert ends(await events, range(1000)) == {(Phase.RUNNING, Phase.SUCCEEDED)}

    virtual.run(main())


KINDS_OF_CHECKS: list[dict[str, Any]] = [{}, {"supports_listing": True}, {"supports_bulk_check": True}]


@pytest.mark.parametrize("kind", KINDS_OF_CHECKS)
@pytest.mark.parametrize("busy", [RateLimited(429), ServerError(503), ForeignResponse(503)])
def test_an_announced_pause_does_not_count_as_an_outage(kind: dict[str, Any], busy: CallError) -> None:
    async def main() -> None:
        server = Server(workflows=running(*range(40)), **kind)
        _, events = started(server, range(40), poll=Poll())
        await anyio.sleep(20)
        everything(server, with_retry_after(busy, 3600.0))
        await anyio.sleep(3 * 3600)
        asked = server.requests
        everything(server, None)
        server.set_phase(Phase.SUCCEEDED, *range(40))
        assert ends(await events, range(40)) == {(Phase.RUNNING, Phase.SUCCEEDED)}
        assert asked <= 250

    virtual.run(main())


@pytest.mark.parametrize("kind", KINDS_OF_CHECKS)
def test_a_server_that_asks_for_one_pause_after_the_other_is_given_up_after_a_day(kind: dict[str, Any]) -> None:
    async def main() -> None:
        server = Server(workflows=running(*range(4)), **kind)
        _, events = started(server, range(4), poll=Poll())
        await anyio.sleep(20)
        everything(server, with_retry_after(RateLimited(429), 600.0))
        assert sum(isinstance(event, PollingFailed) for event in await events) == 4
        assert 86_400 <= asyncio.get_running_loop().time() <= 86_400 + 2 * 3600

    virtual.run(main())


def test_a_later_and_shorter_announcement_does_not_end_a_pause() -> None:
    async def main() -> None:
        server = Server(workflows=running(1, 2), seconds=0.5)
        _, events = started(server, (1, 2))
        await anyio.sleep(10.2)
        server.workflows = {1: with_retry_after(RateLimited(429), 100.0), 2: with_retry_after(RateLimited(429), 1.0)}
        await anyio.sleep(5)
        server.workflows = running(1, 2)
        before = len(server.gets)
        await anyio.sleep(80)
        assert len(server.gets) == before
        events.cancel()

    virtual.run(main())


def test_a_deadline_does_not_wait_for_the_end_of_a_pause() -> None:
    async def main() -> None:
        server = Server(workflows=running(1, 2))
        poller = new_poller(server)
        others = asyncio.create_task(waiting(poller, 1))
        late = asyncio.create_task(waiting(poller, 2, timeout=30))
        await anyio.sleep(10)
        server.workflows[1] = with_retry_after(RateLimited(429), 600.0)
        with pytest.raises(WaitTimeout):
            await late
        assert asyncio.get_running_loop().time() == pytest.approx(30, abs=0.1)
        others.cancel()

    virtual.run(main())


def test_a_workflow_that_is_watched_during_a_pause_is_checked_after_it() -> None:
    async def main() -> None:
        server = Server(workflows=running(1, 2))
        poller = new_poller(server)
        first = asyncio.create_task(waiting(poller, 1))
        await anyio.sleep(5)
        server.workflows[1] = with_retry_after(ServerError(503), 60.0)
        await anyio.sleep(5)
        second = asyncio.create_task(waiting(poller, 2))
        poller.wake(1)
        server.put(Record(1, Phase.SUCCEEDED), Record(2, Phase.SUCCEEDED))
        await asyncio.gather(first, second)
        assert [round(at) for at, id, _ in server.gets if id == 2] == [66]

    virtual.run(main())


# A clock that leaps


def jump(seconds: float) -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, virtual.VirtualLoop)
    loop.leap(seconds)


@pytest.mark.parametrize("kind", KINDS_OF_CHECKS)
@pytest.mark.parametrize(
    ("failure", "took"),
    [
        (ConnectFailed("no route"), 0.0),
        (ConnectFailed("no route"), 1.5),  # within a request
        (ForeignResponse(404), 0.0),
        (ForeignResponse(404), 1.5),
        (NotFound(404), 0.0),
    ],
)
def test_a_jump_of_the_clock_is_no_outage(kind: dict[str, Any], failure: CallError, took: float) -> None:
    async def main() -> None:
        server = Server(workflows=running(*range(20)), seconds=took, **kind)
        _, events = started(server, range(20), poll=evolve(STEADY, outage=300.0))
        await anyio.sleep(20)
        everything(server, failure)
        later(6, lambda: jump(2 * 3600))
        await anyio.sleep(6.1)
        await anyio.sleep(8)
        everything(server, None)
        later(30, lambda: server.set_phase(Phase.SUCCEEDED, *range(20)))
        assert ends(await events, range(20)) == {(Phase.RUNNING, Phase.SUCCEEDED)}

    virtual.run(main())


def test_jumps_within_an_outage_do_not_add_to_it() -> None:
    async def main() -> None:
        server = Server(workflows=running(7))
        poller = new_poller(server)
        waits = asyncio.create_task(waiting(poller, 7, poll=evolve(STEADY, outage=100.0)))
        await anyio.sleep(5)
        server.workflows[7] = ConnectFailed("no route")
        for second in (10, 20, 30, 40):
            later(second, lambda: jump(1000))
        with pytest.raises(ConnectFailed):
            await waits
        assert asyncio.get_running_loop().time() - 4000 == pytest.approx(105, abs=5)

    virtual.run(main())


# The server's own wish


def test_a_list_that_asks_for_a_pause_gets_one() -> None:
    async def main() -> None:
        busy = RateLimited(429)
        busy.retry_after = 100.0
        server = Server(supports_listing=True, workflows=running(*MANY))
        _, events = started(server)
        await anyio.sleep(5)
        server.list_error, before = busy, max(server.pages)
        await anyio.sleep(3)
        refused = max(server.pages)
        server.list_error = None
        await anyio.sleep(200)
        after = min(at for at in server.pages if at > refused)
        assert (refused > before, after >= refused + 100) == (True, True)
        assert not server.gets
        events.cancel()

    virtual.run(main())


def test_delays_grow_while_the_server_is_busy_and_shrink_again_after_it() -> None:
    async def main() -> None:
        server = Server(workflows=running(1, 2, 3))
        _, events = started(server, (1, 2, 3))
        await anyio.sleep(20)
        calm = len(gets(server))
        server.workflows[1] = ServerError(503)
        await anyio.sleep(100)
        busy = gets(server, 20)
        server.put(Record(1))
        await anyio.sleep(300)
        assert calm == pytest.approx(3 * 11, abs=3)
        assert busy.count(3) < 0.5 * 50
        assert len(gets(server, 400)) == pytest.approx(3 * 10, abs=3)
        events.cancel()

    virtual.run(main())


def test_a_slow_server_counts_as_busy() -> None:
    async def main() -> None:
        server = Server(seconds=10.0, workflows=running(1))
        _, events = started(server, (1,))
        await anyio.sleep(600)
        assert len(server.gets) < 600 / 12 / 2
        events.cancel()

    virtual.run(main())


def test_in_an_outage_checks_become_rarer_and_after_it_frequent_again() -> None:
    async def main() -> None:
        server = Server(workflows=running(1))
        poller = new_poller(server)
        waits = asyncio.create_task(waiting(poller, 1, poll=Poll(jitter=0, outage=1000)))
        await anyio.sleep(0.1)
        server.workflows[1] = ConnectFailed("refused")
        await anyio.sleep(200)
        assert len(gets(server)) < 15
        server.put(Record(1))
        await anyio.sleep(31)
        recovered = max(at for at, _, _ in server.gets)
        server.put(Record(1, step="b"))
        await anyio.sleep(30)
        assert recovered > 200
        assert len(gets(server, recovered)) >= 5
        waits.cancel()

    virtual.run(main())


# Glances


def test_a_change_that_a_bulk_check_shows_is_reported_from_a_get() -> None:
    async def main() -> None:
        server = Server(supports_bulk_check=True, workflows=running(*MANY))
        _, events = started(server)
        later(9, lambda: server.set_phase(Phase.FAILED, 7))
        later(30, lambda: server.set_phase(Phase.SUCCEEDED, *(set(MANY) - {7})))
        assert phases(await events, 7) == [Phase.RUNNING, Phase.FAILED]
        assert len(server.gets) < len(MANY) * 5
        assert len(server.bulk_checks) > 30

    virtual.run(main())


def test_every_tenth_get_detects_an_index_that_is_wrong() -> None:
    async def main() -> None:
        server = Server(supports_bulk_check=True, workflows=running(*MANY), stale={7})
        _, events = started(server)
        await anyio.sleep(8)
        server.set_phase(Phase.SUCCEEDED, 7)
        await anyio.sleep(10 * 2.5)
        events.cancel()
        assert [id for id in gets(server, 8.1) if id == 7]

    virtual.run(main())


@pytest.mark.parametrize("refusal", [Forbidden(403), NotFound(404), BadRequest(400)])
def test_a_server_that_refuses_bulk_checks_is_asked_once(refusal: CallError) -> None:
    async def main() -> None:
        server = Server(supports_bulk_check=True, workflows=running(*range(40)), bulk_error=refusal)
        _, events = started(server, range(40))
        later(30, lambda: server.set_phase(Phase.SUCCEEDED, *range(40)))
        assert ends(await events, range(40)) == {(Phase.RUNNING, Phase.SUCCEEDED)}
        assert len(server.bulk_checks) == 1

    virtual.run(main())


ILL = [
    ServerError(500),
    ServerError(502),
    ServerError(503),
    RateLimited(429),
    Forbidden(403),
    NotFound(404),
    DecodeError("null @ $"),
    ForeignResponse(404),
    DeadlineExceeded("no answer"),
]


def to_the_end(server: Server) -> list[Any]:
    """Return the events of a hundred workflows that end after 20 minutes."""

    async def main() -> list[Any]:
        _, events = started(server, range(100), poll=Poll())
        later(1200, lambda: server.set_phase(Phase.SUCCEEDED, *range(100)))
        return await events

    return virtual.run(main())


@pytest.mark.parametrize("ill", ILL, ids=lambda error: f"{type(error).__name__} {getattr(error, 'status', '')}")
def test_a_failing_index_says_nothing_about_workflows_and_costs_few_requests(ill: CallError) -> None:
    plain = Server(workflows=running(*range(100)))
    server = Server(supports_bulk_check=True, workflows=running(*range(100)), bulk_error=ill)
    to_the_end(plain)
    assert ends(to_the_end(server), range(100)) == {(Phase.RUNNING, Phase.SUCCEEDED)}
    assert server.requests <= 1.1 * plain.requests
    assert len(server.bulk_checks) <= BULK_FAILURES + 2 + 2 * 1200 / DISABLED_FOR


def test_a_bulk_check_that_failed_is_no_failed_check_of_its_workflows_and_one_refusal() -> None:
    async def main() -> None:
        server = Server(supports_bulk_check=True, workflows=running(*range(BULK_SIZE)), bulk_error=ServerError(503))
        poller, events = started(server, range(BULK_SIZE))
        before = len(server.gets)
        while not server.bulk_checks:
            await anyio.sleep(0.1)
        refusals = poller.engine.fetcher.load.refusals
        await anyio.sleep(1)
        assert not any(observation.failures for observation in poller.engine.observations.values())
        assert refusals <= 1
        assert len(server.gets) >= before + BULK_SIZE
        events.cancel()

    virtual.run(main())


@pytest.mark.parametrize("ill", [ServerError(500), Forbidden(403), NotFound(404)])
def test_disabled_bulk_checks_are_tried_again(ill: CallError) -> None:
    async def main() -> None:
        server = Server(supports_bulk_check=True, workflows=running(*range(40)), bulk_error=ill)
        _, events = started(server, range(40))
        await anyio.sleep(200)
        failed = len(server.bulk_checks)
        server.bulk_error = None
        await anyio.sleep(DISABLED_FOR)
        assert failed <= BULK_FAILURES
        assert len(server.bulk_checks) > failed + 20
        events.cancel()

    virtual.run(main())


def test_a_few_failed_bulk_checks_with_successes_between_them_change_nothing() -> None:
    async def main() -> None:
        server = Server(supports_bulk_check=True, workflows=running(*range(40)))
        _, events = started(server, range(40))
        for _ in range(10):
            await anyio.sleep(5)
            server.bulk_error, looked = DecodeError("null @ $"), len(server.bulk_checks)
            while len(server.bulk_checks) == looked:
                await anyio.sleep(0.1)
            server.bulk_error = None
        before = len(server.bulk_checks)
        await anyio.sleep(100)
        assert len(server.bulk_checks) >= before + 5
        events.cancel()

    virtual.run(main())


def test_bulk_checks_that_fail_for_too_long_are_an_outage_like_any_other() -> None:
    async def main() -> None:
        server = Server(supports_bulk_check=True, workflows=running(*range(40)))
        _, events = started(server, range(40))
        await anyio.sleep(10)
        server.bulk_error = ServerError(503)
        server.workflows = {id: ServerError(503) for id in range(40)}
        assert sum(isinstance(event, PollingFailed) for event in await events) == 40
        assert 300 <= asyncio.get_running_loop().time() <= 500

    virtual.run(main())


def test_a_cancelled_bulk_check_does_not_count_as_a_check() -> None:
    async def main() -> None:
        server = Server(supports_bulk_check=True, workflows=running(*range(20)))
        poller = new_poller(server)
        slow = Poll(interval=50, ceiling=50, jitter=0)
        first = asyncio.create_task(waiting(poller, 0, poll=slow))
        await anyio.sleep(1)
        others = [asyncio.create_task(waiting(poller, id, poll=slow)) for id in range(1, 20)]
        await anyio.sleep(1)
        server.seconds = 3.0
        await anyio.sleep(50)
        first.cancel()
        server.set_phase(Phase.SUCCEEDED, *range(20))
        began = asyncio.get_running_loop().time()
        await asyncio.gather(*others)
        assert asyncio.get_running_loop().time() - began < 15

    virtual.run(main())


def test_a_workflow_whose_operations_are_watched_gets_no_bulk_check() -> None:
    async def main() -> None:
        def ran(*states: str) -> tuple[Operation, ...]:
            return tuple(Operation(f"o{n}", state, NOON, NOON + timedelta(1)) for n, state in enumerate(states))

        server = Server(supports_bulk_check=True)
        server.put(*(Detailed(id, operations=ran("running", "instantiated")) for id in range(20)))
        _, received = started(server, range(20), operations=True)
        later(5, lambda: server.set_phase(Phase.RUNNING, *range(20), operations=ran("succeeded", "running")))
        later(20, lambda: server.set_phase(Phase.SUCCEEDED, *range(20), operations=ran("succeeded", "succeeded")))
        events = [event for event in await received if event.id == 3]
        assert [(o.operation, o.now) for event in events for o in event.operations] == [
            ("o0", "running"), ("o1", "instantiated"), ("o0", "succeeded"), ("o1", "running"), ("o1", "succeeded")
        ]  # fmt: skip
        assert not server.bulk_checks

    virtual.run(main())


# Operations


def test_transitions_are_reported_once_although_others_watch_without_operations() -> None:
    async def main() -> None:
        server = Server(supports_listing=True)
        server.put(*(Detailed(id, operations=(Operation("a", "running", NOON),)) for id in range(20)))
        poller = new_poller(server)
        plain = asyncio.create_task(wait_all(poller, range(20), WaitOptions(poll=STEADY)))
        await anyio.sleep(5)
        events = []
        ended = (Operation("a", "succeeded", NOON, NOON),)
        later(10, lambda: server.set_phase(Phase.SUCCEEDED, *range(20), operations=ended))
        async with watch(poller, 3, operations=True) as changes:
            async for event in changes:
                events += [(operation.was, operation.now) for operation in event.operations]
        assert events == [(None, "running"), ("running", "succeeded")]
        assert all(outcome.workflow.operations is not None for outcome in await plain if outcome.workflow)

    virtual.run(main())


def test_a_watcher_without_operations_gets_none() -> None:
    async def main() -> None:
        server = Server(supports_listing=True)
        server.put(*(Detailed(id, operations=(Operation("a"),)) for id in range(20)))
        poller, events = started(server, range(20))
        await anyio.sleep(5)
        async with watch(poller, 3, operations=True) as changes:
            await anext(changes)
            server.set_phase(Phase.RUNNING, *range(20), operations=(Operation("a", "running", NOON),))
            assert (await anext(changes)).operations
        server.set_phase(Phase.SUCCEEDED, *range(20))
        assert all(event.operations == () for event in await events if event.id != 3)
        assert all(len(phases(events.result(), id)) == 2 for id in range(20) if id != 3)

    virtual.run(main())


# Hints, stalls, and how long things take


def test_a_wake_makes_the_next_check_sooner_and_sets_no_state() -> None:
    async def main() -> None:
        server, slow = Server(workflows=running(7)), Poll(interval=100, ceiling=100, jitter=0)
        poller = new_poller(server)
        waits = asyncio.create_task(waiting(poller, 7, poll=slow))
        await anyio.sleep(10)
        poller.wake(7)
        poller.wake(99)  # a stranger
        await anyio.sleep(1)
        assert not waits.done()
        assert [round(at) for at, _, _ in server.gets] == [0, 10]
        server.set_phase(Phase.SUCCEEDED, 7)
        poller.wake(7)
        await waits
        assert asyncio.get_running_loop().time() == pytest.approx(11, abs=0.1)

    virtual.run(main())


def test_ten_thousand_wakes_of_a_workflow_are_one_check() -> None:
    async def main() -> None:
        server = Server(seconds=1.0, workflows=running(7))
        poller = new_poller(server)
        waits = asyncio.create_task(waiting(poller, 7, poll=Poll(interval=100, ceiling=100)))
        await anyio.sleep(10)
        for _ in range(10_000):
            poller.wake(7)
        await anyio.sleep(5)
        assert len(server.gets) == 2
        waits.cancel()

    virtual.run(main())


def stepping(steps: dict[str, float], *ids: int) -> Server:
    """Return a server with workflows that go through steps of these seconds, and end."""
    server = Server(supports_listing=True)
    server.put(*(Record(id, step=next(iter(steps))) for id in ids))
    at = 0.0
    for (_, seconds), after in zip(steps.items(), [*list(steps)[1:], None], strict=True):
        at += seconds
        if after is None:
            later(at, lambda: server.set_phase(Phase.SUCCEEDED, *ids, step=None))
        else:
            later(at, partial(server.set_phase, Phase.RUNNING, *ids, step=after))
    return server


def test_a_step_that_takes_much_longer_than_usual_is_reported_once() -> None:
    async def main() -> None:
        server = stepping({"a": 20, "b": 30, "c": 10}, *range(10))
        poller, events = started(server, range(10))
        await anyio.sleep(1)
        server.put(Record(77, step="a"))
        later(20, lambda: server.put(Record(77, step="b")))
        later(400, lambda: server.set_phase(Phase.SUCCEEDED, 77))
        async with watch(poller, 77, stalled_after=3) as changes:
            (stall,) = [event async for event in changes if isinstance(event, Stalled)]
        assert (stall.id, stall.workflow.step) == (77, "b")
        assert stall.key.startswith(f"{SERVER_KEY}/77/stalled/")
        assert stall.usual == pytest.approx(30, abs=5)
        assert stall.seconds > 90
        await events

    virtual.run(main())


def test_durations_are_learned_and_the_next_check_comes_halfway() -> None:
    async def main() -> None:
        server = Server(workflows={id: Record(id, Phase.SUCCEEDED) for id in range(5)} | running(7))
        poller = new_poller(server)
        async with watch(poller, 7) as changes:
            await anext(changes)
            assert changes.eta(7) is None
            await wait_all(poller, range(5), WaitOptions[Any]())
            assert changes.eta(7) == pytest.approx(60, abs=2)
            assert changes.eta(99) is None
        server.gets.clear()
        later(60, lambda: server.set_phase(Phase.SUCCEEDED, 7))
        began = asyncio.get_running_loop().time()
        await waiting(poller, 7, poll=Poll(jitter=0))
        checks = [at - began for at, _, _ in server.gets]
        assert checks[1] - checks[0] == pytest.approx(30, abs=2)

    virtual.run(main())


# Another workflow under the same id


@pytest.mark.parametrize("kind", KINDS_OF_CHECKS)
def test_an_id_that_becomes_another_workflow_is_reported_and_affects_no_other(kind: dict[str, Any]) -> None:
    async def main() -> None:
        server = Server(**kind)
        server.put(*(Record(id, identity=f"event {id}") for id in range(20)))
        poller, events = started(server, range(20))
        outcomes = asyncio.create_task(wait_all(poller, range(20), WaitOptions(poll=STEADY)))
        later(20, lambda: server.put(Record(7, Phase.PARKED, identity="another event")))
        later(60, lambda: server.set_phase(Phase.SUCCEEDED, *range(20)))
        (replaced,) = [event for event in await events if isinstance(event, Replaced)]
        assert (replaced.id, replaced.found.identity) == (7, "another event")
        assert replaced.workflow == Record(7, identity="event 7")
        assert phases(events.result(), 7) == [Phase.RUNNING]
        assert ends(events.result(), set(range(20)) - {7}) == {(Phase.RUNNING, Phase.SUCCEEDED)}
        assert [type(outcome) for outcome in await outcomes] == [Replaced if id == 7 else Finished for id in range(20)]

    virtual.run(main())


@pytest.mark.parametrize("kind", KINDS_OF_CHECKS)
def test_a_record_without_an_identity_changes_nothing(kind: dict[str, Any]) -> None:
    async def main() -> None:
        server = Server(**kind)
        server.put(*(Record(id, identity=f"event {id}") for id in range(20)))
        _, events = started(server, range(20))
        later(20, lambda: server.put(*(Record(id, Phase.PARKED) for id in range(20))))
        later(60, lambda: server.put(*(Record(id, Phase.SUCCEEDED, identity=f"event {id}") for id in range(20))))
        assert ends(await events, range(20)) == {(Phase.RUNNING, Phase.PARKED, Phase.SUCCEEDED)}

    virtual.run(main())


def test_a_slow_reader_gets_replaced_although_others_watch_the_new_workflow() -> None:
    async def main() -> None:
        server = Server()
        server.put(Record(7, identity="A"), Record(8, identity="X"))
        poller = new_poller(server)
        async with watch(poller, 7, 8) as slow:
            await anext(slow)
            await anext(slow)
            keeps = asyncio.create_task(waiting(poller, 8))
            server.put(Record(7, identity="B"))
            await anyio.sleep(10)
            again = asyncio.create_task(waiting(poller, 7))
            await anyio.sleep(10)
            server.set_phase(Phase.SUCCEEDED, 7, 8)
            assert (await again).identity == "B"
            events = [event async for event in slow]
        assert [type(event) for event in events if event.id == 7] == [Replaced]
        await keeps

    virtual.run(main())


# An error after which nothing can work


@define
class Errors:
    """A listener that keeps only errors after which no request can succeed."""

    fatal: list[Exception]

    def on_event(self, event: object) -> None:
        """Drop it."""

    def on_idle(self) -> None:
        """Plan nothing."""

    def on_replaced(self) -> None:
        """Plan nothing."""

    def on_fatal(self, error: Exception) -> None:
        """Keep the error."""
        self.fatal.append(error)


@pytest.mark.parametrize("kind", [{}, {"supports_bulk_check": True}])
def test_after_an_error_that_ends_everything_a_check_is_due_no_sooner_than_usual(kind: dict[str, Any]) -> None:
    async def main() -> None:
        server, fatal = Server(workflows=running(*range(5)), **kind), list[Exception]()
        engine: Engine[Any] = Engine(server, new_poller(server).clock, Errors(fatal))
        for id in range(5):
            engine.track(id, Tracking(STEADY))
        async with asyncio.TaskGroup() as group:
            engine.send_due(group.create_task)
            await anyio.sleep(2)
            engine.send_due(group.create_task)
            await anyio.sleep(3)
            server.bulk_error, server.workflows = (
                ClientClosed("closed"),
                {id: ClientClosed("closed") for id in range(5)},
            )
            engine.send_due(group.create_task)
        assert fatal
        assert engine.scheduler.single.next is not None
        assert engine.scheduler.single.next >= asyncio.get_running_loop().time() + STEADY.interval

    virtual.run(main())


# A watch of a filter


def watch_list(poller: Poller[Any], server: Server, **more: Any) -> Any:
    """Return a watch of the workflows that the list shows."""
    settings: dict[str, Any] = {"poll": STEADY, "operations": False, "stalled_after": None}
    return watching(poller, None, lambda: server.list_active(operations=False), **settings | more)


def test_a_workflow_that_appears_is_watched_to_its_end() -> None:
    async def main() -> None:
        server = Server(supports_listing=True, workflows=running(1, 2))
        poller, events = new_poller(server), []
        later(7, lambda: server.put(Record(3)))
        later(13, lambda: server.set_phase(Phase.SUCCEEDED, 1, 2, 3))
        async with watch_list(poller, server) as changes:
            for _ in range(6):
                event = await anext(changes)
                events.append((event.id, event.was, event.now))
            assert changes.ids == frozenset()
        assert sorted(events[:3]) == events[:3]
        assert events[2] == (3, None, Phase.RUNNING)
        assert {one[1:] for one in events[3:]} == {(Phase.RUNNING, Phase.SUCCEEDED)}
        assert len(server.gets) == 3

    virtual.run(main())


def test_a_list_that_goes_on_showing_ended_workflows_gives_no_end_twice() -> None:
    async def main() -> None:
        server = Server(supports_listing=True, list_lag=10.0, workflows=running(1, 2))
        server.listed = running(1, 2)
        poller, events = new_poller(server), []
        later(5, lambda: server.set_phase(Phase.FAILED, 1))
        with anyio.move_on_after(300):
            async with watch_list(poller, server) as changes:
                later(6, lambda: poller.wake(1))
                later(12, lambda: setattr(server, "listed", None))
                while True:
                    event = await anext(changes)
                    events.append((event.id, event.now, event.key))
        assert events == [
            (1, Phase.RUNNING, f"{SERVER_KEY}/1/running"),
            (2, Phase.RUNNING, f"{SERVER_KEY}/2/running"),
            (1, Phase.FAILED, f"{SERVER_KEY}/1/end/failed"),
        ]

    virtual.run(main())


def test_a_workflow_that_goes_on_after_its_end_is_reported_again() -> None:
    async def main() -> None:
        server = Server(supports_listing=True, workflows=running(1))
        poller, events = new_poller(server), []
        later(5, lambda: server.set_phase(Phase.FAILED, 1))
        later(20, lambda: server.set_phase(Phase.RUNNING, 1))
        later(30, lambda: server.set_phase(Phase.SUCCEEDED, 1))
        async with watch_list(poller, server) as changes:
            for _ in range(4):
                event = await anext(changes)
                events.append((event.now, event.key))
        assert events == [
            (Phase.RUNNING, f"{SERVER_KEY}/1/running"),
            (Phase.FAILED, f"{SERVER_KEY}/1/end/failed"),
            (Phase.RUNNING, f"{SERVER_KEY}/1/running"),
            (Phase.SUCCEEDED, f"{SERVER_KEY}/1/end/succeeded"),
        ]

    virtual.run(main())


def test_an_old_page_that_shows_an_ended_workflow_as_active_reports_nothing() -> None:
    async def main() -> None:
        server = Server(supports_listing=True, workflows=running(1, 2))
        poller, events = new_poller(server), []
        later(5, lambda: server.set_phase(Phase.FAILED, 1))
        later(20, lambda: setattr(server, "listed", running(1, 2)))
        later(60, lambda: setattr(server, "listed", None))
        with anyio.move_on_after(120):
            async with watch_list(poller, server) as changes:
                while True:
                    event = await anext(changes)
                    events.append((event.id, event.now))
        assert events == [(1, Phase.RUNNING), (2, Phase.RUNNING), (1, Phase.FAILED)]

    virtual.run(main())


def test_a_workflow_that_fails_again_after_a_retry_is_reported_again() -> None:
    async def main() -> None:
        server = Server(supports_listing=True, workflows=running(1))
        poller = new_poller(server)
        for seconds, phase in ((5, Phase.FAILED), (20, Phase.RUNNING), (40, Phase.FAILED)):
            later(seconds, partial(server.set_phase, phase, 1))
        async with watch_list(poller, server) as changes:
            events = [(await anext(changes)).now for _ in range(4)]
        assert events == [Phase.RUNNING, Phase.FAILED, Phase.RUNNING, Phase.FAILED]

    virtual.run(main())


def test_only_the_latest_ends_of_a_filter_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "MAX_ENDS", 1)

    async def main() -> None:
        server = Server(supports_listing=True, workflows=running(1, 2))
        poller, events = new_poller(server), []
        later(5, lambda: server.set_phase(Phase.FAILED, 1))
        later(10, lambda: server.set_phase(Phase.FAILED, 2))
        later(20, lambda: setattr(server, "listed", running(1, 2)))
        later(60, lambda: setattr(server, "listed", None))
        with anyio.move_on_after(120):
            async with watch_list(poller, server) as changes:
                while True:
                    event = await anext(changes)
                    events.append((event.id, event.now))
        assert events.count((2, Phase.FAILED)) == 1
        assert events.count((1, Phase.FAILED)) > 1

    virtual.run(main())


def test_a_dropped_workflow_does_not_appear_again_until_it_is_added() -> None:
    async def main() -> None:
        server = Server(supports_listing=True, workflows=running(1, 2))
        poller, events = new_poller(server), []
        with anyio.move_on_after(60):
            async with watch_list(poller, server) as changes:
                later(5, lambda: changes.drop(1))
                later(20, lambda: changes.add(1))
                while True:
                    event = await anext(changes)
                    events.append((event.id, round(asyncio.get_running_loop().time())))
        assert events == [(1, 0), (2, 0), (1, 20)]

    virtual.run(main())


@pytest.mark.parametrize("error", [ListingNotSupported("404"), BadRequest(400), Forbidden(403), ClientClosed("closed")])
def test_a_filter_that_cannot_be_listed_ends_the_watch_with_its_error(error: Exception) -> None:
    async def main() -> None:
        server = Server(supports_listing=True, list_error=error)
        with pytest.raises(type(error)):
            async with watch_list(new_poller(server), server) as changes:
                await anext(changes)

    virtual.run(main())


def test_a_filter_is_listed_through_an_outage_up_to_the_limit() -> None:
    async def main() -> None:
        server = Server(supports_listing=True, workflows=running(1))
        poller = new_poller(server)
        async with watch_list(poller, server) as changes:
            await anext(changes)
            server.list_error = ServerError(503)
            later(250, lambda: setattr(server, "list_error", None), lambda: server.set_phase(Phase.SUCCEEDED, 1))
            assert (await anext(changes)).now is Phase.SUCCEEDED
            server.list_error = ServerError(503)
            with pytest.raises(ServerError):
                await anext(changes)

    virtual.run(main())


@pytest.mark.parametrize("error", [Forbidden(403), ListingNotSupported("404"), ForeignResponse(404), ServerError(503)])
def test_a_filter_that_was_listed_before_is_listed_through_any_refusal(error: CallError) -> None:
    async def main() -> None:
        server = Server(supports_listing=True, workflows=running(1))
        async with watch_list(new_poller(server), server) as changes:
            await anext(changes)
            server.list_error = error
            later(250, lambda: setattr(server, "list_error", None), lambda: server.set_phase(Phase.SUCCEEDED, 1))
            assert (await anext(changes)).now is Phase.SUCCEEDED
            server.list_error = error
            with pytest.raises(type(error)):
                await anext(changes)

    virtual.run(main())


def test_a_filter_is_not_listed_during_a_pause_of_any_length() -> None:
    async def main() -> None:
        server = Server(supports_listing=True, workflows=running(1))
        async with watch_list(new_poller(server), server) as changes:
            await anext(changes)
            server.list_error = with_retry_after(RateLimited(429), 3600.0)
            later(5000, lambda: setattr(server, "list_error", None), lambda: server.set_phase(Phase.SUCCEEDED, 1))
            assert (await anext(changes)).now is Phase.SUCCEEDED
        assert len([at for at in server.pages if 10 < at < 7000]) <= 2

    virtual.run(main())


def test_a_pause_that_a_get_was_answered_with_holds_for_a_filter_too() -> None:
    async def main() -> None:
        server = Server(supports_listing=True, workflows=running(1, 2))
        server.listed = running(1)
        poller = new_poller(server)
        async with watch_list(poller, server) as changes:
            await anext(changes)
            other = asyncio.create_task(waiting(poller, 2))
            await anyio.sleep(5)
            server.workflows[2] = with_retry_after(ServerError(503), 100.0)
            await anyio.sleep(20)
            pages = len(server.pages)
            await anyio.sleep(70)
            assert len(server.pages) == pages
            await anyio.sleep(20)
            assert len(server.pages) > pages
            other.cancel()

    virtual.run(main())


def test_a_jump_of_the_clock_is_no_outage_of_a_filter() -> None:
    async def main() -> None:
        server = Server(supports_listing=True, workflows=running(1))
        async with watch_list(new_poller(server), server) as changes:
            await anext(changes)
            server.list_error = ConnectFailed("no route")
            later(6, lambda: jump(2 * 3600))
            later(14, lambda: setattr(server, "list_error", None), lambda: server.set_phase(Phase.SUCCEEDED, 1))
            assert (await anext(changes)).now is Phase.SUCCEEDED

    virtual.run(main())


def test_an_id_of_a_filter_that_becomes_another_workflow_is_reported_and_watched() -> None:
    async def main() -> None:
        server = Server(supports_listing=True)
        server.put(Record(1, identity="A"))
        events: list[Any] = []
        async with watch_list(new_poller(server), server) as changes:
            later(10, lambda: server.put(Record(1, Phase.PARKED, identity="B")))
            later(30, lambda: server.set_phase(Phase.SUCCEEDED, 1))
            while not events or events[-1] is not Phase.SUCCEEDED:
                event = await anext(changes)
                events.append(event.now if isinstance(event, Change) else type(event))
        assert events == [Phase.RUNNING, Replaced, Phase.PARKED, Phase.SUCCEEDED]

    virtual.run(main())


def test_a_wait_for_a_workflow_that_a_filter_shows_continues_when_the_filter_fails() -> None:
    async def main() -> None:
        server = Server(supports_listing=True, workflows=running(1))
        poller = new_poller(server)
        async with watch_list(poller, server) as changes:
            await anext(changes)
            waits = asyncio.create_task(waiting(poller, 1))
            await anyio.sleep(5)
        later(10, lambda: server.set_phase(Phase.SUCCEEDED, 1))
        with anyio.fail_after(30):
            assert (await waits).phase is Phase.SUCCEEDED

    virtual.run(main())


def test_many_rows_of_a_filter_cost_nothing_but_its_pages() -> None:
    async def main() -> None:
        server = Server(supports_listing=True, workflows=running(*range(500)))
        with anyio.move_on_after(60):
            async with watch_list(new_poller(server), server) as changes:
                async for _ in changes:
                    pass
        assert not server.gets
        assert len(server.pages) <= 5 * (60 / STEADY.interval + 1)

    virtual.run(main())


def test_a_new_watch_believes_no_list_that_is_older_than_the_last_get() -> None:
    async def main() -> None:
        server = Server(supports_listing=True, list_lag=10.0, workflows=running(*range(1, 9)))
        server.listed = running(*range(1, 9))
        poller = new_poller(server)
        async with watch(poller, 7) as changes:
            await anext(changes)
            server.set_phase(Phase.PARKED, 7)
            poller.wake(7)
            assert (await anext(changes)).now is Phase.PARKED
        async with watch(poller, *range(1, 9)) as changes:  # the list shows 7 as it was, for a while
            later(9, lambda: setattr(server, "listed", None))
            phases = [event.now async for event in first_of(changes, 7)]
        assert phases == [Phase.PARKED]

    virtual.run(main())


@pytest.mark.parametrize(("known", "old"), [(Phase.PARKED, Phase.RUNNING), (Phase.RUNNING, Phase.WAITING)])
def test_an_old_page_that_shows_an_earlier_phase_is_checked_by_a_get(known: Phase, old: Phase) -> None:
    async def main() -> None:
        server = Server(supports_listing=True, workflows={id: Record(id, known) for id in range(1, 9)})
        poller = new_poller(server)
        async with watch(poller, *range(1, 9)) as changes:
            for _ in range(8):
                assert (await anext(changes)).now is known
            server.listed = {id: Record(id, old) for id in range(1, 9)}
            pages, gets = len(server.pages), len(server.gets)
            later(60, lambda: server.set_phase(Phase.SUCCEEDED, 7))
            assert (await anext(changes)).now is Phase.SUCCEEDED
        assert len(server.pages) > pages
        assert len(server.gets) > gets

    virtual.run(main())


def test_a_resume_that_a_list_shows_is_reported_after_a_get() -> None:
    async def main() -> None:
        server = Server(supports_listing=True, workflows={id: Record(id, Phase.PARKED) for id in range(1, 9)})
        poller = new_poller(server)
        async with watch(poller, *range(1, 9)) as changes:
            for _ in range(8):
                await anext(changes)
            later(60, lambda: server.set_phase(Phase.RUNNING, 7))
            event = await anext(changes)
            assert (event.id, event.now) == (7, Phase.RUNNING)
            assert server.gets[-1][1] == 7

    virtual.run(main())


async def first_of(changes: Any, id: int) -> Any:
    """Return the first event of a workflow."""
    async for event in changes:
        if event.id == id:
            yield event
            return
