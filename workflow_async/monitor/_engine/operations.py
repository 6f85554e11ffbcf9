"""Reads the operations of a record, and rebuilds their changes from two records. Pure."""

from datetime import datetime
from typing import Protocol, TypeGuard

from workflow_async.monitor.events import OperationChange
from workflow_async.phase import Workflow

RAN_STATES = frozenset({"succeeded", "failed"})
"""States of an operation that has run and ended."""
ENDED_STATES = RAN_STATES | {"skipped"}
"""States of an operation that has ended."""


class Operation(Protocol):
    """An operation of a record."""

    @property
    def id(self) -> int | None:
        """The id of its job. None before the job exists."""
        ...

    @property
    def operation(self) -> str:
        """Its name."""
        ...

    @property
    def state_text(self) -> str:
        """The server's word for its state."""
        ...

    @property
    def start(self) -> datetime | None:
        """When it started, by the server's clock."""
        ...

    @property
    def completion(self) -> datetime | None:
        """When it ended, by the server's clock."""
        ...


class HasOperations(Workflow, Protocol):
    """A record of a system whose workflows have operations: Opencast."""

    @property
    def operations(self) -> tuple[Operation, ...] | None:
        """The operations in their order. None if this record was read without them."""
        ...


def has_operations(workflow: Workflow) -> TypeGuard[HasOperations]:
    """Return True if records of this system can hold operations."""
    # isinstance() with a runtime-checkable Protocol is 200 times slower, and this is called for each row of a list
    return hasattr(workflow, "operations")


def operations_of(workflow: Workflow) -> tuple[Operation, ...] | None:
    """Return the operations of a record. None if it holds none."""
    return workflow.operations if has_operations(workflow) else None


def operation_states(workflow: Workflow) -> tuple[str, ...] | None:
    """Return the state of each operation. None if the record holds no operations."""
    operations = operations_of(workflow)
    return None if operations is None else tuple(operation.state_text for operation in operations)


def operation_changes(before: Workflow | None, after: Workflow) -> tuple[OperationChange, ...]:
    """Return every transition of an operation between two records. Empty if the later one holds no operations.

    An operation that has ended must have run. If no record showed it running, that transition is added.
    """
    known = dict(enumerate((operations_of(before) if before is not None else None) or ()))
    found: list[OperationChange] = []
    for position, operation in enumerate(operations_of(after) or ()):
        last = known.get(position)
        was = last.state_text if last is not None and last.operation == operation.operation else None
        if was != operation.state_text:
            found += _transitions(operation, position, was)
    return tuple(found)


def _transitions(operation: Operation, position: int, was: str | None) -> list[OperationChange]:
    name, now = operation.operation, operation.state_text
    changes = []
    if now in RAN_STATES and was != "running" and operation.start is not None:
        changes.append(OperationChange(operation=name, position=position, was=was, now="running", at=operation.start))
        was = "running"
    at = operation.completion if now in RAN_STATES else operation.start
    changes.append(OperationChange(operation=name, position=position, was=was, now=now, at=at))
    return changes
