"""The columns in which people see records. Pure."""

from collections.abc import Sequence
from datetime import datetime
from typing import cast

from workflow_async import opencast, preservica
from workflow_async.batch.workflow_details import failure_text
from workflow_async.cli.durations import AnyWorkflow, lasted
from workflow_async.cli.output import Column
from workflow_async.cli.tally import WaitResult
from workflow_async.cli.timeline import Bar, words

OPENCAST_WORKFLOWS: Sequence["Column[opencast.Workflow]"] = (
    Column("ID", lambda workflow: str(workflow.id), 9),
    Column("STATE", lambda workflow: workflow.state_text, 12),
    Column("EVENT", lambda workflow: workflow.event_id, 36),
    Column("DEFINITION", lambda workflow: workflow.definition_id),
    Column("CREATOR", lambda workflow: workflow.creator or ""),
)
PRESERVICA_WORKFLOWS: Sequence["Column[preservica.Workflow]"] = (
    Column("ID", lambda workflow: str(workflow.id), 9),
    Column("STATE", lambda workflow: workflow.state_text, 22),
    Column("STARTED", lambda workflow: clock(workflow.started), 20),
    Column("CONTEXT", lambda workflow: workflow.context_name or ""),
    Column("STEP", lambda workflow: workflow.step or ""),
)
DEFINITIONS: Sequence["Column[opencast.Definition]"] = (
    Column("ID", lambda definition: definition.id),
    Column("TITLE", lambda definition: definition.title),
    Column("TAGS", lambda definition: ", ".join(definition.tags)),
)
CONTEXTS: Sequence["Column[preservica.Context]"] = (
    Column("ID", lambda context: context.id, 9),
    Column("NAME", lambda context: context.name),
)
BARS: Sequence[Column[Bar]] = (
    Column("OPERATION", lambda bar: bar.span.name, 24),
    Column("STATE", lambda bar: bar.span.state, 12),
    Column("TOOK", lambda bar: words(bar.lasted), 8),
    Column("", Bar.draw),
)
BESIDE_BARS = sum(column.width + 2 for column in BARS)
"""Characters of a line that the bars do not get."""


def endings(now: datetime) -> Sequence[Column[WaitResult]]:
    """The columns of what a watch ended with."""
    return (
        Column("ID", lambda ending: str(ending.id), 9),
        Column("OUTCOME", lambda ending: ending.outcome, 10),
        Column("TOOK", lambda ending: _took(ending, now), 10),
        Column("", lambda ending: ending.error or failure_text(ending.workflow)),
    )


def clock(moment: datetime | None) -> str:
    """An instant for people, in the time of this machine."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S") if moment is not None else ""


def _took(ending: WaitResult, now: datetime) -> str:
    return words(lasted(cast("AnyWorkflow", ending.workflow), now)) if ending.workflow is not None else ""
