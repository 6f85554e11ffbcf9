"""Keys of events: equal for equal states, in every process and after any earlier states."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support.monitored_server import SERVER_KEY, Record
from workflow_async.errors import NotFound
from workflow_async.monitor import Change, PollingFailed, Replaced, Stalled, Vanished
from workflow_async.monitor._engine.keys import digest, with_key
from workflow_async.phase import Phase

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)


def change(record: Record, was: Phase | None = None) -> Change[Record]:
    return Change(workflow=record, was=was, now=record.phase, seen_at=NOON)


def key(record: Record, was: Phase | None = None, *, operations: bool = False) -> str:
    return with_key(change(record, was), SERVER_KEY, operations=operations).key


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase.final])
@pytest.mark.parametrize("operations", [True, False])
def test_the_key_of_an_end_is_its_state_regardless_of_earlier_changes(phase: Phase, operations: bool) -> None:  # noqa: FBT001 - a column
    keys = {key(Record(7, phase, step=step), was, operations=operations) for step in ("a", None) for was in Phase}
    assert keys == {f"{SERVER_KEY}/7/end/{Record(7, phase).state_text}"}


def test_the_key_of_a_change_names_the_state_and_not_how_many_came_before() -> None:
    assert key(Record(7)) == key(Record(7), Phase.WAITING) == f"{SERVER_KEY}/7/{Record(7).state_text}"
    assert key(Record(7)) != key(Record(8))


def test_the_step_is_part_of_the_key_where_operations_are_watched() -> None:
    first, second = Record(7, step="encode"), Record(7, step="publish")
    assert key(first) == key(second)
    assert key(first, operations=True) != key(second, operations=True)


def test_two_pauses_at_different_steps_have_different_keys() -> None:
    first, second = Record(7, Phase.PARKED, step="cut"), Record(7, Phase.PARKED, step="check")
    assert key(first) != key(second)
    assert digest(first) != digest(second)


def test_every_event_has_a_key() -> None:
    record, error = Record(7), NotFound(404)
    events: list[Any] = [
        change(record),
        Stalled(workflow=record, seen_at=NOON, seconds=9.0, usual=None),
        Vanished(id=7, error=error),
        PollingFailed(id=7, error=error),
        Replaced(id=7, workflow=record, found=record),
    ]
    keys = [with_key(event, SERVER_KEY, operations=False).key for event in events]
    assert len(set(keys)) == len(keys)
    assert all(text.startswith(f"{SERVER_KEY}/7/") for text in keys)
