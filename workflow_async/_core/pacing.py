"""Spaces the requests of one client evenly in time, so that they stay below a rate."""

import anyio
from attrs import define, field

from workflow_async.settings import Clock

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
    _next: float = field(default=float("-inf"), init=False)
    """The time of the next turn. It may be in the past."""
    _order: anyio.Lock = field(factory=lambda: anyio.Lock(fast_acquire=True), init=False)

    async def wait(self) -> None:
        """Wait for a turn. A request that is cancelled while it waits takes no turn."""
        if self.rate is None:
            return
        async with self._order:
            delay = self._next - self.clock.now()
            if delay > 0:
                await self.clock.sleep(delay)
            # A timer that fires late must not lower the rate, so the next turn follows from the planned time.
            self._next = max(self._next, self.clock.now() - CATCH_UP) + 1 / self.rate
