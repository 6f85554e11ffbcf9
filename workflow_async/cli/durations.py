"""What the records of both systems say of time, as spans. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TypeAlias

from workflow_async import opencast, preservica
from workflow_async.cli.timeline import Span, stretch

AnyWorkflow: TypeAlias = "opencast.Workflow | preservica.Workflow"


def spans(workflow: AnyWorkflow) -> Sequence[Span]:
    """An Opencast workflow's operations; the whole of a Preservica workflow, which tells no more."""
    if isinstance(workflow, opencast.Workflow):
        return [_operation(operation, ended=workflow.phase.final) for operation in workflow.operations or ()]
    name = workflow.step or workflow.context_name or ""
    return [Span(name, workflow.state_text, workflow.started, workflow.finished, over=workflow.phase.final)]


def lasted(workflow: AnyWorkflow, now: datetime) -> timedelta | None:
    """How long a workflow has been at work, by the server's own account."""
    return stretch(spans(workflow), now)


def _operation(operation: "opencast.Operation", *, ended: bool) -> Span:
    over = operation.state.final or ended  # a stop leaves operations behind that say `running` for ever
    return Span(operation.operation, operation.state_text, operation.start, operation.completion, over=over)
