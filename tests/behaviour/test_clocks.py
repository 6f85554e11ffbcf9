"""Row 56: clocks that jump, and machines that are suspended."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from typing import Any, cast

import anyio
import pytest
from attrs import evolve

from tests.conftest import See
from tests.support import virtual_time as virtual
from tests.support.monitored_server import Server, new_poller, running
from tests.support.monitored_system import SYSTEMS, new_system
from tests.unit.monitor.test_poller import later, watch
from workflow_async import Poll
from workflow_async.monitor._engine.scheduler import MAX_IN_FLIGHT

DAY, HOUR = 86_400.0, 3600.0
MANY = range(300)
HALF_A_MINUTE = Poll(interval=30, backoff=1, ceiling=30)

Wall = Callable[[float], float]
"""Returns the wall clock's time at a monotonic instant."""

WALLS: dict[str, Wall] = {
    "a day forward": lambda now: now + (DAY if now > 60 else 0.0),
    "a day back": lambda now: now - (DAY if now > 60 else 0.0),
    "summer time": lambda now: now + HOUR * (60 < now < 120),
    "a leap second": lambda now: now - (now > 60),
    "another day at every look": lambda now: random.Random(now).uniform(-DAY, DAY),
    "before 1970": lambda now: now - 2e9,
}


def watched(kind: str, wall: Wall) -> tuple[list[Any], list[Any]]:
    """Return the events and the requests of a watch with their instants, with this wall clock."""

    async def main() -> tuple[list[Any], list[Any]]:
        place, loop = new_system(kind, seed=3), asyncio.get_running_loop()
        ids = place.starts(8, 50.0, 100.0, 150.0)
        clock = evolve(place.clock, wall=lambda: wall(place.clock.wall() - 1_700_000_000.0) + 1_700_000_000.0)
        async with place.client(clock=clock) as client, client.workflows.watch(ids) as changes:
            events = [(loop.time(), change.id, change.now) async for change in changes]
        return events, [(one.method, one.path) for one in place.system.requests]

    return virtual.run(main())


@pytest.mark.row(56)
@pytest.mark.parametrize("kind", SYSTEMS)
def test_a_wall_clock_that_jumps_changes_nothing(kind: str, see: See) -> None:
    steady = watched(kind, lambda now: now)
    for name, wall in WALLS.items():
        assert watched(kind, wall) == steady, name
    see(f"{len(WALLS)} wall clocks: the same looks, logins and events at the same instants")


def sleep_for(seconds: float) -> None:
    """Suspend the machine: advance the clock while no task runs."""
    cast("virtual.VirtualLoop", asyncio.get_running_loop()).passed += seconds


@pytest.mark.row(56)
@pytest.mark.parametrize("lists", [False, True])
def test_after_a_suspend_each_workflow_is_checked_once_and_the_checks_are_spread(lists: bool, see: See) -> None:  # noqa: FBT001 - a case
    async def main() -> tuple[Server, float, int]:
        server, most = Server(supports_listing=lists, seconds=0.05, workflows=running(*MANY)), 0
        poller = new_poller(server)

        async def read() -> None:
            async with watch(poller, *MANY, poll=HALF_A_MINUTE) as changes:
                async for _ in changes:
                    pass

        reading = asyncio.create_task(read())
        later(200, lambda: sleep_for(HOUR))
        await anyio.sleep(200 + HOUR)
        woken = asyncio.get_running_loop().time()
        for _ in range(500):
            await anyio.sleep(0.04)
            most = max(most, server.in_flight)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        return server, woken, most

    server, woken, most = virtual.run(main())
    looked = Counter(id for at, id, _ in server.gets if at >= woken - 1)
    pages = sum(at >= woken - 1 for at in server.pages)
    assert (looked, pages) == (Counter() if lists else Counter(MANY), 3 if lists else 0)
    assert 0 < most <= MAX_IN_FLIGHT
    see(f"after an hour's sleep: one look each within 20 s, {MAX_IN_FLIGHT} on their way at most; a list is read once")
