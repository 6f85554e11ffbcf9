"""How a journal stores the durations of operations."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, strategies as st

from workflow_async.batch.entries import Entry, StatusKind
from workflow_async.batch.operation_durations import (
    OperationDuration,
    durations_from_json,
    durations_of,
    durations_to_json,
)
from workflow_async.batch.schema import entry_row, parse_entry
from workflow_async.batch.workflow_details import read_details
from workflow_async.opencast import Operation, OperationState, State, Workflow

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
DURATIONS = st.builds(
    OperationDuration,
    st.text(st.characters(exclude_categories=())),
    st.floats(0, 1e9).map(lambda seconds: round(seconds, 3)),
)


def operation(name: str, state: str, start: float | None = None, end: float | None = None) -> Operation:
    times = [None if each is None else NOON + timedelta(seconds=each) for each in (start, end)]
    return Operation(
        operation=name, state=OperationState.read(state), state_text=state, start=times[0], completion=times[1]
    )


def test_only_operations_that_have_run_have_a_duration() -> None:
    operations = [
        operation("inspect", "succeeded", 0, 2.0004),
        operation("cut", "skipped", 2),
        operation("encode", "succeeded", 30, 20),
        operation("publish", "failed", 31, 31.5),
        operation("publish", "instantiated"),
    ]
    assert durations_of(operations) == (OperationDuration("inspect", 2.0), OperationDuration("publish", 0.5))


def test_a_record_that_was_read_without_operations_has_no_durations() -> None:
    workflow = Workflow(id=7, state=State.SUCCEEDED, state_text="succeeded", event_id="e")
    assert read_details(workflow)["operations"] is None


@given(st.lists(DURATIONS).map(tuple) | st.none())
def test_every_duration_of_an_entry_is_read_as_it_was_written(durations: tuple[OperationDuration, ...] | None) -> None:
    entry = Entry(at=NOON, key="a", kind=StatusKind.ENDED, word="succeeded", id=7, operations=durations)
    assert parse_entry("j", 1, entry_row("j", 1, entry)) == entry


def test_the_text_is_compact() -> None:
    assert durations_to_json([OperationDuration("encode", 31.5)]) == '[["encode",31.5]]'


@pytest.mark.parametrize("text", ["", "{}", "null", "7", '["a"]', '[["a"]]', "[[1,2]]", '[["a","b"]]', '[["a",1,2]]'])
def test_another_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"list of names and seconds|Expecting value"):
        durations_from_json(text)
