"""Converts records to values that JSON can represent."""

import enum
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import attrs

from workflow_async.monitor import Change
from workflow_async.phase import Phase, Workflow

Tree = Any
"""None, a bool, a number, a str, or a list or dict of these."""


def tree(value: object) -> Tree:
    """Return a value for JSON. Enums become their values, datetimes UTC. A record with a phase gets a key `phase`."""
    if attrs.has(type(value)):
        return _record(value)
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, datetime):
        return utc_text(value)
    if isinstance(value, Mapping):
        return {str(key): tree(member) for key, member in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [tree(member) for member in value]
    return value if isinstance(value, bool | int | float | str | None) else str(value)


def utc_text(value: datetime) -> str:
    """Return an instant in UTC as ISO 8601, to the millisecond."""
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _change(change: Change[Workflow]) -> dict[str, Tree]:
    """Return a change with the state and the step of its workflow instead of the whole record."""
    workflow = change.workflow
    words = {"state": workflow.state_text, "step": workflow.step}
    return {"id": workflow.id, "was": tree(change.was), "now": tree(change.now), **words}


def _record(record: Any) -> dict[str, Tree]:
    if isinstance(record, Change):
        return _change(record)
    members = {field.name.strip("_"): tree(getattr(record, field.name)) for field in attrs.fields(type(record))}
    phase = getattr(record, "phase", None)
    return {**members, "phase": phase.value} if isinstance(phase, Phase) else members
