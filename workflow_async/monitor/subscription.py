"""What one watcher waits for, and what has been seen for it and not been taken yet."""

from collections import OrderedDict
from datetime import timedelta
from typing import Generic, TypeVar

import anyio
from attrs import define, evolve, field

from workflow_async.errors import WorkflowAsyncError
from workflow_async.monitor.outcomes import Change, Replaced, Stalled, Unobserved, Vanished
from workflow_async.phase import Workflow
from workflow_async.settings import Poll

W = TypeVar("W", bound=Workflow)

Event = Change[W] | Stalled[W] | Vanished[W] | Unobserved[W] | Replaced[W]


@define(eq=False)
class Subscription(Generic[W]):
    """One watcher's ids, how often it wants them looked at, and its mailbox.

    The mailbox holds two events a workflow at most: a change on top of a change is one change, so a slow watcher costs
    no more than it watches, and misses no transition of an operation; behind it what else there is to tell.
    """

    poll: Poll
    operations: bool = False
    deadline: float | None = None
    """An instant of the client's clock."""
    stalled_after: float | timedelta | None = None
    open_ended: bool = False
    """Whether more ids may come, although there are none."""
    ids: set[int] = field(factory=set, init=False)
    expired: bool = field(default=False, init=False)
    failure: WorkflowAsyncError | None = field(default=None, init=False)
    _mail: OrderedDict[int, list[Event[W]]] | None = field(default=None, init=False)
    """None until there is some; a dict that is emptied from its beginning takes ever longer to find it."""
    _bell: anyio.Event | None = field(default=None, init=False)

    @property
    def detailed(self) -> bool:
        """Whether records are wanted with their operations: without, no step is known that could stall."""
        return self.operations or self.stalled_after is not None

    @property
    def ready(self) -> bool:
        """Whether there is something for the watcher to do."""
        done = not self.ids and not self.open_ended
        return bool(self._mail) or self.expired or done or self.failure is not None

    def post(self, event: Event[W]) -> None:
        """Put an event into the mailbox."""
        if self._mail is None:
            self._mail = OrderedDict()
        self._mail[event.id] = stacked(self._mail.get(event.id, []), event)
        self.ring()

    def take(self) -> Event[W] | None:
        """Take the oldest event out, or None."""
        if not self._mail:
            return None
        id, (event, *rest) = next(iter(self._mail.items()))
        if rest:
            self._mail[id] = rest
        elif len(self._mail) > 1:
            del self._mail[id]
        else:
            self._mail = None
        return event

    def expire(self) -> None:
        """The deadline has passed."""
        self.expired = True
        self.ring()

    def fail(self, error: WorkflowAsyncError) -> None:
        """Nothing can be watched any more."""
        self.failure = error
        self.ring()

    def ring(self) -> None:
        """Wake the watcher, to take its mail or to take the lead."""
        if self._bell is not None:
            self._bell.set()

    async def rung(self) -> None:
        """Wait for the bell."""
        self._bell = anyio.Event()
        try:
            await self._bell.wait()
        finally:
            self._bell = None

    def drop(self, id: int) -> None:
        """Want nothing of it any more, and throw away what has been seen of it."""
        self.ids.discard(id)
        if self._mail:
            self._mail.pop(id, None)


def stacked(waiting: list[Event[W]], event: Event[W]) -> list[Event[W]]:
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
