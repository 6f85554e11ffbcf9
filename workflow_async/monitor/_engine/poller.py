"""The watchers of a client, for all of which one task polls."""

from collections.abc import Callable, Iterable
from typing import Generic, Protocol, TypeVar

from attrs import define, field

from workflow_async.errors import ClientClosed, WorkflowAsyncError
from workflow_async.monitor._engine.deadlines import Deadlines
from workflow_async.monitor._engine.engine import Engine
from workflow_async.monitor._engine.fetcher import Start
from workflow_async.monitor._engine.pauses import Pause
from workflow_async.monitor._engine.poll_task import PollTask
from workflow_async.monitor._engine.subscription import Subscription, WatchEvent
from workflow_async.monitor._engine.wakes import EarlyWakes
from workflow_async.monitor.events import Change
from workflow_async.monitor.source import Source
from workflow_async.phase import Workflow
from workflow_async.settings import Clock

W = TypeVar("W", bound=Workflow)

MAX_LAST_CHECKS = 64
"""Workflows that are checked once more at a deadline. A watcher with more of them gets no last check."""

Watchers = tuple[()] | tuple[Subscription[W]] | dict[Subscription[W], None]
"""The watchers of one workflow. A single one stands in a tuple, which takes a fifth of the room of a dict."""


class WatchedList(Protocol):
    """A list that the poll task reads again and again for one watcher."""

    def begin(self, start: Start) -> float | None:
        """Start a task that reads the list, if it is due. Return its next due time, None while it is being read."""

    def stop(self) -> None:
        """Cancel the request on its way."""


@define(eq=False)
class Poller(Generic[W]):
    """The watchers of one client, and the one task that polls for all of them.

    The task starts with the first watcher and ends with the last one. It runs in an empty context. Watchers only wait
    for their queue, so cancelling a watcher cancels no request of another one.
    """

    source: Source[W]
    clock: Clock
    check: Callable[[], None] = lambda: None
    """Raises where the client cannot be used."""
    engine: Engine[W] = field(init=False)
    _watchers: dict[int, Watchers[W]] = field(init=False)
    _lists: dict[Subscription[W], WatchedList] = field(init=False)
    _deadlines: Deadlines[W] = field(init=False)
    _task: PollTask = field(init=False)
    _early: EarlyWakes = field(factory=EarlyWakes, init=False)

    def __attrs_post_init__(self) -> None:
        self.engine = Engine(self.source, self.clock, self)
        self._send_due()

    def _send_due(self) -> None:
        """Watch nothing, with a new task."""
        self._task = PollTask(self.clock, self._watches, self._send, self.on_fatal)
        self._forget()

    def _forget(self) -> None:
        """Watch nothing, with a new plan."""
        self._watchers, self._lists, self._deadlines = {}, {}, Deadlines(self.clock, self.on_idle)
        self.engine.reset()

    # Watchers

    def join(self, subscription: Subscription[W], ids: Iterable[int]) -> None:
        """Watch these workflows for a subscription. What is known of them already is queued at once."""
        self.check()
        subscription.check()
        if not subscription.ids:
            self._deadlines.add(subscription)
        for workflow_id in ids:
            if workflow_id not in subscription.ids:
                self._join(subscription, workflow_id)
        self._task.start()

    def join_list(self, subscription: Subscription[W], watched: WatchedList) -> None:
        """Read a list for a subscription, from now until it leaves."""
        self._lists[subscription] = watched
        self._task.start()

    def _join(self, subscription: Subscription[W], workflow_id: int) -> None:
        subscription.ids.add(workflow_id)
        self._watchers[workflow_id] = _with(self._watchers.get(workflow_id, ()), subscription)
        self.engine.track(workflow_id, subscription.tracking)
        if self._early.take(workflow_id, self.clock.now()):
            self.engine.wake(workflow_id)
        change = self.engine.current_change(workflow_id, subscription.tracking)
        if change is not None:
            subscription.put(change)

    def on_listed(self, subscription: Subscription[W], workflow: W, asked: float) -> None:
        """Take a row of a subscription's own list, and watch its workflow as long as the list shows it.

        `asked` is the instant at which the list was asked for.
        """
        if workflow.id not in subscription.ids:
            self.join(subscription, [workflow.id])
        self.engine.on_listed(workflow, asked)
        self.on_idle()

    def leave(self, subscription: Subscription[W], ids: Iterable[int] | None = None) -> None:
        """Stop watching these workflows for a subscription, or everything. Forget what nothing else watches."""
        gone = subscription.ids if ids is None else subscription.ids & set(ids)
        for workflow_id in list(gone):
            subscription.drop(workflow_id)
            self._unwatch(subscription, workflow_id)
        if ids is None:
            self._stop_list(subscription)
        if not subscription.ids:
            self._deadlines.drop(subscription)
            subscription.wake()
        self._left()

    def _unwatch(self, subscription: Subscription[W], workflow_id: int) -> None:
        watchers = self._watchers.get(workflow_id, ())
        if subscription not in watchers:  # it has failed, which has ended its watching
            return
        left = _without(watchers, subscription)
        if left:
            self._watchers[workflow_id] = left
            self.engine.poll_again(workflow_id)
            self.on_idle()
        else:
            del self._watchers[workflow_id]
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
        self._left()

    def _left(self) -> None:
        """Have the poll task end if that was the last watcher."""
        if not self._watches():
            self._deadlines.stop_timer()
            self.on_idle()

    def note_resume(self, workflow_id: int, pause: Pause) -> None:
        """Report this pause of a workflow no more: a resume has answered it."""
        self.engine.note_resume(workflow_id, pause)

    def withdraw_resume(self, workflow_id: int) -> None:
        """Report the pause of a workflow again: the resume was refused."""
        self.engine.withdraw_resume(workflow_id)
        self.on_idle()

    def is_stale(self, event: WatchEvent[W]) -> bool:
        """Return True if an event only reports a pause that has been answered since."""
        return isinstance(event, Change) and not event.operations and self.engine.shows_answered_pause(event.workflow)

    def last_record(self, workflow_id: int) -> W | None:
        """Return the last record of a watched workflow. None if the workflow was not seen yet."""
        observation = self.engine.observation(workflow_id)
        return None if observation is None else observation.workflow

    def eta(self, workflow_id: int) -> float | None:
        """Return the seconds that a workflow usually still takes to its end. None if nothing is known."""
        return self.engine.eta(workflow_id)

    def note_existing(self, workflow_id: int, workflow: W | None = None) -> None:
        """Remember that a start was answered with this workflow, so that a 404 right after it is not believed."""
        self.engine.note_existing(workflow_id, workflow)

    def wake(self, workflow_id: int | None = None) -> bool:
        """Check a workflow soon, or everything that is watched. Return True if it is watched.

        Raises:
            WrongEventLoop: in another thread than that of the client.
        """
        self.check()
        ids = list(self._watchers) if workflow_id is None else [workflow_id]
        watched = [id for id in ids if id in self._watchers]
        for id in watched:
            self.engine.wake(id)
        if not watched and workflow_id is not None:
            self._early.note(workflow_id, self.clock.now())
        self.on_idle()
        return bool(watched)

    async def wait_ready(self, subscription: Subscription[W]) -> None:
        """Wait until the subscription is ready. Raise what has ended it."""
        if subscription.failure is None:
            self.check()
        await subscription.wait()
        subscription.check()

    async def wait_settled(self) -> None:
        """Wait until no request is left, if nothing is watched. A cancellation meanwhile is raised afterwards."""
        await self._task.settled()

    # What the poll task does

    def _watches(self) -> bool:
        return bool(self._watchers or self._lists)

    def _send(self, start: Start) -> float:
        """Start every request that is due. Return the instant at which to do so again."""
        self._expire()
        lists = [watched.begin(start) for watched in self._lists.values()]
        next_look = self.engine.send_due(start)
        self._deadlines.start_timer()
        instants = (next_look, self._deadlines.next if self.engine.idle else None, *lists)
        return min((instant for instant in instants if instant is not None), default=float("inf"))

    def on_idle(self) -> None:
        """Have the poll task plan again."""
        self._task.wake()

    def _expire(self) -> None:
        """Check the workflows of each watcher whose deadline has passed once more, and end it after that."""
        for subscription in self._deadlines.passed():
            for workflow_id in subscription.ids if len(subscription.ids) <= MAX_LAST_CHECKS else ():
                self.engine.check_first(workflow_id)
        self._deadlines.expire(self.engine.is_pending)

    def on_replaced(self) -> None:
        """Wake the task after a request that was replaced by the next one, if a last check may be over."""
        if self._deadlines.checking:
            self.on_idle()

    # What watchers get

    def on_event(self, event: WatchEvent[W]) -> None:
        for subscription in self._watchers.get(event.id, ()):
            subscription.put(event)

    def on_fatal(self, error: WorkflowAsyncError) -> bool:
        """End every watcher with this error and forget everything. Return False if there was no watcher."""
        subscriptions = {subscription: None for watchers in self._watchers.values() for subscription in watchers}
        subscriptions |= dict.fromkeys(self._lists)
        self._deadlines.stop_timer()
        self._forget()
        for subscription in subscriptions:
            subscription.fail(error)
        self._task.interrupt()
        return bool(subscriptions)

    def open(self) -> None:
        """Forget the watchers of another event loop, which was closed before they left."""
        if self._task.abandoned:
            self._send_due()

    async def aclose(self) -> None:
        """End every watcher with `ClientClosed`, and wait until the poll task has ended."""
        self.open()
        self.on_fatal(ClientClosed("the client was closed while this was watched"))
        await self._task.settled()


def _with(watchers: Watchers[W], subscription: Subscription[W]) -> Watchers[W]:
    if not watchers:
        return (subscription,)
    if isinstance(watchers, tuple):
        return {watchers[0]: None, subscription: None}
    watchers[subscription] = None
    return watchers


def _without(watchers: Watchers[W], subscription: Subscription[W]) -> Watchers[W]:
    if isinstance(watchers, tuple):
        return ()
    del watchers[subscription]
    return watchers
