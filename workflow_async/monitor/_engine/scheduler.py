"""What to ask next: the list, a bulk check of many, or workflows one by one, whichever is fewer requests. Pure."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from attrs import define, field, frozen

from workflow_async.monitor._engine.backoff import scaled_delay
from workflow_async.monitor._engine.due_queue import DueQueue
from workflow_async.monitor._engine.observation import Observation
from workflow_async.monitor._engine.tracking import TrackedWorkflows, Tracking
from workflow_async.phase import Phase

MAX_IN_FLIGHT = 64
"""Requests for single workflows that are on their way at the same time."""
BULK_SIZE = 50
"""Workflows a glance asks about in one request: what fits into a URL."""
MIN_BULK = 3
"""Workflows below which a glance, which may be followed by gets, saves nothing."""
BULK_EARLY = 0.25
"""Of an interval that a look may be early, to share a glance."""
GET_EVERY = 10
"""Every so many looks a workflow is got itself, though glances saw nothing new: their index has been wrong."""
BULK_PHASES = frozenset({Phase.WAITING, Phase.RUNNING})
RELIST_EVERY = 5
"""Intervals after which a list is read again although everything is asked for by id."""
MANY_RUNNING = MAX_IN_FLIGHT
"""Workflows that have been seen to run. A list that shows none of more than these is not believed at once."""
GOLDEN_RATIO = 0.618033988749895
"""Whose multiples are spread evenly, to be as even as chance should be."""


@frozen(kw_only=True)
class RequestBatch:
    """The requests to begin now, and the instant to think again."""

    read_list: bool = False
    bulk_checks: tuple[tuple[int, ...], ...] = ()
    gets: tuple[int, ...] = ()
    confirms: frozenset[int] = frozenset()
    """Those of `gets` that have most likely ended: their record is wanted whole."""
    next_at: float | None = None

    @property
    def requests(self) -> int:
        """How many requests these are, a sweep counted as one."""
        return self.read_list + len(self.bulk_checks) + len(self.gets)


@define
class Scheduler:
    """Who is watched, how each is looked at, and when. Instants are seconds of the caller's clock.

    A workflow is *fresh* until its first look is planned, *alone* when it is asked for by itself, *covered* when the
    list of active workflows shows it, and *asked* while a request for it is on its way.
    """

    supports_listing: bool
    supports_bulk_check: bool
    tracked: TrackedWorkflows = field(factory=TrackedWorkflows)
    pages: int = 1
    """Pages the list had last time; 1 before it was ever asked for."""
    next_list_at: float = 0.0
    last_list_at: float = field(default=float("-inf"), init=False)
    """When the last look at the list began."""
    list_from: float = field(default=float("-inf"), init=False)
    """Until then the list is no good, and workflows are asked for one by one."""
    paused_until: float = field(default=float("-inf"), init=False)
    """Until then nothing is asked, as the server has asked for."""
    bulk_from: float = field(default=float("-inf"), init=False)
    """Until then bulk checks are left out."""
    list_in_flight: bool = field(default=False, init=False)
    new: dict[int, None] = field(factory=dict, init=False)
    single: DueQueue = field(factory=DueQueue, init=False)
    by_list: set[int] = field(factory=set, init=False)
    in_flight: set[int] = field(factory=set, init=False)
    must_get: set[int] = field(factory=set, init=False)
    """To be got, not glanced at nor looked for in the list."""
    missing_from_list: set[int] = field(factory=set, init=False)
    """Active, and not shown by the list: asked for alone until it shows them."""
    request_count: int = field(default=0, init=False)
    _resting: bool = field(default=False, init=False)
    """True while a pause that the server asked for is kept."""
    _distrusts_list: bool = field(default=False, init=False)
    """True if the last list was not believed: the next one is."""

    def renewed(self) -> "Scheduler":
        """Return a scheduler without workflows that knows what this one knows of the server."""
        fresh = Scheduler(self.supports_listing, self.supports_bulk_check, self.tracked)
        fresh.paused_until, fresh.list_from, fresh.bulk_from = self.paused_until, self.list_from, self.bulk_from
        return fresh

    # Who

    def add(self, id: int, tracking: Tracking) -> None:
        """Watch a workflow. If it is watched already, merge what both watchers ask for."""
        if self.tracked.add(id, tracking):
            self.renew(id)

    def renew(self, id: int) -> None:
        """Look at it anew, if it is watched and nothing looks at it: it had been given up, or was left to a list."""
        placed = id in self.single or id in self.by_list or id in self.in_flight
        if id in self.tracked and not placed:
            self.new[id] = None

    def remove(self, id: int) -> None:
        """Watch it no more."""
        self.tracked.remove(id)
        self._remove(id)

    def stop_polling(self, id: int) -> None:
        """Ask for it no more until `soon`: it has ended, or another list shows it."""
        self._remove(id)

    def schedule(self, id: int, now: float) -> None:
        """Ask for it by itself as soon as possible."""
        if id not in self.in_flight:
            self._remove(id)
            self.must_get.add(id)
            self.single.put(id, now)

    def _remove(self, id: int) -> None:
        self.new.pop(id, None)
        self.single.drop(id)
        self.by_list.discard(id)
        self.must_get.discard(id)
        self.missing_from_list.discard(id)

    @property
    def watched(self) -> int:
        """Workflows that have not ended."""
        return len(self.new) + len(self.single) + len(self.by_list) + len(self.in_flight)

    # What, and when

    def next_requests(self, now: float, sights: Mapping[int, Observation[Any]], strain: float = 1.0) -> RequestBatch:
        """Everything to begin now; it counts as on its way from here on."""
        if self.is_paused(now):
            self._resting = True
            return RequestBatch(next_at=self.paused_until if self.watched else None)
        if self._resting:
            self._resting = False
            self._spread_overdue(now, strain)
        self._choose(now, strain)
        sweep = self._is_list_due is not None and now >= self._is_list_due
        if sweep:
            self.list_in_flight, self.last_list_at = True, now
        glances, gets = self._due(now, sights)
        confirms = self.must_get.intersection(gets)
        self.must_get -= confirms
        self.in_flight.update(gets, *glances)
        self.request_count += len(gets) + len(glances)
        return RequestBatch(
            read_list=sweep, bulk_checks=glances, gets=gets, confirms=frozenset(confirms), next_at=self._next()
        )

    def next_get(self, now: float, sights: Mapping[int, Observation[Any]]) -> tuple[int, bool] | None:
        """A get to begin where one is over, and whether it confirms; None if there is more to think of."""
        id, sweep_at = self.single.first, self._is_list_due
        if id is None or self.new or not self._is_due(now) or self._can_bulk_check(id, sights[id], now):
            return None
        if sweep_at is not None and sweep_at <= now:
            return None
        confirms = id in self.must_get
        self.single.drop(id)
        self.must_get.discard(id)
        self.in_flight.add(id)
        self.request_count += 1
        return id, confirms

    def is_paused(self, now: float) -> bool:
        """True while the server is left alone because it has asked for that."""
        return now < self.paused_until

    def finish(self, ids: Iterable[int], next_look: Mapping[int, float]) -> None:
        """A request for these is over; those that are still watched are due again at these instants."""
        self.request_count -= 1
        for id in ids:
            self.in_flight.discard(id)
            if id in self.tracked and id in next_look:
                self.single.put(id, next_look[id])

    def recheck(self, ids: Iterable[int], now: float) -> None:
        """A glance shows these changed, or nothing of them: get them."""
        for id in ids:
            if id in self.single:
                self.schedule(id, now)

    def list_completed(
        self, pages: int, shown: set[int], lost: set[int], now: float, next_sweep: float, *, seen: int = 0
    ) -> None:
        """The list was read to its end: what it shows is covered by it, what it no longer shows is got at once.

        `seen` of the lost were seen before. A list that shows none of many such is not believed at once: it is read
        again before all of them are got.
        """
        self.list_in_flight, self.next_list_at, self.pages = False, next_sweep, max(1, pages)
        self._distrusts_list = not self._distrusts_list and seen > MANY_RUNNING and shown.isdisjoint(self.tracked.ids())
        if self._distrusts_list:
            self.next_list_at = min(next_sweep, now + self.tracked.fastest.interval)
            return
        for id in lost & self.by_list:
            self.schedule(id, now)
            self.missing_from_list.add(id)
        for id in shown & self.tracked.ids():
            if id in self.single and id not in self.must_get:
                self._remove(id)
                self.by_list.add(id)

    def list_failed(self, next_sweep: float) -> None:
        """The list could not be seen: try again at that instant."""
        self.list_in_flight, self.next_list_at = False, next_sweep

    def recovered(self, now: float) -> None:
        """The server answers again: everybody is due within their interval, evenly; in the outage they have bunched."""
        for id, place in _spread(self.single.ids() - self.must_get, 0.0):
            self.single.put(id, now + self.tracked[id].poll.interval * place)
        self.next_list_at = min(self.next_list_at, now + self.tracked.fastest.interval)

    def disable_list(self, until: float) -> None:
        """There is no list to be had before that instant."""
        self.list_in_flight, self.list_from, self.next_list_at = False, until, until

    def disable_bulk(self, until: float) -> None:
        """Leave bulk checks out until that instant."""
        self.bulk_from = until

    def _spread_overdue(self, now: float, strain: float) -> None:
        """Spread over an interval what a pause has made late: a server that has just asked for less gets no burst."""
        late = [id for id in self.single.overdue(now) if id not in self.must_get]
        fastest = self.tracked.fastest
        seconds = scaled_delay(fastest, fastest.interval, strain) if len(late) > MIN_BULK else 0.0
        for id, place in _spread(late, 0.0):
            self.single.put(id, now + seconds * place)

    def _choose(self, now: float, strain: float) -> None:
        """Give the fresh their way of being looked at, and everything another one if that has become cheaper."""
        if self.supports_listing and now >= self.list_from and self.watched - len(self.missing_from_list) > self.pages:
            self._assign_to_list(now)
        elif self.new or (self.by_list and not self.list_in_flight):
            fastest = self.tracked.fastest
            seconds = scaled_delay(fastest, fastest.interval, strain) if self.watched > MAX_IN_FLIGHT else 0.0
            first = now if self.list_from > now else max(now, self.next_list_at)
            for id, place in _spread(self.by_list, self.tracked.fastest.jitter):
                self.single.put(id, first + seconds * place)
            for id, place in _spread(self.new, self.tracked.fastest.jitter):
                self.single.put(id, now + self.tracked[id].poll.initial + seconds * place)
            self.by_list.clear()
            self.new.clear()

    def _assign_to_list(self, now: float) -> None:
        """Let the list show them; but a few that are new are got, which is quicker and costs no more."""
        if self.by_list and len(self.new) <= self.pages:
            for id in self.new:
                self.must_get.add(id)
                self.single.put(id, now + self.tracked[id].poll.initial)
        elif self.new:
            soon = max(now + self.tracked.fastest.initial, self.last_list_at + self.tracked.fastest.interval)
            self.next_list_at = min(self.next_list_at, soon) if self.by_list else soon
            self.by_list.update(self.new)
        self.new.clear()
        if not self.by_list or len(self.single) - len(self.missing_from_list) > self.pages:
            self._list_only()

    def _list_only(self) -> None:
        for id in self.single.ids() - self.must_get - self.missing_from_list:
            self.single.drop(id)
            self.by_list.add(id)

    def _due(
        self, now: float, sights: Mapping[int, Observation[Any]]
    ) -> tuple[tuple[tuple[int, ...], ...], tuple[int, ...]]:
        room, bulk = MAX_IN_FLIGHT - self.request_count, self.supports_bulk_check and now >= self.bulk_from
        by = now + bulk * BULK_EARLY * self.tracked.fastest.interval
        if room <= 0 or not self._is_due(now):
            return (), ()
        some, rest = list[int](), list[int]()
        while len(rest) < room and len(some) < room * BULK_SIZE and (id := self.single.pop(by)) is not None:
            (some if self._can_bulk_check(id, sights[id], now) else rest).append(id)
        if len(some) < MIN_BULK:
            rest, some = rest + some, []
        for id in rest[room:]:
            self.single.put(id, now)
        return tuple(_chunks(some)), tuple(rest[:room])

    def _is_due(self, now: float) -> bool:
        first = self.single.next
        return first is not None and first <= now

    @property
    def _is_list_due(self) -> float | None:
        if self.list_in_flight or not (self.by_list or self.missing_from_list):
            return None
        return self.next_list_at if self.by_list else self._relist_at

    @property
    def _relist_at(self) -> float | None:
        """When to read a list again that showed nothing of what is watched, where reading it is cheaper than gets."""
        at = max(self.list_from, self.last_list_at + RELIST_EVERY * self.tracked.fastest.interval)
        return at if self.watched > self.pages and at < math.inf else None

    def _next(self) -> float | None:
        alone = self.single.next if self.request_count < MAX_IN_FLIGHT else None
        return min((instant for instant in (alone, self._is_list_due) if instant is not None), default=None)

    def _can_bulk_check(self, id: int, sight: Observation[Any], now: float) -> bool:
        known = sight.workflow
        if (
            not self.supports_bulk_check
            or now < self.bulk_from
            or known is None
            or known.phase not in BULK_PHASES
            or id in self.must_get
            or self.tracked.is_detailed(id)
        ):
            return False
        return not sight.misses and (sight.unchanged + 1) % GET_EVERY != 0


def _spread(ids: Collection[int], jitter: float) -> Iterable[tuple[int, float]]:
    """Where in an interval each is looked at first: evenly, but as softly as pauses vary, lest the rounds overlap."""
    for place, id in enumerate(ids):
        yield id, place / len(ids) * (1 + jitter * (2 * (place * GOLDEN_RATIO % 1) - 1))


def _chunks(ids: Sequence[int]) -> Iterable[tuple[int, ...]]:
    return (tuple(ids[at : at + BULK_SIZE]) for at in range(0, len(ids), BULK_SIZE))
