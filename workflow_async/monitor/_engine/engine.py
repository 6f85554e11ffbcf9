"""Polls for the watchers of one client.

The scheduler chooses the requests, the fetcher sends them, and the tracker keeps what they show.
"""

import math
from collections import Counter
from datetime import datetime
from typing import Generic, TypeVar

from attrs import define, field

from workflow_async._core.observer import Observer, instant
from workflow_async.errors import CallError
from workflow_async.monitor._engine.backoff import OutageClock
from workflow_async.monitor._engine.fetcher import Fetcher, Start
from workflow_async.monitor._engine.listener import Listener
from workflow_async.monitor._engine.observation import Observation
from workflow_async.monitor._engine.pauses import Pause
from workflow_async.monitor._engine.scheduler import Scheduler
from workflow_async.monitor._engine.subscription import WatchEvent
from workflow_async.monitor._engine.timer import TIMER_SLACK
from workflow_async.monitor._engine.tracker import Tracker
from workflow_async.monitor._engine.tracking import TrackedWorkflows, Tracking
from workflow_async.monitor.events import Change
from workflow_async.monitor.source import Source
from workflow_async.observe.events import Reported
from workflow_async.observe.stats import PollStats
from workflow_async.phase import Phase, Workflow
from workflow_async.settings import Clock, Poll

W = TypeVar("W", bound=Workflow)


@define(eq=False)
class Engine(Generic[W]):
    """The scheduler, the fetcher and the tracker of one client."""

    source: Source[W]
    clock: Clock
    listener: Listener[W]
    observer: Observer = field(factory=Observer)
    tracked: TrackedWorkflows = field(factory=TrackedWorkflows, init=False)
    scheduler: Scheduler = field(init=False)
    tracker: Tracker[W] = field(init=False)
    fetcher: Fetcher[W] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.scheduler = Scheduler(self.source.supports_listing, self.source.supports_bulk_check, self.tracked)
        self.tracker = Tracker(self.source, self.clock, self.listener.on_event, self.tracked)
        self.fetcher = Fetcher(
            self.source, self.clock, self.listener, self.tracked, self.scheduler, self.tracker, observer=self.observer
        )

    def reset(self) -> None:
        """Track nothing. Keep what is known of the server and of workflows that were seen.

        Requests that are in flight keep the scheduler that they came from, so their ends do not count in the new one.
        """
        for id in list(self.observations):
            self.forget(id)
        self.scheduler = self.scheduler.renewed()
        self.fetcher = self.fetcher.renewed(self.scheduler)

    # Workflows

    @property
    def observations(self) -> dict[int, Observation[W]]:
        """What is known of each tracked workflow, by id."""
        return self.tracker.observations

    def observation(self, id: int) -> Observation[W] | None:
        """Return what is known of a workflow. None if it is not tracked."""
        return self.observations.get(id)

    def eta(self, id: int) -> float | None:
        """Return the seconds that a workflow usually still takes to its end. None if that is not known."""
        return self.tracker.eta(id)

    def track(self, id: int, tracking: Tracking) -> None:
        """Check a workflow from now on, as a watcher asks."""
        given_up = self.tracker.watch(id)
        self.scheduler.add(id, tracking)
        if given_up:
            self.scheduler.renew(id)

    def resume(self, observation: Observation[W], tracking: Tracking, due: float) -> None:
        """Check a workflow at this instant, of which another process has seen this much."""
        self.tracker.store(observation)
        self.scheduler.resume(observation.id, tracking, due)

    def forget(self, id: int) -> None:
        """Stop checking a workflow that nothing watches any more."""
        self.tracker.forget(id)
        self.scheduler.remove(id)
        self.fetcher.forget(id)

    def current_change(self, id: int, tracking: Tracking) -> Change[W] | None:
        """Return a change from None to the known record of a workflow. None if there is no record.

        If the record is not enough for the watcher, check the workflow now and return None.
        """
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
        """Stop reporting a pause of a workflow, because a resume has answered it."""
        self.tracker.answered_pauses.note(id, pause)

    def withdraw_resume(self, id: int) -> None:
        """Report the pause of a workflow again, because its resume was refused."""
        self.tracker.answered_pauses.forget(id)
        self.check_soon(id)

    def shows_answered_pause(self, workflow: W) -> bool:
        """Return True if a record shows a pause that a resume has answered."""
        return self.tracker.answered_pauses.covers(workflow)

    # Checks

    def poll_again(self, id: int) -> None:
        """Check a workflow again that was left to a list, because that list is not read any more."""
        if not self.tracker.is_done(id):
            self.scheduler.renew(id)

    def check_soon(self, id: int) -> None:
        """Make a workflow due now."""
        if not self.tracker.is_done(id):
            self.scheduler.schedule(id, self.clock.now())

    def check_first(self, id: int) -> None:
        """Check a workflow before all others, unless its last check failed or the server has asked for a pause."""
        paused = self.scheduler.is_paused(self.clock.now() + TIMER_SLACK)
        if not paused and not self.tracker.is_done(id) and not self.observations[id].failures:
            self.scheduler.schedule(id, -math.inf)

    def wake(self, id: int) -> None:
        """Check a workflow soon because of a hint, at most once a second."""
        if not self.tracker.is_done(id):
            self.fetcher.wake(id)

    def on_listed(self, workflow: W, asked: float) -> None:
        """Apply a row of a watcher's own list. While that list shows a workflow, nothing else has to check it."""
        self.scheduler.stop_polling(workflow.id)
        if not self.tracker.apply_row(workflow, asked):
            self.check_soon(workflow.id)

    # Requests

    def send_due(self, start: Start) -> float | None:
        """Start a task for each request that is due. Return the next due time, None if there is none."""
        now = self.clock.now()
        requests = self.scheduler.next_requests(now + TIMER_SLACK, self.observations, self.fetcher.load.factor)
        self.outages.plan(requests.next_at, now)
        self.fetcher.send(requests, start)
        return requests.next_at

    def is_pending(self, ids: set[int]) -> bool:
        """Return True if a check of any of these workflows is in flight or due now."""
        return not (self.scheduler.in_flight.isdisjoint(ids) and self.scheduler.must_get.isdisjoint(ids))

    @property
    def idle(self) -> bool:
        """True if no request is in flight."""
        return not self.scheduler.request_count and not self.scheduler.list_in_flight

    # The server

    @property
    def outages(self) -> OutageClock:
        """The time that counts as an outage of the server."""
        return self.tracker.outages

    @property
    def paused_for(self) -> float:
        """Seconds until the end of the pause that the server has asked for. 0 if it has not asked for one."""
        return max(0.0, self.scheduler.paused_until - self.clock.now())

    def delay(self, poll: Poll, unchanged: int) -> float:
        """Return the seconds until the next check, given the number of unchanged checks in a row."""
        return self.fetcher.delay(poll, unchanged)

    def record_response(self, asked: float) -> None:
        """Note a response to a request that was sent at `asked`."""
        self.fetcher.record_response(asked)

    def record_failure(self, error: CallError) -> None:
        """Note a request that failed."""
        self.fetcher.record_failure(error)

    # Observers

    def reported(self, event: WatchEvent[W]) -> Reported:
        """Return what observers see of an event."""
        workflow = event.workflow
        phase = Phase.UNKNOWN if workflow is None else workflow.phase
        ended = self.source.ended_at(workflow) if workflow is not None and phase.final else None
        lag = None if ended is None else max(0.0, self.clock.wall() - ended.timestamp())
        return Reported(id=event.id, kind=type(event).__name__, phase=phase.value, lag=lag)

    def stats(self) -> PollStats:
        """Return the numbers of watched workflows, the load factor, and the time of the last list."""
        observations = list(self.observations.values())  # copied in one step, because another thread may call this
        records = [observation.workflow for observation in observations]
        phases = Counter((Phase.UNKNOWN if record is None else record.phase).value for record in records)
        return PollStats(
            watched=self.scheduler.watched,
            phases=dict(phases),
            backoff_factor=self.fetcher.load.factor,
            last_list=self._last_list,
        )

    @property
    def _last_list(self) -> datetime | None:
        read_at = self.fetcher.list_read_at
        return None if read_at is None else instant(self.clock.wall() - (self.clock.now() - read_at))
