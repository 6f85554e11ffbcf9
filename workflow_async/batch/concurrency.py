"""Limits how many workflows run concurrently, with a high and a low watermark."""

from collections.abc import Awaitable, Callable

import anyio
from attrs import define, field

from workflow_async.batch.tickets import Ticket
from workflow_async.errors import InvalidArgument
from workflow_async.settings import Clock, Poll, check_int, check_optional_int


@define(eq=False)
class ConcurrencyLimit:
    """Slots for starts. After `high` slots are taken, the next start gets one when at most `low` are taken."""

    high: int
    low: int
    clock: Clock
    poll: Poll
    count: Callable[[], Awaitable[int]] | None = None
    """Counts all workflows on the server. May raise `CallError`. None if only this batch's starts are counted."""
    running: dict[str, tuple[Ticket, int | None]] = field(factory=dict, init=False)
    """The starts that have a slot, by key: the ticket as it was sent, and the workflow's id or None."""
    _filling: bool = field(default=True, init=False)
    _queue: anyio.Lock = field(factory=anyio.Lock, init=False)
    _freed: anyio.Event = field(factory=anyio.Event, init=False)

    async def enter(self, ticket: Ticket) -> None:
        """Wait for a slot. Slots are given in the order of the calls.

        Raises:
            CallError: the workflows on the server cannot be counted.
        """
        async with self._queue:
            while not await self._admits():
                await self._wait()
            self.admit(ticket)

    def admit(self, ticket: Ticket, id: int | None = None) -> None:
        """Give a start a slot without waiting, or update the ticket and the id of a start that has a slot."""
        self.running[ticket.key] = (ticket, id)

    def leave(self, key: str) -> None:
        """Free the slot of a start, if the start has one."""
        if self.running.pop(key, None) is not None:
            self._freed.set()
            self._freed = anyio.Event()

    async def _admits(self) -> bool:
        running = await self._count_running()
        if running >= self.high:
            self._filling = False
        elif running <= self.low:
            self._filling = True
        return self._filling

    async def _count_running(self) -> int:
        """Return how many workflows are running. No request is sent if this batch alone reaches the limit."""
        own = len(self.running)
        if self.count is None or own >= self.high:
            return own
        return max(own, await self.count())

    async def _wait(self) -> None:
        if self.count is None:
            await self._freed.wait()
        else:
            await self.clock.sleep(self.poll.interval)


def concurrency_limit(
    max_running: int, low: int | None, count: Callable[[], Awaitable[int]] | None, clock: Clock, poll: Poll
) -> ConcurrencyLimit:
    """Return a limit of `max_running`. Raises `InvalidArgument` for a watermark that cannot be used."""
    check_int("max_running", max_running, least=1)
    check_optional_int("low", low, least=0)
    if low is not None and low >= max_running:
        raise InvalidArgument("low", "must be below max_running")
    return ConcurrencyLimit(max_running, max_running - 1 if low is None else low, clock, poll, count)
