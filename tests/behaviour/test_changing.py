"""Rows 47 and 48: lists that change while they are read, and lists that lag behind."""

import random
from typing import Any

import anyio
import pytest

from tests.conftest import See
from tests.support import virtual_time as virtual
from tests.support.monitored_system import System, new_system
from workflow_async.batch import NoStartFound, StartFound
from workflow_async.errors import StartOutcomeUnknown
from workflow_async.sandbox import Fault, Faults, Step
from workflow_async.sandbox.engine import Status

LAG = 10.0
"""Seconds that the list of Opencast 11 may lag. See tests/contract/opencast.md, section 1.4."""


PERMANENT = 140
"""Workflows that are in the list throughout."""


async def change_continuously(system: System, chance: random.Random, to_delete: list[int]) -> None:
    """Start, delete and move workflows until cancelled, a few between two requests."""
    kind = system.define("more", Step("a", 5000))
    while True:
        await anyio.sleep(chance.uniform(0, 1))
        action = chance.choice(["start", "delete", "move"])
        if action == "start":
            system.start(kind)
        elif action == "delete" and to_delete:
            system.engine.remove(system.run(to_delete.pop()))
        else:
            run = chance.choice([run for run in system.engine.all() if run.active])
            (system.engine.resume if run.status is Status.PARKED else system.engine.pause)(run)


async def read_changing_list(kind: str, seed: int, **options: Any) -> tuple[int, int]:
    """Read a list that changes. Return the number of rows, and of the permanent rows that were missed."""
    system, chance = new_system(kind, seed), random.Random(seed)
    ids = system.starts(200, 5000.0)
    to_delete = chance.sample(ids, 200 - PERMANENT)
    deletable = set(to_delete)
    system.wire.seconds = lambda: 1.5
    await anyio.sleep(2 * LAG)
    async with system.client() as client, anyio.create_task_group() as group:
        group.start_soon(change_continuously, system, chance, to_delete)
        found = [workflow.id async for workflow in client.workflows.list(page_size=20, **options)]
        group.cancel_scope.cancel()
    assert len(found) == len(set(found)), "a row was returned twice"
    assert len(to_delete) < len(deletable), "no row was deleted"
    return len(found), len(set(ids) - deletable - set(found))


@pytest.mark.row(47)
@pytest.mark.parametrize("consistency", ["fast", "anchored"])
@pytest.mark.parametrize("kind", ["11", "preservica"])
def test_no_row_is_returned_twice_if_the_list_changes_while_it_is_read(kind: str, consistency: str, see: See) -> None:
    results = [virtual.run(read_changing_list(kind, seed, consistency=consistency)) for seed in range(5)]
    missed = sum(lost for _, lost in results)
    see(f"{kind}, {consistency}: no row twice, {missed} of {5 * PERMANENT} permanent rows missed")
    assert consistency == "fast" or not missed


# Row 48


async def lost_start(system: System, client: Any, fault: Fault, delay: float) -> Any:
    """Send a start whose response is lost. Return its ticket."""
    kind = system.define("kind", Step("a", 1000))
    await anyio.sleep(delay)
    system.system.faults = Faults(script=[fault], methods=("POST",))
    with pytest.raises(StartOutcomeUnknown) as lost:
        await client.workflows.start(client.workflows.prepare_start(system.opencast.event(), kind, baseline=0))
    return lost.value.ticket


@pytest.mark.row(48)
@pytest.mark.parametrize("delay", range(10))
def test_a_start_is_found_at_any_point_of_the_lag(delay: int, see: See) -> None:
    async def main() -> float:
        system = new_system("11")
        async with system.client() as client:
            ticket = await lost_start(system, client, Fault.ERROR_AFTER, delay)
            began = anyio.current_time()
            result = await client.workflows.reconcile(ticket, wait=0)
            assert isinstance(result, StartFound)
            return anyio.current_time() - began

    assert virtual.run(main()) <= LAG + 2
    see("found within 12 s at every point of the lag, even with wait=0")


@pytest.mark.row(48)
def test_no_start_found_is_not_returned_before_the_lag_is_over(see: See) -> None:
    async def main() -> NoStartFound:
        system = new_system("11")
        async with system.client() as client:
            ticket = await lost_start(system, client, Fault.SERVER_ERROR, 0.0)
            result = await client.workflows.reconcile(ticket, wait=0)
            assert isinstance(result, NoStartFound)
            return result

    result = virtual.run(main())
    assert result.observed_for >= LAG
    see(f"NoStartFound after {result.observed_for:g} s and {result.checks} checks")
