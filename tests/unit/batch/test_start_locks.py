"""Locks by event: starts on one event follow each other, and starts on other events do not wait."""

import anyio
import anyio.lowlevel

from tests.conftest import FakeTime
from workflow_async import Clock
from workflow_async.batch.start_locks import StartLocks


async def order_of(*lock_keys: str | None) -> list[str]:
    """Hold a lock in one task per key, and return the order in which the tasks began and ended."""
    locks, order = StartLocks(Clock()), []

    async def hold(number: int, lock_key: str | None) -> None:
        async with locks.hold(lock_key):
            order.append(f"begin {number}")
            for _ in range(5):
                await anyio.lowlevel.checkpoint()
            order.append(f"end {number}")

    async with anyio.create_task_group() as group:
        for number, lock_key in enumerate(lock_keys):
            group.start_soon(hold, number, lock_key)
    return order


async def test_starts_on_one_event_follow_each_other() -> None:
    assert await order_of("a", "a") == ["begin 0", "end 0", "begin 1", "end 1"]


async def test_starts_on_different_events_run_concurrently() -> None:
    assert (await order_of("a", "b"))[:2] == ["begin 0", "begin 1"]


async def test_starts_without_a_lock_key_run_concurrently() -> None:
    assert (await order_of(None, None))[:2] == ["begin 0", "begin 1"]


async def test_the_wait_for_the_lag_ends_lag_seconds_after_the_last_start(fake_time: FakeTime) -> None:
    locks = StartLocks(fake_time.clock)
    await locks.wait_out_lag("a", 12.0)
    locks.note_sent("a")
    await fake_time.clock.sleep(5.0)
    await locks.wait_out_lag("b", 12.0)
    await locks.wait_out_lag(None, 12.0)
    await locks.wait_out_lag("a", 12.0)
    await locks.wait_out_lag("a", 12.0)
    assert fake_time.naps == [5.0, 7.0]
