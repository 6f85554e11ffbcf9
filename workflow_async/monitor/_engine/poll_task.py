"""The asyncio task that sends the requests of a client's watchers."""

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar
from functools import partial
from typing import Any

from attrs import define, field

from workflow_async._core.cancellation import CLOSE_TIMEOUT, keep_cancellation, wait_shielded
from workflow_async.errors import PollTaskFailed
from workflow_async.monitor._engine.fetcher import Start
from workflow_async.monitor._engine.timer import Timer
from workflow_async.settings import Clock

CANCEL_TIMEOUT = 2 * CLOSE_TIMEOUT
"""Seconds to wait for requests that were cancelled. Each has `CLOSE_TIMEOUT` seconds to close its connection."""
_POLLING: "ContextVar[PollTask | None]" = ContextVar("polling", default=None)
"""The poll task that the running code is a request of."""


@define(eq=False)
class PollTask:
    """A task that runs while anything is watched, in an empty context. Its requests are tasks of one group."""

    clock: Clock
    watched: Callable[[], bool]
    """Returns True if there is anything to poll for."""
    send: Callable[[Start], float]
    """Starts every request that is due. Returns the next due time."""
    fail: Callable[[PollTaskFailed], bool]
    """Called when the task ends with an error. Returns False if there was no watcher that could raise it."""
    _task: "asyncio.Task[None] | None" = field(default=None, init=False)
    _wakeup: asyncio.Event = field(factory=asyncio.Event, init=False)
    _round_over: asyncio.Event = field(factory=asyncio.Event, init=False)
    """Set when every request has ended because nothing was watched any more."""
    _interrupted: bool = field(default=False, init=False)

    @property
    def running(self) -> bool:
        """True if the task has not ended."""
        return self._task is not None

    def start(self) -> None:
        """Start the task unless it runs. Have it call `send`."""
        if self._task is None and self.watched():
            self._round_over = asyncio.Event()
            self._task = Context().run(asyncio.get_running_loop().create_task, self._run())
        self.wake()

    def wake(self) -> None:
        """Have the task call `send`, or end if nothing is watched."""
        self._wakeup.set()

    def interrupt(self) -> None:
        """Have the task cancel every request, and then send those for what is watched."""
        self._interrupted = True
        self.wake()

    @property
    def abandoned(self) -> bool:
        """True if the task has not ended and belongs to another event loop than the running one."""
        return self._task is not None and self._task.get_loop() is not asyncio.get_running_loop()

    async def settled(self) -> None:
        """Wait until no request is left, if nothing is watched. A cancellation during the wait is raised after it.

        A request does not wait for its own end, because its code may close the client.
        """
        if self._task is not None and not self.watched() and _POLLING.get() is not self:
            round_over = self._round_over
            await wait_shielded(round_over.wait, round_over.is_set, CANCEL_TIMEOUT)

    async def _run(self) -> None:
        _POLLING.set(self)
        try:
            await asyncio.sleep(0)  # with eager tasks, the code before this runs inside the caller
            while self.watched():
                await self._poll()
                self._round_over.set()
                self._round_over = asyncio.Event()
        except BaseException as error:
            raised_by_watchers = self.fail(_failure(error))
            if not raised_by_watchers or not isinstance(error, Exception):
                raise
        finally:
            self._round_over.set()
            self._task = None

    async def _poll(self) -> None:
        """Send requests until nothing is watched, then cancel those in flight."""
        self._wakeup, self._interrupted = asyncio.Event(), False
        with keep_cancellation():
            try:
                async with asyncio.TaskGroup() as group:
                    await self._send_all(group)
            except* _RoundOver:
                pass  # the group has cancelled its tasks and waited for them

    async def _send_all(self, group: asyncio.TaskGroup) -> None:
        start, timer = partial(self._start_request, group), Timer(self.clock, group, self.wake)
        while self.watched() and not self._interrupted:
            self._wakeup.clear()
            timer.set(self.send(start))
            await self._wakeup.wait()
        raise _RoundOver

    def _start_request(self, group: asyncio.TaskGroup, request: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = group.create_task(request)
        task.add_done_callback(self._request_ended)
        return task

    def _request_ended(self, request: "asyncio.Task[None]") -> None:
        """Call `send` again after a request was cancelled. Fail if a request raised `CancelledError` on its own."""
        if request.cancelled():
            if not request.cancelling():  # sent again, it would raise that again, without end
                self.fail(_failure(RuntimeError("a request raised CancelledError without being cancelled")))
            self.wake()


class _RoundOver(Exception):
    """Ends the task group of the poll task."""


def _failure(error: BaseException) -> PollTaskFailed:
    """Return the error that watchers raise when the poll task ends with this one. It names the first of a group."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    first = error
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    failure = PollTaskFailed(type(first).__name__)
    failure.__cause__ = error
    return failure
