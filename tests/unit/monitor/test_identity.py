"""The shortcut that avoids comparing identities for each row of a list."""

from typing import Any

from hypothesis import example, given, strategies as st

from tests.support.monitored_server import Record, Server
from workflow_async import Clock, opencast, preservica
from workflow_async.monitor._engine.observation import conflicting
from workflow_async.monitor._engine.tracker import Tracker
from workflow_async.opencast.monitor_source import OpencastSource
from workflow_async.preservica.monitor_source import PreservicaSource

OPENCAST: Any = OpencastSource.__new__(OpencastSource)
PRESERVICA: Any = PreservicaSource.__new__(PreservicaSource)
NAMES = st.sampled_from(["", "a", "b"])
OPERATIONS = st.builds(
    opencast.Operation,
    operation=st.just("encode"),
    state=st.just(opencast.OperationState.RUNNING),
    state_text=st.just("running"),
    error_handler_workflow=NAMES,
)
STATES = st.sampled_from(opencast.State)


@st.composite
def opencast_records(draw: st.DrawFn) -> list[opencast.Workflow]:
    """Three records of one id in one state."""
    state = draw(STATES)
    return [
        opencast.Workflow(
            id=7,
            state=state,
            state_text=state.value,
            event_id=draw(NAMES),
            definition_id=draw(NAMES),
            operations=draw(st.none() | st.tuples(OPERATIONS)),
        )
        for _ in range(3)
    ]


def handled(definition_id: str, *, operations: bool) -> opencast.Workflow:
    """Return a record whose definition is an error handler of one of its operations, which only `operations` shows."""
    handler = opencast.Operation(
        operation="encode",
        state=opencast.OperationState.FAILED,
        state_text="failed",
        error_handler_workflow=definition_id,
    )
    return opencast.Workflow(
        id=7,
        state=opencast.State.RUNNING,
        state_text="running",
        event_id="a",
        definition_id=definition_id,
        operations=(handler,) if operations else None,
    )


def preservica_record(context_id: str, definition_id: str, correlation_id: str) -> preservica.Workflow:
    return preservica.Workflow(
        id=7,
        state=preservica.State.ACTIVE,
        state_text="ACTIVE",
        context_id=context_id,
        definition_id=definition_id,
        correlation_id=correlation_id,
    )


def assert_the_shortcut_hides_no_conflict(source: Any, first: Any, known: Any, found: Any) -> None:
    before = source.identity(first)
    if not conflicting(before, source.identity(known)) and source.same_identity(known, found):
        assert not conflicting(before, source.identity(found))


@given(opencast_records())
@example([handled("fast", operations=False), handled("repair", operations=True), handled("repair", operations=False)])
def test_the_shortcut_of_opencast_hides_no_other_workflow(records: list[opencast.Workflow]) -> None:
    assert_the_shortcut_hides_no_conflict(OPENCAST, *records)


@given(st.lists(st.builds(preservica_record, NAMES, NAMES, NAMES), min_size=3, max_size=3))
def test_the_shortcut_of_preservica_hides_no_other_workflow(records: list[preservica.Workflow]) -> None:
    assert_the_shortcut_hides_no_conflict(PRESERVICA, *records)


def test_a_row_that_names_the_same_as_the_known_record_needs_no_comparison_of_identities() -> None:
    class Counting(Server):
        compared = 0

        def identity(self, workflow: Any) -> tuple[str | None, ...]:
            self.compared += 1
            return super().identity(workflow)

    source = Counting()
    tracker: Tracker[Any] = Tracker(source, Clock(now=lambda: 10.0, wall=lambda: 10.0), lambda _: None)
    tracker.watch(7)
    tracker.apply_get(Record(7, identity="A"), 9.0)
    source.compared = 0
    assert tracker.apply_row(Record(7, identity="A"), 20.0)
    assert source.compared == 0
    assert not tracker.apply_row(Record(7, identity="B"), 20.0)
    assert source.compared > 0
