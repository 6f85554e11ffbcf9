"""The queue of events of one watcher."""

import asyncio
import copy
from collections import OrderedDict
from collections.abc import Callable
from functools import reduce
from typing import Generic, TypeVar

from attrs import define, evolve, field

from workflow_async.errors import WorkflowAsyncError
from workflow_async.monitor._engine.tracking import Tracking
from workflow_async.monitor.events import Change, PollingFailed, Replaced, Stalled, Vanished
from workflow_async.phase import Workflow

W = TypeVar("W", bound=Workflow)
E = TypeVar("E", bound=WorkflowAsyncError)

WatchEvent = Change[W] | Stalled[W] | Vanished[W] | PollingFailed[W] | Replaced[W]


@define(eq=False)
class Subscription(Generic[W]):
    """The workflows of one watcher, and its queue of events.

    At most two events per workflow are queued. Unread changes are merged, so a slow watcher uses bounded memory and
    misses no transition of an operation. Another event can follow the change.
    """

    tracking: Tracking
    deadline: float | None = None
    """An instant of the client's clock."""
    open_ended: bool = False
    """True if more ids may be added, although there are none."""
    ignores: Callable[[WatchEvent[W]], bool] = lambda _: False
    """Returns True for an event that the watcher does nothing about. It does not wake the watcher."""
    ids: set[int] = field(factory=set, init=False)
    expired: bool = field(default=False, init=False)
    failure: WorkflowAsyncError | None = field(default=None, init=False)
    _queue: OrderedDict[int, list[WatchEvent[W]]] | None = field(default=None, init=False)
    """None if it is empty: finding the first key of a dict that was emptied from the front takes O(n)."""
    _wakeup: asyncio.Event | None = field(default=None, init=False)
    """Set when the watcher is ready. None while no reader waits."""

    @property
    def ready(self) -> bool:
        """True if there is an event, the deadline has passed, or the watcher has ended."""
        done = not self.ids and not self.open_ended
        return bool(self._queue) or self.expired or done or self.failure is not None

    def put(self, event: WatchEvent[W]) -> None:
        """Put an event into the queue, unless the watcher ignores it. It may still replace a queued event."""
        if self.ignores(event) and not (self._queue and event.id in self._queue):
            return
        if self._queue is None:
            self._queue = OrderedDict()
        self._queue[event.id] = merge_event(self._queue.get(event.id, []), event)
        self.wake()

    def put_back(self, event: WatchEvent[W]) -> None:
        """Put an event that was taken out back to the front of the queue."""
        if event.id not in self.ids:  # it was dropped since then
            return
        self._queue = OrderedDict() if self._queue is None else self._queue
        self._queue[event.id] = reduce(merge_event, [event, *self._queue.get(event.id, [])], [])
        self._queue.move_to_end(event.id, last=False)
        self.wake()

    def get_nowait(self) -> WatchEvent[W] | None:
        """Take the oldest event out of the queue. Return None if the queue is empty."""
        if not self._queue:
            return None
        id, (event, *rest) = next(iter(self._queue.items()))
        if rest:
            self._queue[id] = rest
        elif len(self._queue) > 1:
            del self._queue[id]
        else:
            self._queue = None
        return event

    def expire(self) -> None:
        """Note that the deadline has passed."""
        self.expired = True
        self.wake()

    def fail(self, error: WorkflowAsyncError) -> None:
        """Note the error that ends this watcher."""
        self.failure = error
        self.wake()

    def raise_failure(self) -> None:
        """Raise the error that has ended this watcher, if there is one."""
        if self.failure is not None:
            raise copy_error(self.failure)

    def wake(self) -> None:
        """Wake every reader that waits."""
        if self._wakeup is not None:
            self._wakeup.set()
            self._wakeup = None

    async def wait(self) -> None:
        """Wait until the watcher is ready."""
        while not self.ready:
            if self._wakeup is None:
                self._wakeup = asyncio.Event()
            await self._wakeup.wait()

    def drop(self, id: int) -> None:
        """Stop watching a workflow, and remove its events from the queue."""
        self.ids.discard(id)
        if self._queue:
            self._queue.pop(id, None)


def merge_event(queued: list[WatchEvent[W]], event: WatchEvent[W]) -> list[WatchEvent[W]]:
    """Return the queued events of one workflow with another event added.

    Changes are merged into one. Any other queued event is dropped, because the new one replaces it. An event after
    `Replaced` is about another workflow, so it is dropped.
    """
    if queued and isinstance(queued[-1], Replaced):
        return queued
    changes = [before for before in queued if isinstance(before, Change)]
    if changes and isinstance(event, Change):
        first = changes.pop()
        event = evolve(event, was=first.was, operations=first.operations + event.operations)
    return [*changes, event]


def copy_error(error: E) -> E:
    """Return a copy of an error, so that each watcher that raises it has its own traceback and context."""
    own = copy.copy(error)
    own.__cause__ = error.__cause__
    return own
