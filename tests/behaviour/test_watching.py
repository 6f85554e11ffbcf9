"""Rows 49 to 51: watches of a server that loses workflows or restarts."""

import asyncio
from collections import Counter
from functools import partial
from typing import Any

import anyio
import httpx
import pytest

from tests.behaviour.test_wait_and_watch import noted
from tests.conftest import See
from tests.support import virtual_time as virtual
from tests.support.monitored_server import Record, Server, new_poller, running
from tests.support.monitored_system import SYSTEMS as STATIONS, System, is_subsequence, new_system
from tests.support.stub_clients import SYSTEMS, MockServer, running_clock, workflow
from tests.unit.monitor.test_poller import STEADY, later, watch
from workflow_async import Phase, Poll
from workflow_async.errors import NotFound
from workflow_async.monitor import Change, Vanished
from workflow_async.sandbox import Fault, Faults
from workflow_async.sandbox.engine import FakeWorkflow

everywhere = pytest.mark.parametrize("kind", STATIONS)


def now() -> float:
    return asyncio.get_running_loop().time()


async def events_of(client: Any, ids: Any, **more: Any) -> list[tuple[float, Any]]:
    """Return every event of a watch with its instant."""
    async with client.workflows.watch(ids, **{"poll": STEADY, **more}) as changes:
        return [(now(), event) async for event in changes]


# Rows 49 and 50: 404


@pytest.mark.row(49)
@everywhere
def test_a_deleted_workflow_has_vanished_once_and_not_before_two_minutes(kind: str, see: See) -> None:
    async def main() -> list[float]:
        system = new_system(kind)
        ids = system.starts(12, 250.0)
        later(50, lambda: system.engine.remove(system.run(ids[3])))
        async with system.client() as client:
            events = await events_of(client, ids)
        ends = Counter(event.id for _, event in events if not isinstance(event, Change) or event.now.final)
        assert ends == Counter(ids)
        return [at - 50 for at, event in events if isinstance(event, Vanished) and event.id == ids[3]]

    (seconds,) = virtual.run(main())
    assert 120 <= seconds < 200
    see("Vanished once, 2 minutes after the deletion, on every system")


def after(place: Server, script: list[tuple[float, Any]], id: int) -> None:
    """Set the results of a workflow, each from its instant on."""
    for second, answer in script:
        later(second, partial(place.workflows.__setitem__, id, answer))


@pytest.mark.row(49)
@pytest.mark.parametrize("between", [Record(7), NotFound(404)], ids=["shown again", "not shown again"])
def test_404s_count_only_in_a_row(between: Any, see: See) -> None:
    async def main() -> list[Any]:
        server = Server(workflows=running(7))
        after(server, [(10, NotFound(404)), (110, between), (113, NotFound(404)), (230, Record(7, Phase.SUCCEEDED))], 7)
        async with watch(new_poller(server), 7) as changes:
            return [event async for event in changes]

    events = virtual.run(main())
    assert isinstance(events[-1], Vanished) == isinstance(between, NotFound)
    assert len(events) == 2
    see("100 s of 404, one answer, 117 s of 404: not Vanished")


@pytest.mark.row(49)
def test_two_404s_far_apart_are_not_enough() -> None:
    async def main() -> list[Any]:
        server = Server(workflows=running(7))
        after(server, [(100, NotFound(404)), (900, Record(7, Phase.SUCCEEDED))], 7)
        async with watch(new_poller(server), 7, poll=Poll(interval=350, backoff=1, ceiling=350, jitter=0)) as changes:
            return [event async for event in changes]

    assert virtual.run(main())[-1].now is Phase.SUCCEEDED


@pytest.mark.row(50)
@pytest.mark.parametrize("system", SYSTEMS)
def test_a_404_that_passes_gives_no_event(system: str, see: See) -> None:
    async def main() -> list[Any]:
        clock, checks = running_clock(), iter(range(1000))

        def answer(_: httpx.Request) -> httpx.Response:
            if next(checks) in {3, 4, 9}:
                return httpx.Response(404)
            return httpx.Response(200, content=workflow(system, 7, "running" if clock.now() < 60 else "succeeded"))

        async with MockServer(system, answer).client(clock) as client:
            return await events_of(client, [7])

    assert [event.now for _, event in virtual.run(main())] == [Phase.RUNNING, Phase.SUCCEEDED]
    see("no event, watched on")


# Row 51: a restart


async def restart(place: System, ids: list[int]) -> None:
    """Refuse connections for a minute, answer 503 for half a minute, and then show older states of some workflows."""
    await anyio.sleep(40)
    old = {id: place.run(id).copy() for id in ids[::5]}
    await anyio.sleep(60)
    place.wire.down = True
    await anyio.sleep(60)
    place.system.faults, place.wire.down = Faults(rates={Fault.SERVER_ERROR: 1.0}), False
    await anyio.sleep(30)
    for id, run in old.items():
        restore(place, place.run(id), run)
    place.system.faults = Faults()


def restore(system: System, run: FakeWorkflow, old: FakeWorkflow) -> None:
    run.status, run.steps, run.finished, run.changed = old.status, old.steps, old.finished, old.changed
    system.engine._schedule(run, system.engine.clock() + 50)
    system.engine._notify(run)


@pytest.mark.row(51)
@everywhere
def test_a_restart_loses_and_repeats_nothing(kind: str, see: See) -> None:
    async def main() -> None:
        system = new_system(kind)
        true = noted(system)
        ids = system.starts(40, 90.0, 200.0)
        async with system.client() as client, anyio.create_task_group() as group:
            group.start_soon(restart, system, ids)
            events = [event for _, event in await events_of(client, ids, poll=Poll(interval=5, outage=900))]
        assert max(Counter(event.key for event in events if event.now.final).values()) == 1
        for id in ids:
            phases = [event.now for event in events if event.id == id]
            assert phases.count(Phase.SUCCEEDED) == 1
            steady = [phase for n, phase in enumerate(phases) if phases[n - 1 : n] != [phase]]
            assert is_subsequence(steady, true[id])

    virtual.run(main())
    see("90 s of outage, then old states: every end once, with a key of its own, nothing made up")


@pytest.mark.row(51)
@everywhere
def test_after_a_restart_checks_are_as_frequent_as_before(kind: str, see: See) -> None:
    async def main() -> tuple[int, int]:
        system = new_system(kind)
        ids = system.starts(5, 10_000.0)
        async with system.client() as client:
            watching = asyncio.create_task(events_of(client, ids, poll=Poll(interval=2, ceiling=10, outage=900)))
            found = []
            for seconds in (100, 100, 200, 100):
                since = len(system.asked())
                await anyio.sleep(seconds)
                found.append(len(system.asked(since)))
                system.wire.down = len(found) == 2
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        return found[1], found[3]

    before, afterwards = virtual.run(main())
    assert 0.7 * before <= afterwards <= 1.3 * before
    see("the pace is at once what it was")
