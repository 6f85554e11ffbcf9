"""How long the operations of a workflow took, and how a journal stores that. Pure."""

import json
from collections.abc import Iterable, Sequence

from attrs import frozen

from workflow_async._records.record import Record
from workflow_async._records.spans import seconds_between
from workflow_async.monitor._engine.operations import Operation

DIGITS = 3
"""Decimals of the seconds. Servers tell times in milliseconds."""


@frozen
class OperationDuration(Record):
    """How long one operation of a workflow took, by the server's clock."""

    operation: str
    """The name, such as `encode`. Not unique within a workflow."""
    seconds: float
    """From its start to its end, without the time in the queue. After a retry, the duration of the last attempt."""


def durations_of(operations: Iterable[Operation]) -> tuple[OperationDuration, ...]:
    """Return the durations of the operations that have run, in their order. Unknown durations are left out."""
    return tuple(
        OperationDuration(operation.operation, round(seconds, DIGITS))
        for operation in operations
        if (seconds := seconds_between(operation.start, operation.completion)) is not None
    )


def durations_to_json(durations: Sequence[OperationDuration]) -> str:
    """Return durations as JSON: a list with the name and the seconds of each operation."""
    return json.dumps([[each.operation, each.seconds] for each in durations], separators=(",", ":"))


def durations_from_json(text: str) -> tuple[OperationDuration, ...]:
    """Return the durations in a text of `durations_to_json`. Raises ValueError for any other text."""
    match json.loads(text):
        case [*pairs] if all(map(_is_pair, pairs)):
            return tuple(OperationDuration(*pair) for pair in pairs)
    raise ValueError(f"the operations {text!r:.60} are not a list of names and seconds")


def _is_pair(value: object) -> bool:
    match value:
        case [str(), int() | float()]:
            return True
    return False
