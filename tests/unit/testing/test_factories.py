"""The factories of records and events: small to call, and unable to make what no server sends."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from workflow_async import Phase, opencast, preservica
from workflow_async.errors import InvalidArgument
from workflow_async.monitor import Finished, OperationChange
from workflow_async.testing import change, finished, opencast_workflow, preservica_workflow

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize("state", [state.value for state in opencast.State if state is not opencast.State.UNKNOWN])
def test_a_workflow_of_opencast_has_the_state(state: Any) -> None:
    workflow = opencast_workflow(1603, state)
    assert (workflow.id, workflow.state_text, workflow.phase) == (1603, state, opencast.State.read(state).phase)
    assert (workflow.event_id, workflow.title, workflow.operations) == ("event-1603", "publish", None)


@pytest.mark.parametrize("state", [state.value for state in preservica.State if state is not preservica.State.UNKNOWN])
def test_a_workflow_of_preservica_has_the_state(state: Any) -> None:
    workflow = preservica_workflow(7, state)
    assert (workflow.id, workflow.state_text, workflow.phase) == (7, state, preservica.State.read(state).phase)
    assert (workflow.started is None) == (workflow.phase is Phase.WAITING)
    assert (workflow.finished is None) == (not workflow.phase.final)


def test_both_have_the_fields_that_are_given() -> None:
    of_opencast: dict[str, Any] = {
        "definition_id": "fast",
        "event_id": "e-1",
        "title": "Fast",
        "description": "text",
        "creator": None,
        "configuration": {"key": "text"},
    }
    of_preservica: dict[str, Any] = {
        "started": NOON,
        "finished": NOON + timedelta(hours=1),
        "current_step": "Store",
        "context_id": "2",
        "context_name": "Name",
        "definition_id": "id",
        "definition_name": "name",
        "correlation_id": "mark",
        "creator": "user",
        "display_state": "Done",
        "monitor_id": "3",
    }
    cases: tuple[tuple[Any, dict[str, Any]], ...] = (
        (opencast_workflow(1, **of_opencast), of_opencast),
        (preservica_workflow(1, "Completed", **of_preservica), of_preservica),
    )
    for workflow, fields in cases:
        assert {name: getattr(workflow, name) for name in fields} == fields


def test_operations_are_in_order_and_show_the_step() -> None:
    workflow = opencast_workflow(1, "running", operations={"encode": "succeeded", "publish": "running"})
    assert [operation.operation for operation in workflow.operations or ()] == ["encode", "publish"]
    assert workflow.step == "publish"


def test_a_start_after_the_default_end_moves_the_end() -> None:
    assert preservica_workflow(1, "Completed", started=NOON).finished == NOON


@pytest.mark.parametrize(
    ("make", "argument"),
    [
        (lambda: opencast_workflow("1603"), "id"),  # type: ignore[arg-type]
        (lambda: opencast_workflow(0), "id"),
        (lambda: opencast_workflow(1, "Running late"), "state"),  # type: ignore[arg-type]
        (lambda: opencast_workflow(1, "unknown"), "state"),  # type: ignore[arg-type]
        (lambda: opencast_workflow(1, None), "state"),  # type: ignore[arg-type]
        (lambda: opencast_workflow(1, event_id=3), "event_id"),  # type: ignore[arg-type]
        (lambda: opencast_workflow(1, title=3), "title"),  # type: ignore[arg-type]
        (lambda: opencast_workflow(1, definition_id=3, title=""), "definition_id"),  # type: ignore[arg-type]
        (lambda: opencast_workflow(1, configuration={"key": 3}), "configuration"),  # type: ignore[dict-item]
        (lambda: opencast_workflow(1, operations={"encode": "done"}), "operations"),  # type: ignore[dict-item]
        (lambda: opencast_workflow(1, operations={3: "running"}), "operations"),  # type: ignore[dict-item]
        (lambda: opencast_workflow(1, "succeeded", operations={"encode": "running"}), "operations"),
        (lambda: opencast_workflow(1, "instantiated", operations={"encode": "failed"}), "operations"),
        (lambda: preservica_workflow("7"), "id"),  # type: ignore[arg-type]
        (lambda: preservica_workflow(7, "Running"), "state"),  # type: ignore[arg-type]
        (lambda: preservica_workflow(7, creator=3), "creator"),  # type: ignore[arg-type]
        (lambda: preservica_workflow(7, started="noon"), "started"),  # type: ignore[arg-type]
        (lambda: preservica_workflow(7, "Pending", started=NOON), "started"),
        (lambda: preservica_workflow(7, "Active", finished=NOON), "finished"),
        (lambda: preservica_workflow(7, "Failed", started=NOON, finished=NOON - timedelta(1)), "finished"),
        (lambda: change(opencast_workflow(1), opencast_workflow(2)), "before"),
        (lambda: change(opencast_workflow(1), opencast_workflow(1)), "before"),
        (lambda: change(opencast_workflow(1), opencast_workflow(1, "failed")), "before"),
        (lambda: finished(opencast_workflow(1)), "workflow"),
    ],
)
def test_what_no_server_sends_is_refused_by_argument(make: Any, argument: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        make()
    assert caught.value.argument == argument


def test_a_first_sight_is_a_change_from_nothing() -> None:
    event = change(preservica_workflow(7))
    assert (event.was, event.now, event.key) == (None, Phase.RUNNING, "preservica:127.0.0.1/7/Active")


def test_a_change_says_what_the_operations_did() -> None:
    before = opencast_workflow(1, operations={"encode": "running", "publish": "instantiated"})
    event = change(opencast_workflow(1, operations={"encode": "succeeded", "publish": "running"}), before)
    assert (event.was, event.now) == (Phase.RUNNING, Phase.RUNNING)
    assert event.operations == (
        OperationChange(operation="encode", position=0, was="running", now="succeeded"),
        OperationChange(operation="publish", position=1, was="instantiated", now="running"),
    )


def test_an_end_has_the_key_that_a_watch_gives() -> None:
    event = change(opencast_workflow(1603, "succeeded"), opencast_workflow(1603))
    assert (event.was, event.now, event.key) == (
        Phase.RUNNING,
        Phase.SUCCEEDED,
        "opencast:127.0.0.1/1603/end/succeeded",
    )


def test_an_outcome_says_whether_the_workflow_succeeded() -> None:
    assert finished(opencast_workflow(1, "succeeded")).succeeded
    assert finished(preservica_workflow(1, "Failed")) == Finished(workflow=preservica_workflow(1, "Failed"))
    assert not finished(preservica_workflow(1, "Failed")).succeeded
