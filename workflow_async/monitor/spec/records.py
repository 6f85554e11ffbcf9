"""What a saved watch knows of each workflow. Pure."""

import math
from typing import Any

from attrs import evolve, frozen

from workflow_async.monitor._engine.observation import Observation
from workflow_async.monitor._engine.operations import operations_of
from workflow_async.phase import Phase, Workflow

INSTANTS = (
    "since",
    "got_at",
    "listed_at",
    "changed_at",
    "checked_at",
    "missing_since",
    "failing_since",
    "foreign_since",
)
"""Fields of a cursor that are instants."""
TENTHS = 10


@frozen(kw_only=True)
class SavedOperation:
    """The part of an operation that a cursor keeps."""

    operation: str
    state_text: str


@frozen(kw_only=True)
class SavedWorkflow:
    """The part of a record that a cursor keeps, so that the next change can be seen."""

    id: int
    phase: Phase
    state_text: str
    step: str | None = None
    operations: tuple[SavedOperation, ...] | None = None
    kind: str | None = None
    """The kind of workflow whose durations are compared: its definition or context."""

    @classmethod
    def of(cls, workflow: Workflow, kind: str, *, operations: bool) -> "SavedWorkflow":
        """Return the part of a record that is kept, with or without its operations."""
        found = operations_of(workflow) if operations else None
        return cls(
            id=workflow.id,
            phase=workflow.phase,
            state_text=workflow.state_text,
            step=workflow.step,
            operations=None
            if found is None
            else tuple(SavedOperation(operation=each.operation, state_text=each.state_text) for each in found),
            kind=kind or None,
        )


@frozen(kw_only=True)
class Cursor(Observation[SavedWorkflow]):
    """What a saved watch knows of one workflow. Instants are seconds since 1970."""

    since: float = 0.0
    """When the workflow was first checked. 0 before that."""
    workflow: SavedWorkflow | None = None
    checked_at: float | None = None
    """When the workflow was last checked. None before the first check."""

    @property
    def age_key(self) -> tuple[float, int]:
        """The order of checks: the workflow that was checked longest ago comes first."""
        return self.checked_at or 0.0, self.id


def in_tenths(seconds: float) -> int:
    """Return an instant in tenths of a second, rounded up. An instant that has no more digits stays as it is."""
    return math.ceil(round(seconds * TENTHS, 3))


def rounded(cursor: Cursor) -> Cursor:
    """Return a cursor with its instants in tenths of a second.

    They are rounded up, so that a list is not believed that is older than a GET.
    """
    changes: dict[str, Any] = {}
    for name in INSTANTS:
        value = getattr(cursor, name)
        if value is not None:
            changes[name] = in_tenths(value) / TENTHS
    return evolve(cursor, **changes)
