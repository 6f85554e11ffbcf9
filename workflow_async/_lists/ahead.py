"""Calls that are on their way ahead of whoever takes their answers, one after the other in the order of the calls."""

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

from attrs import define, field

from workflow_async._call import Call
from workflow_async._shelter import whole

R = TypeVar("R")


class Send(Protocol):
    """What a listing needs: something that turns a call into its answer."""

    async def __call__(self, call: Call[R], /) -> R: ...


@define(eq=False)
class Ahead(Generic[R]):
    """Calls on their way; leaving the context ends those whose answers nobody took.

    They are tasks and no task group: a generator may keep them while its reader works, for it yields in no scope.
    """

    _send: Send
    _going: deque["asyncio.Task[R]"] = field(factory=deque, init=False)

    def __bool__(self) -> bool:
        """Whether there is anything on its way."""
        return bool(self._going)

    def ask(self, calls: Iterable[Call[R]]) -> None:
        """Send these now."""
        self._going += [asyncio.create_task(self._send(call)) for call in calls]

    async def answer(self, calls: Sequence[Call[R]]) -> R:
        """The first answer to come of what is on its way and of these, sent now; raises what became of it instead."""
        if not self._going and len(calls) == 1:
            return await self._send(calls[0])
        self.ask(calls)
        await asyncio.wait([self._going[0]])
        return self._going.popleft().result()

    async def rest(self) -> None:
        """Let the others be answered, for the sake of their connections; nobody wants to know."""
        while self._going:
            await asyncio.wait(self._going)
            self._forget()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        """End what is on its way, and wait until it has."""
        for task in self._going:
            task.cancel()
        if self._going:
            await whole(self.rest)

    def _forget(self) -> None:
        for task in self._going:
            if not task.cancelled():
                task.exception()  # or it would be reported as never looked at
        self._going.clear()
