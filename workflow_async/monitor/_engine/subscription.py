"""What one watcher waits for, and its queue of events."""

import asyncio
import copy
from collections import OrderedDict
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
    """One watcher's ids, how often it wants them looked at, and its mailbox.

    The mailbox holds two events a workflow at most: a change on top of a change is one change, so a slow watcher costs
    no more than it watches, and misses no transition of an operation; behind it what else there is to tell.
    """

    tracking: Tracking
    deadline: float | None = None
    """An instant of the client's clock."""
    open_ended: bool = False
    """Whether more ids may come, although there are none."""
    ids: set[int] = field(factory=set, init=False)
    expired: bool = field(default=False, init=False)
    failure: WorkflowAsyncError | None = field(default=None, init=False)
    _queue: OrderedDict[int, list[WatchEvent[W]]] | None = field(default=None, init=False)
    """None until there is some; a dict that is emptied from its beginning takes ever longer to find it."""
    _wakeup: asyncio.Event | None = field(default=None, init=False)
    """Set when there is something to do. None while no reader waits."""

    @property
    def ready(self) -> bool:
        """Whether there is something for the watcher to do."""
        done = not self.ids and not self.open_ended
        return bool(self._queue) or self.expired or done or self.failure is not None

    def put(self, event: WatchEvent[W]) -> None:
        """Put an event into the queue."""
        if self._queue is None:
            self._queue = OrderedDict()
        self._queue[event.id] = merge_event(self._queue.get(event.id, []), event)
        self.wake()

    def put_back(self, event: WatchEvent[W]) -> None:
        """Put an event that was taken back into the queue, before everything that came after it."""
        if event.id not in self.ids:  # dropped since then
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
        """Raise the error that has ended this watcher, if one has."""
        if self.failure is not None:
            raise copy_error(self.failure)

    def wake(self) -> None:
        """Wake every reader that waits."""
        if self._wakeup is not None:
            self._wakeup.set()
            self._wakeup = None

    async def wait(self) -> None:
        """Wait until there is something for the watcher to do."""
        while not self.ready:
            if self._wakeup is None:
                self._wakeup = asyncio.Event()
            await self._wakeup.wait()

    def drop(self, id: int) -> None:
        """Want nothing of it any more, and throw away what has been seen of it."""
        self.ids.discard(id)
        if self._queue:
            self._queue.pop(id, None)


def merge_event(waiting: list[WatchEvent[W]], event: WatchEvent[W]) -> list[WatchEvent[W]]:
    """What waits to be taken about one workflow, with one event more: only changes outlast what comes after them.

    What comes after `Replaced` is about another workflow, so it is left out.
    """
    if waiting and isinstance(waiting[-1], Replaced):
        return waiting
    changes = [before for before in waiting if isinstance(before, Change)]
    if changes and isinstance(event, Change):
        first = changes.pop()
        event = evolve(event, was=first.was, operations=first.operations + event.operations)
    return [*changes, event]


def copy_error(error: E) -> E:
    """Return a copy of an error that is raised by several watchers, each with a traceback and a context of its own."""
    own = copy.copy(error)
    own.__cause__ = error.__cause__
    return own
