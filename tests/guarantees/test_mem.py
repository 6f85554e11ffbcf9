"""T-MEM, in small: what a client costs does not grow with what it has done, and a watcher costs little."""

import asyncio
import gc
import tracemalloc
from collections.abc import Iterator

import pytest

from tests.conftest import See
from tests.support.loopback_system import ground, soon
from tests.support.public_calls import OFTEN, Scene, all_of, furnish

KIB = 1024
ROUNDS = 100
WATCHERS = 10_000


@pytest.fixture
def tracing() -> Iterator[None]:
    tracemalloc.start(1)
    yield
    tracemalloc.stop()


def in_use() -> int:
    """Bytes in use after everything unreachable has gone."""
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


@pytest.mark.parametrize("kind", ["11", "16", "preservica"])
@pytest.mark.figure("T-MEM")
async def test_a_client_keeps_nothing_of_calls_and_waits_that_are_over(kind: str, tracing: None, see: See) -> None:
    async with ground(kind) as here, here.client() as client:
        furnish(here)
        done = Scene(here, client).ended()

        async def round_of_calls() -> None:
            await client.workflows.get(done)
            await client.workflows.wait(done, poll=OFTEN)
            await all_of(client.workflows.as_completed([done], poll=OFTEN))

        async def grown() -> int:
            before = in_use()
            for _ in range(ROUNDS):
                await round_of_calls()
                here.system.requests.clear()
            return in_use() - before

        await grown()  # what is made once is made
        growth = await grown()
    assert growth < 32 * KIB
    see(f"{kind}: {growth / KIB:.0f} KiB more after {3 * ROUNDS} more calls")


@pytest.mark.figure("T-MEM")
async def test_ten_thousand_who_wait_for_one_workflow_cost_less_than_64_mib(tracing: None, see: See) -> None:
    async with ground("16") as here, here.client() as client:
        furnish(here)
        id = Scene(here, client).running("long")
        before = in_use()
        waits = [asyncio.create_task(client.workflows.wait(id)) for _ in range(WATCHERS)]
        poller = client.workflows.poller
        assert await soon(lambda: len(poller._watchers.get(id, ())) == WATCHERS)
        cost = in_use() - before
        for wait in waits:
            wait.cancel()
        await asyncio.wait(waits)
        assert here.strangers == set()
    assert cost < 64 * KIB * KIB
    see(f"{WATCHERS} waits: {cost / KIB / KIB:.0f} MiB")
