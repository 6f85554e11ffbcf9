"""Reads times and failure of a workflow from the server's last record. Pure."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol, TypedDict, runtime_checkable

from workflow_async.batch.operation_durations import OperationDuration, durations_of
from workflow_async.monitor._engine.operations import Operation
from workflow_async.phase import Phase, Workflow


class WorkflowDetails(TypedDict):
    """What a journal stores from a workflow's last record."""

    server_start: datetime | None
    server_end: datetime | None
    failed_operation: str
    failed_attempt: int | None
    failed_host: str
    operations: tuple[OperationDuration, ...] | None


NO_DETAILS = WorkflowDetails(
    server_start=None,
    server_end=None,
    failed_operation="",
    failed_attempt=None,
    failed_host="",
    operations=None,
)


class FailedOperation(Operation, Protocol):
    """An operation with what is known of its failure, as in Opencast's records."""

    @property
    def failed_attempts(self) -> int | None:
        """The number of failed attempts."""
        ...

    @property
    def host(self) -> str:
        """The host on which the operation ran."""
        ...


@runtime_checkable
class HasOperations(Protocol):
    """A record with operations, as Opencast has."""

    @property
    def operations(self) -> Sequence[Operation] | None:
        """The operations in the order of execution. None unless they were requested."""
        ...

    @property
    def failed_operation(self) -> FailedOperation | None:
        """The operation that failed. None if none failed or operations were not requested."""
        ...

    @property
    def failure(self) -> str | None:
        """Which operation failed and how, in words. None unless the workflow has failed or is on hold after that."""
        ...


@runtime_checkable
class HasTimes(Protocol):
    """A record with times of its own, as Preservica has."""

    @property
    def started(self) -> datetime | None:
        """When the workflow started, by the server's clock."""
        ...

    @property
    def finished(self) -> datetime | None:
        """When the workflow ended, by the server's clock."""
        ...


def read_details(workflow: Workflow) -> WorkflowDetails:
    """Return what a record says about its workflow's start, end, failure and operations."""
    start, end = _times(workflow)
    operation = _failed(workflow)
    name = operation.operation if operation is not None else _failed_step(workflow)
    return WorkflowDetails(
        server_start=start,
        server_end=end if workflow.phase.final else None,
        failed_operation=name,
        failed_attempt=(operation.failed_attempts or None) if operation is not None else None,
        failed_host=operation.host if operation is not None else "",
        operations=_durations(workflow),
    )


def failure_text(workflow: Workflow | None) -> str:
    """Return where a workflow has failed or is on hold, such as `in encode (attempt 1 of 1)`. "" if not known."""
    if workflow is None or workflow.phase is Phase.SUCCEEDED:
        return ""
    failure = workflow.failure if isinstance(workflow, HasOperations) else None
    if not workflow.phase.final:
        return f"on hold after a failure in {failure}" if failure else ""
    place = failure or workflow.step
    return f"in {place}" if place else ""


def _failed(workflow: Workflow) -> FailedOperation | None:
    """Return the operation that failed. A failed operation of a workflow that succeeded is ignored."""
    if workflow.phase is Phase.SUCCEEDED or not isinstance(workflow, HasOperations):
        return None
    return workflow.failed_operation


def _durations(workflow: Workflow) -> tuple[OperationDuration, ...] | None:
    """Return the durations of the operations. None if the record has no operations or they were not requested."""
    operations = workflow.operations if isinstance(workflow, HasOperations) else None
    return None if operations is None else durations_of(operations)


def _failed_step(workflow: Workflow) -> str:
    """Return the step in which a workflow failed, for a record without operations."""
    failed = workflow.phase is Phase.FAILED and not isinstance(workflow, HasOperations)
    return (workflow.step or "") if failed else ""


def _times(workflow: Workflow) -> tuple[datetime | None, datetime | None]:
    if isinstance(workflow, HasTimes):
        return workflow.started, workflow.finished
    return _span(workflow.operations or ()) if isinstance(workflow, HasOperations) else (None, None)


def _span(operations: Sequence[Operation]) -> tuple[datetime | None, datetime | None]:
    """Return when the first operation started and when the last one ended, or None for an unknown time.

    The end is unknown if an operation started and has no end, or ended before it started. A stop leaves a running
    operation without a completion, and a retry keeps the completion of the previous attempt.
    """
    spans = [(operation.start, _end(operation)) for operation in operations if operation.start is not None]
    first = min((start for start, _ in spans), default=None)
    ends = [end for _, end in spans if end is not None]
    if not ends or len(ends) < len(spans) or any(start > max(ends) for start, _ in spans):
        return first, None
    return first, max(ends)


def _end(operation: Operation) -> datetime | None:
    """Return when an operation ended. A skipped operation has no completion and takes no time."""
    return operation.start if operation.state_text == "skipped" else operation.completion
