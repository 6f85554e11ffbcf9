"""One piece of work for however many wait for it."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Generic, TypeVar

from attrs import define, field

from workflow_async._core.cancellation import shielded

T = TypeVar("T")


@define(eq=False)
class SharedTask(Generic[T]):
    """Work that goes on for as long as anybody waits: who is cancelled leaves it to the others, the last one ends it.

    It is a task of its own, so that the cancellation or the deadline of one caller cannot undo it for the others, and
    have each of them begin it anew.
    """

    _task: "asyncio.Task[T]"
    _waiting: int = field(default=0, init=False)
    _abandoned: bool = field(default=False, init=False)
    """Whether everybody has left; what the task says of its being cancelled is the business of scopes within it too."""

    @classmethod
    def start(cls, work: Coroutine[Any, Any, T]) -> "SharedTask[T]":
        """A flight that takes off now; it must be waited for."""
        return cls(asyncio.create_task(work))

    @property
    def closed(self) -> bool:
        """Whether it is too late to join."""
        return self._abandoned or self._task.done()

    async def wait(self) -> T:
        """What comes of it."""
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
