"""Looking: the requests of a plan, and what becomes of their answers."""

import asyncio
import math
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Generic, TypeVar

from attrs import define, field

from workflow_async._core.call import Replay
from workflow_async._core.retry import retryable
from workflow_async.errors import (
    CallError,
    DeadlineExceeded,
    RateLimited,
    ServerError,
    StatusError,
    WorkflowAsyncError,
)
from workflow_async.monitor._engine.backoff import LoadBackoff, OutageClock, announced_pause, poll_delay, scaled_delay
from workflow_async.monitor._engine.fallback import BulkHealth, ListHealth
from workflow_async.monitor._engine.listener import Listener
from workflow_async.monitor._engine.observation import Observation
from workflow_async.monitor._engine.pauses import Pause
from workflow_async.monitor._engine.scheduler import Scheduler
from workflow_async.monitor._engine.tracker import Tracker
from workflow_async.monitor._engine.tracking import TrackedWorkflows, Tracking
from workflow_async.monitor._engine.wakes import WakeTimes
from workflow_async.monitor.events import Change
from workflow_async.monitor.source import Source
from workflow_async.phase import Workflow
from workflow_async.settings import Clock, Poll

W = TypeVar("W", bound=Workflow)

TIMER_SLACK = 0.001
"""Seconds a look may be early: timers are not exact, and a loop that naps for less would spin."""
Start = Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"]
"""Starts a request as a task."""
SLOW_RESPONSE = 5.0
"""Seconds from which on an answer says that the server is busy."""


@define(eq=False)
class Fetcher(Generic[W]):
    """The looks of one client at its server: `begin` begins what is due, `tell` hears what is new."""

    source: Source[W]
    clock: Clock
    listener: Listener[W]
    tracked: TrackedWorkflows = field(factory=TrackedWorkflows)
    scheduler: Scheduler = field(init=False)
    tracker: Tracker[W] = field(init=False)
    _load: LoadBackoff = field(factory=LoadBackoff, init=False)
    _unchanged_lists: int = field(default=0, init=False)
    _wakes: WakeTimes = field(factory=WakeTimes, init=False)
    _woken_in_flight: set[int] = field(factory=set, init=False)
    _list: ListHealth = field(factory=ListHealth, init=False)
    _bulk: BulkHealth = field(factory=BulkHealth, init=False)

    def __attrs_post_init__(self) -> None:
        self.scheduler = Scheduler(self.source.supports_listing, self.source.supports_bulk_check, self.tracked)
        self.tracker = Tracker(self.source, self.clock, self.listener.on_event, self.tracked)

    def renew(self) -> "Fetcher[W]":
        """Return looks that watch nothing, and know what these know of the server and of workflows that were seen."""
        fresh = Fetcher(self.source, self.clock, self.listener, self.tracked)
        for id in list(self.observations):
            self.forget(id)
        fresh.tracker, fresh._load, fresh._list.rows = self.tracker, self._load, self._list.rows
        fresh.scheduler.paused_until = self.scheduler.paused_until
        fresh.scheduler.list_from, fresh.scheduler.bulk_from = self.scheduler.list_from, self.scheduler.bulk_from
        return fresh

    @property
    def observations(self) -> dict[int, Observation[W]]:
        """What is known, by id."""
        return self.tracker.observations

    def observation(self, id: int) -> Observation[W] | None:
        """Return what is known of a watched workflow. None if it is not watched."""
        return self.observations.get(id)

    def eta(self, id: int) -> float | None:
        """Return the seconds that a workflow usually still takes to its end. None if nothing is known."""
        return self.tracker.eta(id)

    @property
    def outages(self) -> OutageClock:
        """The time that counts as an outage of the server."""
        return self.tracker.outages

    def track(self, id: int, tracking: Tracking) -> None:
        """Check a workflow from now on, as a watcher asks."""
        given_up = self.tracker.watch(id)
        self.scheduler.add(id, tracking)
        if given_up:
            self.scheduler.renew(id)

    def current_change(self, id: int, tracking: Tracking) -> Change[W] | None:
        """Return a change from None to what is known of a workflow. If that is not enough, check it now."""
        observation = self.observations[id]
        if observation.workflow is None or not observation.changes:
            return None
        change = self.tracker.current_change(observation.workflow, tracking)
        if change is None:
            self.check_soon(id)
        return change

    def note_existing(self, id: int, workflow: W | None = None) -> None:
        """Remember that a start was answered with this workflow, so that a 404 right after it is not believed."""
        self.tracker.note_existing(id, workflow)

    def note_resume(self, id: int, pause: Pause) -> None:
        """Report this pause of a workflow no more: a resume has answered it."""
        self.tracker.answered_pauses.note(id, pause)

    def withdraw_resume(self, id: int) -> None:
        """Report the pause of a workflow again: the resume was refused."""
        self.tracker.answered_pauses.forget(id)
        self.check_soon(id)

    def shows_answered_pause(self, workflow: W) -> bool:
        """Return True if a record shows a pause that a resume has answered."""
        return self.tracker.answered_pauses.covers(workflow)

    def poll_again(self, id: int) -> None:
        """Look at it, if that was left to a list which nobody reads any more."""
        if not self.tracker.is_over(id):
            self.scheduler.renew(id)

    def check_soon(self, id: int) -> None:
        """Let the next look at it be now."""
        if not self.tracker.is_over(id):
            self.scheduler.schedule(id, self.clock.now())

    def wake(self, id: int) -> None:
        """Check a workflow soon because of a hint: at once, but at most once a second."""
        if self.tracker.is_over(id):
            return
        at = self._wakes.next(id, self.clock.now())
        if id in self.scheduler.in_flight:
            self._woken_in_flight.add(id)  # the request on its way may have read the state before the change
        else:
            self.scheduler.schedule(id, at)

    def check_first(self, id: int) -> None:
        """Check it before everything else that is due, unless its last check failed or the server is left alone."""
        quiet = self.scheduler.is_paused(self.clock.now() + TIMER_SLACK)
        if not quiet and not self.tracker.is_over(id) and not self.observations[id].failures:
            self.scheduler.schedule(id, -math.inf)

    def is_pending(self, ids: set[int]) -> bool:
        """Whether a look at any of these is on its way, or to begin at once."""
        return not (self.scheduler.in_flight.isdisjoint(ids) and self.scheduler.must_get.isdisjoint(ids))

    def forget(self, id: int) -> None:
        """Look at it no more."""
        self.tracker.forget(id)
        self.scheduler.remove(id)
        self._wakes.forget(id)

    def send_due(self, start: Start) -> float | None:
        """Start every check that is due as a task. Return the instant at which the next one is due, or None."""
        now = self.clock.now()
        asks = self.scheduler.next_requests(now + TIMER_SLACK, self.observations, self._load.factor)
        self.outages.plan(asks.next_at, now)
        if asks.read_list:
            start(self._read_list())
        for chunk in asks.bulk_checks:
            start(self._bulk_check(chunk))
        for id in asks.gets:
            start(self._get_loop(id, id in asks.confirms))
        return asks.next_at

    @property
    def idle(self) -> bool:
        """Whether no request is on its way."""
        return not self.scheduler.request_count and not self.scheduler.list_in_flight

    @property
    def paused_for(self) -> float:
        """Seconds for which the server is left alone, because it has asked for that. 0 if it has not."""
        return max(0.0, self.scheduler.paused_until - self.clock.now())

    def on_listed(self, workflow: W, asked: float) -> None:
        """Take a row of a list that is not the plan's; as long as it shows the workflow, nothing else need ask."""
        self.scheduler.stop_polling(workflow.id)
        if not self.tracker.apply_row(workflow, asked):
            self.check_soon(workflow.id)

    # Requests

    async def _get_loop(self, id: int, confirming: bool) -> None:  # noqa: FBT001 - called with a variable
        """Get one, and as long as the server answers and more are due than may be on their way, the next in its place.

        Its answer is read and the next request sent without a turn of the event loop between: where many answers come
        at once, the first requests are on their way again while the last answers are read.
        """
        following: tuple[int, bool] | None = (id, confirming)
        while following is not None:
            answered = await self._get(*following)
            following = self._take_next_get() if answered else None
        self.listener.on_idle()

    def _take_next_get(self) -> tuple[int, bool] | None:
        """What to get in the place of what is got."""
        following = self.scheduler.next_get(self.clock.now() + TIMER_SLACK, self.observations)
        if following is not None:
            self.listener.on_replaced()
        return following

    async def _get(self, id: int, confirming: bool) -> bool:  # noqa: FBT001 - likewise
        """Get one; whether the server has answered."""
        asked = due = self.clock.now()
        sight = self.observations.get(id)
        whole = confirming or self.tracked.is_detailed(id) or (sight is not None and sight.ending)
        answered = False
        try:
            workflow = await self.source.get(id, operations=whole)
        except CallError as error:
            due = self._get_failed(id, error)
        except WorkflowAsyncError as error:
            self.listener.on_fatal(error)
            due = self._next_check(id)
        else:
            answered = True
            self.record_response(asked)
            self._get_succeeded()
            due = self._next_check(id) if self.tracker.apply_get(workflow, asked) else asked
        finally:
            self._finish((id,), {id: due})
        return answered

    async def _bulk_check(self, ids: Sequence[int]) -> None:
        """Check many with one request. One that fails says nothing about the workflows: they are got by id."""
        asked = self.clock.now()
        due, doubted = dict.fromkeys(ids, asked), set[int]()
        known = [sight.workflow for id in ids if (sight := self.observations.get(id)) and sight.workflow is not None]
        try:
            doubted.update(await self.source.find_changed(known) if known else ())
        except CallError as error:
            self._bulk_failed(error)
            doubted.update(ids)
        except WorkflowAsyncError as error:
            self.listener.on_fatal(error)
            due = {id: self._next_check(id) for id in ids}
        else:
            self._bulk.succeeded()
            self.record_response(asked)
            due = {id: self._bulk_unchanged(id) for id in ids}
        finally:
            self._finish(ids, due)
            self.scheduler.recheck(doubted, self.clock.now())
        self.listener.on_idle()

    def _bulk_failed(self, error: CallError) -> None:
        self.record_failure(error)
        left_out = self._bulk.failed(error)
        if left_out is not None:
            self.scheduler.disable_bulk(self.clock.now() + left_out)

    async def _read_list(self) -> None:
        began = asked = again = self.clock.now()
        covered, told, shown, pages = set(self.scheduler.by_list), self.tracker.changes, set[int](), 0
        listing = self.source.list_active(
            operations=self.tracked.any_detailed, rows=max(self._list.rows or 0, len(covered))
        )
        try:
            async for page in listing.pages():
                self.record_response(asked)
                pages += 1
                # asked for ahead, nobody knows when: what was got since the sweep began may be newer
                shown.update([workflow.id for workflow in page.items if self.tracker.apply_row(workflow, began)])
                asked = self.clock.now()
        except CallError as error:
            again = self._list_failed(error, began)
        except WorkflowAsyncError as error:
            self.listener.on_fatal(error)
        else:
            self._list.list_read(listing.report.rows)
            self._unchanged_lists = self._unchanged_lists + 1 if told == self.tracker.changes else 0
            lost = covered - shown
            lost -= self.tracker.recently_got(lost, began)
            ran = self.tracker.seen_count(lost)
            self.scheduler.list_completed(pages, shown, lost, self.clock.now(), self._next_list(began), ran=ran)
        finally:
            if self.scheduler.list_in_flight:
                self.scheduler.list_failed(again)
        self.listener.on_idle()

    def _finish(self, ids: Sequence[int], due: dict[int, float]) -> None:
        """A request is over, in whatever way."""
        self._list.get_finished(ids)
        going = {id: at for id, at in due.items() if not self.tracker.is_over(id)}
        self.scheduler.finish(ids, going)
        for id in ids:
            if id in self.observations and id not in going:
                self.scheduler.stop_polling(id)
        for id in self._woken_in_flight.intersection(ids):
            self._woken_in_flight.discard(id)
            if id in going:
                self.scheduler.schedule(id, self._wakes.next(id, self.clock.now()))

    def _bulk_unchanged(self, id: int) -> float:
        if not self.tracker.is_over(id):
            self.tracker.apply_unchanged(id)
        return self._next_check(id)

    def _get_failed(self, id: int, error: CallError) -> float:
        """Take a get that failed. Return the instant of the next check."""
        if not self.tracker.is_over(id):
            self.tracker.apply_failure(id, error, self.tracked[id].poll)
        if isinstance(error, StatusError) and not retryable(error, Replay.SAFE):
            self._get_succeeded()
        elif self._list.get_failed(id):
            self._all_failed(error)
        self.record_failure(error)
        return self._next_check(id)

    # The list

    def _list_failed(self, error: CallError, began: float) -> float:
        """Take a list that could not be read. Return the instant to read it again."""
        self.record_failure(error)
        left_out = self._list.failed(error, self.scheduler.by_list)
        if left_out is not None:
            self.scheduler.disable_list(self.clock.now() + left_out)
        elif self._list.probe is not None:
            self.check_soon(self._list.probe)
        return self._next_list(began)

    def _all_failed(self, error: CallError) -> None:
        """Count a failed check of all that the list should show: neither the list nor a get was answered."""
        for id in list(self.scheduler.by_list):
            self.tracker.apply_failure(id, error, self.tracked[id].poll)
            if self.tracker.is_over(id):
                self.scheduler.stop_polling(id)

    def _get_succeeded(self) -> None:
        if self._list.get_succeeded():
            self.scheduler.next_list_at = self.clock.now()

    # How often

    def _next_check(self, id: int) -> float:
        """The instant to look again, by what was seen of it so far."""
        now = self.clock.now()
        if self.tracker.is_over(id):
            return now
        sight, poll = self.observations[id], self.tracked[id].poll
        same = sight.unchanged + sight.failures
        seconds = poll_delay(poll, same, self.clock.jitter(), self.tracker.remaining(id))
        return now + self.scaled_delay(poll, seconds)

    def _next_list(self, began: float) -> float:
        poll = self.tracked.fastest
        return began + self.scaled_delay(
            poll, poll_delay(poll, self._unchanged_lists + self._list.failures, self.clock.jitter())
        )

    def scaled_delay(self, poll: Poll, seconds: float) -> float:
        """A pause, longer if the server is busy."""
        return scaled_delay(poll, seconds, self._load.factor)

    def record_response(self, asked: float) -> None:
        """The server has answered; slowly, if it is busy."""
        now = self.clock.now()
        if self._load.record_response(now, self.tracked.fastest.interval, slowly=now - asked > SLOW_RESPONSE):
            self.scheduler.recovered(max(now, self.scheduler.paused_until))

    def record_failure(self, error: CallError) -> None:
        """Take a request that failed. Slow down if the server is busy, and pause everything if it asks for a pause."""
        now, fastest = self.clock.now(), self.tracked.fastest
        if isinstance(error, RateLimited | ServerError | DeadlineExceeded):
            self._load.record_failure(now, fastest.interval)
        seconds = announced_pause(error)
        if seconds:
            self.outages.announce(now, seconds)
        elif error.retry_after and retryable(error, Replay.SAFE):
            seconds = fastest.outage  # it asks for more than a day
        self.scheduler.paused_until = max(self.scheduler.paused_until, now + seconds)
