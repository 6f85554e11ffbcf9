"""Chooses the next requests: the list, bulk checks or single GETs, whichever takes the fewest. Pure."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from attrs import define, field, frozen

from workflow_async.monitor._engine.backoff import scaled_delay
from workflow_async.monitor._engine.bulk import BULK_EARLY, BULK_SIZE, MIN_BULK, bulk_checks, fits_bulk_check
from workflow_async.monitor._engine.due_queue import DueQueue
from workflow_async.monitor._engine.observation import Observation
from workflow_async.monitor._engine.spread import spread
from workflow_async.monitor._engine.tracking import TrackedWorkflows, Tracking

MAX_IN_FLIGHT = 64
"""Request slots: requests for single workflows that are in flight at the same time."""
RELIST_EVERY = 5
"""Intervals after which a list is read again although every workflow is checked by its id."""
MANY_RUNNING = MAX_IN_FLIGHT
"""Workflows. A list that shows none of more than these, which have been seen to run, is read again first."""


@frozen(kw_only=True)
class RequestBatch:
    """The requests to send now, and the instant at which to plan again."""

    read_list: bool = False
    bulk_checks: tuple[tuple[int, ...], ...] = ()
    gets: tuple[int, ...] = ()
    confirms: frozenset[int] = frozenset()
    """Workflows of `gets` that have most likely ended, so that their complete record is needed."""
    next_at: float | None = None

    @property
    def requests(self) -> int:
        """Number of requests. Reading the list counts as one."""
        return self.read_list + len(self.bulk_checks) + len(self.gets)


@define
class Scheduler:
    """How each workflow is checked, and when. Instants are seconds of the caller's clock.

    A workflow is in one of four places: in `new` until its first check is planned, in `single` if it is checked by its
    id, in `by_list` if the list of active workflows shows it, and in `in_flight` while a request for it is in flight.
    """

    supports_listing: bool
    supports_bulk_check: bool
    tracked: TrackedWorkflows = field(factory=TrackedWorkflows)
    pages: int = 1
    """Pages of the list when it was read last. 1 before that."""
    next_list_at: float = 0.0
    last_list_at: float = field(default=-math.inf, init=False)
    """When the list was last requested."""
    list_disabled_until: float = field(default=-math.inf, init=False)
    bulk_disabled_until: float = field(default=-math.inf, init=False)
    paused_until: float = field(default=-math.inf, init=False)
    """The end of the pause that the server has asked for. No request is sent before it."""
    list_in_flight: bool = field(default=False, init=False)
    new: dict[int, None] = field(factory=dict, init=False)
    single: DueQueue = field(factory=DueQueue, init=False)
    by_list: set[int] = field(factory=set, init=False)
    in_flight: set[int] = field(factory=set, init=False)
    must_get: set[int] = field(factory=set, init=False)
    """Workflows of `single` whose next check must be a GET."""
    missing_from_list: set[int] = field(factory=set, init=False)
    """Active workflows that the list does not show. They are checked by id until it shows them."""
    request_count: int = field(default=0, init=False)
    """Request slots in use."""
    _was_paused: bool = field(default=False, init=False)
    distrusts_list: bool = field(default=False, init=False)
    """True if the last list was not believed. The next one is."""

    def renewed(self) -> "Scheduler":
        """Return a scheduler without workflows that knows what this one knows of the server."""
        fresh = Scheduler(self.supports_listing, self.supports_bulk_check, self.tracked)
        fresh.paused_until = self.paused_until
        fresh.list_disabled_until, fresh.bulk_disabled_until = self.list_disabled_until, self.bulk_disabled_until
        return fresh

    # Workflows

    def add(self, id: int, tracking: Tracking) -> None:
        """Check a workflow. If it is checked already, merge what both watchers ask for."""
        if self.tracked.add(id, tracking):
            self.renew(id)

    def renew(self, id: int) -> None:
        """Plan the first check of a tracked workflow again if no check of it is planned."""
        planned = id in self.single or id in self.by_list or id in self.in_flight
        if id in self.tracked and not planned:
            self.new[id] = None

    def resume(self, id: int, tracking: Tracking, due: float) -> None:
        """Check a workflow at this instant, which may have passed. It was checked before, by another process."""
        self.tracked.add(id, tracking)
        self.single.put(id, due)

    def remove(self, id: int) -> None:
        """Forget a workflow."""
        self.tracked.remove(id)
        self.stop_polling(id)

    def stop_polling(self, id: int) -> None:
        """Plan no check of a workflow until `schedule`: it has ended, or another list shows it."""
        self.new.pop(id, None)
        self.single.drop(id)
        self.by_list.discard(id)
        self.must_get.discard(id)
        self.missing_from_list.discard(id)

    def schedule(self, id: int, at: float) -> None:
        """Send a GET for a workflow at this instant, unless a request for it is in flight."""
        if id not in self.in_flight:
            self.stop_polling(id)
            self.must_get.add(id)
            self.single.put(id, at)

    @property
    def watched(self) -> int:
        """Number of workflows that have not ended."""
        return len(self.new) + len(self.single) + len(self.by_list) + len(self.in_flight)

    # Requests

    def next_requests(
        self, now: float, observations: Mapping[int, Observation[Any]], load_factor: float = 1.0
    ) -> RequestBatch:
        """Return every request to send now. Each one counts as in flight from here on."""
        if self.is_paused(now):
            self._was_paused = True
            return RequestBatch(next_at=self.paused_until if self.watched else None)
        if self._was_paused:
            self._was_paused = False
            self._spread_overdue(now, load_factor)
        self.assign(now, load_factor)
        read_list = self._list_due_at is not None and now >= self._list_due_at
        if read_list:
            self.list_in_flight, self.last_list_at = True, now
        checks, gets = self._take_due(now, observations)
        confirms = self.must_get.intersection(gets)
        self.must_get -= confirms
        self.in_flight.update(gets, *checks)
        self.request_count += len(gets) + len(checks)
        return RequestBatch(
            read_list=read_list, bulk_checks=checks, gets=gets, confirms=frozenset(confirms), next_at=self._next_at()
        )

    def next_get(self, now: float, observations: Mapping[int, Observation[Any]]) -> tuple[int, bool] | None:
        """Return a GET to send in the slot of a finished one, and whether it needs the complete record.

        None if no GET is due, or if another kind of request may have to be sent first.
        """
        id, list_due_at = self.single.first, self._list_due_at
        if id is None or self.new or not self._is_due(now) or self._can_bulk_check(id, observations[id], now):
            return None
        if list_due_at is not None and list_due_at <= now:
            return None
        confirms = id in self.must_get
        self.single.drop(id)
        self.must_get.discard(id)
        self.in_flight.add(id)
        self.request_count += 1
        return id, confirms

    def _take_due(
        self, now: float, observations: Mapping[int, Observation[Any]]
    ) -> tuple[tuple[tuple[int, ...], ...], tuple[int, ...]]:
        """Take the workflows that are due out of the queue. Return the bulk checks and the GETs."""
        slots, early = MAX_IN_FLIGHT - self.request_count, 0.0
        if slots <= 0 or not self._is_due(now):
            return (), ()
        if self._bulk_enabled(now):
            early = BULK_EARLY * self.tracked.fastest.interval
        bulk, gets = list[int](), list[int]()
        while len(gets) < slots and len(bulk) < slots * BULK_SIZE and (id := self.single.pop(now + early)) is not None:
            (bulk if self._can_bulk_check(id, observations[id], now) else gets).append(id)
        if len(bulk) < MIN_BULK:
            gets, bulk = gets + bulk, []
        for id in gets[slots:]:
            self.single.put(id, now)
        return tuple(bulk_checks(bulk)), tuple(gets[:slots])

    def finish(self, ids: Iterable[int], next_checks: Mapping[int, float]) -> None:
        """Note the end of a request for these workflows. Those in `next_checks` are due again at these instants."""
        self.request_count -= 1
        for id in ids:
            self.in_flight.discard(id)
            if id in self.tracked and id in next_checks:
                self.single.put(id, next_checks[id])

    def recheck(self, ids: Iterable[int], now: float) -> None:
        """Send a GET for each workflow that a bulk check shows to have changed, or does not show."""
        for id in ids:
            if id in self.single:
                self.schedule(id, now)

    # The server

    def is_paused(self, now: float) -> bool:
        """Return True during a pause that the server has asked for."""
        return now < self.paused_until

    def list_completed(
        self, pages: int, shown: set[int], missing: set[int], now: float, next_list_at: float, *, seen: int = 0
    ) -> None:
        """Leave the workflows that the list shows to it. Send a GET for each one that is missing from it.

        `seen` of the missing workflows have been seen before. If a list shows none of many such workflows, it is read
        again before a GET is sent for each of them.
        """
        self.list_in_flight, self.next_list_at, self.pages = False, next_list_at, max(1, pages)
        shows_none = shown.isdisjoint(self.tracked.ids())
        self.distrusts_list = not self.distrusts_list and seen > MANY_RUNNING and shows_none
        if self.distrusts_list:
            self.next_list_at = min(next_list_at, now + self.tracked.fastest.interval)
            return
        for id in missing & self.by_list:
            self.schedule(id, now)
            self.missing_from_list.add(id)
        for id in (self.single.ids() & shown) - self.must_get:
            if id in self.tracked:
                self.stop_polling(id)
                self.by_list.add(id)

    def list_skipped(self, next_list_at: float) -> None:
        """Note that the list was not read, because it has not changed. Read it at this instant."""
        self.list_in_flight, self.next_list_at = False, next_list_at

    def list_failed(self, next_list_at: float) -> None:
        """Note that the list could not be read. Read it again at this instant."""
        self.list_in_flight, self.next_list_at = False, next_list_at

    def disable_list(self, until: float) -> None:
        """Read no list before this instant."""
        self.list_in_flight, self.list_disabled_until, self.next_list_at = False, until, until

    def disable_bulk(self, until: float) -> None:
        """Send no bulk check before this instant."""
        self.bulk_disabled_until = until

    def recovered(self, now: float) -> None:
        """After an outage, spread all checks evenly over one interval so that they do not arrive in one burst."""
        for id, place in spread(self.single.ids() - self.must_get, 0.0):
            self.single.put(id, now + self.tracked[id].poll.interval * place)
        self.next_list_at = min(self.next_list_at, now + self.tracked.fastest.interval)

    def _spread_overdue(self, now: float, load_factor: float) -> None:
        """After a pause, spread the overdue checks over one interval. A server that asked for less gets no burst."""
        overdue = [id for id in self.single.overdue(now) if id not in self.must_get]
        seconds = self._interval(load_factor) if len(overdue) > MIN_BULK else 0.0
        for id, place in spread(overdue, 0.0):
            self.single.put(id, now + seconds * place)

    def _interval(self, load_factor: float) -> float:
        fastest = self.tracked.fastest
        return scaled_delay(fastest, fastest.interval, load_factor)

    # The list or single checks

    def assign(self, now: float, load_factor: float = 1.0) -> None:
        """Plan the first check of new workflows. Move all workflows to the list or off it if that is cheaper now."""
        listable = self.supports_listing and now >= self.list_disabled_until
        if listable and self.watched - len(self.missing_from_list) > self.pages:
            self._assign_to_list(now)
        elif self.new or (self.by_list and not self.list_in_flight):
            self._assign_to_single(now, load_factor)

    def _assign_to_single(self, now: float, load_factor: float) -> None:
        fastest = self.tracked.fastest
        seconds = self._interval(load_factor) if self.watched > MAX_IN_FLIGHT else 0.0
        first = now if self.list_disabled_until > now else max(now, self.next_list_at)
        for id, place in spread(self.by_list, fastest.jitter):
            self.single.put(id, first + seconds * place)
        for id, place in spread(self.new, fastest.jitter):
            self.single.put(id, now + self.tracked[id].poll.initial + seconds * place)
        self.by_list.clear()
        self.new.clear()

    def _assign_to_list(self, now: float) -> None:
        """Leave all workflows to the list. A few new ones get a GET instead, which is faster and costs no more."""
        if self.by_list and len(self.new) <= self.pages:
            for id in self.new:
                self.must_get.add(id)
                self.single.put(id, now + self.tracked[id].poll.initial)
        elif self.new:
            fastest = self.tracked.fastest
            first = max(now + fastest.initial, self.last_list_at + fastest.interval)
            self.next_list_at = min(self.next_list_at, first) if self.by_list else first
            self.by_list.update(self.new)
        self.new.clear()
        if not self.by_list or len(self.single) - len(self.missing_from_list) > self.pages:
            for id in self.single.ids() - self.must_get - self.missing_from_list:
                self.single.drop(id)
                self.by_list.add(id)

    # Due times

    def _is_due(self, now: float) -> bool:
        first = self.single.next
        return first is not None and first <= now

    @property
    def _list_due_at(self) -> float | None:
        if self.list_in_flight or not (self.by_list or self.missing_from_list):
            return None
        return self.next_list_at if self.by_list else self._relist_at

    @property
    def _relist_at(self) -> float | None:
        """When to read a list again that showed no watched workflow. None if GETs are cheaper."""
        at = max(self.list_disabled_until, self.last_list_at + RELIST_EVERY * self.tracked.fastest.interval)
        return at if self.watched > self.pages and at < math.inf else None

    def _next_at(self) -> float | None:
        single = self.single.next if self.request_count < MAX_IN_FLIGHT else None
        return min((instant for instant in (single, self._list_due_at) if instant is not None), default=None)

    def _bulk_enabled(self, now: float) -> bool:
        return self.supports_bulk_check and now >= self.bulk_disabled_until

    def _can_bulk_check(self, id: int, observation: Observation[Any], now: float) -> bool:
        if not self._bulk_enabled(now) or id in self.must_get or self.tracked.is_detailed(id):
            return False
        return fits_bulk_check(observation)
