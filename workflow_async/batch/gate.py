"""`gate`: lets starts through while few workflows run on the server."""

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

from attrs import define, field

from workflow_async.batch.concurrency import ConcurrencyLimit, Taken, concurrency_limit
from workflow_async.batch.outage import Outage
from workflow_async.errors import InvalidArgument
from workflow_async.settings import Clock, Poll, check_int, check_poll


@define(eq=False)
class Slot:
    """A slot of a `Gate`, which is taken from `async with` to the end of its block. It can be entered once."""

    weight: int
    """The number of places that it takes."""
    _limit: ConcurrencyLimit
    _entered: bool = field(default=False, init=False)

    async def __aenter__(self) -> Self:
        """Wait until the slot's places are free.

        Raises:
            CallError: the workflows on the server cannot be counted. `workflows.gate` says when.
            InvalidArgument: the slot was entered before.
        """
        if self._entered:
            raise InvalidArgument("slot", "has been entered before. Call gate.slot() for each start")
        self._entered = True
        await self._limit.enter(self, self.weight)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._limit.leave(self, started=kind is None)


@define(eq=False)
class Gate:
    """Lets starts through while few workflows run: `async with gate.slot(): …`. See `workflows.gate`."""

    _limit: ConcurrencyLimit

    @property
    def max_running(self) -> int:
        """The number of places."""
        return self._limit.high

    @property
    def low(self) -> int:
        """The number of places that may be taken when a full gate lets the next start through."""
        return self._limit.low

    @property
    def taken(self) -> int:
        """The number of places that are taken by starts that this gate has let through."""
        return self._limit.taken

    def slot(self, weight: int = 1) -> Slot:
        """Return a slot to enter: `async with gate.slot(): …`. No request is sent before it is entered.

        Args:
            weight: the number of places that the slot takes, for a workflow that loads the server more than others.

        Raises:
            InvalidArgument: immediately, if the weight is below 1 or above `max_running`.
        """
        check_int("weight", weight, least=1)
        if weight > self.max_running:
            raise InvalidArgument("weight", f"must not be above max_running, which is {self.max_running}")
        return Slot(weight, self._limit)


def new_gate(
    max_running: int,
    low: int | None,
    count: Callable[[], Awaitable[int]] | None,
    lag: Callable[[], float],
    clock: Clock,
    poll: Poll,
) -> Gate:
    """Return a gate.

    Args:
        max_running: the number of places.
        low: the low watermark. `max_running - 1` if None.
        count: returns the number of workflows that run on the server. None if other starts are not counted.
        lag: returns the seconds by which that number may lag. Called after `count`.
        clock: the client's clock.
        poll: how often to count, and how long to wait in an outage.

    Raises:
        InvalidArgument: for values that cannot be used.
    """
    check_poll(poll)
    limit = concurrency_limit(max_running, low, None, clock, poll)
    if count is not None:
        running, outage = count, Outage(clock, poll)

        async def taken() -> Taken:
            return limit.with_uncounted(await outage.retry(running), lag())

        limit.count = taken
    return Gate(limit)


def limit_of(gate: Gate) -> ConcurrencyLimit:
    """Return the limit of a gate, which a batch can share."""
    if not isinstance(gate, Gate):
        raise InvalidArgument("gate", "must be a gate of workflows.gate")
    return gate._limit  # noqa: SLF001 - private to users, not to this package
