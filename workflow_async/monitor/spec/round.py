"""One round of checks of a saved watch, by the engine that also polls for `watch`."""

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any, Generic, TypeVar

from attrs import define, evolve, field

from workflow_async._core.cancellation import keep_cancellation
from workflow_async._core.observer import Observer
from workflow_async.errors import WorkflowAsyncError
from workflow_async.monitor._engine.engine import Engine
from workflow_async.monitor._engine.fallback import DISABLED_FOR
from workflow_async.monitor._engine.subscription import WatchEvent
from workflow_async.monitor._engine.timer import TIMER_SLACK
from workflow_async.monitor._engine.tracking import Tracking
from workflow_async.monitor.spec.checked_source import CheckedSource, NotReached
from workflow_async.monitor.spec.engine_memory import recall
from workflow_async.monitor.spec.records import Cursor, SavedWorkflow, rounded
from workflow_async.monitor.spec.snapshot import ActiveSnapshot
from workflow_async.monitor.spec.watch_spec import WatchSpec
from workflow_async.phase import Workflow
from workflow_async.settings import Clock

W = TypeVar("W", bound=Workflow)


class _RoundOver(Exception):
    """Ends the task group of a round."""


@define(eq=False)
class Round(Generic[W]):
    """Checks of the workflows of a watch that have not ended, each at most once. The oldest check comes first."""

    spec: WatchSpec
    source: CheckedSource[W]
    clock: Clock
    """Its `now` is the wall clock, because instants of a watch outlive the process."""
    observer: Observer
    limit: int | None
    engine: Engine[W] = field(init=False)
    events: list[WatchEvent[W]] = field(factory=list, init=False)
    out_of_time: bool = field(default=False, init=False)
    _error: WorkflowAsyncError | None = field(default=None, init=False)
    _wakeup: asyncio.Event = field(factory=asyncio.Event, init=False)
    _admitted: set[int] = field(factory=set, init=False)
    """Workflows that count towards the limit."""
    _count: int = field(default=0, init=False)
    """Number of workflows that had not ended when the round began."""

    def __attrs_post_init__(self) -> None:
        self.engine = Engine(self.source, self.clock, self, self.observer)
        self.engine.fetcher.once = True
        scheduler, cursors = self.engine.scheduler, self.source.cursors
        scheduler.supports_listing = scheduler.supports_listing and self.spec.lists
        scheduler.pages = self.spec.pages
        recall(self.spec.server, self.engine)
        self.engine.tracker.estimates.durations.add_earlier(self.spec.durations)
        tracking = Tracking(self.spec.poll, self.spec.operations, self.spec.stalled_after)
        self._count = len(self.active)
        for id in self.active:
            known: Any = cursors[id]  # it holds a part of the record, which is all that the engine compares
            self.engine.resume(known, tracking, min(known.checked_at or 0.0, self.clock.now()))

    @property
    def active(self) -> list[int]:
        """The workflows that had not ended when the round began."""
        return [id for id, cursor in self.source.cursors.items() if not cursor.over]

    # The owner of the fetcher

    def on_event(self, event: WatchEvent[W]) -> None:
        """Keep an event for the caller."""
        self.events.append(event)

    def on_idle(self) -> None:
        """Plan again, because a request has ended."""
        self._wakeup.set()

    def on_replaced(self) -> None:
        """Note nothing: a request has ended and another one was sent in the same step."""

    def on_fatal(self, error: WorkflowAsyncError) -> None:
        """End the round: the client is closed. A workflow that was not reached ends nothing."""
        if not isinstance(error, NotReached):
            self._error = error
            self._wakeup.set()

    # Requests

    async def run(self, within: float | None, seen: ActiveSnapshot[W] | None) -> None:
        """Send requests until every workflow was checked, or the limit or the time is reached."""
        with keep_cancellation():
            try:
                async with asyncio.TaskGroup() as group:
                    if within is not None:
                        group.create_task(self._stop_after(within))
                    await self._send_all(group, seen)
            except* _RoundOver:
                pass  # the group has cancelled its tasks and waited for them
        if self._error is not None:
            raise self._error
        self._distrust_slow_list()

    async def _stop_after(self, seconds: float) -> None:
        await self.clock.sleep(seconds)
        self.out_of_time = True
        self._wakeup.set()

    async def _send_all(self, group: asyncio.TaskGroup, seen: ActiveSnapshot[W] | None) -> None:
        def start(request: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
            return group.create_task(request)

        if seen is not None:
            self._apply_snapshot(seen)
        while self._error is None and not self.out_of_time:
            self._wakeup.clear()
            self._admit()
            self.engine.send_due(start)
            if self.engine.idle:
                break
            await self._wakeup.wait()
        raise _RoundOver

    def _apply_snapshot(self, seen: ActiveSnapshot[W]) -> None:
        """Apply a list that was read elsewhere. It costs nothing, so it stands for all workflows."""
        scheduler = self.engine.scheduler
        for id in self.active:
            scheduler.stop_polling(id)
            scheduler.by_list.add(id)
        self.engine.fetcher.apply_list(seen.rows, seen.pages, seen.began)

    def _admit(self) -> None:
        """Plan no check of the workflows that are beyond the limit. Those that a list shows do not count."""
        scheduler = self.engine.scheduler
        scheduler.assign(self.clock.now() + TIMER_SLACK, self.engine.fetcher.load.factor)
        if len(self._admitted) == self._count:
            return  # the usual case of a round without a list, in which this is called for each bulk check
        waiting = scheduler.single.ids() - self._admitted - self.engine.fetcher.settled
        if self.limit is not None and len(waiting) + len(self._admitted) > self.limit:
            oldest = sorted(self.source.cursors[id].age_key for id in waiting)
            beyond = {id for _, id in oldest[max(0, self.limit - len(self._admitted)) :]}
            for id in beyond:
                scheduler.stop_polling(id)
            waiting -= beyond
        now = self.clock.now()
        for id in waiting - scheduler.must_get:
            # The scheduler may have spread them. The clock of the process before this one may be ahead.
            scheduler.single.put(id, min(self.source.cursors[id].age_key[0], now))
        self._admitted |= waiting

    def _distrust_slow_list(self) -> None:
        """If the time was too short for the list, let the next rounds do without it."""
        unread = self.source.listings and self.engine.fetcher.list_read_at is None
        if self.out_of_time and unread and not self.engine.fetcher.list_health.failures:
            self.engine.scheduler.disable_list(self.clock.now() + DISABLED_FOR)

    # Results

    @property
    def checked_at(self) -> Mapping[int, float]:
        """When each workflow was checked in this round."""
        read_at = self.engine.fetcher.list_read_at
        return {**dict.fromkeys(self.engine.fetcher.settled, read_at or 0.0), **self.source.checked_at}

    def cursors(self) -> tuple[Cursor, ...]:
        """Return what is known of each workflow now."""
        checked_at, known = self.checked_at, self.engine.observations
        return tuple(
            rounded(self._saved(known.get(id, cursor), checked_at[id])) if id in checked_at else cursor
            for id, cursor in self.source.cursors.items()
        )

    def _saved(self, observation: Any, checked_at: float) -> Cursor:
        record, detailed = observation.workflow, self.spec.operations or self.spec.stalled_after is not None
        if record is not None and not isinstance(record, SavedWorkflow):
            record = SavedWorkflow.of(record, self.source.duration_key(record), operations=detailed)
        cursor: Cursor = evolve(observation, workflow=record, checked_at=checked_at)
        return cursor

    def next_at(self) -> float | None:
        """Return when to check again, by the delays of a watch. None if nothing is left to check."""
        now, fetcher, checked_at = self.clock.now(), self.engine.fetcher, self.source.checked_at
        waits_for_list = fetcher.list_health.failures > 0 or self.engine.scheduler.distrusts_list
        next_list = (fetcher.list_read_at or now) + fetcher.list_delay()
        unchecked = next_list if waits_for_list else now
        due = [next_list] if self.spec.filters is not None else []
        for id in self.active:
            if id in checked_at and not self.engine.tracker.is_done(id):
                due.append(checked_at[id] + fetcher.check_delay(id))
            elif not self.engine.tracker.is_done(id):
                due.append(next_list if id in fetcher.settled else unchecked)
        return max(now, min(due), self.engine.scheduler.paused_until) if due else None
