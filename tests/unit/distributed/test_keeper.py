"""A worker that knows that its lease may have ended renews it before it delivers anything."""

from typing import Any

import pytest
from attrs import evolve

from tests.conftest import FakeTime
from tests.unit.distributed.test_memory import event
from workflow_async.distributed import MemoryCoordinator, MemoryStore, keeper
from workflow_async.distributed.calls import CoordinatorCalls
from workflow_async.distributed.held_shard import RENEWED, HeldShard
from workflow_async.distributed.keeper import Keeper
from workflow_async.monitor import WatchSpec

LEASE = 30.0
SPEC = WatchSpec.of("http://127.0.0.1", range(1, 6))


async def held(store: MemoryStore, **found: Any) -> Keeper:
    """Return the keeper of a shard whose round has just found five events."""
    await store.put({"a": SPEC.to_bytes()})
    worker = MemoryCoordinator(store)
    began = store.clock.now()
    [lease] = (await worker.claim(())).leases
    shard = HeldShard(lease, SPEC, began, LEASE, began)
    shard.events, shard.unsaved = tuple(event(id) for id in SPEC.ids), True
    return Keeper(shard, CoordinatorCalls(worker, LEASE), store.clock, lambda: None)


@pytest.mark.parametrize("portion", [1000, 2])
async def test_a_late_worker_delivers_nothing_if_another_has_claimed_the_shard(
    portion: int, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "EVENTS_PER_SAVE", portion)
    store = MemoryStore(LEASE, fake_time.clock)
    late = await held(store)
    fake_time.now += LEASE
    assert (await MemoryCoordinator(store).claim(())).leases
    await late.run()
    assert store.events == {}


@pytest.mark.parametrize("portion", [1000, 2])
async def test_a_late_worker_delivers_if_no_other_has_claimed_the_shard(
    portion: int, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "EVENTS_PER_SAVE", portion)
    store = MemoryStore(LEASE, fake_time.clock)
    late = await held(store)
    late.shard.leaving = portion == 1000
    fake_time.now += 10 * LEASE
    if portion == 1000:
        await late.run()
    else:
        while late.shard.unsaved:
            assert not await late._is_over()
    assert len(store.events) == 5
    assert store.repeats == 0


async def test_a_round_that_ends_during_a_save_is_saved_by_the_next_one(fake_time: FakeTime) -> None:
    store = MemoryStore(LEASE, fake_time.clock)
    one = await held(store)
    shard = one.shard
    found, shard.events = shard.events, ()

    def end_round() -> None:
        shard.spec, shard.events = evolve(SPEC), found

    one.calls.coordinator = Interrupted(one.calls.coordinator, end_round)
    fake_time.now += LEASE * RENEWED
    assert not await one._is_over()
    assert shard.events == found
    assert store.events == {}
    assert not await one._is_over()
    assert len(store.events) == 5


class Interrupted:
    """A coordinator whose first save lasts until something else has happened."""

    def __init__(self, coordinator: Any, meanwhile: Any) -> None:
        self.coordinator, self.meanwhile = coordinator, [meanwhile]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.coordinator, name)

    async def save(self, *args: Any) -> Any:
        lease = await self.coordinator.save(*args)
        while self.meanwhile:
            self.meanwhile.pop()()
        return lease
