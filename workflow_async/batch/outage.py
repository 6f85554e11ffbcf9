"""Outages of the server: how long a batch waits for the end of one, and which start checks the server."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from attrs import define, field

from workflow_async._core.call import Replay
from workflow_async._core.retry import retryable
from workflow_async.errors import CallError, DecodeError, ResponseMismatch, Unauthorized, UnexpectedContent
from workflow_async.settings import Clock, Poll

T = TypeVar("T")


def is_temporary(error: CallError) -> bool:
    """Return True if a later retry may succeed."""
    return retryable(error, Replay.SAFE)


@define(eq=False)
class OutageTimer:
    """Measures how long requests have failed in a row."""

    clock: Clock
    _since: float | None = field(default=None, init=False)

    def exceeded(self, error: CallError, limit: float) -> bool:
        """Return True if failures have lasted `limit` seconds, or the server asks to wait longer than `limit`.

        The time begins with the first failure after a success.
        """
        now = self.clock.now()
        self._since = now if self._since is None else self._since
        return now - self._since >= limit or (error.retry_after or 0.0) > limit

    def reset(self) -> None:
        """Note a success."""
        self._since = None


@define(eq=False)
class Outage:
    """Whether the server responds, as known to all starts of a batch."""

    clock: Clock
    poll: Poll
    _error: CallError | None = field(default=None, init=False)
    """The last failure. None while the server responds."""
    _next_check: float = field(default=float("-inf"), init=False)
    """The time from which the next check may begin."""
    _checking: bool = field(default=False, init=False)
    _succeeded_before: bool = field(default=False, init=False)
    """True if a check has ever succeeded."""

    async def retry(
        self, check: Callable[[], Awaitable[T]], on_wait: Callable[[CallError], Awaitable[None]] | None = None
    ) -> T:
        """Return the result of `check`. Repeat `check` while it fails with temporary errors.

        In an outage one start at a time checks the server. It waits `poll.interval` between checks, or as long as the
        server asks for. All other starts wait.

        Args:
            check: reads something from the server.
            on_wait: called once, with the error, when the wait begins.

        Raises:
            CallError: the error is not temporary, or failures have lasted `poll.outage` seconds.
        """
        timer = OutageTimer(self.clock)
        while True:
            try:
                return await self._checked_result(check)
            except CallError as error:
                failure = error
            if not self._is_temporary(failure) or timer.exceeded(failure, self.poll.outage):
                raise failure.with_traceback(None)  # other starts raise the same object
            if on_wait is not None:
                await on_wait(failure)
                on_wait = None
            await self.clock.sleep(self._delay())

    def note_failure(self, error: CallError) -> None:
        """Note a temporary failure. No start checks the server before the delay has passed.

        A delay longer than `poll.outage` is ignored here. It ends the wait of the start that received it.
        """
        requested = error.retry_after or 0.0
        if requested <= self.poll.outage:
            delay = max(self.poll.interval, requested)
            self._error, self._next_check = error, max(self._next_check, self.clock.now() + delay)

    async def _checked_result(self, check: Callable[[], Awaitable[T]]) -> T:
        """Return the result of `check`. Raise the last failure instead while it is too early for another check."""
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
        """Return True for a temporary failure, including a 401 from a server that accepted the credentials before."""
        return is_temporary(error) or (isinstance(error, Unauthorized) and self._succeeded_before)

    def _delay(self) -> float:
        left = self._next_check - self.clock.now()
        return left if left > 0 else self.poll.interval


def _concerns_one_start(error: CallError) -> bool:
    """Return True for a response that cannot be read. It concerns one start, and is not an outage."""
    return isinstance(error, DecodeError | ResponseMismatch) and not isinstance(error, UnexpectedContent)
