"""Prefetching: sends calls concurrently and returns their results in call order."""

import asyncio
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from typing import Generic, Protocol, TypeVar

from attrs import define, field

from workflow_async._core.call import Call
from workflow_async._core.cancellation import wait_shielded

R = TypeVar("R")


class Send(Protocol):
    """A function that sends a call and returns its result."""

    async def __call__(self, call: Call[R], /) -> R: ...


@define(eq=False)
class SentCall(Generic[R]):
    """A call and the task that sends it. The task is None while the call is not being sent."""

    call: Call[R]
    task: "asyncio.Task[R] | None" = None


@define(eq=False)
class Prefetcher(Generic[R]):
    """A queue of calls whose results have not been taken yet.

    A step that fails or is cancelled cancels every request in flight. Its calls stay in the queue and the next step
    sends them again, so no result is lost. Between two steps, requests continue in tasks of their own.
    """

    _send: Send
    _queue: deque[SentCall[R]] = field(factory=deque, init=False)
    _unneeded: "list[asyncio.Task[R]]" = field(factory=list, init=False)
    """Tasks whose results are not needed."""

    def __bool__(self) -> bool:
        """Return True if there is a result to take."""
        return bool(self._queue)

    def add(self, calls: Iterable[Call[R]]) -> None:
        """Put calls into the queue. The next step sends them."""
        self._queue += [SentCall(call) for call in calls]

    def send(self) -> None:
        """Send every call in the queue now."""
        for sent in self._queue:
            if sent.task is None:
                self._task(sent)

    def _task(self, sent: SentCall[R]) -> "asyncio.Task[R]":
        """Return the task that sends a call. Start it if it is not running."""
        if sent.task is None:
            sent.task = asyncio.create_task(self._send(sent.call))
            sent.task.add_done_callback(_retrieve)
        return sent.task

    async def next_result(self) -> R:
        """Take the result of the first call in the queue, or raise its error."""
        first = self._queue[0]
        try:
            result = await self._result(first)
        except BaseException:
            await self.stop()
            raise
        self._queue.popleft()
        return result

    async def _result(self, first: SentCall[R]) -> R:
        if len(self._queue) == 1 and first.task is None:
            return await self._send(first.call)
        self.send()
        task = self._task(first)
        await asyncio.wait([task])
        return task.result()

    async def drop(self) -> None:
        """Empty the queue. Wait for the results, so that their connections can be reused."""
        self._unneeded = self._tasks()
        self._queue.clear()
        try:
            if self._unneeded:
                await asyncio.wait(self._unneeded)
        except BaseException:
            await self.stop()
            raise
        self._unneeded.clear()

    async def stop(self) -> None:
        """Cancel every request in flight and wait until each has ended. Completed results stay in the queue."""
        running = [task for task in self._tasks() if not task.done()]
        for task in running:
            task.cancel()
        if running:
            await wait_shielded(lambda: asyncio.wait(running), lambda: all(task.done() for task in running))
        self._unneeded.clear()
        for sent in self._queue:
            if sent.task is not None and (sent.task.cancelled() or sent.task.exception() is not None):
                sent.task = None

    def _tasks(self) -> "list[asyncio.Task[R]]":
        return [*self._unneeded, *(sent.task for sent in self._queue if sent.task is not None)]

    def __del__(self) -> None:
        for task in self._tasks():
            with suppress(RuntimeError):  # the loop is closed
                task.get_loop().call_soon_threadsafe(task.cancel)


def _retrieve(task: "asyncio.Task[R]") -> None:
    """Keep an error from being logged as never retrieved, because its result may never be taken."""
    if not task.cancelled():
        task.exception()
