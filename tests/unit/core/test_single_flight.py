"""A task that several waiters share."""

import asyncio

import pytest

from workflow_async._core.single_flight import SharedTask


async def test_every_waiter_gets_the_result_of_one_run() -> None:
    runs = 0

    async def work() -> int:
        nonlocal runs
        runs += 1
        await asyncio.sleep(0)
        return 7

    shared = SharedTask.start(work())
    assert await asyncio.gather(*(shared.wait() for _ in range(10))) == [7] * 10
    assert (runs, shared.closed) == (1, True)


async def test_a_cancelled_waiter_leaves_the_task_running() -> None:
    finish = asyncio.Event()
    shared = SharedTask.start(finish.wait())
    first, second = (asyncio.create_task(shared.wait()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert not shared.closed
    finish.set()
    assert await second


async def test_the_task_is_cancelled_when_no_waiter_is_left() -> None:
    cancelled = False

    async def work() -> None:
        nonlocal cancelled
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled = True
            raise

    shared = SharedTask.start(work())
    waiter = asyncio.create_task(shared.wait())
    for _ in range(3):
        await asyncio.sleep(0)
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    assert (cancelled, shared.closed) == (True, True)


async def test_every_waiter_gets_the_error_of_the_task() -> None:
    async def work() -> None:
        await asyncio.sleep(0)
        raise ZeroDivisionError

    shared = SharedTask.start(work())
    errors = await asyncio.gather(*(shared.wait() for _ in range(3)), return_exceptions=True)
    assert {type(error) for error in errors} == {ZeroDivisionError}
