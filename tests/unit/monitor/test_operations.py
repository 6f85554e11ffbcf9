"""The operations of a record, if its system has them."""

import pytest

from tests.support.monitored_server import Detailed, Operation, Record
from workflow_async import Phase, opencast, preservica
from workflow_async.monitor._engine.operations import HasOperations, has_operations, operation_states, operations_of
from workflow_async.monitor.spec.records import SavedWorkflow
from workflow_async.phase import Workflow


def test_only_records_of_opencast_have_operations() -> None:
    assert "operations" in opencast.Workflow.__annotations__
    assert not hasattr(preservica.Workflow, "operations")
    assert has_operations(Detailed(7))
    assert not has_operations(Record(7))


def test_the_record_of_opencast_is_one_that_has_operations() -> None:
    def accept(workflow: HasOperations) -> HasOperations:
        return workflow

    assert accept(opencast.Workflow.__new__(opencast.Workflow)) is not None


@pytest.mark.parametrize(
    ("workflow", "states"),
    [
        (Record(7), None),
        (Detailed(7), None),
        (Detailed(7, operations=()), ()),
        (Detailed(7, operations=(Operation("encode", "running"), Operation("publish"))), ("running", "instantiated")),
        (SavedWorkflow(id=7, phase=Phase.RUNNING, state_text="running"), None),
    ],
    ids=["of another system", "read without", "none", "two", "saved without"],
)
def test_a_record_that_holds_no_operations_is_told_from_one_with_an_empty_list(
    workflow: Workflow, states: tuple[str, ...] | None
) -> None:
    assert operation_states(workflow) == states
    assert (operations_of(workflow) is None) == (states is None)
