"""What users do with a poller: wait for one, wait for all, take them as they end, watch them change."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from datetime import timedelta
from types import TracebackType
from typing import Generic, Literal, Self, TypeVar

import anyio
from anyio.abc import TaskGroup
from attrs import define, field, frozen

from workflow_async._call import number, numbers
from workflow_async._lists.listing import Listing
from workflow_async.errors import (
    InvalidArgument,
    WaitTimeout,
    WorkflowFailed,
    WorkflowParked,
    WorkflowReplaced,
)
from workflow_async.monitor.discovery import Discovery
from workflow_async.monitor.outcomes import (
    Change,
    Finished,
    Outcome,
    Parked,
    Reached,
    Replaced,
    Stalled,
    TimedOut,
    Unobserved,
    Vanished,
)
from workflow_async.monitor.poller import DRAIN, Poller
from workflow_async.monitor.subscription import Event, Subscription
from workflow_async.phase import Phase, Workflow
from workflow_async.settings import Poll, check_poll, positive_number

W = TypeVar("W", bound=Workflow)

WhenParked = Literal["wait", "return", "raise"]
"""What to do about a workflow that needs a person."""
Until = Callable[[W], bool]
"""Whether a record shows what is waited for, before the end."""
Remedy = Callable[[Event[W]], Awaitable[Event[W]]]
"""What is done about an event before it is told."""


@frozen(kw_only=True)
class Terms(Generic[W]):
    """What ends a wait besides the workflow's end."""

    deadline: float | None = None
    poll: Poll = Poll()
    parked: WhenParked = "wait"
    until: Until[W] | None = None

    def __attrs_post_init__(self) -> None:
        positive_number("deadline", self.deadline)
        check_poll(self.poll)
        if self.parked not in ("wait", "return", "raise"):
            raise InvalidArgument("parked", 'must be "wait", "return" or "raise"')
        if self.until is not None and not callable(self.until):
            raise InvalidArgument("until", "must be a function of a record, such as lambda workflow: ...")

    def outcome(self, event: Event[W]) -> Outcome[W] | None:
        """The outcome an event stands for, or None if there is none yet."""
        if isinstance(event, Vanished | Unobserved | Replaced):
            return event
        if isinstance(event, Stalled):
            return None
        if event.now.final:
            return Finished(workflow=event.workflow)
        if self.until is not None and self.until(event.workflow):
            return Reached(workflow=event.workflow)
        return Parked(workflow=event.workflow) if event.now is Phase.PARKED and self.parked != "wait" else None


@define(eq=False)
class Outcomes(Generic[W]):
    """One outcome for each of some workflows, as they come; `TimedOut` for those that the deadline leaves over."""

    poller: Poller[W]
    terms: Terms[W]
    _subscription: Subscription[W] = field(init=False)
    _real_end: float | None = field(default=None, init=False)

    def begin(self, ids: Iterable[int]) -> Self:
        """Watch these from here on, until `end`."""
        deadline = self.terms.deadline
        self._subscription = Subscription(
            self.terms.poll,
            operations=self.terms.until is not None,
            deadline=None if deadline is None else self.poller.clock.now() + deadline,
        )
        self._real_end = None if deadline is None else anyio.current_time() + deadline + DRAIN
        self.poller.join(self._subscription, ids)
        return self

    def end(self) -> None:
        """Watch no more."""
        self.poller.leave(self._subscription)

    async def next(self) -> Outcome[W] | None:
        """The next outcome, or None when there is none left."""
        mine = self._subscription
        while mine.ids:
            event = mine.take()
            outcome: Outcome[W] | None = None
            if event is not None:
                outcome = None if self.poller.stale(event) else self.terms.outcome(event)
            elif mine.expired:
                outcome = self._late()
            if outcome is not None:
                self.poller.leave(mine, [outcome.id])
                return outcome
            if event is None:
                await self._follow()
        return None

    def _late(self) -> TimedOut[W]:
        ids = self._subscription.ids
        ids.add(id := ids.pop())  # a set that is emptied by its first takes ever longer to find that
        return TimedOut(id=id, workflow=self.poller.looks.sights[id].workflow)

    async def _follow(self) -> None:
        """Wait for news; the event loop's own clock bounds it too, in case a look hangs past the deadline."""
        if self._real_end is None:
            await self.poller.follow(self._subscription)
            return
        with anyio.CancelScope(deadline=self._real_end) as late:
            await self.poller.follow(self._subscription)
        if late.cancelled_caught:
            self._subscription.expire()


async def as_completed(poller: Poller[W], ids: Iterable[int], terms: Terms[W]) -> AsyncIterator[Outcome[W]]:
    """Outcomes as they come."""
    outcomes = Outcomes(poller, terms).begin(ids)
    try:
        while (outcome := await outcomes.next()) is not None:
            yield outcome
    finally:
        outcomes.end()


async def wait_all(poller: Poller[W], ids: Sequence[int], terms: Terms[W]) -> tuple[Outcome[W], ...]:
    """The outcomes of all, in the order of the ids."""
    found = {outcome.id: outcome async for outcome in as_completed(poller, ids, terms)}
    return tuple(found[id] for id in ids)


async def wait(poller: Poller[W], id: int, terms: Terms[W], *, check: bool) -> W:
    """The record of one workflow at its end; see `Workflows.wait` of either system."""
    outcomes = Outcomes(poller, terms).begin([id])
    try:
        outcome = await outcomes.next()
    finally:
        outcomes.end()
    match outcome:
        case Parked() if terms.parked == "raise":
            raise WorkflowParked(outcome.workflow)
        case Finished() if check and not outcome.succeeded:
            raise WorkflowFailed(outcome.workflow)
        case Finished() | Reached() | Parked():
            return outcome.workflow
        case Vanished() | Unobserved():
            raise outcome.error.with_traceback(None)  # others raise it too
        case Replaced():
            raise WorkflowReplaced(id, outcome.workflow, outcome.found)
        case _:
            raise WaitTimeout(id, terms.deadline or 0.0, outcome.workflow if outcome is not None else None)


@define(eq=False)
class Watch(Generic[W]):
    """Changes of workflows, as they are seen: `async with … as changes: async for change in changes: …`.

    The first look at a workflow is a change from None. Iterating ends when all that is watched has ended; a watch of a
    filter never ends by itself. However slow the reader, two events a workflow at most wait to be taken.
    """

    poller: Poller[W]
    subscription: Subscription[W]
    _ids: tuple[int, ...] = ()
    _discovery: Discovery[W] | None = None
    _remedy: Remedy[W] | None = None
    _group: TaskGroup | None = field(default=None, init=False)

    @property
    def ids(self) -> frozenset[int]:
        """What is watched now."""
        return frozenset(self.subscription.ids)

    def add(self, *workflow_ids: int | str) -> None:
        """Watch these too."""
        for id in (number("workflow_id", id) for id in workflow_ids):
            if self._discovery is not None:
                self._discovery.back(id)
            self.poller.join(self.subscription, [id])

    def drop(self, *workflow_ids: int | str) -> None:
        """Watch these no more."""
        for id in (number("workflow_id", id) for id in workflow_ids):
            self._leave(id, ended=False)

    def eta(self, workflow_id: int) -> float | None:
        """Seconds a workflow usually still takes; None until enough of its kind have been seen."""
        return self.poller.looks.known.eta(workflow_id)

    async def __aenter__(self) -> Self:
        self.poller.join(self.subscription, self._ids)
        if self._discovery is not None:
            self._group = await anyio.create_task_group().__aenter__()
            self._group.start_soon(self._discovery.run)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if self._group is not None:
                self._group.cancel_scope.cancel()
                await self._group.__aexit__(None, None, None)
        finally:
            self.poller.leave(self.subscription)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event[W]:
        while True:
            event = self.subscription.take()
            if event is not None:
                if self.poller.stale(event):
                    continue
                event = await self._remedied(event)
                self._leave_if_over(event)
                return event
            if not self.subscription.ids and self._discovery is None:
                raise StopAsyncIteration
            await self.poller.follow(self.subscription)

    async def _remedied(self, event: Event[W]) -> Event[W]:
        if self._remedy is None:
            return event
        try:
            return await self._remedy(event)
        except BaseException:
            self.subscription.post(event)  # given up before it was told, it waits for the next reader
            raise

    def _leave_if_over(self, event: Event[W]) -> None:
        lost = isinstance(event, Vanished | Unobserved | Replaced)
        if lost or (isinstance(event, Change) and event.now.final):
            self._leave(event.id, ended=True)

    def _leave(self, id: int, *, ended: bool) -> None:
        if self._discovery is not None:
            self._discovery.leave(id, ended=ended)
        self.poller.leave(self.subscription, [id])


def watching(
    poller: Poller[W],
    ids: Iterable[int | str] | None,
    appearing: Callable[[], Listing[W]] | None,
    *,
    poll: Poll,
    operations: bool,
    stalled_after: float | timedelta | None,
    remedy: Remedy[W] | None = None,
) -> Watch[W]:
    """A watch of these ids, or of what this list shows from time to time."""
    check_poll(poll)
    if not isinstance(stalled_after, timedelta):
        positive_number("stalled_after", stalled_after)
    elif stalled_after <= timedelta(0):
        raise InvalidArgument("stalled_after", "must be above 0")
    subscription = Subscription[W](
        poll, operations=operations, stalled_after=stalled_after, open_ended=appearing is not None
    )
    discovery = None if appearing is None else Discovery(poller, subscription, appearing)
    watched = () if ids is None else numbers("workflow_ids", ids)
    return Watch(poller, subscription, watched, discovery, remedy)
