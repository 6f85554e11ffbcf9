"""Records what happens to each start, and then reports its one result."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from attrs import define, field

from workflow_async import monitor
from workflow_async.batch.entries import StatusKind
from workflow_async.batch.ledger import Ledger
from workflow_async.batch.reconcile import Ambiguous, NoStartFound
from workflow_async.batch.results import Completed, Conflicted, NotStarted, OutcomeUnknown, Rejected, Result, Skipped
from workflow_async.batch.tickets import Ticket
from workflow_async.batch.workflow_details import failure_text
from workflow_async.errors import CallError, InvalidArgument, StartOutcomeUnknown, WorkflowReplaced
from workflow_async.phase import Workflow

W = TypeVar("W", bound=Workflow)

LABELS: dict[type[Any], str] = {NotStarted: "not sent", Rejected: "refused", Conflicted: "conflict", Skipped: "skipped"}
MAYBE_STARTED = frozenset({StatusKind.INTENT, StatusKind.UNKNOWN})


@define(eq=False)
class Reports(Generic[W]):
    """Writes entries to the ledger, and puts results into the queue."""

    ledger: Ledger
    put: Callable[[Result[W]], None]
    repeated: dict[str, NoStartFound | Ambiguous[W] | None] = field(factory=dict, init=False)
    """Starts that are sent again although they may have happened before, with the result of the search."""

    async def record_intent(self, ticket: Ticket) -> Callable[[], bool] | None:
        """Record that a start is about to be sent. Return what `Journal.write` returned."""
        return await self.ledger.record(ticket.key, StatusKind.INTENT, "intended", text=ticket.to_json())

    async def record_waiting(self, ticket: Ticket, reason: str, word: str = "waiting") -> None:
        """Record that a start is not sent yet. A start that was sent before stays unknown."""
        await self._record_ticket(ticket)
        unknown = ticket.key in self.repeated
        kind = StatusKind.UNKNOWN if unknown else StatusKind.NOT_STARTED
        await self.ledger.record(ticket.key, kind, "unknown" if unknown else word, text=reason)

    async def record_started(self, ticket: Ticket, id: int, word: str, text: str) -> None:
        """Record the id of the workflow that was started, or that was running already."""
        await self.ledger.record(ticket.key, StatusKind.STARTED, word, id=id, text=text)

    async def record_searching(self, ticket: Ticket, error: CallError | StartOutcomeUnknown) -> None:
        """Record that a start may have happened."""
        await self.ledger.record(ticket.key, StatusKind.UNKNOWN, "unknown", text=str(error))

    async def record_change(self, ticket: Ticket, change: monitor.Change[W]) -> None:
        """Record that the state of a workflow changed. A change of a step or of an operation is not recorded."""
        recorded, text = self.ledger.items[ticket.key], change.workflow.state_text
        if (recorded.kind, recorded.word, recorded.state) != (StatusKind.CHANGE, change.now.value, text):
            await self.ledger.record(ticket.key, StatusKind.CHANGE, change.now.value, id=change.id, text=text)

    async def _record_ticket(self, ticket: Ticket | None) -> None:
        """Record the ticket of a start that the journal does not have yet, such as the next start of an iterator."""
        item = self.ledger.items.get(ticket.key) if ticket is not None else None
        if ticket is not None and (item is None or item.ticket is None):
            await self.ledger.plan([ticket], complete=False)

    async def report_not_started(
        self, result: NotStarted | Rejected | Conflicted | Skipped, error: CallError | InvalidArgument
    ) -> None:
        """Report that nothing was started. A start that was sent before and may have happened then stays unknown."""
        if result.key in self.repeated and result.ticket is not None:
            await self.report_unknown(result.ticket, self.repeated[result.key], error)
            return
        await self._record_ticket(result.ticket)
        await self.ledger.record(result.key, StatusKind.NOT_STARTED, LABELS[type(result)], text=str(error))
        self.put(result)

    async def report_not_sent(self, ticket: Ticket, error: CallError) -> None:
        """Report that a start did not reach the server."""
        await self.report_not_started(NotStarted(key=ticket.key, ticket=ticket, error=error), error)

    async def report_rejected(self, ticket: Ticket, error: CallError | InvalidArgument) -> None:
        """Report that a start was rejected by the server or by this library."""
        await self.report_not_started(Rejected(key=ticket.key, ticket=ticket, error=error), error)

    async def report_unknown(
        self,
        ticket: Ticket,
        search_result: NoStartFound | Ambiguous[W] | None,
        error: StartOutcomeUnknown | CallError | InvalidArgument | None,
    ) -> None:
        """Report that a start may have happened."""
        unknown = OutcomeUnknown(key=ticket.key, ticket=ticket, search_result=search_result, error=error)
        await self.ledger.record(ticket.key, StatusKind.UNKNOWN, "unknown", text=unknown.why)
        self.put(unknown)

    async def report_completed(self, ticket: Ticket, outcome: monitor.Outcome[W]) -> None:
        """Report the outcome of a workflow."""
        ended = isinstance(outcome, monitor.Finished | monitor.Vanished | monitor.Replaced)
        kind = StatusKind.ENDED if ended else StatusKind.LEFT
        await self.ledger.record(
            ticket.key, kind, label(outcome), id=outcome.id, text=error_text(outcome), workflow=outcome.workflow
        )
        self.put(Completed(key=ticket.key, ticket=ticket, outcome=outcome))

    async def report_unexpected(self, ticket: Ticket, error: Exception) -> None:
        """Report an unexpected error, as the result that fits what is known about the start."""
        failure = unexpected_error(error)
        item = self.ledger.items.get(ticket.key)
        if item is not None and item.id is not None:
            await self.report_completed(ticket, monitor.PollingFailed(id=item.id, error=failure))
        elif item is not None and item.kind in MAYBE_STARTED:
            await self.report_unknown(ticket, None, failure)
        else:
            await self.report_not_sent(ticket, failure)


def unexpected_error(error: Exception) -> CallError:
    """Return an error as a `CallError`. An error of another type becomes the text of a new `CallError`."""
    found = first_error(error)
    return found if isinstance(found, CallError) else CallError(f"{type(found).__name__}: {found}")


def first_error(error: Exception) -> Exception:
    """Return the first error in an exception group, or the error itself."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


def label(outcome: monitor.Outcome[W]) -> str:
    """Return the word for an outcome: the value of a phase, `vanished`, `replaced` or `unobserved`."""
    if isinstance(outcome, monitor.Finished | monitor.Parked | monitor.ConditionMet):
        return str(outcome.workflow.phase.value)
    return {monitor.Vanished: "vanished", monitor.Replaced: "replaced"}.get(type(outcome), "unobserved")


def error_text(outcome: monitor.Outcome[W]) -> str:
    """Return why the workflow was not watched to its end, or else the step in which it did not succeed."""
    if isinstance(outcome, monitor.Replaced):
        return str(WorkflowReplaced(outcome.id, outcome.workflow, outcome.found))
    return (
        str(outcome.error)
        if isinstance(outcome, monitor.Vanished | monitor.PollingFailed)
        else failure_text(outcome.workflow)
    )
