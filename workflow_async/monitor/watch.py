"""What users do with a poller: wait for one, wait for all, take them as they end, watch them change."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing, suppress
from datetime import timedelta
from types import TracebackType
from typing import Generic, Literal, Self, TypeVar

from attrs import define, field, frozen

from workflow_async._core.call import parse_id, parse_ids
from workflow_async._listing.listing import Listing
from workflow_async.errors import (
    InvalidArgument,
    WaitTimeout,
    WorkflowFailed,
    WorkflowParked,
    WorkflowReplaced,
)
from workflow_async.monitor._engine.discovery import Discovery
from workflow_async.monitor._engine.poller import Poller
from workflow_async.monitor._engine.subscription import Subscription, WatchEvent, copy_error
from workflow_async.monitor._engine.tracking import Tracking
from workflow_async.monitor.events import (
    Change,
    ConditionMet,
    Finished,
    Outcome,
    Parked,
    PollingFailed,
    Replaced,
    Stalled,
    TimedOut,
    Vanished,
)
from workflow_async.phase import Phase, Workflow
from workflow_async.settings import Poll, check_poll, check_positive

W = TypeVar("W", bound=Workflow)

WhenParked = Literal["wait", "return", "raise"]
"""What to do about a workflow that needs a person."""
Predicate = Callable[[W], bool]
"""Whether a record shows what is waited for, before the end."""
EventHook = Callable[[WatchEvent[W]], Awaitable[WatchEvent[W]]]
"""What is done about an event before it is told."""


@frozen(kw_only=True)
class WaitOptions(Generic[W]):
    """What ends a wait besides the workflow's end."""

    timeout: float | None = None
    poll: Poll = Poll()
    parked: WhenParked = "wait"
    until: Predicate[W] | None = None

    def __attrs_post_init__(self) -> None:
        check_positive("timeout", self.timeout)
        check_poll(self.poll)
        if self.parked not in ("wait", "return", "raise"):
            raise InvalidArgument("parked", 'must be "wait", "return" or "raise"')
        if self.until is not None and not callable(self.until):
            raise InvalidArgument("until", "must be a function of a record, such as lambda workflow: ...")

    def outcome(self, event: WatchEvent[W]) -> Outcome[W] | None:
        """The outcome an event stands for, or None if there is none yet."""
        if isinstance(event, Vanished | PollingFailed | Replaced):
            return event
        if isinstance(event, Stalled):
            return None
        if event.now.final:
            return Finished(workflow=event.workflow)
        if self.until is not None and self.until(event.workflow):
            return ConditionMet(workflow=event.workflow)
        return Parked(workflow=event.workflow) if event.now is Phase.PARKED and self.parked != "wait" else None


@define(eq=False)
class OutcomeStream(Generic[W]):
    """One outcome for each of some workflows, in the order in which they come: `async for outcome in …`.

    Watching begins with the first step. A step that is cancelled loses nothing: the next one goes on. Watching ends
    with the last outcome, with `aclose()`, or when nothing refers to this object any more.
    """

    _poller: Poller[W]
    _options: WaitOptions[W]
    _ids: Iterable[int] = ()
    _subscription: Subscription[W] | None = field(default=None, init=False)
    _loop: asyncio.AbstractEventLoop | None = field(default=None, init=False)
    """The event loop in which there is something to leave, None if there is not."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Outcome[W]:
        """Return the next outcome. Raise what has ended the watching."""
        subscription = self._subscription or self._begin()
        try:
            while subscription.ids:
                outcome = self._next_outcome(subscription)
                if outcome is not None:
                    self._poller.leave(subscription, [outcome.id])
                    return outcome
                await self._poller.wait_ready(subscription)
            await self.aclose()
        except asyncio.CancelledError:
            del self  # a task that was cancelled keeps the frames of its error, which would keep this watching
            raise
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Watch no more, and wait until no request of it is left."""
        self._ids, self._loop = (), None
        if self._subscription is not None:
            self._poller.leave(self._subscription)
            await self._poller.wait_settled()

    def __del__(self) -> None:
        if self._loop is not None and self._subscription is not None:
            with suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._poller.leave, self._subscription)

    def _begin(self) -> Subscription[W]:
        timeout = self._options.timeout
        subscription = Subscription[W](
            Tracking(self._options.poll, operations=self._options.until is not None),
            deadline=None if timeout is None else self._poller.clock.now() + timeout,
        )
        self._poller.join(subscription, self._ids)
        self._subscription, self._loop = subscription, asyncio.get_running_loop()
        return subscription

    def _next_outcome(self, subscription: Subscription[W]) -> Outcome[W] | None:
        """Return an outcome that is there already, or None."""
        while (event := subscription.get_nowait()) is not None:
            outcome = None if self._poller.is_stale(event) else self._options.outcome(event)
            if outcome is not None:
                return outcome
        return self._timed_out(subscription.ids) if subscription.expired else None

    def _timed_out(self, ids: set[int]) -> TimedOut[W]:
        ids.add(id := ids.pop())  # next(iter(ids)) becomes O(n) on a set that is emptied from the front
        return TimedOut(id=id, workflow=self._poller.last_record(id))


async def wait_all(poller: Poller[W], ids: Sequence[int], terms: WaitOptions[W]) -> tuple[Outcome[W], ...]:
    """Return the outcomes of all, in the order of the ids."""
    async with aclosing(OutcomeStream(poller, terms, ids)) as outcomes:
        found = {outcome.id: outcome async for outcome in outcomes}
    return tuple(found[id] for id in ids)


async def wait(poller: Poller[W], id: int, terms: WaitOptions[W], *, check: bool) -> W:
    """Return the record of one workflow at its end; see `Workflows.wait` of either system."""
    async with aclosing(OutcomeStream(poller, terms, [id])) as outcomes:
        outcome = await anext(outcomes)
    match outcome:
        case Parked() if terms.parked == "raise":
            raise WorkflowParked(outcome.workflow)
        case Finished() if check and not outcome.succeeded:
            raise WorkflowFailed(outcome.workflow)
        case Finished() | ConditionMet() | Parked():
            return outcome.workflow
        case Vanished() | PollingFailed():
            raise copy_error(outcome.error)
        case Replaced():
            raise WorkflowReplaced(id, outcome.workflow, outcome.found)
        case _:
            raise WaitTimeout(id, terms.timeout or 0.0, outcome.workflow)


@define(eq=False)
class Watch(Generic[W]):
    """Changes of workflows, as they are seen: `async with … as changes: async for change in changes: …`.

    The first look at a workflow is a change from None. Iterating ends when all that is watched has ended; a watch of a
    filter never ends by itself. However slow the reader, two events a workflow at most wait to be taken.
    """

    _poller: Poller[W]
    _subscription: Subscription[W]
    _ids: tuple[int, ...] = ()
    _discovery: Discovery[W] | None = None
    _hook: EventHook[W] | None = None
    _entered: bool = field(default=False, init=False)

    @property
    def ids(self) -> frozenset[int]:
        """What is watched now."""
        return frozenset(self._subscription.ids)

    def add(self, *workflow_ids: int | str) -> None:
        """Watch these too."""
        for id in (parse_id("workflow_id", id) for id in workflow_ids):
            if self._discovery is not None:
                self._discovery.on_listed_again(id)
            self._poller.join(self._subscription, [id])

    def drop(self, *workflow_ids: int | str) -> None:
        """Watch these no more."""
        for id in (parse_id("workflow_id", id) for id in workflow_ids):
            self._leave(id, ended=False)

    def eta(self, workflow_id: int) -> float | None:
        """Seconds a workflow usually still takes; None until enough of its kind have been seen."""
        return self._poller.eta(workflow_id)

    async def __aenter__(self) -> Self:
        self._poller.join(self._subscription, self._ids)
        if self._discovery is not None:
            self._subscription.open_ended = True
            self._poller.join_list(self._subscription, self._discovery)
        self._entered = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._subscription.open_ended = False
        self._poller.leave(self._subscription)
        await self._poller.wait_settled()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> WatchEvent[W]:
        """Return the next event. Raise what has ended the watch. A cancelled step loses nothing."""
        if not self._entered:
            raise InvalidArgument("watch", "must be entered with `async with` before it is iterated")
        while True:
            event = self._subscription.get_nowait()
            if event is not None:
                if self._poller.is_stale(event):
                    continue
                event = await self._remedied(event)
                self._leave_if_over(event)
                return event
            if not self._subscription.ids and not self._subscription.open_ended:
                raise StopAsyncIteration
            await self._poller.wait_ready(self._subscription)

    async def _remedied(self, event: WatchEvent[W]) -> WatchEvent[W]:
        if self._hook is None:
            return event
        try:
            return await self._hook(event)
        except BaseException:
            self._subscription.put_back(event)  # the next step returns it
            raise

    def _leave_if_over(self, event: WatchEvent[W]) -> None:
        lost = isinstance(event, Vanished | PollingFailed | Replaced)
        if lost or (isinstance(event, Change) and event.now.final):
            self._leave(event.id, ended=True)

    def _leave(self, id: int, *, ended: bool) -> None:
        if self._discovery is not None:
            self._discovery.on_left(id, ended=ended)
        self._poller.leave(self._subscription, [id])


def watching(
    poller: Poller[W],
    ids: Iterable[int | str] | None,
    appearing: Callable[[], Listing[W]] | None,
    *,
    poll: Poll,
    operations: bool,
    stalled_after: float | timedelta | None,
    remedy: EventHook[W] | None = None,
) -> Watch[W]:
    """A watch of these ids, or of what this list shows from time to time."""
    check_poll(poll)
    if not isinstance(stalled_after, timedelta):
        check_positive("stalled_after", stalled_after)
    elif stalled_after <= timedelta(0):
        raise InvalidArgument("stalled_after", "must be above 0")
    subscription = Subscription[W](Tracking(poll, operations, stalled_after), open_ended=appearing is not None)
    discovery = None if appearing is None else Discovery(poller, subscription, appearing)
    watched = () if ids is None else parse_ids("workflow_ids", ids)
    return Watch(poller, subscription, watched, discovery, remedy)
