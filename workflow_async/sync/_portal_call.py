"""A call that one thread waits for while the event loop of another thread runs it."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Generic, TypeVar

from attrs import define, field

from workflow_async.errors import ClientClosed

T = TypeVar("T")


class PortalEnded(ClientClosed):
    """The event loop ended before the call did, because the last client was closed."""

    def __init__(self) -> None:
        super().__init__("the client was closed while this call was running: open it again with `with`")


@define(eq=False, repr=False)
class PortalCall(Generic[T]):
    """One call that a thread waits for while the event loop runs it."""

    _work: Callable[[], Awaitable[T]]
    _future: "Future[T]" = field(factory=Future, init=False)
    _task: "asyncio.Task[None] | None" = field(default=None, init=False)

    def begin(self) -> "asyncio.Task[None]":
        """Run the call in a task. Called in the event loop."""
        self._task = asyncio.get_running_loop().create_task(self._run())
        self._task.add_done_callback(lambda _: self.fail())  # a task that is cancelled early never runs
        return self._task

    async def _run(self) -> None:
        """Keep the result or error. An error that leaves a task, such as `SystemExit`, would end the event loop."""
        try:
            result = await self._take()()
        except asyncio.CancelledError:
            self.fail()
        except BaseException as error:  # noqa: BLE001 - raised in the waiting thread
            self._future.set_exception(error)
        else:
            self._future.set_result(result)
        finally:
            del self  # breaks the cycle of the error, its traceback and this frame

    def _take(self) -> Callable[[], Awaitable[T]]:
        """Return the work and release it, so that the waiting thread may be the last to refer to it."""
        work = self._work
        del self._work
        return work

    def fail(self) -> None:
        """Raise `PortalEnded` in the waiting thread, unless the call has ended."""
        if not self._future.done():
            self._future.set_exception(PortalEnded())

    def wait(self) -> T:
        """Wait for the call and return its result."""
        try:
            return self._future.result()
        finally:
            del self  # breaks the cycle of the error, its traceback and this frame

    def wait_cancelled(self, loop: asyncio.AbstractEventLoop) -> None:
        """Cancel the call if it has not ended, and wait until it has cleaned up."""
        if not self._future.done():
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(self._cancel)
            self._future.exception()

    def _cancel(self) -> None:
        if self._task is None:
            self.fail()  # interrupted before it began
        else:
            self._task.cancel()
