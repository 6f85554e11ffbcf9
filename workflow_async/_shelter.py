"""Work that `Task.cancel()` must not interrupt: it strikes where it finds a task, and no shield of a scope stops it."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

T = TypeVar("T")

CLOSING = 2.0
"""Seconds a connection gets to close."""


async def apart(act: Callable[[], Awaitable[T]]) -> T:
    """Do it in a child task, where a cancellation from outside arrives as that of a scope."""
    outcome: list[T | Exception] = []

    async def child() -> None:
        try:
            outcome.append(await act())
        except Exception as error:  # noqa: BLE001 - raised below, outside of the group, as what it is
            outcome.append(error)

    async with anyio.create_task_group() as group:
        group.start_soon(child)
    found = outcome.pop()
    if isinstance(found, Exception):
        raise found
    return found


async def whole(act: Callable[[], Awaitable[T]]) -> T:
    """Do it to its end, whoever is being cancelled meanwhile; then that goes on."""
    found: list[T] = []

    async def shielded() -> None:
        with anyio.CancelScope(shield=True):
            found.append(await act())

    await apart(shielded)
    return found.pop()


async def closed(close: Callable[[], Awaitable[None]]) -> None:
    """Close something, whoever is being cancelled, and not for ever."""

    async def shielded() -> None:
        with anyio.move_on_after(CLOSING, shield=True):
            await close()

    await apart(shielded)
