"""Rows 52 to 55: states that go back, come back, are too short to be seen or belong to another workflow."""

import asyncio
from functools import partial
from typing import Any

import anyio
import httpx
import pytest

from tests.conftest import See
from tests.support import virtual_time as virtual
from tests.support.monitored_server import Record, Server, new_poller, running
from tests.support.monitored_system import System, new_system
from tests.support.stub_clients import SYSTEMS, MockServer, running_clock, workflow
from tests.unit.monitor.test_poller import STEADY, later, waiting, watch
from workflow_async import Phase, Poll
from workflow_async.errors import ResponseMismatch
from workflow_async.monitor import Change
from workflow_async.sandbox.engine import Status, Step

MANY = range(40)
DONE = Record(7, Phase.SUCCEEDED)


def phases(events: list[Any], id: int) -> list[Phase]:
    return [event.now for event in events if event.id == id and isinstance(event, Change)]


# Row 52: a stale replica


@pytest.mark.row(52)
@pytest.mark.parametrize("lists", [False, True])
@pytest.mark.parametrize("back", [Record(7), Record(7, Phase.PARKED), Record(7, Phase.FAILED)], ids=lambda r: r.phase)
def test_a_reported_end_stays_and_is_reported_once(back: Record, lists: bool, see: See) -> None:  # noqa: FBT001 - a case
    async def main() -> list[Any]:
        server = Server(supports_listing=lists, list_lag=10.0, workflows=running(*MANY))
        poller = new_poller(server)
        later(20, lambda: server.put(DONE))
        later(60, lambda: server.put(back))
        later(61, lambda: poller.wake(7))
        later(100, lambda: server.set_phase(Phase.SUCCEEDED, *MANY))
        async with watch(poller, *MANY) as changes:
            events = [event async for event in changes]
        assert not [at for at, id, _ in server.gets if id == 7 and at > 30]
        return events

    assert phases(virtual.run(main()), 7) == [Phase.RUNNING, Phase.SUCCEEDED]
    see("the end is reported once, and the workflow is not checked again")


@pytest.mark.row(52)
def test_a_later_watcher_sees_the_end_too_while_another_one_watches() -> None:
    async def main() -> None:
        server = Server(workflows=running(7))
        poller = new_poller(server)
        later(20, lambda: server.put(DONE))
        later(40, lambda: server.put(Record(7)))
        async with watch(poller, 7) as slow:
            await anyio.sleep(10)
            keeping = asyncio.create_task(waiting(poller, 7))
            assert (await keeping).phase is Phase.SUCCEEDED
            await anyio.sleep(100)
            assert (await waiting(poller, 7)).phase is Phase.SUCCEEDED
            assert phases([event async for event in slow], 7) == [Phase.SUCCEEDED]

    virtual.run(main())


# Row 53: a workflow that goes on after its end


def reopen(system: System, id: int) -> None:
    """Resume a workflow that had ended."""
    run = system.run(id)
    run.status, run.finished = Status.PARKED, None
    system.engine._notify(run)


@pytest.mark.row(53)
@pytest.mark.parametrize("kind", ["11", "16", "19", "preservica"])
def test_a_watch_of_ids_has_ended_and_a_new_one_sees_it_as_it_is(kind: str, see: See) -> None:
    async def main() -> None:
        system = new_system(kind)
        ids = system.starts(2, 20.0) + system.starts(1, 200.0)
        later(60, partial(reopen, system, ids[0]))
        async with system.client() as client:
            async with client.workflows.watch(ids, poll=STEADY) as changes:
                events = [event async for event in changes]
            assert [phases(events, id)[-1:] for id in ids] == [[Phase.SUCCEEDED]] * 3
            assert sum(event.id == ids[0] and event.now.final for event in events) == 1
            assert (await client.workflows.wait(ids[0], poll=STEADY, parked="return")).phase is Phase.PARKED

    virtual.run(main())
    see("a watch of ids has ended; a new one sees it as it is")


@pytest.mark.row(53)
@pytest.mark.parametrize("kind", ["11", "preservica"])
def test_a_watch_of_a_filter_shows_it_again_with_new_keys(kind: str, see: See) -> None:
    async def main() -> list[Any]:
        place, events = new_system(kind), list[Any]()
        (id,) = place.starts(1, 20.0)
        later(80, partial(reopen, place, id))
        definition = {"definition_id": place.run(id).definition}
        asked: dict[str, Any] = {"type": "Ingest"} if kind == "preservica" else definition
        with anyio.move_on_after(200):
            async with place.client() as client, client.workflows.watch(**asked, poll=STEADY) as changes:
                async for event in changes:
                    events.append(event)
        return events

    events = virtual.run(main())
    assert [event.now for event in events][-2:] == [Phase.SUCCEEDED, Phase.PARKED]
    assert len({event.key for event in events}) == len(events)
    see("a watch of a filter shows it again")


# Row 54: states too short to be seen


@pytest.mark.row(54)
@pytest.mark.parametrize("kind", ["11", "16", "19"])
def test_every_transition_of_every_operation_is_rebuilt_however_rare_the_checks(kind: str, see: See) -> None:
    async def main() -> tuple[list[Any], list[str]]:
        system = new_system(kind)
        blinks = [Step(f"blink-{n}", 0.2) for n in range(12)]
        id = system.start(system.define("blinking", *blinks, Step("long", 100), *blinks[:3]))
        seldom = Poll(interval=90, ceiling=90)
        async with system.client() as client, client.workflows.watch([id], poll=seldom, operations=True) as changes:
            events = [operation async for change in changes for operation in change.operations]
        return events, [step.step.name for step in system.run(id).steps]

    events, names = virtual.run(main())
    for position, name in enumerate(names):
        chain = [one for one in events if one.position == position]
        assert {one.operation for one in chain} == {name}
        assert [one.now for one in chain][-2:] == ["running", "succeeded"]
        assert [one.was for one in chain] == [None, *(one.now for one in chain)][:-1]
        assert chain[-2].at <= chain[-1].at
    see("16 operations of 0.2 s at a look every 90 s: all transitions, in order, with their times")


@pytest.mark.row(54)
def test_a_phase_shorter_than_the_interval_may_be_missed_and_nothing_is_made_up() -> None:
    async def main() -> list[Any]:
        server = Server(workflows=running(7))
        for n in range(20):
            later(1 + 3 * n, partial(server.put, Record(7, Phase.PARKED)))
            later(1.5 + 3 * n, partial(server.put, Record(7)))
        later(70, lambda: server.put(DONE))
        async with watch(new_poller(server), 7) as changes:
            return [event async for event in changes]

    events = virtual.run(main())
    assert set(phases(events, 7)) <= {Phase.RUNNING, Phase.PARKED, Phase.SUCCEEDED}
    assert events[-1].now is Phase.SUCCEEDED


# Row 55: an answer about another


@pytest.mark.row(55)
@pytest.mark.parametrize("system", SYSTEMS)
def test_a_response_about_another_workflow_is_dropped_and_requested_again(system: str, see: See) -> None:
    async def main() -> list[Any]:
        clock, checks = running_clock(), iter(range(1000))

        def answer(request: httpx.Request) -> httpx.Response:
            last = request.url.path.rpartition("/")[2]
            if not last.isdigit():
                return httpx.Response(403)  # neither a list nor a bulk check of the events
            wrong = next(checks) % 3 == 0
            phase = "failed" if wrong else "running" if clock.now() < 40 else "succeeded"
            return httpx.Response(200, content=workflow(system, 15 - int(last) if wrong else int(last), phase))

        async with (
            MockServer(system, answer).client(clock) as client,
            client.workflows.watch([7, 8], poll=STEADY) as changes,
        ):
            return [event async for event in changes]

    events = virtual.run(main())
    assert [phases(events, id) for id in (7, 8)] == [[Phase.RUNNING, Phase.SUCCEEDED]] * 2
    see("every third answer another's: none told, asked again")


@pytest.mark.row(55)
@pytest.mark.parametrize("system", SYSTEMS)
def test_a_server_that_always_answers_for_another_workflow_is_a_mismatch(system: str) -> None:
    async def main() -> None:
        server = MockServer(system, lambda _: httpx.Response(200, content=workflow(system, 8)))
        async with server.client(running_clock()) as client:
            with pytest.raises(ResponseMismatch) as got:
                await client.workflows.get(7)
        assert (got.value.attempts, len(server.requests)) == (4, 4)

    virtual.run(main())
