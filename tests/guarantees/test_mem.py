"""T-MEM, on a small scale: a client's memory does not grow with the calls it has made, and a watcher takes little."""

import asyncio
import gc
import tracemalloc
from collections.abc import Iterator

import pytest

from tests.conftest import See
from tests.support.loopback_system import eventually, loopback_system
from tests.support.public_calls import FAST_POLL, CallContext, collect, define_workflows

KIB = 1024
ROUNDS = 100
WATCHERS = 10_000


@pytest.fixture
def tracing() -> Iterator[None]:
    tracemalloc.start(1)
    yield
    tracemalloc.stop()


def memory_in_use() -> int:
    """Return the bytes in use after garbage collection."""
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


@pytest.mark.parametrize("kind", ["11", "16", "preservica"])
@pytest.mark.figure("T-MEM")
async def test_a_client_keeps_nothing_of_finished_calls_and_waits(kind: str, tracing: None, see: See) -> None:
    async with loopback_system(kind) as loopback, loopback.client() as client:
        define_workflows(loopback)
        ended_id = CallContext(loopback, client).new_ended()

        async def round_of_calls() -> None:
            await client.workflows.get(ended_id)
            await client.workflows.wait(ended_id, poll=FAST_POLL)
            await collect(client.workflows.as_completed([ended_id], poll=FAST_POLL))

        async def memory_growth() -> int:
            before = memory_in_use()
            for _ in range(ROUNDS):
                await round_of_calls()
                loopback.system.requests.clear()
            return memory_in_use() - before

        await memory_growth()  # the first rounds fill the caches
        growth = await memory_growth()
    assert growth < 32 * KIB
    see(f"{kind}: {growth / KIB:.0f} KiB more after {3 * ROUNDS} more calls")


@pytest.mark.figure("T-MEM")
async def test_ten_thousand_waiters_for_one_workflow_take_less_than_64_mib(tracing: None, see: See) -> None:
    async with loopback_system("16") as loopback, loopback.client() as client:
        define_workflows(loopback)
        id = CallContext(loopback, client).new_running("long")
        before = memory_in_use()
        waits = [asyncio.create_task(client.workflows.wait(id)) for _ in range(WATCHERS)]
        poller = client.workflows._poller
        assert await eventually(lambda: len(poller._watchers.of(id)) == WATCHERS)
        cost = memory_in_use() - before
        for wait in waits:
            wait.cancel()
        await asyncio.wait(waits)
        assert loopback.client_tasks == set()
    assert cost < 64 * KIB * KIB
    see(f"{WATCHERS} waits: {cost / KIB / KIB:.0f} MiB")
