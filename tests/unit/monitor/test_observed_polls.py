"""The events of the monitor, and what `stats()` shows of it. On virtual time."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any, TypeVar

import pytest

from tests.support import virtual_time as virtual
from tests.support.monitored_server import Server, new_poller, running
from tests.support.monitored_system import EPOCH, SYSTEMS, System, new_system
from tests.unit.monitor.test_poller import STEADY, later, watch
from workflow_async import Phase, Poll
from workflow_async.errors import NotFound, ServerError
from workflow_async.observe import ClientEvent, Outage, Polled, Reported, SlowedDown, Stats

E = TypeVar("E")
ONE_SECOND = Poll(interval=1, backoff=1, ceiling=1, jitter=0)


def observed(kind: str, work: Callable[[System, Any], Coroutine[Any, Any, object]], **settings: Any) -> list[Any]:
    """Return the events of a client of a system while the work runs."""
    events: list[ClientEvent] = []

    async def main() -> None:
        system = new_system(kind)
        async with system.client(on_event=events.append, **settings) as client:
            await work(system, client)

    virtual.run(main())
    return events


def of_type(events: list[Any], kind: type[E]) -> list[E]:
    return [event for event in events if isinstance(event, kind)]


# Polled


async def wait_for_one(system: System, client: Any) -> None:
    await client.workflows.wait(*system.starts(1, 10.0), poll=ONE_SECOND)


@pytest.mark.parametrize("kind", SYSTEMS)
def test_each_check_of_a_single_workflow_is_an_event(kind: str) -> None:
    polls = of_type(observed(kind, wait_for_one), Polled)
    assert {(poll.by, poll.ids, poll.requests) for poll in polls} == {("get", 1, 1)}
    assert sum(poll.changes for poll in polls) == 3  # waiting, running, succeeded
    assert len(polls) >= 10


async def wait_for_many(system: System, client: Any) -> None:
    await client.workflows.wait_all(system.starts(150, 20.0), poll=ONE_SECOND)


@pytest.mark.parametrize("kind", ["11", "preservica"])
def test_each_list_is_an_event_with_its_pages(kind: str) -> None:
    lists = [poll for poll in of_type(observed(kind, wait_for_many), Polled) if poll.by == "list"]
    full = [poll for poll in lists if poll.ids == 150]
    assert full
    assert {poll.requests for poll in full} == {1 if kind == "11" else 2}
    assert (kind == "preservica") is (sum(poll.changes for poll in lists) > 0)  # Opencast's index lags


def test_each_bulk_check_is_an_event_with_its_workflows() -> None:
    bulk = [poll for poll in of_type(observed("16", wait_for_many), Polled) if poll.by == "bulk"]
    assert {poll.requests for poll in bulk} == {1}
    assert max(poll.ids for poll in bulk) == 50
    assert {poll.changes for poll in bulk} >= {0}


def test_a_check_counts_the_changes_of_its_own_response_only() -> None:
    polls = of_type(observed("16", wait_for_many), Polled)
    assert max(poll.changes for poll in polls if poll.by == "get") == 1


def test_the_seconds_of_a_check_are_those_of_its_request() -> None:
    async def slow(system: System, client: Any) -> None:
        system.wire.seconds = lambda: 0.25
        await wait_for_one(system, client)

    assert {round(poll.seconds, 6) for poll in of_type(observed("16", slow), Polled)} == {0.5}


# Reported


@pytest.mark.parametrize("kind", SYSTEMS)
def test_each_reported_change_is_an_event_with_its_phase(kind: str) -> None:
    reports = of_type(observed(kind, wait_for_one), Reported)
    assert [(report.kind, report.phase) for report in reports] == [
        ("Change", "waiting"),
        ("Change", "running"),
        ("Change", "succeeded"),
    ]
    lags = [report.lag for report in reports]
    assert lags[:2] == [None, None]
    assert lags[2] is not None
    assert 0 <= lags[2] <= 1.1


def test_a_workflow_that_was_never_seen_is_reported_as_unknown() -> None:
    events: list[ClientEvent] = []

    async def main() -> None:
        poller = new_poller(Server(workflows={7: NotFound(404)}))
        poller.observer.on_event = events.append
        async with watch(poller, 7) as changes:
            assert [event.id async for event in changes] == [7]

    virtual.run(main())
    assert of_type(events, Reported) == [Reported(id=7, kind="Vanished", phase="unknown", lag=None)]


# SlowedDown and Outage


def test_a_busy_server_slows_the_monitor_down_and_a_calm_one_ends_that() -> None:
    events: list[ClientEvent] = []

    async def main() -> None:
        server = Server(workflows=running(7))
        poller = new_poller(server)
        poller.observer.on_event = events.append
        server.get_error = ServerError(503)
        later(9, lambda: setattr(server, "get_error", None))
        later(60, lambda: server.set_phase(Phase.SUCCEEDED, 7))
        async with watch(poller, 7) as changes:
            async for _ in changes:
                pass

    virtual.run(main())
    speeds = [(event.was, event.factor) for event in of_type(events, SlowedDown)]
    assert speeds[0] == (1.0, 2.0)
    assert speeds[-1][1] == 1.0
    assert [was for was, _ in speeds[1:]] == [factor for _, factor in speeds[:-1]]


@pytest.mark.parametrize("kind", SYSTEMS)
def test_a_server_that_is_down_for_six_seconds_is_an_outage(kind: str) -> None:
    async def down(system: System, client: Any) -> None:
        later(3.5, lambda: setattr(system.wire, "down", True))
        later(9.5, lambda: setattr(system.wire, "down", False))
        await client.workflows.wait(*system.starts(1, 30.0), poll=ONE_SECOND)

    begin, end = of_type(observed(kind, down), Outage)
    assert (begin.over, end.over) == (False, True)
    assert begin.began == end.began
    assert 3.5 <= begin.began.timestamp() - EPOCH < 6.0
    assert begin.error == "ConnectFailed"
    assert 3.0 < end.seconds < 12.0


# The counters


def test_the_counters_show_what_is_watched_by_phase() -> None:
    found: list[Stats] = []

    async def look(system: System, client: Any) -> None:
        ids = system.starts(150, 20.0)
        later(10, lambda: found.append(client.stats()))
        await client.workflows.wait_all(ids, poll=STEADY)
        found.append(client.stats())

    observed("11", look)
    during, after = found
    assert (during.watched, during.phases, during.backoff_factor) == (150, {"running": 150}, 1.0)
    assert during.last_list is not None
    assert 0 <= 10 - (during.last_list.timestamp() - EPOCH) <= 2.1
    assert (after.watched, after.phases, after.in_flight, after.queued) == (0, {}, 0, 0)
    assert (after.last_error, after.last_error_at, after.outage_since, after.logins) == (None, None, None, 0)
    assert after.requests > during.requests > 0


def test_the_counters_show_an_outage_and_the_last_error() -> None:
    found: list[Stats] = []

    async def down(system: System, client: Any) -> None:
        system.wire.down = True
        later(9, lambda: found.append(client.stats()), lambda: setattr(system.wire, "down", False))
        await client.workflows.wait(*system.starts(1, 20.0), poll=ONE_SECOND)
        found.append(client.stats())

    observed("preservica", down)
    during, after = found
    assert during.outage_since is not None
    assert 0 <= during.outage_since.timestamp() - EPOCH < 1
    assert (during.last_error, during.phases, during.last_list) == ("ConnectFailed", {"unknown": 1}, None)
    assert during.last_error_at is not None
    assert during.last_error_at <= datetime.fromtimestamp(EPOCH + 9, UTC)
    assert during.retries > 0
    assert during.unanswered_since == during.outage_since
    assert "refused" in str(during.last_reason)
    assert (after.unanswered_since, after.outage_since, after.logins) == (None, None, 1)


async def test_the_counters_of_a_client_that_is_not_open_are_zero() -> None:
    async with new_system("16").client() as client:
        pass
    stats = client.stats()
    assert stats.to_dict() == {
        "watched": 0,
        "phases": {},
        "in_flight": 0,
        "queued": 0,
        "backoff_factor": 1.0,
        "last_list": None,
        "last_error": None,
        "last_error_at": None,
        "last_reason": None,
        "unanswered_since": None,
        "outage_since": None,
        "logins": 0,
        "requests": 0,
        "retries": 0,
    }


def test_an_observer_may_use_the_client() -> None:
    watched: list[int] = []

    async def wake(system: System, client: Any) -> None:
        client._transport.observer.on_event = lambda _: watched.append(client.stats().watched)
        await wait_for_one(system, client)

    observed("16", wake)
    assert set(watched) == {1}


def test_an_observer_that_raises_breaks_no_watch() -> None:
    async def main() -> None:
        system = new_system("16")

        def on_event(event: ClientEvent) -> None:
            raise KeyError(type(event).__name__)

        async with system.client(on_event=on_event) as client:
            ids = system.starts(5, 3.0)
            outcomes = await client.workflows.wait_all(ids, poll=ONE_SECOND)
            assert all(outcome.succeeded for outcome in outcomes)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    virtual.run(main())
