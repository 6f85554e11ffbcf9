"""Decides which workflow of an event belongs to a start of unknown outcome. Pure."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from workflow_async.batch.reconcile import OTHER_START_MAY_OWN_IT, Ambiguous, OtherStarts, StartFound
from workflow_async.batch.start_records import OpencastStart
from workflow_async.batch.tickets import Ticket
from workflow_async.opencast.records import Workflow

MAX_CLOCK_SKEW = timedelta(minutes=5)
"""How far the server's clock and this machine's clock may differ."""
MAX_QUEUE_TIME = timedelta(seconds=60)
"""How long a workflow may wait for its first operation, if only the start of that operation is known."""


def find_start(
    ticket: Ticket, start: OpencastStart, workflows: Iterable[Workflow], other_starts: OtherStarts
) -> StartFound[Workflow] | Ambiguous[Workflow] | None:
    """Return what the workflows of an event show about a start, or None if none of them can belong to it."""
    unowned = [workflow for workflow in workflows if not other_starts.own(workflow.id)]
    newer = [workflow for workflow in unowned if is_newer(ticket, workflow) is not False]
    same = [workflow for workflow in newer if workflow.definition_id == start.definition_id]
    if len(same) == 1 and is_newer(ticket, same[0]):
        if other_starts.may_own_same():
            return Ambiguous(tuple(same), OTHER_START_MAY_OWN_IT)
        since = f"above {ticket.baseline}" if ticket.baseline is not None else "started since"
        return StartFound(same[0], f"the only workflow {start.definition_id!r} on event {start.event_id} {since}")
    if same:
        why = f"{len(same)} workflows {start.definition_id!r} on event {start.event_id} may belong to it"
        return Ambiguous(tuple(same), why)
    return Ambiguous(tuple(newer), "they have another definition, such as that of an error handler") if newer else None


def is_newer(ticket: Ticket, workflow: Workflow) -> bool | None:
    """Return True if a workflow is newer than the ticket, False if it is older, None if that cannot be decided."""
    if ticket.baseline is not None and (workflow.id <= ticket.baseline or not ticket.baseline_lag):
        return workflow.id > ticket.baseline
    created, began = workflow.created, _first_operation_start(workflow)
    if created is not None and created >= _to_millisecond(ticket.prepared_at):
        return True
    # It is unknown how long a workflow waited for its first operation. Above a baseline that lags, every workflow of
    # the last seconds may be an earlier one.
    if (
        created is None
        and ticket.baseline is None
        and began is not None
        and began >= ticket.prepared_at + MAX_QUEUE_TIME
    ):
        return True
    known = created or began
    return False if known is not None and known < ticket.prepared_at - MAX_CLOCK_SKEW else None


def _first_operation_start(workflow: Workflow) -> datetime | None:
    """Return when the first operation of a workflow started, or None if that is unknown."""
    return min((each.start for each in workflow.operations or () if each.start is not None), default=None)


def _to_millisecond(time: datetime) -> datetime:
    """Return a time without microseconds. The server's times have milliseconds."""
    return time.replace(microsecond=time.microsecond // 1000 * 1000)
