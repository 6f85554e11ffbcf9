"""Keeps cleanup running when the calling task is cancelled natively.

`Task.cancel()` ignores anyio's shielded scopes. Therefore the work runs in a child task, which only scopes cancel.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import anyio

T = TypeVar("T")

log = logging.getLogger("workflow_async")

CLOSE_TIMEOUT = 2.0
"""Seconds that closing a connection may take."""


async def in_child_task(work: Callable[[], Awaitable[T]]) -> T:
    """Run `work` in a child task, where a native cancellation of the caller arrives as the cancellation of a scope.

    Raises the exception of `work` itself, never an exception group.
    """
    results: list[T | BaseException] = []

    async def child() -> None:
        try:
            results.append(await work())
        except BaseException as error:  # raised below, outside of the task group
            if is_cancellation(error):
                raise
            results.append(error)

    async with anyio.create_task_group() as group:
        group.start_soon(child)
    result = results.pop()
    if isinstance(result, BaseException):
        raise result
    return result


@contextmanager
def keep_cancellation() -> Iterator[None]:
    """Raise a cancellation that a task group in the block has dropped, if the block swallows the group's exception.

    `asyncio.TaskGroup` drops a cancellation that comes while it cancels its tasks. Only the body of the group may end
    it: up to Python 3.12, a task that fails leaves a count as if the caller had been cancelled.
    """
    task = asyncio.current_task()
    before = 0 if task is None else task.cancelling()
    yield
    if task is not None and task.cancelling() > before:
        raise asyncio.CancelledError


def is_cancellation(error: BaseException) -> bool:
    """Return True if the running task is being cancelled. A `CancelledError` of another task is only an error here."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0


async def shielded(work: Callable[[], Awaitable[T]]) -> T:
    """Run `work` to completion, even if the caller is cancelled. The cancellation is raised afterwards."""
    result: list[T] = []

    async def shielded() -> None:
        with anyio.CancelScope(shield=True):
            result.append(await work())

    await in_child_task(shielded)
    return result.pop()


async def shielded_close(close: Callable[[], Awaitable[None]]) -> None:
    """Close a resource, shielded from cancellation, in at most `CLOSE_TIMEOUT` seconds.

    An error is logged and not raised, because the response before it was complete.
    """
    await in_child_task(lambda: close_in_child(close))


async def close_in_child(close: Callable[[], Awaitable[None]]) -> None:
    """Close a resource as `shielded_close` does, in a task that only scopes cancel, such as a child task."""
    try:
        with anyio.move_on_after(CLOSE_TIMEOUT, shield=True):
            await close()
    except (Exception, asyncio.CancelledError) as error:
        if is_cancellation(error):
            raise
        log.debug("closing a connection failed", extra={"error": type(error).__name__})


async def wait_shielded(
    wait: Callable[[], Awaitable[object]], done: Callable[[], bool], seconds: float = float("inf")
) -> None:
    """Wait until `done()` is true, for at most `seconds`. A cancellation in that time is raised afterwards.

    Uses no child task. A child task that is cancelled before its first step never runs, which happens when a loop ends.
    """
    cancellation: asyncio.CancelledError | None = None
    try:
        with anyio.move_on_after(seconds, shield=True) as scope:
            while not done():
                try:
                    await wait()
                except asyncio.CancelledError as error:
                    if scope.cancel_called:
                        raise
                    cancellation = error
        if cancellation is not None:
            raise cancellation
    finally:
        cancellation = None  # breaks the cycle of the error, its traceback and this frame
