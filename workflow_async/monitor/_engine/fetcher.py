"""Sends the requests that the scheduler chose, and applies their results."""

import asyncio
import logging
import math
from collections.abc import Callable, Coroutine, Hashable, Mapping, Sequence, Set as AbstractSet
from typing import Any, Generic, Literal, TypeVar

from attrs import define, field

from workflow_async._core.call import Replay
from workflow_async._core.observer import Observer
from workflow_async._core.retry import retryable
from workflow_async.errors import (
    CallError,
    DeadlineExceeded,
    RateLimited,
    ServerError,
    StatusError,
    WorkflowAsyncError,
)
from workflow_async.monitor._engine.backoff import LoadBackoff, announced_pause, poll_delay, scaled_delay
from workflow_async.monitor._engine.fallback import DISABLED_FOR, BulkHealth, ListHealth
from workflow_async.monitor._engine.list_gate import ListGate
from workflow_async.monitor._engine.listener import Listener
from workflow_async.monitor._engine.scheduler import RequestBatch, Scheduler
from workflow_async.monitor._engine.shown_rows import ShownRows
from workflow_async.monitor._engine.timer import TIMER_SLACK
from workflow_async.monitor._engine.tracker import Tracker
from workflow_async.monitor._engine.tracking import TrackedWorkflows
from workflow_async.monitor._engine.wakes import WakeTimes
from workflow_async.monitor.source import Source
from workflow_async.observe.events import Polled, SlowedDown
from workflow_async.phase import Workflow
from workflow_async.settings import Clock, Poll

W = TypeVar("W", bound=Workflow)

Start = Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"]
"""Starts a request as a task."""
SLOW_RESPONSE = 5.0
"""Seconds. A response that takes longer shows that the server is busy."""


@define(eq=False)
class Fetcher(Generic[W]):
    """The requests of one client. The result of each one goes to the tracker, its end to the scheduler."""

    source: Source[W]
    clock: Clock
    listener: Listener[W]
    tracked: TrackedWorkflows
    scheduler: Scheduler
    tracker: Tracker[W]
    load: LoadBackoff = field(factory=LoadBackoff)
    observer: Observer = field(factory=Observer)
    once: bool = False
    """True if a workflow that was checked and the list are not due again: a process does one round and ends."""
    list_read_at: float | None = field(default=None, init=False)
    """When the list was last read to its end. None before that."""
    settled: AbstractSet[int] = field(default=frozenset(), init=False)
    """Workflows that were left to the last list and need no GET after it."""
    unchanged_lists: int = field(default=0, init=False)
    """Lists in a row that showed no change."""
    shown_rows: ShownRows = field(factory=ShownRows, init=False)
    _wakes: WakeTimes = field(factory=WakeTimes, init=False)
    _woken_in_flight: set[int] = field(factory=set, init=False)
    """Workflows that a hint was about while a request for them was in flight."""
    list_health: ListHealth = field(factory=ListHealth, init=False)
    bulk_health: BulkHealth = field(factory=BulkHealth, init=False)
    _gate: ListGate = field(factory=ListGate, init=False)

    def renewed(self, scheduler: Scheduler) -> "Fetcher[W]":
        """Return a fetcher for another scheduler that knows what this one knows of the server."""
        known = (self.tracked, scheduler, self.tracker, self.load, self.observer)
        fresh = Fetcher(self.source, self.clock, self.listener, *known)
        fresh.list_health.rows, fresh.list_read_at = self.list_health.rows, self.list_read_at
        return fresh

    def send(self, requests: RequestBatch, start: Start) -> None:
        """Start a task for each request."""
        if requests.read_list:
            start(self._read_list())
        for ids in requests.bulk_checks:
            start(self._bulk_check(ids))
        for id in requests.gets:
            start(self._get_loop(id, id in requests.confirms))

    def wake(self, id: int) -> None:
        """Make a workflow due because of a hint, or due again if a request for it is in flight."""
        at = self._wakes.next(id, self.clock.now())
        if id in self.scheduler.in_flight:
            self._woken_in_flight.add(id)  # that request may have read the state before the change
        else:
            self.scheduler.schedule(id, at)

    def forget(self, id: int) -> None:
        """Forget the hints about a workflow, and what its GETs said about lists."""
        self._wakes.forget(id)
        self.shown_rows.forget(id)

    # Single workflows

    async def _get_loop(self, id: int, must_confirm: bool) -> None:  # noqa: FBT001 - called with a variable
        """Send GETs until the backlog is empty or one of them fails.

        The next GET is sent in the same step that reads the previous result. When many responses arrive together, the
        first connections are busy again before the last response has been read.
        """
        next_get: tuple[int, bool] | None = (id, must_confirm)
        while next_get is not None:
            succeeded = await self._get(*next_get)
            next_get = self._take_next_get() if succeeded else None
        self.listener.on_idle()

    def _take_next_get(self) -> tuple[int, bool] | None:
        next_get = self.scheduler.next_get(self.clock.now() + TIMER_SLACK, self.tracker.observations)
        if next_get is not None:
            self.listener.on_replaced()
        return next_get

    async def _get(self, id: int, must_confirm: bool) -> bool:  # noqa: FBT001 - likewise
        """GET a workflow. Return True if the server answered with a record."""
        asked = due = self.clock.now()
        observation = self.tracker.observations.get(id)
        operations = must_confirm or self.tracked.is_detailed(id) or (observation is not None and observation.ending)
        succeeded = False
        try:
            workflow = await self.source.get(id, operations=operations)
        except CallError as error:
            due = self._get_failed(id, error)
        except WorkflowAsyncError as error:
            self.listener.on_fatal(error)
            due = self._next_check(id)
        else:
            succeeded = True
            self.record_response(asked)
            self._get_answered()
            self.shown_rows.got(id, missing=id in self.scheduler.missing_from_list)
            changes = self.tracker.changes
            due = self._next_check(id) if self.tracker.apply_get(workflow, asked) else asked
            self._polled("get", 1, self.tracker.changes - changes, asked)
        finally:
            self._finish((id,), {id: due})
        return succeeded

    def _get_failed(self, id: int, error: CallError) -> float:
        """Apply a GET that failed. Return the due time of the next check."""
        if not self.tracker.is_done(id):
            self.tracker.apply_failure(id, error, self.tracked[id].poll)
        if isinstance(error, StatusError) and not retryable(error, Replay.SAFE):
            self._get_answered()
        elif self.list_health.get_failed(id):
            self._list_and_get_failed(error)
        self.record_failure(error)
        return self._next_check(id)

    def _get_answered(self) -> None:
        if self.list_health.get_succeeded():
            self.scheduler.next_list_at = self.clock.now()

    def _finish(self, ids: Sequence[int], due: dict[int, float]) -> None:
        """Note the end of a request, whatever its result."""
        self.list_health.get_finished(ids)
        active = {id: at for id, at in due.items() if not self.tracker.is_done(id)}
        self.scheduler.finish(ids, active)
        for id in ids:
            if id in self.tracker.observations and id not in active:
                self.scheduler.stop_polling(id)
        for id in self._woken_in_flight.intersection(ids):
            self._woken_in_flight.discard(id)
            if id in active:
                self.scheduler.schedule(id, self._wakes.next(id, self.clock.now()))

    # Bulk checks

    async def _bulk_check(self, ids: Sequence[int]) -> None:
        """Check many workflows with one request. If it fails, GET each of them: its failure says nothing of them."""
        asked = self.clock.now()
        due, suspects = dict.fromkeys(ids, asked), set[int]()
        records = (self.tracker.last_record(id) for id in ids)
        known = [record for record in records if record is not None]
        try:
            suspects.update(await self.source.find_changed(known) if known else ())
        except CallError as error:
            self._bulk_failed(error)
            suspects.update(ids)
        except WorkflowAsyncError as error:
            self.listener.on_fatal(error)
            due = {id: self._next_check(id) for id in ids}
        else:
            self.bulk_health.succeeded()
            self.record_response(asked)
            due = {id: self._bulk_unchanged(id) for id in ids}
            self._polled("bulk", len(ids), len(suspects), asked)
        finally:
            self._finish(ids, due)
            self.scheduler.recheck(suspects, self.clock.now())
        self.listener.on_idle()

    def _bulk_unchanged(self, id: int) -> float:
        if not self.tracker.is_done(id):
            self.tracker.apply_unchanged(id)
        return self._next_check(id)

    def _bulk_failed(self, error: CallError) -> None:
        self.record_failure(error)
        disabled_for = self.bulk_health.failed(error)
        if disabled_for is not None:
            self.scheduler.disable_bulk(self.clock.now() + disabled_for)

    # The list

    async def _read_list(self) -> None:
        """Read the list, unless its mark shows that it has not changed."""
        began = again = self.clock.now()
        try:
            mark = await self._list_mark()
            if self._gate.may_skip(mark, self.scheduler.by_list, began + TIMER_SLACK, self.tracked.lowest_ceiling):
                self._list_skipped(began)
            else:
                await self._read_pages(began, mark)
        except CallError as error:
            again = self._list_failed(error, began)
        except WorkflowAsyncError as error:
            self.listener.on_fatal(error)
        finally:
            if self.scheduler.list_in_flight:
                self.scheduler.list_failed(again)
        self.listener.on_idle()

    async def _list_mark(self) -> Hashable | None:
        """Return the mark of the list. None if it was not requested, or the request failed."""
        if self.once or not self.tracked.all_ends_only or self.scheduler.distrusts_list:
            return None
        if not self._gate.wants_mark(self.scheduler.pages, self.clock.now()):
            return None
        try:
            return await self.source.list_mark(self.list_health.rows or 0)
        except CallError as error:
            self._mark_failed(error)
            if self.scheduler.is_paused(self.clock.now()):
                raise
            return None

    def _mark_failed(self, error: CallError) -> None:
        """Request no mark for a while, or never again if it was refused. Its failure says nothing of the list."""
        self.record_failure(error)
        self._gate.disable(self.clock.now() + DISABLED_FOR if retryable(error, Replay.SAFE) else math.inf)

    def _list_skipped(self, began: float) -> None:
        """Note a list that was not read, because its mark is the same as before."""
        self.record_response(began)
        self.unchanged_lists += 1
        self._polled("list", len(self.scheduler.by_list), 0, began)
        self.scheduler.list_skipped(self._gate.skipped(began, self._next_list(began), self.tracked.lowest_ceiling))

    async def _read_pages(self, began: float, mark: Hashable | None) -> None:
        """Read all pages of the list. `mark` was requested before them."""
        covered, changes, shown, pages = set(self.scheduler.by_list), self.tracker.changes, set[int](), 0
        listed_changes, asked = 0, self.clock.now()
        rows = max(self.list_health.rows or 0, len(covered))
        listing = self.source.list_active(operations=self.tracked.any_detailed, rows=rows)
        async for page in listing.pages():
            self.record_response(asked)
            pages, before = pages + 1, self.tracker.changes
            # Pages are requested ahead at unknown instants, so each row counts as old as the first request.
            shown |= self.tracker.apply_page(page.items, began)
            listed_changes += self.tracker.changes - before
            asked = self.clock.now()
        unchanged = changes == self.tracker.changes
        self._polled("list", len(shown), listed_changes, began, requests=pages)
        self._list_read(pages, listing.report.rows, covered, shown, began, unchanged=unchanged)
        self._gate.list_read(mark, shown, quiet=unchanged and covered <= shown)

    def apply_list(self, rows: Mapping[int, W], pages: int, began: float) -> None:
        """Apply the rows of a list that was read elsewhere since `began`. It stands for reading the list now."""
        covered, changes = set(self.scheduler.by_list), self.tracker.changes
        found = (rows[id] for id in covered if id in rows)
        shown = {workflow.id for workflow in found if self.tracker.apply_row(workflow, began)}
        self.scheduler.last_list_at = began
        self._list_read(pages, len(rows), covered, shown, began, unchanged=changes == self.tracker.changes)

    def _list_read(
        self, pages: int, rows: int | None, covered: set[int], shown: set[int], began: float, *, unchanged: bool
    ) -> None:
        """Note a list that was read to its end, and plan a GET for each workflow that it should show and does not."""
        self.list_health.list_read(rows)
        self.list_read_at = self.clock.now()
        self.unchanged_lists = self.unchanged_lists + 1 if unchanged else 0
        missing = covered - shown
        missing -= self.tracker.recently_got(missing, began, self.shown_rows)
        seen = self.tracker.seen_count(missing)
        self.scheduler.list_completed(pages, shown, missing, self.clock.now(), self._next_list(began), seen=seen)
        self.settled = frozenset() if self.scheduler.distrusts_list else covered - missing
        if not self.scheduler.distrusts_list:
            self.shown_rows.list_read(shown, began)

    def _list_failed(self, error: CallError, began: float) -> float:
        """Apply a list that could not be read. Return the instant at which to read it again."""
        self.record_failure(error)
        self._gate.list_failed()
        disabled_for = self.list_health.failed(error, self.scheduler.by_list)
        if disabled_for is not None:
            self.scheduler.disable_list(self.clock.now() + disabled_for)
        elif self.list_health.probe is not None and not self.tracker.is_done(self.list_health.probe):
            self.scheduler.schedule(self.list_health.probe, self.clock.now())
        return self._next_list(began)

    def _list_and_get_failed(self, error: CallError) -> None:
        """Count a failed check of each workflow that the list should show: neither the list nor a GET was answered."""
        for id in list(self.scheduler.by_list):
            self.tracker.apply_failure(id, error, self.tracked[id].poll)
            if self.tracker.is_done(id):
                self.scheduler.stop_polling(id)

    def _polled(
        self, by: Literal["list", "bulk", "get"], ids: int, changes: int, asked: float, *, requests: int = 1
    ) -> None:
        """Report a check of this number of workflows that was requested at `asked`."""
        if self.observer.wants(logging.DEBUG):
            seconds = self.clock.now() - asked
            self.observer.emit(Polled(by=by, ids=ids, requests=requests, changes=changes, seconds=seconds))

    # Delays

    def delay(self, poll: Poll, unchanged: int, remaining: float | None = None) -> float:
        """Return the seconds until the next check. They are longer while the server is busy."""
        return scaled_delay(poll, poll_delay(poll, unchanged, self.clock.jitter(), remaining), self.load.factor)

    def _next_check(self, id: int) -> float:
        """Return the due time of the next check of a workflow."""
        now = self.clock.now()
        if self.tracker.is_done(id):
            return now
        return math.inf if self.once else now + self.check_delay(id)

    def check_delay(self, id: int) -> float:
        """Return the seconds from the last check of a workflow to the next one."""
        observation = self.tracker.observations[id]
        unchanged = observation.unchanged + observation.failures
        return self.delay(self.tracked[id].poll, unchanged, self.tracker.remaining(id))

    def _next_list(self, began: float) -> float:
        return math.inf if self.once else began + self.list_delay()

    def list_delay(self) -> float:
        """Return the seconds from one list to the next."""
        return self.delay(self.tracked.fastest, self.unchanged_lists + self.list_health.failures)

    def record_response(self, asked: float) -> None:
        """Note a response to a request that was sent at `asked`."""
        now, was = self.clock.now(), self.load.factor
        if self.load.record_response(now, self.tracked.fastest.interval, slowly=now - asked > SLOW_RESPONSE):
            self.scheduler.recovered(max(now, self.scheduler.paused_until))
        if self.load.factor != was:
            self.observer.emit(SlowedDown(factor=self.load.factor, was=was))

    def record_failure(self, error: CallError) -> None:
        """Note a request that failed. Slow down if the server is busy, and pause if it asks for a pause."""
        now, fastest = self.clock.now(), self.tracked.fastest
        if isinstance(error, RateLimited | ServerError | DeadlineExceeded):
            was = self.load.factor
            self.load.record_failure(now, fastest.interval)
            if self.load.factor != was:
                self.observer.emit(SlowedDown(factor=self.load.factor, was=was))
        seconds = announced_pause(error)
        if seconds:
            self.tracker.outages.announce(now, seconds)
        elif error.retry_after and retryable(error, Replay.SAFE):
            seconds = fastest.outage  # the server asks for more than a day
        self.scheduler.paused_until = max(self.scheduler.paused_until, now + seconds)
