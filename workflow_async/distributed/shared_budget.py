"""Gives the requests of one process their turns out of a budget that several processes share."""

import asyncio
from typing import Protocol

import anyio
from attrs import define, field, frozen

from workflow_async.distributed.slices import LATENESS, SLOWEST, BrokerClock, Demand, Slice, Turns, next_slice
from workflow_async.observe.log import log
from workflow_async.settings import Clock

PERIOD = 0.1
"""Seconds between two reservations of one process, so that the broker has few operations."""
MEASURE_AFTER = 2.0
"""Seconds after which the broker's time is measured again, with a reservation."""
STALE = 60.0
"""Seconds after which the broker's time is measured before a reservation."""
CONFLICT = 0.01
"""Seconds within which a reservation is tried again that another process has come before. They double each time."""
TRIES = 3
MAX_CROWD = 2
"""The period doubles each time that other processes leave no room, up to this often."""
UNAVAILABLE = 0.2
"""Seconds after which a broker that is away is asked again."""


class RegisterUnavailable(Exception):
    """The broker did not respond. It is not known whether a write was done. The text says why."""


@frozen
class Entry:
    """What a register holds: the time until which turns are reserved, and the revision of the entry."""

    until: float | None = None
    """None if nothing was reserved yet."""
    revision: int = 0


class Register(Protocol):
    """The number that all processes share, with compare-and-set.

    Each method is one operation of the broker, and raises `RegisterUnavailable` if the broker does not respond.
    """

    async def read(self) -> Entry:
        """Return the entry."""
        ...

    async def write(self, entry: Entry) -> int | None:
        """Replace the entry with this revision. Return its new revision, or None if another process was faster."""
        ...

    async def stored_at(self, revision: int) -> float | None:
        """Return the broker's time at which a revision was written. None if it has been replaced."""
        ...


@define(eq=False)
class SharedBudget:
    """The turns of one process. A task reserves them while there are requests that need them."""

    register: Register
    rate: float
    """Turns per second of all processes together."""
    clock: Clock = field(factory=Clock)
    _broker: BrokerClock = field(factory=BrokerClock, init=False)
    _turns: Turns = field(factory=Turns, init=False)
    _demand: Demand = field(factory=Demand, init=False)
    _order: anyio.Lock = field(factory=lambda: anyio.Lock(fast_acquire=True), init=False)
    _waiting: int = field(default=0, init=False)
    _news: asyncio.Event = field(factory=asyncio.Event, init=False)
    """Set when turns were reserved, or when that failed for good."""
    _task: "asyncio.Task[None] | None" = field(default=None, init=False)
    _failure: Exception | None = field(default=None, init=False)
    _next_look: float = field(default=float("-inf"), init=False)
    _written: Entry = field(default=Entry(revision=-1), init=False)
    """What this process wrote last."""
    _known: Entry | None = field(default=None, init=False)
    """What the register most likely holds, so that it need not be read. None while other processes write too."""
    _crowd: int = field(default=0, init=False)
    """Number of recent reservations that other processes left no room for."""
    _took: float = field(default=0.0, init=False)
    """Seconds that the last reservation took."""
    _trip: float = field(default=0.0, init=False)
    """Seconds that the last write took."""
    _lead: float = field(default=0.0, init=False)
    """Seconds after which turns can be used, because writes are slow. 0 unless two in a row were."""
    _away: bool = field(default=False, init=False)
    """True while the broker does not respond."""

    async def acquire(self) -> None:
        """Wait for a turn. A caller that is cancelled while it waits takes no turn. Turns are given in order."""
        self._waiting += 1
        try:
            async with self._order:
                await self._take()
        finally:
            self._waiting -= 1
        self._demand.use()

    async def _take(self) -> None:
        while True:
            self._keep_reserving()
            now = self._now()
            planned = self._turns.first(now)
            if planned is None:
                self._news.clear()
                await self._news.wait()
            elif planned > now:
                await self.clock.sleep(planned - now)
            else:
                self._turns.use()
                return

    def _now(self) -> float:
        """Return the broker's time now."""
        return self._broker.now(self.clock.now())

    def _keep_reserving(self) -> None:
        """Start the task unless it runs. Raise the error that it ended with."""
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._reserve_while_needed())

    async def _reserve_while_needed(self) -> None:
        try:
            while self._waiting or not self._demand.idle:
                await self.clock.sleep(max(0.0, self._next_look - self.clock.now()))
                await self._reserve_if_needed()
        except Exception as error:  # noqa: BLE001 - raised by the next `acquire`
            if self._waiting:
                self._failure = error
                self._news.set()

    async def _reserve_if_needed(self) -> None:
        """Reserve turns if the turns that are left do not suffice. Choose when to look again."""
        self._demand.look(self.clock.now(), self._turns.lost)
        delay = PERIOD
        if self._wanted(0.0):
            began = self.clock.now()
            try:
                await self._reserve()
            except RegisterUnavailable as error:
                self._broker.expire()  # it may return on another machine
                self._note_away(str(error))
                delay = UNAVAILABLE
            else:
                self._took = self.clock.now() - began
                self._note_away(None)
                delay = PERIOD * 2**self._crowd
        self._next_look = self.clock.now() + delay * (0.75 + self.clock.jitter() / 2)

    def _wanted(self, ahead: float) -> int:
        """Return how many turns to reserve, if turns that are reserved now can be used in `ahead` seconds."""
        ahead += 1.25 * PERIOD + self._took  # until the next reservation is done
        return self._demand.wanted(self._waiting, self._turns.left(self._now()), ahead)

    async def _reserve(self) -> None:
        """Reserve a slice, unless others have reserved up to the horizon or come before several times."""
        while self._broker.age(self.clock.now()) > STALE:
            await self._swap(await self.register.read())  # writes what is there, to learn the broker's time
        pause = CONFLICT
        for _ in range(TRIES):
            entry = self._known or await self.register.read()
            alone = entry.revision == self._written.revision
            now = self._now() + self._lead
            ahead = max(0.0, (entry.until or now) - now)
            taken = next_slice(entry.until, now, max(1, self._wanted(ahead)), self.rate)
            if taken is None:
                break
            if await self._swap(Entry(taken.end, entry.revision), taken):
                self._known = self._written if alone else None
                self._crowd = max(0, self._crowd - 1)
                return
            self._known = None
            await self.clock.sleep(pause * self.clock.jitter())
            pause *= 2
        self._known = None
        self._crowd = min(self._crowd + 1, MAX_CROWD)

    async def _swap(self, entry: Entry, taken: Slice | None = None) -> bool:
        """Write an entry, and keep the turns that it reserves. Return False if another process was faster."""
        sent = self.clock.now()
        revision = await self.register.write(entry)
        received = self.clock.now()
        self._lead = max(0.0, min(received - sent, self._trip, SLOWEST) - LATENESS / 2)
        self._trip = received - sent
        if revision is None:
            return False
        self._written = Entry(entry.until, revision)
        if taken is not None:
            self._turns.add(taken)
            self._news.set()
        if self._broker.age(received) > MEASURE_AFTER:
            stored = await self.register.stored_at(revision)
            if stored is not None:
                self._broker.measure(sent, received, stored)
        return True

    def _note_away(self, error: str | None) -> None:
        """Log the begin and the end of a time in which the broker does not respond."""
        if error is not None and not self._away:
            log.warning("the shared budget is unavailable, so requests wait", extra={"error": error})
        elif error is None and self._away:
            log.warning("the shared budget is available again")
        self._away = error is not None
