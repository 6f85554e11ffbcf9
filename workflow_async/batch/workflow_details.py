"""What the server's last record of a workflow says of its times and its failure. Pure."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol, TypedDict, runtime_checkable

from workflow_async.phase import Phase, Workflow


class WorkflowDetails(TypedDict):
    """What a journal keeps of a workflow's last record."""

    server_start: datetime | None
    server_end: datetime | None
    failed_operation: str
    failed_attempt: int | None
    failed_host: str


NO_DETAILS = WorkflowDetails(
    server_start=None, server_end=None, failed_operation="", failed_attempt=None, failed_host=""
)  # fmt: skip


class Operation(Protocol):
    """One operation of a workflow, as Opencast's records have them."""

    @property
    def operation(self) -> str:
        """Its name."""

    @property
    def state_text(self) -> str:
        """The server's own word for its state."""

    @property
    def start(self) -> datetime | None:
        """When it started, by the server's clock."""

    @property
    def completion(self) -> datetime | None:
        """When it ended, by the server's clock."""

    @property
    def failed_attempts(self) -> int | None:
        """How many attempts have failed."""

    @property
    def host(self) -> str:
        """Where it ran."""


@runtime_checkable
class HasOperations(Protocol):
    """A record with operations: Opencast's."""

    @property
    def operations(self) -> Sequence[Operation] | None:
        """The operations in the order of execution. None unless asked for."""

    @property
    def failed_operation(self) -> Operation | None:
        """The operation that failed. None if none did or operations were not asked for."""

    @property
    def failure(self) -> str | None:
        """Which operation failed and how, in words. None unless the workflow failed in a known operation."""


@runtime_checkable
class HasTimes(Protocol):
    """A record with its own times: Preservica's."""

    @property
    def started(self) -> datetime | None:
        """When the workflow started, by the server's clock."""

    @property
    def finished(self) -> datetime | None:
        """When the workflow ended, by the server's clock."""


def read_details(workflow: Workflow) -> WorkflowDetails:
    """Return what a record says of its workflow's start, end and failure, as far as it says anything."""
    start, end = _times(workflow)
    operation = _failed(workflow)
    name = operation.operation if operation is not None else _failed_step(workflow)
    return WorkflowDetails(
        server_start=start,
        server_end=end if workflow.phase.final else None,
        failed_operation=name,
        failed_attempt=(operation.failed_attempts or None) if operation is not None else None,
        failed_host=operation.host if operation is not None else "",
    )


def failure_text(workflow: Workflow | None) -> str:
    """Return where a workflow that did not succeed ended, such as `in encode (attempt 1 of 1)`. "" if not known."""
    if workflow is None or not workflow.phase.final or workflow.phase is Phase.SUCCEEDED:
        return ""
    failure = workflow.failure if isinstance(workflow, HasOperations) else None
    place = failure or workflow.step
    return f"in {place}" if place else ""


def _failed(workflow: Workflow) -> Operation | None:
    """Return the operation that failed. One of a workflow that succeeded all the same is not of interest."""
    if workflow.phase is Phase.SUCCEEDED or not isinstance(workflow, HasOperations):
        return None
    return workflow.failed_operation


def _failed_step(workflow: Workflow) -> str:
    """Return the step in which a workflow failed whose record has no operations."""
    failed = workflow.phase is Phase.FAILED and not isinstance(workflow, HasOperations)
    return (workflow.step or "") if failed else ""


def _times(workflow: Workflow) -> tuple[datetime | None, datetime | None]:
    if isinstance(workflow, HasTimes):
        return workflow.started, workflow.finished
    return _span(workflow.operations or ()) if isinstance(workflow, HasOperations) else (None, None)


def _span(operations: Sequence[Operation]) -> tuple[datetime | None, datetime | None]:
    """Return when the first operation started and when the last one ended, None for what is not known.

    The end is not known if an operation started and has no end, or ended before it started: a stop leaves a running
    operation without its completion, and a retry leaves the completion of the attempt before.
    """
    begun = [(operation.start, _end(operation)) for operation in operations if operation.start is not None]
    first = min((start for start, _ in begun), default=None)
    ends = [end for _, end in begun if end is not None]
    if not ends or len(ends) < len(begun) or any(start > max(ends) for start, _ in begun):
        return first, None
    return first, max(ends)


def _end(operation: Operation) -> datetime | None:
    """Return when an operation ended. A skipped one has no completion and takes no time."""
    return operation.start if operation.state_text == "skipped" else operation.completion
