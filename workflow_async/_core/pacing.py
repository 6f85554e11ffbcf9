"""Gives the requests of one client their turns: by a rate of the client's own, and by the function of `pace=`."""

import asyncio
import inspect

import anyio
from attrs import define, field

from workflow_async._core.cancellation import is_cancellation
from workflow_async._core.observer import Observer
from workflow_async.errors import InvalidArgument, PaceFailed
from workflow_async.settings import Clock, Pace

CATCH_UP = 0.1
"""Seconds by which requests may be behind the even spacing and still make up for it."""


@define(eq=False)
class Pacer:
    """Gives requests their turns, in the order in which they ask.

    This is the generic cell rate algorithm with a small tolerance. See
    https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm.

    The library `aiolimiter` is no substitute: it reads the event loop's time instead of the client's clock, and after a
    pause it sends a whole period's requests in one burst.
    """

    rate: float | None
    """Requests per second. None for no limit."""
    clock: Clock
    pace: Pace | None = None
    """Awaited for each turn. None if nothing is."""
    observer: Observer = field(factory=Observer, repr=False)
    _next: float = field(default=float("-inf"), init=False)
    """The time of the next turn. It may be in the past."""
    _order: anyio.Lock = field(factory=lambda: anyio.Lock(fast_acquire=True), init=False)

    def __attrs_post_init__(self) -> None:
        if self.pace is not None and not callable(self.pace):
            raise InvalidArgument("pace", "must be a coroutine function without arguments, or None")

    async def wait(self) -> None:
        """Wait for a turn. A request that is cancelled while it waits takes no turn."""
        if self.rate is None:
            if self.pace is not None:
                await self._await_pace(self.pace)
            return
        async with self._order:
            delay = self._next - self.clock.now()
            if delay > 0:
                await self.clock.sleep(delay)
            # A turn of a shared budget is taken last, so that it is used at once. One request awaits it at a time.
            # Otherwise the requests that it holds up would break the client's own rate afterwards.
            if self.pace is not None:
                await self._await_pace(self.pace)
            # A timer that fires late must not lower the rate, so the next turn follows from the planned time.
            self._next = max(self._next, self.clock.now() - CATCH_UP) + 1 / self.rate

    async def _await_pace(self, pace: Pace) -> None:
        """Await the function of `pace=`. Raise `PaceFailed` for what it raises."""
        try:
            turn = pace()
            if inspect.isawaitable(turn):
                await turn
                return
        except (Exception, asyncio.CancelledError) as error:
            if is_cancellation(error):
                raise
            self.observer.log_once("pace= raised an exception", error)
            kind = type(error).__name__
        else:
            returned = f"it returned {type(turn).__name__}, which cannot be awaited"
            raise InvalidArgument("pace", f"must be a coroutine function: {returned}")
        raise PaceFailed(f"the function of pace= raised {kind}, so nothing was sent")
