"""Cleanup that runs to its end although the calling task is cancelled."""

import asyncio
import logging

import pytest

from workflow_async._core import cancellation
from workflow_async._core.cancellation import (
    in_child_task,
    keep_cancellation,
    shielded,
    shielded_close,
    wait_shielded,
)


async def cancelled_in(task: "asyncio.Task[object]") -> None:
    """Cancel a task once it runs, and prove that it ends as cancelled."""
    for _ in range(3):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_child_task_returns_its_result_and_raises_its_own_exception() -> None:
    async def fail() -> None:
        raise ZeroDivisionError

    assert await in_child_task(lambda: asyncio.sleep(0, 7)) == 7
    with pytest.raises(ZeroDivisionError):
        await in_child_task(fail)


async def test_shielded_work_finishes_before_the_cancellation_is_raised() -> None:
    finished: list[str] = []

    async def work() -> None:
        for _ in range(10):
            await asyncio.sleep(0)
        finished.append("work")

    await cancelled_in(asyncio.create_task(shielded(work)))
    assert finished == ["work"]


async def test_an_error_while_closing_is_logged_and_not_raised(caplog: pytest.LogCaptureFixture) -> None:
    async def close() -> None:
        raise OSError

    with caplog.at_level(logging.DEBUG, "workflow_async"):
        await shielded_close(close)
    assert [(record.getMessage(), vars(record)["error"]) for record in caplog.records] == [
        ("closing a connection failed", "OSError")
    ]


async def test_closing_ends_after_its_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cancellation, "CLOSE_TIMEOUT", 0.01)
    async with asyncio.timeout(5):
        await shielded_close(asyncio.Event().wait)  # type: ignore[arg-type]  # its result is not used


async def test_a_shielded_wait_raises_a_cancellation_when_it_is_done() -> None:
    event, done = asyncio.Event(), False

    async def wait() -> None:
        await wait_shielded(event.wait, lambda: done)

    task = asyncio.create_task(wait())
    for _ in range(3):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    done = True
    event.set()
    with pytest.raises(asyncio.CancelledError):
        await task


class _Over(Exception):
    """Ends the body of a group."""


async def group_that_ends_slowly(ending: asyncio.Event) -> str:
    """Run a group whose body ends it, and whose task takes some time to end. Return a result."""

    async def slow() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ending.set()
            for _ in range(5):
                await asyncio.sleep(0)

    with keep_cancellation():
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(slow())
                await asyncio.sleep(0)
                raise _Over  # noqa: TRY301 - the body ends the group
        except* _Over:
            pass
    return "ended"


async def test_a_group_that_its_body_ends_is_no_cancellation() -> None:
    assert await group_that_ends_slowly(asyncio.Event()) == "ended"


async def test_a_cancellation_while_a_group_ends_is_kept() -> None:
    ending = asyncio.Event()
    task = asyncio.create_task(group_that_ends_slowly(ending))
    await ending.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
