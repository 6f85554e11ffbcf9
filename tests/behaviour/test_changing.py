"""Rows 47 and 48: lists that change while they are read, and lists that are late."""

import random
from typing import Any

import anyio
import pytest

from tests.conftest import See
from tests.support import virtual_time as virtual
from tests.support.monitored_system import Station, station
from workflow_async.batch import NoStartFound, StartFound
from workflow_async.errors import StartOutcomeUnknown
from workflow_async.sandbox import Fault, Faults, Step
from workflow_async.sandbox.engine import Status

LAG = 10.0
"""Seconds the list of Opencast 11 may be late (contract: opencast.md 1.4)."""


LASTING = 140
"""Workflows that are there throughout."""


async def changing(place: Station, chance: random.Random, doomed: list[int]) -> None:
    """Start, delete and move workflows without end, a few between two requests."""
    kind = place.define("more", Step("a", 5000))
    while True:
        await anyio.sleep(chance.uniform(0, 1))
        deed = chance.choice(["start", "delete", "move"])
        if deed == "start":
            place.start(kind)
        elif deed == "delete" and doomed:
            place.engine.remove(place.run(doomed.pop()))
        else:
            run = chance.choice([run for run in place.engine.all() if run.active])
            (place.engine.resume if run.status is Status.PARKED else place.engine.pause)(run)


async def read(kind: str, seed: int, **how: Any) -> tuple[int, int]:
    """Read a list that changes: how many rows came, how many of those that were there throughout did not."""
    place, chance = station(kind, seed), random.Random(seed)
    there = place.starts(200, 5000.0)
    doomed = chance.sample(there, 200 - LASTING)
    mortal = set(doomed)
    place.wire.seconds = lambda: 1.5
    await anyio.sleep(2 * LAG)
    async with place.client() as client, anyio.create_task_group() as group:
        group.start_soon(changing, place, chance, doomed)
        seen = [workflow.id async for workflow in client.workflows.list(page_size=20, **how)]
        group.cancel_scope.cancel()
    assert len(seen) == len(set(seen)), "no row comes twice"
    assert len(doomed) < len(mortal), "the list changed meanwhile"
    return len(seen), len(set(there) - mortal - set(seen))


@pytest.mark.row(47)
@pytest.mark.parametrize("consistency", ["fast", "anchored"])
@pytest.mark.parametrize("kind", ["11", "preservica"])
def test_no_row_comes_twice_however_the_list_changes_while_it_is_read(kind: str, consistency: str, see: See) -> None:
    found = [virtual.run(read(kind, seed, consistency=consistency)) for seed in range(5)]
    missed = sum(lost for _, lost in found)
    see(f"{kind}, {consistency}: no row twice, {missed} of {5 * LASTING} lasting rows missed")
    assert consistency == "fast" or not missed


# Row 48


async def lost_start(place: Station, client: Any, fault: Fault, later: float) -> Any:
    """The ticket of a start whose answer is lost."""
    kind = place.define("kind", Step("a", 1000))
    await anyio.sleep(later)
    place.system.faults = Faults(script=[fault], methods=("POST",))
    with pytest.raises(StartOutcomeUnknown) as lost:
        await client.workflows.start(client.workflows.prepare_start(place.opencast.event(), kind, baseline=0))
    return lost.value.ticket


@pytest.mark.row(48)
@pytest.mark.parametrize("later", range(10))
def test_a_start_is_found_however_late_the_list_is(later: int, see: See) -> None:
    async def main() -> float:
        place = station("11")
        async with place.client() as client:
            ticket = await lost_start(place, client, Fault.ERROR_AFTER, later)
            began = anyio.current_time()
            verdict = await client.workflows.reconcile(ticket, wait=0)
            assert isinstance(verdict, StartFound)
            return anyio.current_time() - began

    assert virtual.run(main()) <= LAG + 2
    see("found within 12 s at every place in the lag, though asked not to wait")


@pytest.mark.row(48)
def test_nothing_is_not_seen_before_the_list_had_time_to_show_it(see: See) -> None:
    async def main() -> NoStartFound:
        place = station("11")
        async with place.client() as client:
            ticket = await lost_start(place, client, Fault.SERVER_ERROR, 0.0)
            verdict = await client.workflows.reconcile(ticket, wait=0)
            assert isinstance(verdict, NoStartFound)
            return verdict

    verdict = virtual.run(main())
    assert verdict.observed_for >= LAG
    see(f"StartNotFound after {verdict.observed_for:g} s and {verdict.checks} looks")
