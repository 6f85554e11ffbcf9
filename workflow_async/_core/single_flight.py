"""Runs one task for several waiters (single-flight)."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Generic, TypeVar

from attrs import define, field

from workflow_async._core.cancellation import shielded

T = TypeVar("T")


@define(eq=False)
class SharedTask(Generic[T]):
    """A task shared by several waiters.

    A cancelled waiter leaves the task running. The task is cancelled when no waiter is left. A separate task is needed,
    because the cancellation or the timeout of one caller would otherwise end the work of all.
    """

    _task: "asyncio.Task[T]"
    _waiting: int = field(default=0, init=False)
    _abandoned: bool = field(default=False, init=False)
    """True if no waiter is left. `Task.cancelled()` would not do: scopes inside the task cancel it too."""

    @classmethod
    def start(cls, work: Coroutine[Any, Any, T]) -> "SharedTask[T]":
        """Start a task for `work`. At least one caller must wait for it."""
        return cls(asyncio.create_task(work))

    @property
    def closed(self) -> bool:
        """True if the task has finished or was cancelled."""
        return self._abandoned or self._task.done()

    async def wait(self) -> T:
        """Wait for the task and return its result."""
        self._waiting += 1
        try:
            await asyncio.wait([self._task])
        finally:
            self._waiting -= 1
            if not self._waiting:
                await self._cancel()
        return self._task.result()

    async def _cancel(self) -> None:
        self._abandoned = True
        if self._task.cancel():
            await shielded(self._wait_done)

    async def _wait_done(self) -> None:
        await asyncio.wait([self._task])
