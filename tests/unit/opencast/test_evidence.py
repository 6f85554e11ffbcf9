"""The decision which workflow belongs to a start of unknown outcome, without event loop and sockets."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, strategies as st

from workflow_async.batch import Ambiguous, StartFound, Ticket
from workflow_async.batch.reconcile import NO_OTHER_STARTS, OtherStarts
from workflow_async.batch.start_records import OpencastStart
from workflow_async.opencast.evidence import find_start, is_newer
from workflow_async.opencast.operation_records import Operation, OperationState
from workflow_async.opencast.records import State, Workflow

NOW = datetime(2026, 3, 1, 12, 30, 0, 123_456, UTC)


START = OpencastStart(event_id="e", definition_id="fast", configuration=None)


def ticket(baseline: int | None = None, lag: float = 0.0) -> Ticket:
    """Return a ticket for `fast` on the event `e`."""
    return Ticket(
        server="https://oc.example.org",
        arguments=START,
        correlation_id="mark",
        prepared_at=NOW,
        key="key",
        baseline=baseline,
        baseline_lag=lag,
    )


def workflow(
    id: int = 9, *, created: float | None = None, began: float | None = None, definition: str = "fast"
) -> Workflow:
    """Return a workflow that was created, or whose first operation began, these seconds after the ticket."""
    operations = () if began is None else (operation(began + 30), operation(began), operation(None))
    return Workflow(
        id=id,
        state=State.RUNNING,
        state_text="running",
        definition_id=definition,
        event_id="e",
        operations=operations,
        created=None if created is None else NOW.replace(microsecond=123_000) + timedelta(seconds=created),
    )


def operation(began: float | None) -> Operation:
    start = None if began is None else NOW + timedelta(seconds=began)
    return Operation(operation="inspect", state=OperationState.RUNNING, state_text="running", start=start)


@pytest.mark.parametrize(
    ("created", "began", "later"),
    [
        (0.0, None, True),
        (-0.001, None, None),  # the server's times have milliseconds
        (3600.0, None, True),
        (-1.0, None, None),
        (-1.0, 3600.0, None),  # it was created before the ticket and waited an hour
        (-299.0, None, None),
        (-301.0, None, False),
        (None, 61.0, True),
        (None, 59.0, None),
        (None, 0.0, None),
        (None, -299.0, None),
        (None, -301.0, False),
        (None, None, None),
    ],
)
def test_without_a_baseline_dates_decide(
    created: float | None,
    began: float | None,
    later: bool | None,  # noqa: FBT001 - a column of the table above
) -> None:
    assert is_newer(ticket(), workflow(created=created, began=began)) is later


@given(
    id=st.integers(0, 20),
    baseline=st.integers(0, 20),
    created=st.none() | st.floats(-1000, 1000),
    began=st.none() | st.floats(-1000, 1000),
)
def test_an_exact_baseline_decides_whatever_the_dates_are(
    id: int, baseline: int, created: float | None, began: float | None
) -> None:
    assert is_newer(ticket(baseline), workflow(id, created=created, began=began)) is (id > baseline)


@given(id=st.integers(0, 20), baseline=st.integers(0, 20), began=st.none() | st.floats(-1000, 10**6))
def test_above_a_baseline_that_lags_nothing_is_decided(id: int, baseline: int, began: float | None) -> None:
    later = is_newer(ticket(baseline, 12.0), workflow(id, began=began))
    assert later is not True
    assert later is False or id > baseline


def test_above_a_baseline_that_lags_a_date_of_creation_decides() -> None:
    assert is_newer(ticket(7, 12.0), workflow(9, created=1.0)) is True
    assert is_newer(ticket(7, 12.0), workflow(9, created=-1.0)) is None
    assert is_newer(ticket(9, 12.0), workflow(9, created=1.0)) is False


def test_the_only_newer_workflow_of_the_definition_is_that_of_the_start() -> None:
    others = [workflow(3), workflow(12, definition="handler")]
    found = find_start(ticket(7), START, [*others, workflow(9)], NO_OTHER_STARTS)
    assert isinstance(found, StartFound)
    assert found.workflow.id == 9


@pytest.mark.parametrize("owned", [{9}, {11}, {9, 11}])
def test_workflows_of_other_starts_are_ignored(owned: set[int]) -> None:
    rivals = OtherStarts(own=owned.__contains__)
    found = find_start(ticket(7), START, [workflow(9), workflow(11)], rivals)
    left = {9, 11} - owned
    assert {found.workflow.id} == left if isinstance(found, StartFound) else not left


def test_a_workflow_that_another_start_may_own_makes_a_found_start_ambiguous() -> None:
    rivals = OtherStarts(may_own_same=lambda: True)
    found = find_start(ticket(7), START, [workflow(9)], rivals)
    assert isinstance(found, Ambiguous)
    assert found.candidates == (workflow(9),)
    assert find_start(ticket(9), START, [workflow(9)], rivals) is None
    two = find_start(ticket(7), START, [workflow(9), workflow(11)], rivals)
    assert isinstance(two, Ambiguous)
    assert two.why == "2 workflows 'fast' on event e may belong to it"
