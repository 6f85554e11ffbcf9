"""What the workflows of an event say of a start whose outcome is unknown. Pure."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from workflow_async.batch.reconcile import OTHER_START_MAY_OWN_IT, Ambiguous, OtherStarts, StartFound
from workflow_async.batch.start_records import OpencastStart
from workflow_async.batch.tickets import Ticket
from workflow_async.opencast.records import Workflow

MAX_CLOCK_SKEW = timedelta(minutes=5)
"""By how much the server's clock may be off."""
MAX_QUEUE_TIME = timedelta(seconds=60)
"""Time that a workflow may wait for its first operation, where only the start of that operation is known."""


def find_start(
    ticket: Ticket, start: OpencastStart, workflows: Iterable[Workflow], other_starts: OtherStarts
) -> StartFound[Workflow] | Ambiguous[Workflow] | None:
    """Return what the workflows of an event say of a start, or None if none of them can be the start's."""
    mine = [workflow for workflow in workflows if not other_starts.own(workflow.id)]
    later = [workflow for workflow in mine if is_newer(ticket, workflow) is not False]
    same = [workflow for workflow in later if workflow.definition_id == start.definition_id]
    if len(same) == 1 and is_newer(ticket, same[0]):
        if other_starts.may_own_same():
            return Ambiguous(tuple(same), OTHER_START_MAY_OWN_IT)
        since = f"above {ticket.baseline}" if ticket.baseline is not None else "begun since"
        return StartFound(same[0], f"the only workflow {start.definition_id!r} on event {start.event_id} {since}")
    if same:
        why = f"{len(same)} workflows {start.definition_id!r} on event {start.event_id} may be it"
        return Ambiguous(tuple(same), why)
    return Ambiguous(tuple(later), "of another definition, such as an error handler's") if later else None


def is_newer(ticket: Ticket, workflow: Workflow) -> bool | None:
    """Return whether a workflow came after the ticket was made, or None if that cannot be decided."""
    if ticket.baseline is not None and (workflow.id <= ticket.baseline or not ticket.baseline_lag):
        return workflow.id > ticket.baseline
    made, began = workflow.created, _first_operation_start(workflow)
    if made is not None and made >= _to_millisecond(ticket.prepared_at):
        return True
    # How long a workflow waited to begin is unknown. Above a late baseline are those of the last seconds: none is sure.
    if made is None and ticket.baseline is None and began is not None and began >= ticket.prepared_at + MAX_QUEUE_TIME:
        return True
    known = made or began
    return False if known is not None and known < ticket.prepared_at - MAX_CLOCK_SKEW else None


def _first_operation_start(workflow: Workflow) -> datetime | None:
    """Return when the first operation of a workflow began, or None if that is unknown."""
    return min((ran.start for ran in workflow.operations or () if ran.start is not None), default=None)


def _to_millisecond(moment: datetime) -> datetime:
    """Return a moment as precisely as the server tells it."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
