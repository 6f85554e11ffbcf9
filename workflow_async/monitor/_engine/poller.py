"""The watchers of one client, and the one task that polls for all of them."""

import logging
from collections.abc import Callable, Iterable
from typing import Generic, Protocol, TypeVar

from attrs import define, field

from workflow_async._core.observer import Observer
from workflow_async.errors import CallError, ClientClosed, WorkflowAsyncError
from workflow_async.monitor._engine.deadlines import Deadlines
from workflow_async.monitor._engine.durations import DurationStats
from workflow_async.monitor._engine.engine import Engine
from workflow_async.monitor._engine.fetcher import Start
from workflow_async.monitor._engine.pauses import Pause
from workflow_async.monitor._engine.poll_task import PollTask
from workflow_async.monitor._engine.subscription import Subscription, WatchEvent
from workflow_async.monitor._engine.wakes import EarlyWakes
from workflow_async.monitor._engine.watchers import Watchers
from workflow_async.monitor.events import Change
from workflow_async.monitor.source import Source
from workflow_async.observe.stats import PollStats
from workflow_async.phase import Workflow
from workflow_async.settings import Clock

W = TypeVar("W", bound=Workflow)

MAX_LAST_CHECKS = 64
"""Workflows that are checked once more at a deadline. A watcher with more of them gets no last check."""


class WatchedList(Protocol):
    """A list that the poll task reads repeatedly for one watcher."""

    def begin(self, start: Start) -> float | None:
        """Start a task that reads the list, if it is due. Return its next due time, None while it is being read."""
        ...

    def stop(self) -> None:
        """Cancel the request in flight."""


@define(eq=False)
class Poller(Generic[W]):
    """The watchers of one client, and the one task that polls for all of them.

    The task starts with the first watcher and ends with the last one. It runs in an empty context. Watchers only wait
    for their queue, so cancelling a watcher cancels no request of another one.
    """

    source: Source[W]
    clock: Clock
    check_usable: Callable[[], None] = lambda: None
    """Raises if the client cannot be used."""
    observer: Observer = field(factory=Observer)
    engine: Engine[W] = field(init=False)
    _watchers: Watchers[W] = field(init=False)
    _lists: dict[Subscription[W], WatchedList] = field(init=False)
    _deadlines: Deadlines[W] = field(init=False)
    _task: PollTask = field(init=False)
    _early: EarlyWakes = field(factory=EarlyWakes, init=False)

    def __attrs_post_init__(self) -> None:
        self.engine = Engine(self.source, self.clock, self, self.observer)
        self._restart()

    def _restart(self) -> None:
        """Forget every watcher and the task."""
        self._task = PollTask(self.clock, self._watches, self._send_due, self.on_fatal)
        self._forget_watchers()

    def _forget_watchers(self) -> None:
        self._watchers, self._lists, self._deadlines = Watchers(), {}, Deadlines(self.clock, self.on_idle)
        self.engine.reset()

    def open(self) -> None:
        """Forget the watchers of another event loop, which was closed before they left."""
        if self._task.abandoned:
            self._restart()

    async def aclose(self) -> None:
        """End every watcher with `ClientClosed`, and wait until the poll task has ended."""
        self.open()
        self.on_fatal(ClientClosed("the client was closed while this was watched"))
        await self._task.settled()

    # Watchers

    def join(self, subscription: Subscription[W], ids: Iterable[int]) -> None:
        """Watch these workflows for a subscription. Queue a change for each one whose record is known."""
        self.check_usable()
        subscription.raise_failure()
        if not subscription.ids:
            self._deadlines.add(subscription)
        for workflow_id in ids:
            if workflow_id not in subscription.ids:
                self._watch(subscription, workflow_id)
        self._task.start()

    def _watch(self, subscription: Subscription[W], workflow_id: int) -> None:
        subscription.ids.add(workflow_id)
        self._watchers.add(workflow_id, subscription)
        self.engine.track(workflow_id, subscription.tracking)
        if self._early.take(workflow_id, self.clock.now()):
            self.engine.wake(workflow_id)
        change = self.engine.current_change(workflow_id, subscription.tracking)
        if change is not None:
            subscription.put(change)

    def join_list(self, subscription: Subscription[W], watched: WatchedList) -> None:
        """Read a list for a subscription, from now until it leaves."""
        self._lists[subscription] = watched
        self._task.start()

    def on_listed(self, subscription: Subscription[W], workflow: W, asked: float) -> None:
        """Apply a row of a subscription's own list that was requested at `asked`. Watch the workflow from now on."""
        if workflow.id not in subscription.ids:
            self.join(subscription, [workflow.id])
        self.engine.on_listed(workflow, asked)
        self.on_idle()

    def leave(self, subscription: Subscription[W], ids: Iterable[int] | None = None) -> None:
        """Stop watching these workflows for a subscription, or all of them. Forget what nothing else watches."""
        leaving = subscription.ids if ids is None else subscription.ids & set(ids)
        for workflow_id in list(leaving):
            subscription.drop(workflow_id)
            self._unwatch(subscription, workflow_id)
        if ids is None:
            self._stop_list(subscription)
        if not subscription.ids:
            self._deadlines.drop(subscription)
            subscription.wake()
        self._stop_if_unwatched()

    def _unwatch(self, subscription: Subscription[W], workflow_id: int) -> None:
        if not self._watchers.remove(workflow_id, subscription):
            return  # the subscription has failed, which has removed it
        if workflow_id in self._watchers:
            self.engine.poll_again(workflow_id)
            self.on_idle()
        else:
            self.engine.forget(workflow_id)

    def _stop_list(self, subscription: Subscription[W]) -> None:
        watched = self._lists.pop(subscription, None)
        if watched is not None:
            watched.stop()

    def fail(self, subscription: Subscription[W], error: WorkflowAsyncError) -> None:
        """End a subscription with an error."""
        subscription.fail(error)
        for workflow_id in subscription.ids:
            self._unwatch(subscription, workflow_id)
        self._stop_list(subscription)
        self._stop_if_unwatched()

    def _stop_if_unwatched(self) -> None:
        """Have the poll task end if that was the last watcher."""
        if not self._watches():
            self._deadlines.stop_timer()
            self.on_idle()

    def _watches(self) -> bool:
        return bool(self._watchers or self._lists)

    async def wait_ready(self, subscription: Subscription[W]) -> None:
        """Wait until the subscription is ready. Raise the error that has ended it, if there is one."""
        if subscription.failure is None:
            self.check_usable()
        await subscription.wait()
        subscription.raise_failure()

    async def wait_settled(self) -> None:
        """Wait until no request is left, if nothing is watched. A cancellation during the wait is raised after it."""
        await self._task.settled()

    # Workflows

    def last_record(self, workflow_id: int) -> W | None:
        """Return the last record of a watched workflow. None if the workflow was not seen yet."""
        observation = self.engine.observation(workflow_id)
        return None if observation is None else observation.workflow

    def last_error(self, workflow_id: int) -> CallError | None:
        """Return why the last check of a watched workflow failed. None if it succeeded, or before the first check."""
        return self.engine.tracker.last_error(workflow_id)

    def eta(self, workflow_id: int) -> float | None:
        """Return the seconds that a workflow usually still takes to its end. None if that is not known."""
        return self.engine.eta(workflow_id)

    @property
    def durations(self) -> DurationStats:
        """The durations that this client has learned."""
        return self.engine.tracker.estimates.durations

    def note_existing(self, workflow_id: int, workflow: W | None = None) -> None:
        """Remember that a start was answered with this workflow, so that a 404 right after it is not believed."""
        self.engine.note_existing(workflow_id, workflow)

    def note_resume(self, workflow_id: int, pause: Pause) -> None:
        """Stop reporting a pause of a workflow, because a resume has answered it."""
        self.engine.note_resume(workflow_id, pause)

    def withdraw_resume(self, workflow_id: int) -> None:
        """Report the pause of a workflow again, because its resume was refused."""
        self.engine.withdraw_resume(workflow_id)
        self.on_idle()

    def is_stale(self, event: WatchEvent[W]) -> bool:
        """Return True if an event only reports a pause that has been answered since."""
        return isinstance(event, Change) and not event.operations and self.engine.shows_answered_pause(event.workflow)

    def wake(self, workflow_id: int | None = None) -> bool:
        """Check a workflow soon, or all that are watched. Return True if any of them is watched.

        Raises:
            WrongEventLoop: called in another thread than that of the client.
        """
        self.check_usable()
        ids = list(self._watchers.ids()) if workflow_id is None else [workflow_id]
        watched = [id for id in ids if id in self._watchers]
        for id in watched:
            self.engine.wake(id)
        if not watched and workflow_id is not None:
            self._early.note(workflow_id, self.clock.now())
        self.on_idle()
        return bool(watched)

    def stats(self) -> PollStats:
        """Return what is watched now, and how the server is doing."""
        return self.engine.stats()

    # The poll task

    def _send_due(self, start: Start) -> float:
        """Start every request that is due. Return the next due time."""
        self._end_expired()
        lists = [watched.begin(start) for watched in self._lists.values()]
        next_check = self.engine.send_due(start)
        self._deadlines.start_timer()
        instants = (next_check, self._deadlines.next if self.engine.idle else None, *lists)
        return min((instant for instant in instants if instant is not None), default=float("inf"))

    def _end_expired(self) -> None:
        """Give each watcher whose deadline has passed a last check. End those whose last check is over."""
        for subscription in self._deadlines.passed():
            for workflow_id in subscription.ids if len(subscription.ids) <= MAX_LAST_CHECKS else ():
                self.engine.check_first(workflow_id)
        self._deadlines.expire(self.engine.is_pending)

    # What the engine reports

    def on_event(self, event: WatchEvent[W]) -> None:
        """Queue an event for each watcher of its workflow."""
        if self.observer.wants(logging.DEBUG):
            self.observer.emit(self.engine.reported(event))
        for subscription in self._watchers.of(event.id):
            subscription.put(event)

    def on_idle(self) -> None:
        """Have the poll task plan again."""
        self._task.wake()

    def on_replaced(self) -> None:
        """Have the poll task plan again if a watcher waits for its last check, which may have ended."""
        if self._deadlines.checking:
            self.on_idle()

    def on_fatal(self, error: WorkflowAsyncError) -> bool:
        """End every watcher with this error and forget everything. Return False if there was no watcher."""
        subscriptions = dict.fromkeys([*self._watchers.all(), *self._lists])
        self._deadlines.stop_timer()
        self._forget_watchers()
        for subscription in subscriptions:
            subscription.fail(error)
        self._task.interrupt()
        return bool(subscriptions)
