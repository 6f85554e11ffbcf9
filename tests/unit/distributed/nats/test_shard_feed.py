from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import anyio
import pytest

from tests.support.nats_server import NatsServer, running_nats_server
from tests.support.nats_workers import SPEC, NatsWorkers, OwnTime, claim_all, seen_by, until
from workflow_async import Clock
from workflow_async.distributed import Claim
from workflow_async.errors import CoordinatorUnavailable

LEASE = 20.0


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[NatsServer]:
    """Run a server that a test may kill."""
    with running_nats_server(tmp_path) as server:
        yield server


@pytest.fixture
async def own_workers(own_server: NatsServer) -> NatsWorkers:
    return NatsWorkers(own_server.url, "restarted")


async def test_no_lease_ends_because_the_broker_was_away_for_longer(
    own_server: NatsServer, own_workers: NatsWorkers
) -> None:
    async with own_workers.stack:
        owner, time = await own_workers.add(), OwnTime()
        other = await own_workers.add(time.clock)
        await owner.put({"a-0": SPEC})
        lease = (await claim_all(owner))["a-0"]
        await seen_by(other, lease)
        await anyio.to_thread.run_sync(own_server.kill)
        await until(lambda: not other.client.is_connected)
        time.now += 10 * LEASE
        with pytest.raises(CoordinatorUnavailable, match="no connection to NATS: the client is reconnecting"):
            await other.claim(())
        await anyio.to_thread.run_sync(own_server.start)
        await until(lambda: owner.client.is_connected and other.client.is_connected)
        assert await other.claim(()) == Claim()
        renewed = await owner.renew(lease)
        assert renewed is not None
        await seen_by(other, renewed)
        time.now += LEASE
        assert [*await claim_all(other)] == ["a-0"]


async def test_a_save_during_a_restart_of_the_broker_is_applied_once(
    own_server: NatsServer, own_workers: NatsWorkers
) -> None:
    async with own_workers.stack:
        worker = await own_workers.add(Clock(), lease_seconds=20.0)
        await worker.put({"a-0": SPEC})
        lease = (await claim_all(worker))["a-0"]
        await anyio.to_thread.run_sync(own_server.kill)
        await until(lambda: not worker.client.is_connected)
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.to_thread.run_sync, own_server.start)
            saved = await worker.save(lease, b"later", ())
        assert saved is not None
        assert saved.token == lease.token + 1


async def test_a_feed_that_starts_again_reads_every_entry(workers: NatsWorkers) -> None:
    worker = await workers.add()
    await worker.put({f"a-{n}": SPEC for n in range(300)})
    await worker._feed.stop()
    worker._view._entries.clear()
    await worker.over()
    assert len(worker._view.entries) == 300


async def test_nothing_runs_after_the_coordinator_is_left(workers: NatsWorkers) -> None:
    before = len(anyio.get_running_tasks())
    async with AsyncExitStack() as stack:
        inner = NatsWorkers(workers.url, workers.name, stack)
        await inner.add()
        await inner.add()
    await until(lambda: len(anyio.get_running_tasks()) == before)
