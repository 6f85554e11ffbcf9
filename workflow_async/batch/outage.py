"""Outages of the server, as the starts of a batch meet them: how long they are endured, and which start checks."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from attrs import define, field

from workflow_async._core.call import Replay
from workflow_async._core.retry import retryable
from workflow_async.errors import CallError, DecodeError, ResponseMismatch, Unauthorized, UnexpectedContent
from workflow_async.settings import Clock, Poll

T = TypeVar("T")


def is_temporary(error: CallError) -> bool:
    """Return True for a failure that is worth another try later."""
    return retryable(error, Replay.SAFE)


@define(eq=False)
class OutageTimer:
    """How long something has failed in a row."""

    clock: Clock
    _since: float | None = field(default=None, init=False)

    def exceeded(self, error: CallError, limit: float) -> bool:
        """Return True if failures have lasted `limit` seconds, or the server asks to wait for longer than that.

        The first failure after a success begins the time.
        """
        now = self.clock.now()
        self._since = now if self._since is None else self._since
        return now - self._since >= limit or (error.retry_after or 0.0) > limit

    def reset(self) -> None:
        """Note a success."""
        self._since = None


@define(eq=False)
class Outage:
    """What the starts of a batch know together about whether the server answers."""

    clock: Clock
    poll: Poll
    _error: CallError | None = field(default=None, init=False)
    """The last failure. None while the server answers."""
    _next_check: float = field(default=float("-inf"), init=False)
    """When the next check may begin."""
    _checking: bool = field(default=False, init=False)
    _succeeded_before: bool = field(default=False, init=False)
    """Whether a check has ever been answered as it should."""

    async def retry(
        self, check: Callable[[], Awaitable[T]], on_wait: Callable[[CallError], Awaitable[None]] | None = None
    ) -> T:
        """Return the result of `check`, repeated while it fails in a passing way.

        In an outage one start at a time checks, after the pause of `poll` or what the server asks for. All others wait.

        Args:
            check: reads something from the server.
            on_wait: called once, with the error, when the wait begins.

        Raises:
            CallError: the error is final, or has lasted `poll.outage` seconds.
        """
        timer = OutageTimer(self.clock)
        while True:
            try:
                return await self._checked_result(check)
            except CallError as error:
                failure = error
            if not self._is_temporary(failure) or timer.exceeded(failure, self.poll.outage):
                raise failure.with_traceback(None)  # other starts raise it too
            if on_wait is not None:
                await on_wait(failure)
                on_wait = None
            await self.clock.sleep(self._delay())

    def note_failure(self, error: CallError) -> None:
        """Note a failure that may pass: no start checks before the pause is over.

        A pause longer than `poll.outage` concerns only the start that was asked for it, which is not kept waiting.
        """
        asked = error.retry_after or 0.0
        if asked <= self.poll.outage:
            pause = max(self.poll.interval, asked)
            self._error, self._next_check = error, max(self._next_check, self.clock.now() + pause)

    async def _checked_result(self, check: Callable[[], Awaitable[T]]) -> T:
        """Return the result of `check`. Raise the known failure instead while it is too early for another check."""
        if self._error is not None and (self._checking or self.clock.now() < self._next_check):
            raise self._error
        self._checking = True
        try:
            result = await check()
        except CallError as error:
            self._error = None
            if self._is_temporary(error) and not _concerns_one_start(error):
                self.note_failure(error)
            raise
        finally:
            self._checking = False
        self._error, self._succeeded_before = None, True
        return result

    def _is_temporary(self, error: CallError) -> bool:
        """Return True for a failure that may pass, such as a 401 of a server that took the credentials before."""
        return is_temporary(error) or (isinstance(error, Unauthorized) and self._succeeded_before)

    def _delay(self) -> float:
        left = self._next_check - self.clock.now()
        return left if left > 0 else self.poll.interval


def _concerns_one_start(error: CallError) -> bool:
    """Return True if the server answered with what cannot be read: that concerns one start, not all."""
    return isinstance(error, DecodeError | ResponseMismatch) and not isinstance(error, UnexpectedContent)
