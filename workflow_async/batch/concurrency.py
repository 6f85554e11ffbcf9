"""How many workflows run at once: who may start the next, and when."""

from collections.abc import Awaitable, Callable

import anyio
from attrs import define, field

from workflow_async.errors import InvalidArgument
from workflow_async.settings import Clock, Poll, check_int, check_optional_int


@define(eq=False)
class ConcurrencyLimit:
    """Places for workflows: filled up to `high`, and again once no more than `low` are taken."""

    high: int
    low: int
    clock: Clock
    poll: Poll
    count: Callable[[], Awaitable[int]] | None = None
    """How many run on the server, ours and others', and raises `CallError`; None counts ours only."""
    taken: int = field(default=0, init=False)
    """Places of ours."""
    _filling: bool = field(default=True, init=False)
    _queue: anyio.Lock = field(factory=anyio.Lock, init=False)
    _left: anyio.Event = field(factory=anyio.Event, init=False)

    async def enter(self) -> None:
        """Take a place, as soon as there is one; first come, first served.

        Raises:
            CallError: what runs on the server cannot be counted.
        """
        async with self._queue:
            while not await self._admits():
                await self._pause()
            self.taken += 1

    def leave(self) -> None:
        """Give a place back."""
        self.taken -= 1
        self._left.set()
        self._left = anyio.Event()

    async def _admits(self) -> bool:
        running = await self._running()
        if running >= self.high:
            self._filling = False
        elif running <= self.low:
            self._filling = True
        return self._filling

    async def _running(self) -> int:
        """Return how many run. The server is only asked where that matters."""
        if self.count is None or self.taken >= self.high:
            return self.taken
        return max(self.taken, await self.count())

    async def _pause(self) -> None:
        if self.count is None:
            await self._left.wait()
        else:
            await self.clock.sleep(self.poll.interval)


def concurrency_limit(
    max_running: int, low: int | None, count: Callable[[], Awaitable[int]] | None, clock: Clock, poll: Poll
) -> ConcurrencyLimit:
    """A gate with as many places; raises `InvalidArgument` for a watermark that is none."""
    check_int("max_running", max_running, least=1)
    check_optional_int("low", low, least=0)
    if low is not None and low >= max_running:
        raise InvalidArgument("low", "must be below max_running")
    return ConcurrencyLimit(max_running, max_running - 1 if low is None else low, clock, poll, count)
