"""Waits for the outcomes of workflows: of one, of all, or of each as it ends."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, nullcontext, suppress
from inspect import isawaitable
from typing import Generic, Literal, Self, TypeVar

from attrs import define, field, frozen

from workflow_async.errors import (
    InvalidArgument,
    WaitTimeout,
    WorkflowAsyncError,
    WorkflowFailed,
    WorkflowParked,
    WorkflowReplaced,
)
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
"""What a wait does when a workflow needs a person."""
Predicate = Callable[[W], bool]
"""Returns True if a record shows what a wait is for."""
OnChange = Callable[[Change[W]], object]
"""A function or coroutine function that is called with each change. What it returns is ignored."""
NO_LOCK: AbstractAsyncContextManager[None] = nullcontext()


@frozen(kw_only=True)
class WaitOptions(Generic[W]):
    """What ends a wait before the end of the workflow, and how often to check it."""

    timeout: float | None = None
    poll: Poll = Poll()
    parked: WhenParked = "wait"
    until: Predicate[W] | None = None
    on_change: OnChange[W] | None = None

    def __attrs_post_init__(self) -> None:
        check_positive("timeout", self.timeout)
        check_poll(self.poll)
        if self.parked not in ("wait", "return", "raise"):
            raise InvalidArgument("parked", 'must be "wait", "return" or "raise"')
        if self.until is not None and not callable(self.until):
            raise InvalidArgument("until", "must be a function of a record, such as lambda workflow: ...")
        if self.on_change is not None and not callable(self.on_change):
            raise InvalidArgument("on_change", "must be a function of a change, such as lambda change: ...")

    @property
    def needs_operations(self) -> bool:
        """True if every record is shown to the caller, who may want its operations."""
        return self.until is not None or self.on_change is not None

    @property
    def tracking(self) -> Tracking:
        """What these waits ask for each workflow."""
        needs_operations = self.needs_operations
        ends_only = not needs_operations and self.parked == "wait"
        return Tracking(self.poll, operations=needs_operations, ends_only=ends_only)

    def ignores(self, event: WatchEvent[W]) -> bool:
        """Return True for an event about which nothing is done, whatever comes before or after it."""
        return not self.needs_operations and self.outcome(event) is None

    def outcome(self, event: WatchEvent[W]) -> Outcome[W] | None:
        """Return the outcome that an event stands for. None if the wait goes on."""
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
    """One outcome for each of several workflows, in the order in which they come: `async for outcome in …`.

    Watching starts with the first step. A cancelled step loses nothing: the next step continues. Watching ends with the
    last outcome, with `aclose()`, or when nothing refers to this object any more.
    """

    _poller: Poller[W]
    _options: WaitOptions[W]
    _ids: Iterable[int] = ()
    _check: bool = field(default=False, alias="check")
    """True to raise the error of a workflow that did not succeed, in place of its outcome."""
    _subscription: Subscription[W] | None = field(default=None, init=False)
    _loop: asyncio.AbstractEventLoop | None = field(default=None, init=False)
    """The event loop in which the subscription has to leave. None if there is nothing to leave."""
    _reporting: AbstractAsyncContextManager[None] = field(default=NO_LOCK, init=False)
    """Held while `on_change` is called."""

    def __attrs_post_init__(self) -> None:
        if self._options.on_change is not None:
            self._reporting = asyncio.Lock()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Outcome[W]:
        """Return the next outcome. Raise the error that has ended the watching.

        With `check`, raise the error of a workflow that did not succeed. The next step continues with the others. An
        exception of `on_change` ends the watching. If a step is cancelled during `on_change`, the next step calls it
        again.
        """
        subscription = self._subscription or self._join()
        try:
            while subscription.ids:
                outcome = await self._next_outcome(subscription)
                if outcome is not None:
                    self._poller.leave(subscription, [outcome.id])
                    if self._check:
                        checked_record(outcome, self._options, check=True)
                    return outcome
                await self._poller.wait_ready(subscription)
            await self.aclose()
        except (asyncio.CancelledError, WorkflowAsyncError):
            del self  # the traceback keeps this frame, which would keep the subscription
            raise
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Stop watching, and wait until no request for it is in flight."""
        self._ids, self._loop = (), None
        if self._subscription is not None:
            self._poller.leave(self._subscription)
            await self._poller.wait_settled()

    def __del__(self) -> None:
        if self._loop is not None and self._subscription is not None:
            with suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._poller.leave, self._subscription)

    def _join(self) -> Subscription[W]:
        timeout = self._options.timeout
        subscription = Subscription[W](
            self._options.tracking,
            deadline=None if timeout is None else self._poller.clock.now() + timeout,
            ignores=self._options.ignores,
        )
        self._poller.join(subscription, self._ids)
        self._subscription, self._loop = subscription, asyncio.get_running_loop()
        return subscription

    async def _next_outcome(self, subscription: Subscription[W]) -> Outcome[W] | None:
        """Return an outcome that has come already. None if there is none. Only `on_change` makes it wait."""
        async with self._reporting:
            while (event := subscription.get_nowait()) is not None:
                if self._poller.is_stale(event):
                    continue
                await self._report(subscription, event)
                outcome = self._options.outcome(event)
                if outcome is not None:
                    return outcome
            return self._timed_out(subscription.ids) if subscription.expired and subscription.ids else None

    async def _report(self, subscription: Subscription[W], event: WatchEvent[W]) -> None:
        """Call `on_change` if the event is a change."""
        if self._options.on_change is None or not isinstance(event, Change):
            return
        try:
            result = self._options.on_change(event)
            if isawaitable(result):
                await result
        except Exception:
            await self.aclose()
            raise
        except BaseException:
            subscription.put_back(event)  # the next step calls it again
            raise

    def _timed_out(self, ids: set[int]) -> TimedOut[W]:
        ids.add(id := ids.pop())  # next(iter(ids)) becomes O(n) on a set that is emptied from the front
        return TimedOut(id=id, workflow=self._poller.last_record(id))


async def wait_all(
    poller: Poller[W], ids: Sequence[int], options: WaitOptions[W], *, check: bool = False
) -> tuple[Outcome[W], ...]:
    """Return the outcomes of all workflows, in the order of the ids. See `MonitoringMixin.wait_all`."""
    async with aclosing(OutcomeStream(poller, options, ids)) as outcomes:
        found = {outcome.id: outcome async for outcome in outcomes}
    errors = _errors([found[id] for id in dict.fromkeys(ids)], options) if check else ()
    if errors:
        raise ExceptionGroup(f"{len(errors)} of {len(found)} workflows did not succeed", errors)
    return tuple(found[id] for id in ids)


def _errors(outcomes: Iterable[Outcome[W]], options: WaitOptions[W]) -> Sequence[WorkflowAsyncError]:
    """Return the errors of the workflows that did not succeed."""
    errors: list[WorkflowAsyncError] = []
    for outcome in outcomes:
        try:
            checked_record(outcome, options, check=True)
        except WorkflowAsyncError as error:
            errors.append(error)
    return errors


async def wait(poller: Poller[W], id: int, options: WaitOptions[W], *, check: bool) -> W:
    """Return the record of a workflow at its end. See `MonitoringMixin.wait`."""
    async with aclosing(OutcomeStream(poller, options, [id])) as outcomes:
        outcome = await anext(outcomes)
    return checked_record(outcome, options, check=check)


def checked_record(outcome: Outcome[W], options: WaitOptions[W], *, check: bool) -> W:
    """Return the record of an outcome. Raise the error for an outcome that `wait` does not return."""
    match outcome:
        case Parked() if options.parked == "raise":
            raise WorkflowParked(outcome.workflow)
        case Finished() if check and not outcome.succeeded:
            raise WorkflowFailed(outcome.workflow)
        case Finished() | ConditionMet() | Parked():
            return outcome.workflow
        case Vanished() | PollingFailed():
            raise copy_error(outcome.error)
        case Replaced():
            raise WorkflowReplaced(outcome.id, outcome.workflow, outcome.found)
        case _:
            raise WaitTimeout(outcome.id, options.timeout or 0.0, outcome.workflow)
