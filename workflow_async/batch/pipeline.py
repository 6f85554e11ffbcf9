"""The steps of each start of a batch: check, send, search, watch. Each start ends with a result of its own."""

import enum
from collections.abc import Awaitable, Callable
from typing import Generic, Literal, TypeVar

from attrs import define, field

from workflow_async import monitor
from workflow_async.batch.backend import StartBackend
from workflow_async.batch.concurrency import ConcurrencyLimit
from workflow_async.batch.entries import StartStatus
from workflow_async.batch.outage import Outage, OutageTimer, is_temporary
from workflow_async.batch.ownership import Ownership
from workflow_async.batch.reconcile import StartFound
from workflow_async.batch.reports import Reports, unexpected_error
from workflow_async.batch.results import Conflicted, Skipped
from workflow_async.batch.start_locks import StartLocks
from workflow_async.batch.tickets import Ticket
from workflow_async.batch.workflow_ends import wait_ended, watch_outcome
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
from workflow_async.monitor.watch import WaitOptions
from workflow_async.phase import Workflow
from workflow_async.settings import Clock

W = TypeVar("W", bound=Workflow)

OnConflict = Literal["raise", "skip", "attach", "wait"]
"""What to do about an event that has an active workflow: see `run_all` of an Opencast.

`"raise"` raises nothing out of the batch, because an exception would end all other starts. It tells a `Conflicted` that
holds the `StartConflict`.
"""
BUSY = "another workflow is active on the event"
FATAL = (ClientClosed, WrongEventLoop, JournalError)
"""Errors that concern the batch as a whole."""


class NextStep(enum.Enum):
    """What to do after an attempt that settled nothing."""

    SEND_AGAIN = "again"
    WAIT_UNTIL_FREE = "when free"
    """Again, once the event has no active workflow."""


@define(eq=False)
class Pipeline(Generic[W]):
    """What every start of one run shares."""

    backend: StartBackend[W]
    poller: monitor.Poller[W]
    clock: Clock
    limit: ConcurrencyLimit
    outage: Outage
    reports: Reports[W]
    options: WaitOptions[W]
    on_conflict: OnConflict
    settle: float
    """Seconds of answered checks in which a start of unknown outcome is searched for."""
    start_unknown_again: bool
    ownership: Ownership = field(factory=Ownership, init=False)
    locks: StartLocks = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.locks = StartLocks(self.clock)

    def load(self, item: StartStatus, ticket: Ticket) -> None:
        """Take over what an earlier run knew of a start."""
        self.ownership.load(item, self.backend.match_key(ticket))
        if item.id is not None:
            self.locks.note_sent(self.backend.lock_key(ticket))

    def admit(self, ticket: Ticket, id: int | None) -> None:
        """Give a start of an earlier run a place, even if more than the limit are running then."""
        self.limit.admit(ticket, id)

    async def wait_for_place(self, ticket: Ticket) -> bool:
        """Wait until a start has a place. Return False after reporting that the server failed for too long.

        Raises:
            CallError: the workflows on the server cannot be counted at all.
        """
        try:
            await self.limit.enter(ticket)
        except CallError as error:
            if not is_temporary(error):
                raise
            await self.reports.report_not_sent(ticket, error)
            return False
        return True

    async def resume(self, item: StartStatus, ticket: Ticket) -> None:
        """Go on with a start of an earlier run: watch what was started, search for what may have been."""

        async def steps() -> int | None:
            if item.id is not None:
                return item.id
            async with self.locks.hold(self.backend.lock_key(ticket)):
                found = await self._reconcile(ticket, None)
            return await self._start(ticket) if isinstance(found, NextStep) else found

        await self._run_to_result(ticket, steps)

    async def start_and_watch(self, ticket: Ticket) -> None:
        """Start what has been given a place, and watch it to its end."""
        await self._run_to_result(ticket, lambda: self._start(ticket))

    async def _run_to_result(self, ticket: Ticket, steps: Callable[[], Awaitable[int | None]]) -> None:
        """Watch the workflow that the steps lead to. An unexpected error is the result of this start only."""
        try:
            id = await steps()
            if id is not None:
                await self._watch(ticket.key, id)
        except FATAL:
            raise
        except Exception as error:  # noqa: BLE001 - a transport or a clock of the caller's may raise anything
            sent, _ = self.limit.running.get(ticket.key, (ticket, None))
            await self.reports.report_unexpected(sent, error)
        finally:
            self.limit.leave(ticket.key)

    # The start

    async def _start(self, ticket: Ticket) -> int | None:
        """Return the id of what was started, or None after telling that nothing was, or that it is unknown."""
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
        """Return the ticket to send, once the server answers, or None after telling that nothing is sent."""

        async def held(error: CallError) -> None:
            await self.reports.record_waiting(ticket, str(error))

        await self.locks.wait_out_lag(self.backend.lock_key(ticket), self.backend.guard_lag)
        try:
            ready = await self.outage.retry(lambda: self.backend.refreshed(ticket), held)
        except CallError as error:
            await self.reports.report_not_sent(ticket, error)
            return None
        except InvalidArgument as error:
            await self.reports.report_rejected(ticket, error)
            return None
        self.limit.admit(ready)
        return ready

    async def _send(self, ticket: Ticket, timer: OutageTimer) -> int | NextStep | None:
        """Send a start. Return its id, what to do next, or None after telling its result."""
        self.ownership.note_sent(ticket.key, self.backend.match_key(ticket))
        await self.reports.record_intent(ticket)
        try:
            id = await self.backend.send_for_id(ticket)
        except StartConflict as error:
            return await self._conflict(ticket, error)
        except StartOutcomeUnknown as error:
            return await self._reconcile(ticket, error)
        except (CallError, InvalidArgument) as error:
            return await self._rejected(ticket, error, timer)
        except FATAL:
            raise
        except Exception as error:  # noqa: BLE001 - the request may have been sent before
            return await self._reconcile(ticket, unexpected_error(error))
        return await self._record_started(ticket, id, "started")

    async def _record_started(self, ticket: Ticket, id: int, word: str, text: str = "") -> int:
        """Write down which workflow a start has."""
        self.ownership.settle(ticket.key, self.backend.match_key(ticket), id)
        self.locks.note_sent(self.backend.lock_key(ticket))
        await self.reports.record_started(ticket, id, word, text)
        return id

    def _record_not_started(self, ticket: Ticket) -> None:
        if ticket.key not in self.reports.repeated:  # else it may own one since it was sent before
            self.ownership.settle(ticket.key, self.backend.match_key(ticket))

    async def _rejected(
        self, ticket: Ticket, error: CallError | InvalidArgument, timer: OutageTimer
    ) -> NextStep | None:
        """Decide what to do after a start that was surely not carried out: send it again later if that may help."""
        self._record_not_started(ticket)
        if not isinstance(error, CallError):
            await self.reports.report_rejected(ticket, error)
            return None
        unsent = isinstance(error, TransportError) or error.at_login
        if is_temporary(error) and not timer.exceeded(error, self.options.poll.outage):
            self.outage.note_failure(error)
            await self.reports.record_waiting(ticket, str(error), "not sent" if unsent else "refused")
            return NextStep.SEND_AGAIN
        if unsent:
            await self.reports.report_not_sent(ticket, error)
        else:
            await self.reports.report_rejected(ticket, error)
        return None

    async def _reconcile(self, ticket: Ticket, error: StartOutcomeUnknown | CallError | None) -> int | NextStep | None:
        """Search for a start that may have happened. Return its id, or None after telling that it stays unknown."""
        self.locks.note_sent(self.backend.lock_key(ticket))
        if error is not None:
            await self.reports.record_searching(ticket, error)
        rivals = self.ownership.other_starts(ticket.key, self.backend.match_key(ticket))
        verdict = None
        try:
            verdict = await self.backend.reconcile(
                ticket, wait=self.settle, outage=self.options.poll.outage, other_starts=rivals
            )
        except CallError as failure:
            error = failure
        if isinstance(verdict, StartFound):
            return await self._record_started(ticket, verdict.workflow.id, "started", verdict.evidence)
        if self.start_unknown_again and ticket.key not in self.reports.repeated:
            self.reports.repeated[ticket.key] = verdict
            return NextStep.SEND_AGAIN
        await self.reports.report_unknown(ticket, verdict, error)
        return None

    # Conflicts

    async def _conflict(self, ticket: Ticket, error: StartConflict) -> int | NextStep | None:
        self._record_not_started(ticket)
        if self.on_conflict == "wait":
            return NextStep.WAIT_UNTIL_FREE
        other = await self._attachable(ticket) if self.on_conflict == "attach" else None
        if other is not None:
            return await self._record_started(ticket, other.id, "attached", "it was running already")
        if self.on_conflict == "skip":
            await self.reports.report_not_started(Skipped(key=ticket.key, ticket=ticket, why=BUSY), error)
        else:
            await self.reports.report_not_started(Conflicted(key=ticket.key, ticket=ticket, error=error), error)
        return None

    async def _attachable(self, ticket: Ticket) -> W | None:
        """Return the active workflow of the same definition on the event, or None if there is none to be seen."""
        try:
            return await self.outage.retry(lambda: self.backend.active(ticket, same_definition=True))
        except CallError:
            return None

    async def _wait_until_free(self, ticket: Ticket) -> bool:
        """Wait without a place until the event seems free. Return False after telling that it cannot be read."""
        await self.reports.record_waiting(ticket, BUSY)
        self.limit.leave(ticket.key)
        poll = self.options.poll
        try:
            other = await self.outage.retry(lambda: self.backend.active(ticket, same_definition=False))
            if other is not None:
                await wait_ended(self.poller, other.id, poll)
            await self.clock.sleep(poll.interval if other is not None else poll.ceiling)
            await self.limit.enter(ticket)
        except CallError as error:
            await self.reports.report_not_sent(ticket, error)
            return False
        return True

    # The end

    async def _watch(self, key: str, id: int) -> None:
        """Watch a workflow until it has an outcome, and tell it."""
        ticket, _ = self.limit.running[key]
        self.limit.admit(ticket, id)
        self.poller.note_existing(id)

        async def changed(change: monitor.Change[W]) -> None:
            await self.reports.record_change(ticket, change)

        await self.reports.report_completed(ticket, await watch_outcome(self.poller, id, self.options, changed))
