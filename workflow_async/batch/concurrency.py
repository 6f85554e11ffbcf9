"""Limits how many workflows run concurrently, with a high and a low watermark and a weight for each start."""

from collections.abc import Awaitable, Callable, Hashable

import anyio
from attrs import define, field, frozen

from workflow_async.errors import InvalidArgument
from workflow_async.settings import Clock, Poll, check_int, check_optional_int

START_TIME = 5.0
"""Seconds that a start may take. The server's count may not include its workflow before."""


@frozen
class Taken:
    """How many places are taken, including those of other users."""

    surely: int
    """The places that are taken in any case."""
    possibly: int
    """The places that are taken if the server's number does not include the latest own starts yet."""


@frozen
class Place:
    """What one start takes of the limit, and since when."""

    weight: int
    since: float

    def is_recent(self, now: float, lag: float) -> bool:
        """Return True if the server's count, which lags `lag` seconds, may not include the workflow yet."""
        return now - self.since < max(lag, START_TIME)


@define(eq=False)
class ConcurrencyLimit:
    """Places for starts. After a start does not fit, the next one gets its places when at most `low` are taken."""

    high: int
    low: int
    clock: Clock
    poll: Poll
    count: Callable[[], Awaitable[Taken]] | None = None
    """Counts with the workflows of other users. May raise `CallError`. None to count own starts only."""
    _places: dict[Hashable, Place] = field(factory=dict, init=False)
    _left: list[Place] = field(factory=list, init=False)
    """Places that are free again and whose workflows the server's count may not include yet."""
    _filling: bool = field(default=True, init=False)
    _queue: anyio.Lock = field(factory=anyio.Lock, init=False)
    _freed: anyio.Event = field(factory=anyio.Event, init=False)

    @property
    def taken(self) -> int:
        """The number of places that are taken by own starts."""
        return sum(place.weight for place in self._places.values())

    async def enter(self, key: Hashable, weight: int = 1) -> None:
        """Wait for `weight` places. They are given in the order of the calls, so a heavy start is not overtaken.

        Raises:
            CallError: the workflows on the server cannot be counted.
        """
        async with self._queue:
            while not await self._admits(weight):
                await self._wait()
            self.admit(key, weight)

    def admit(self, key: Hashable, weight: int = 1) -> None:
        """Give a start its places without waiting. A start that has places keeps them."""
        self._places.setdefault(key, Place(weight, self.clock.now()))

    def leave(self, key: Hashable, *, started: bool) -> None:
        """Free the places of a start, if the start has any.

        Args:
            key: the start.
            started: True if its workflow may run on, so that the server's count may include the workflow later.
        """
        place = self._places.pop(key, None)
        if place is None:
            return
        if started and self.count is not None:
            self._left.append(place)
        self._freed.set()
        self._freed = anyio.Event()

    def with_uncounted(self, running: int, lag: float) -> Taken:
        """Return the taken places, given how many workflows are running by the server's number.

        The number may not include a start for `lag` seconds, and for `START_TIME`. Later it includes its workflow once,
        whatever the weight.
        """
        now = self.clock.now()
        self._left = [place for place in self._left if place.is_recent(now, lag)]
        recent = [place for place in self._places.values() if place.is_recent(now, lag)]
        heavy = sum(place.weight - 1 for place in self._places.values() if not place.is_recent(now, lag))
        return Taken(running + heavy, running + heavy + sum(place.weight for place in (*recent, *self._left)))

    async def _admits(self, weight: int) -> bool:
        taken = await self._count_taken(weight)
        if taken.surely + weight > self.high:
            self._filling = False
        elif taken.possibly <= self.low:
            self._filling = True
        return self._filling and taken.possibly + weight <= self.high

    async def _count_taken(self, weight: int) -> Taken:
        """Return how many places are taken. No request is sent if own starts alone leave too few places."""
        if self.count is None or self.taken + weight > self.high:
            return Taken(self.taken, self.taken)
        counted = await self.count()
        return Taken(max(self.taken, counted.surely), max(self.taken, counted.possibly))

    async def _wait(self) -> None:
        if self.count is None:
            await self._freed.wait()
        else:
            await self.clock.sleep(self.poll.interval)


def concurrency_limit(
    max_running: int, low: int | None, count: Callable[[], Awaitable[Taken]] | None, clock: Clock, poll: Poll
) -> ConcurrencyLimit:
    """Return a limit of `max_running`. Raises `InvalidArgument` for a watermark that cannot be used."""
    check_int("max_running", max_running, least=1)
    check_optional_int("low", low, least=0)
    if low is not None and low >= max_running:
        raise InvalidArgument("low", "must be below max_running")
    return ConcurrencyLimit(max_running, max_running - 1 if low is None else low, clock, poll, count)
