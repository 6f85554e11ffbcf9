"""Work that `Task.cancel()` must not interrupt: it strikes where it finds a task, and no shield of a scope stops it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

T = TypeVar("T")

log = logging.getLogger("workflow_async")

CLOSE_TIMEOUT = 2.0
"""Seconds a connection gets to close."""


async def in_child_task(work: Callable[[], Awaitable[T]]) -> T:
    """Do it in a child task, where a cancellation from outside arrives as that of a scope.

    Whatever it raises is raised as it is, never in a group.
    """
    results: list[T | BaseException] = []

    async def child() -> None:
        try:
            results.append(await work())
        except BaseException as error:  # raised below, outside of the group
            if is_cancellation(error):
                raise
            results.append(error)

    async with anyio.create_task_group() as group:
        group.start_soon(child)
    result = results.pop()
    if isinstance(result, BaseException):
        raise result
    return result


def is_cancellation(error: BaseException) -> bool:
    """Return True if the running task is being cancelled. A `CancelledError` of another task is only an error here."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0


async def shielded(work: Callable[[], Awaitable[T]]) -> T:
    """Do it to its end, whoever is being cancelled meanwhile; then that goes on."""
    result: list[T] = []

    async def shielded() -> None:
        with anyio.CancelScope(shield=True):
            result.append(await work())

    await in_child_task(shielded)
    return result.pop()


async def shielded_close(close: Callable[[], Awaitable[None]]) -> None:
    """Close something in `CLOSE_TIMEOUT` seconds at most, even while the task is being cancelled.

    An error is logged and not raised: it takes nothing back of what was received before.
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
        log.debug("closing a connection failed: %s", type(error).__name__)


async def wait_shielded(
    wait: Callable[[], Awaitable[object]], done: Callable[[], bool], seconds: float = float("inf")
) -> None:
    """Wait until it is done, at most this many seconds. A cancellation meanwhile is raised afterwards.

    This needs no child task, which would wait for nothing if it were cancelled before it starts: at the end of a loop.
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
        cancellation = None  # the frames of the error refer to this one
