"""Limits of blocks of code: one timer for all blocks of a limit, with the effect of `anyio.move_on_after`."""

import asyncio

import anyio
import pytest

from workflow_async._core.deadlines import Deadlines, scope_class

LONG, SHORT = 3600.0, 0.005


async def stuck(deadlines: Deadlines) -> str:
    with deadlines.limit():
        await asyncio.Event().wait()
        return "finished"
    return "left"


async def test_a_block_that_takes_longer_is_cancelled_and_left() -> None:
    assert await stuck(Deadlines(SHORT)) == "left"


async def test_blocks_that_began_one_after_the_other_are_all_left() -> None:
    deadlines = Deadlines(SHORT)
    tasks = []
    for _ in range(3):
        tasks.append(asyncio.create_task(stuck(deadlines)))
        await asyncio.sleep(SHORT / 2)
    assert await asyncio.gather(*tasks) == ["left"] * 3
    assert await stuck(deadlines) == "left"  # the timer starts again


async def test_a_block_that_ends_in_time_is_not_cancelled() -> None:
    deadlines = Deadlines(LONG)
    with deadlines.limit():
        result = await asyncio.sleep(0, "finished")
    assert result == "finished"
    assert not deadlines._scopes


async def test_one_timer_serves_all_blocks_and_stops_when_none_is_left() -> None:
    deadlines = Deadlines(LONG)
    with deadlines.limit():
        timer = deadlines._timer
        assert timer is not None
        with deadlines.limit():
            assert deadlines._timer is timer
        deadlines.stop_idle_timer()
        assert not timer.cancelled()
    deadlines.stop_idle_timer()
    assert timer.cancelled()
    deadlines.stop_idle_timer()
    assert await stuck(Deadlines(SHORT)) == "left"


async def test_the_timer_of_a_block_that_has_ended_cancels_nothing() -> None:
    deadlines = Deadlines(SHORT)
    with deadlines.limit():
        timer = deadlines._timer
        await asyncio.sleep(0)
    while deadlines._timer is timer:
        await asyncio.sleep(0)
    assert deadlines._timer is None


async def test_an_exception_and_a_native_cancellation_leave_the_block() -> None:
    deadlines = Deadlines(LONG)
    with pytest.raises(ValueError, match="own"), deadlines.limit():
        raise ValueError("own")
    task = asyncio.create_task(stuck(deadlines))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not deadlines._scopes


async def test_a_scope_around_the_block_is_cancelled_as_usual() -> None:
    deadlines = Deadlines(LONG)
    with anyio.move_on_after(SHORT) as outer:
        await stuck(deadlines)
    assert outer.cancelled_caught


def test_deadlines_work_in_one_event_loop_after_the_other() -> None:
    deadlines = Deadlines(SHORT)

    async def abandoned() -> None:
        deadlines.limit().__enter__()

    with asyncio.Runner() as runner:
        runner.run(abandoned())
    with asyncio.Runner() as runner:
        assert runner.run(stuck(deadlines)) == "left"


async def test_the_class_of_scopes_is_that_of_anyio() -> None:
    assert scope_class() is type(anyio.CancelScope())
