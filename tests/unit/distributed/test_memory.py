"""The coordinator in memory keeps the promises of its protocol. `test_fencing_machine` tries sequences of calls."""

from datetime import UTC, datetime

import pytest

from tests.conftest import FakeTime
from workflow_async import Phase
from workflow_async.distributed import Claim, Coordinator, Lease, MemoryCoordinator, MemoryStore
from workflow_async.errors import InvalidArgument
from workflow_async.monitor import Change
from workflow_async.opencast import Workflow
from workflow_async.testing import opencast_workflow


def event(id: int) -> Change[Workflow]:
    """Return an event of a running workflow."""
    seen_at = datetime(2026, 1, 1, tzinfo=UTC)
    workflow = opencast_workflow(id, "running")
    return Change(workflow=workflow, was=None, now=Phase.RUNNING, seen_at=seen_at, key=f"key/{id}")


@pytest.fixture
def store(fake_time: FakeTime) -> MemoryStore:
    return MemoryStore(30.0, fake_time.clock)


async def test_a_worker_claims_all_shards_if_it_is_alone(store: MemoryStore) -> None:
    await store.put({"a": b"1", "b": b"2"})
    worker: Coordinator = MemoryCoordinator(store)
    assert await worker.claim(()) == Claim((Lease("a", 1, b"1"), Lease("b", 1, b"2")))
    assert store.owners == {"a": 1, "b": 1}


async def test_a_worker_above_its_share_learns_how_many_shards_to_release(store: MemoryStore) -> None:
    await store.put(dict.fromkeys("abcd", b""))
    first, second = MemoryCoordinator(store), MemoryCoordinator(store)
    held = [lease.shard for lease in (await first.claim(())).leases]
    assert await second.claim(()) == Claim()
    assert await first.claim(held) == Claim(surplus=2)


async def test_a_worker_that_is_fenced_off_still_delivers_but_saves_nothing(
    store: MemoryStore, fake_time: FakeTime
) -> None:
    await store.put({"a": b"1"})
    late, other = MemoryCoordinator(store), MemoryCoordinator(store)
    [lease] = (await late.claim(())).leases
    fake_time.now += 31
    [newer] = (await other.claim(())).leases
    assert await late.save(lease, b"late", [event(1)]) is None
    assert await late.renew(lease) is None
    await late.release(lease, finished=True)
    assert list(store.events) == ["key/1"]
    assert store.owners == {"a": other.number}
    assert await other.save(newer, b"2", [event(1)]) == Lease("a", 3, b"2")
    assert store.repeats == 1


async def test_a_shard_that_exists_stays_as_it_is(store: MemoryStore) -> None:
    await store.put({"a": b"1"})
    await store.put({"a": b"2", "b": b"2"})
    assert [lease.spec for lease in (await MemoryCoordinator(store).claim(())).leases] == [b"1", b"2"]


async def test_a_store_without_shards_is_not_over(store: MemoryStore) -> None:
    worker = MemoryCoordinator(store)
    assert not await worker.over()
    await store.put({"a": b"1"})
    [lease] = (await worker.claim(())).leases
    assert not await worker.over()
    await worker.release(lease, finished=True)
    assert await worker.over()
    assert store.owners == {}


async def test_arguments_are_checked(store: MemoryStore) -> None:
    with pytest.raises(InvalidArgument, match="shards: must be 1 to 100 letters"):
        await store.put({"good": b"", "not good": b""})
    assert store.owners == {}
    with pytest.raises(InvalidArgument, match="lease_seconds: must be a number above 0"):
        MemoryStore(0)
