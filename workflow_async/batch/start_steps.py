"""The steps that lead a start to a workflow's id: check the server, send, search, and deal with conflicts."""

import enum
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from attrs import define, field

from workflow_async.batch.backend import StartBackend
from workflow_async.batch.conflicts import Conflicts, OnConflict
from workflow_async.batch.entries import StartStatus
from workflow_async.batch.outage import Outage, OutageTimer, is_temporary
from workflow_async.batch.ownership import Ownership
from workflow_async.batch.reconcile import StartFound
from workflow_async.batch.reports import Reports, unexpected_error
from workflow_async.batch.results import Conflicted, Skipped
from workflow_async.batch.running_starts import RunningStarts
from workflow_async.batch.start_locks import StartLocks
from workflow_async.batch.tickets import Ticket
from workflow_async.errors import (
    CallError,
    ClientClosed,
    InvalidArgument,
    JournalError,
    StartConflict,
    StartOutcomeUnknown,
    TransportError,
    WrongEventLoop,
)
from workflow_async.monitor._engine.poller import Poller
from workflow_async.phase import Workflow
from workflow_async.settings import Clock, Poll

W = TypeVar("W", bound=Workflow)

BUSY = "another workflow is active on the event"
FATAL = (ClientClosed, WrongEventLoop, JournalError)
"""Errors that end the whole batch."""


class NextStep(enum.Enum):
    """What to do after an attempt that brought neither an id nor a result."""

    SEND_AGAIN = "again"
    WAIT_UNTIL_FREE = "when free"
    """Send again once the event has no active workflow."""


@define(eq=False)
class StartSteps(Generic[W]):
    """The steps from a ticket to the id of its workflow, with what all starts of one run share."""

    backend: StartBackend[W]
    poller: Poller[W]
    clock: Clock
    running: RunningStarts
    outage: Outage
    reports: Reports[W]
    poll: Poll
    on_conflict: OnConflict
    settle: float
    """How long a start of unknown outcome is searched for, in seconds of successful checks."""
    start_unknown_again: bool
    ownership: Ownership = field(factory=Ownership, init=False)
    locks: StartLocks = field(init=False)
    conflicts: Conflicts[W] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.locks = StartLocks(self.clock)
        self.conflicts = Conflicts(self.backend, self.poller, self.clock, self.outage, self.poll)

    def load(self, item: StartStatus, ticket: Ticket) -> None:
        """Take over what an earlier run knew about a start."""
        self.ownership.load(item, self.backend.match_key(ticket))
        if item.id is not None:
            self.locks.note_sent(self.backend.lock_key(ticket))

    async def search_then_start(self, ticket: Ticket) -> int | None:
        """Search for a start that may have happened. Return its id, or None after reporting a result.

        With `start_unknown_again` the start is sent again after a search that did not find it.
        """
        async with self.locks.hold(self.backend.lock_key(ticket)):
            found = await self._reconcile(ticket, None)
        return await self.start(ticket) if isinstance(found, NextStep) else found

    async def start(self, ticket: Ticket) -> int | None:
        """Start a ticket. Return the workflow's id, or None after reporting a result."""
        timer = OutageTimer(self.clock)
        step: int | NextStep | None = NextStep.SEND_AGAIN
        while isinstance(step, NextStep):
            if step is NextStep.WAIT_UNTIL_FREE and not await self._wait_until_free(ticket):
                return None
            async with self.locks.hold(self.backend.lock_key(ticket)):
                ready = await self._check_server(ticket)
                step = None if ready is None else await self._send(ready, timer)
        return step

    async def _check_server(self, ticket: Ticket) -> Ticket | None:
        """Wait until the server responds, and return the ticket to send. Return None after reporting a result."""

        async def on_wait(error: CallError) -> None:
            await self.reports.record_waiting(ticket, str(error))

        try:
            await self._wait_out_lag(self.backend.lock_key(ticket), on_wait)
            ready = await self.outage.retry(lambda: self.backend.refreshed(ticket), on_wait)
        except CallError as error:
            await self.reports.report_not_sent(ticket, error)
            return None
        except InvalidArgument as error:
            await self.reports.report_rejected(ticket, error)
            return None
        self.running.admit(ready)
        return ready

    async def _wait_out_lag(self, lock_key: str | None, on_wait: Callable[[CallError], Awaitable[None]]) -> None:
        """Wait as long as the server may accept a second start on the same event. Ask first whether its release does.

        Raises:
            CallError: the release cannot be read.
        """
        if self.locks.seconds_left(lock_key, self.backend.guard_lag) > 0:
            lag = await self.outage.retry(self.backend.learn_guard_lag, on_wait)
            await self.locks.wait_out_lag(lock_key, lag)

    async def _send(self, ticket: Ticket, timer: OutageTimer) -> int | NextStep | None:
        """Send a start. Return its id, the next step, or None after reporting a result."""
        self.ownership.note_sent(ticket.key, self.backend.match_key(ticket))
        may_send = await self.reports.record_intent(ticket)
        try:
            id = await self.backend.send_for_id(ticket, may_send)
        except StartConflict as error:
            return await self._resolve_conflict(ticket, error)
        except StartOutcomeUnknown as error:
            return await self._reconcile(ticket, error)
        except (CallError, InvalidArgument) as error:
            return await self._not_started(ticket, error, timer)
        except FATAL:
            raise
        except Exception as error:  # noqa: BLE001 - the request may have been sent before
            return await self._reconcile(ticket, unexpected_error(error))
        return await self._record_started(ticket, id, "started")

    async def _record_started(self, ticket: Ticket, id: int, word: str, text: str = "") -> int:
        """Record which workflow a start owns, and return the workflow's id."""
        self.ownership.settle(ticket.key, self.backend.match_key(ticket), id)
        self.locks.note_sent(self.backend.lock_key(ticket))
        await self.reports.record_started(ticket, id, word, text)
        return id

    def _record_not_started(self, ticket: Ticket) -> None:
        # a start that is sent again may own a workflow since it was sent before
        if ticket.key not in self.reports.repeated:
            self.ownership.settle(ticket.key, self.backend.match_key(ticket))

    async def _not_started(
        self, ticket: Ticket, error: CallError | InvalidArgument, timer: OutageTimer
    ) -> NextStep | None:
        """Choose what to do after a start that did not happen: send again after a temporary error, or report."""
        self._record_not_started(ticket)
        if not isinstance(error, CallError):
            await self.reports.report_rejected(ticket, error)
            return None
        unsent = isinstance(error, TransportError) or error.at_login
        if is_temporary(error) and not timer.exceeded(error, self.poll.outage):
            self.outage.note_failure(error)
            await self.reports.record_waiting(ticket, str(error), "not sent" if unsent else "refused")
            return NextStep.SEND_AGAIN
        if unsent:
            await self.reports.report_not_sent(ticket, error)
        else:
            await self.reports.report_rejected(ticket, error)
        return None

    async def _reconcile(self, ticket: Ticket, error: StartOutcomeUnknown | CallError | None) -> int | NextStep | None:
        """Search for a start that may have happened. Return its id, the next step, or None after reporting a result."""
        self.locks.note_sent(self.backend.lock_key(ticket))
        if error is not None:
            await self.reports.record_searching(ticket, error)
        other_starts = self.ownership.other_starts(ticket.key, self.backend.match_key(ticket))
        found = None
        try:
            found = await self.backend.reconcile(
                ticket, wait=self.settle, outage=self.poll.outage, other_starts=other_starts
            )
        except CallError as failure:
            error = failure
        if isinstance(found, StartFound):
            return await self._record_started(ticket, found.workflow.id, "started", found.evidence)
        if self.start_unknown_again and ticket.key not in self.reports.repeated:
            self.reports.repeated[ticket.key] = found
            return NextStep.SEND_AGAIN
        await self.reports.report_unknown(ticket, found, error)
        return None

    # Conflicts

    async def _resolve_conflict(self, ticket: Ticket, error: StartConflict) -> int | NextStep | None:
        """Do what `on_conflict` says. Return an id to watch, the next step, or None after reporting a result."""
        self._record_not_started(ticket)
        if self.on_conflict == "wait":
            return NextStep.WAIT_UNTIL_FREE
        other = await self.conflicts.attachable(ticket, error) if self.on_conflict == "attach" else None
        if other is not None:
            return await self._record_started(ticket, other.id, "attached", "it was running already")
        if self.on_conflict == "skip":
            await self.reports.report_not_started(Skipped(key=ticket.key, ticket=ticket, why=BUSY), error)
        else:
            await self.reports.report_not_started(Conflicted(key=ticket.key, ticket=ticket, error=error), error)
        return None

    async def _wait_until_free(self, ticket: Ticket) -> bool:
        """Wait without a slot until the event has no active workflow. Return False after reporting a failed read."""
        await self.reports.record_waiting(ticket, BUSY)
        self.running.leave(ticket.key)
        try:
            await self.conflicts.wait_until_free(ticket)
            await self.running.enter(ticket)
        except CallError as error:
            await self.reports.report_not_sent(ticket, error)
            return False
        return True
