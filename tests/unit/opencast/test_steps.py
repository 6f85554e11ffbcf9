"""The current operation of a workflow, and the description of a failure."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, strategies as st

from tests.support.opencast_releases import on_all
from workflow_async import OpencastClient
from workflow_async.batch.workflow_details import failure_text
from workflow_async.errors import WorkflowFailed
from workflow_async.opencast import State, Workflow
from workflow_async.opencast.operation_records import Operation, OperationState
from workflow_async.sandbox import Sandbox

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)


def operation(name: str, state: str, **more: Any) -> Operation:
    return Operation(operation=name, state=OperationState.read(state), state_text=state, **more)


def record(state: str, *operations: Operation, **more: Any) -> Workflow:
    return Workflow(id=1000, state=State.read(state), state_text=state, event_id="e", operations=operations, **more)


def chain(words: str) -> Iterator[Operation]:
    """Yield operations a, b, c, … in these states."""
    yield from (operation(name, state) for name, state in zip("abcdefgh", words.split(), strict=False))


@pytest.mark.parametrize(
    ("state", "operations", "step"),
    [
        ("running", "succeeded running instantiated", "b"),
        ("running", "succeeded skipped instantiated", "c"),
        ("instantiated", "instantiated instantiated", "a"),
        ("paused", "succeeded paused instantiated", "b"),
        ("failing", "succeeded failed running instantiated", "c"),
        ("failed", "succeeded failed instantiated", "b"),
        ("failed", "failed succeeded failed instantiated", "c"),
        ("failed", "succeeded running instantiated", "b"),
        ("failed", "succeeded retry instantiated", "b"),
        ("failed", "instantiated instantiated", None),
        ("failed", "skipped instantiated", None),
        ("failed", "", None),
        ("stopped", "succeeded running instantiated", "b"),
        ("stopped", "succeeded paused instantiated", "b"),
        ("stopped", "succeeded skipped instantiated", "a"),
        ("stopped", "failed succeeded instantiated", "b"),
        ("stopped", "instantiated instantiated", None),
        ("succeeded", "succeeded failed succeeded", None),
        ("succeeded", "succeeded instantiated", None),
        ("holding", "succeeded running instantiated", "b"),
    ],
)
def test_the_step_is_the_operation_that_the_workflow_is_or_ended_in(
    state: str, operations: str, step: str | None
) -> None:
    assert record(state, *chain(operations)).step == step


STATES = st.sampled_from([state.value for state in OperationState])


@given(st.sampled_from(["failed", "stopped"]), st.lists(STATES, max_size=8))
def test_an_ended_workflow_never_names_an_operation_that_did_not_run(state: str, operations: list[str]) -> None:
    current = record(state, *chain(" ".join(operations))).current
    assert current is None or current.has_run


def test_an_operation_with_a_start_has_run_unless_it_was_skipped() -> None:
    assert record("stopped", operation("a", "instantiated", start=NOON)).step == "a"
    assert record("stopped", operation("a", "skipped", start=NOON)).step is None
    assert record("stopped", operation("a", "odd", start=NOON), operation("b", "odd")).step == "a"


def test_without_operations_there_are_no_steps() -> None:
    workflow = Workflow(id=1, state=State.FAILED, state_text="failed", event_id="e")
    assert (workflow.step, workflow.failed_operation, workflow.error_handler, workflow.failure) == (None,) * 4
    assert str(WorkflowFailed(workflow)) == "workflow 1 ended failed"


def failed_operation(*operations: Operation, state: str = "failed") -> str | None:
    found = record(state, *operations).failed_operation
    return found.operation if found is not None else None


def test_the_failed_operation_is_the_last_that_failed() -> None:
    tolerated = operation("a", "failed", fail_workflow_on_error=False)
    assert failed_operation(tolerated, operation("b", "failed"), operation("c", "instantiated")) == "b"
    assert failed_operation(tolerated, operation("b", "succeeded"), state="succeeded") == "a"
    assert failed_operation(operation("a", "succeeded"), operation("b", "running"), state="running") is None


def test_an_operation_of_the_error_handler_is_not_the_failed_operation() -> None:
    cause = operation("encode", "failed", error_handler_workflow="tell")
    assert failed_operation(cause, operation("send-email", "failed")) == "encode"
    assert failed_operation(cause, operation("send-email", "succeeded"), state="failing") == "encode"
    unknown = operation("a", "failed", fail_workflow_on_error=None, error_handler_workflow="tell")
    assert failed_operation(unknown, operation("b", "failed")) == "a"
    tolerated = operation("a", "failed", fail_workflow_on_error=False, error_handler_workflow="tell")
    assert failed_operation(tolerated, operation("b", "failed")) == "b"


@pytest.mark.parametrize(
    ("details", "said"),
    [
        ({"failed_attempts": 1, "max_attempts": 1, "host": "https://w1"}, "encode (attempt 1 of 1, host https://w1)"),
        ({"failed_attempts": 2, "max_attempts": 3}, "encode (attempt 2 of 3)"),
        ({"failed_attempts": 4, "max_attempts": -1}, "encode (attempt 4)"),
        ({"failed_attempts": 2, "max_attempts": 1}, "encode (attempt 2)"),
        ({"host": "https://w1"}, "encode (host https://w1)"),
        ({"failed_attempts": None, "max_attempts": 3}, "encode"),
        ({"failed_attempts": 2, "max_attempts": None}, "encode (attempt 2)"),
        ({}, "encode"),
    ],
)
def test_a_failure_has_the_details_of_the_record(details: dict[str, Any], said: str) -> None:
    workflow = record("failed", operation("encode", "failed", **details), operation("cleanup", "instantiated"))
    assert workflow.failure == said
    assert str(WorkflowFailed(workflow)) == f"workflow 1000 failed in {said}"
    assert failure_text(workflow) == f"in {said}"


def test_a_failure_names_the_started_workflow_and_the_error_handler() -> None:
    cause = operation("encode", "failed", error_handler_workflow="partial-error")
    workflow = record(
        "failed", cause, operation("send-email", "succeeded"), title="Publish\n to all", definition_id="partial-error"
    )
    assert workflow.error_handler == "partial-error"
    said = 'workflow 1000 failed in encode of "Publish to all", then the error handler partial-error ran'
    assert str(WorkflowFailed(workflow)) == said
    untitled = record("failed", cause, title=" ", definition_id="partial-error")
    assert untitled.failure == "encode, then the error handler partial-error ran"
    before = record("failed", cause, definition_id="publish")
    assert (before.error_handler, before.failure) == (None, "encode")


def test_a_workflow_that_did_not_fail_has_no_failure() -> None:
    stopped = record("stopped", *chain("failed running"))
    assert stopped.failure is None
    assert str(WorkflowFailed(stopped)) == "workflow 1000 ended stopped in b"
    assert [failure_text(each) for each in (stopped, record("succeeded", *chain("failed")), None)] == ["in b", "", ""]
    assert failure_text(record("running", *chain("running"))) == ""
    assert failure_text(record("stopped")) == ""


@on_all
@pytest.mark.parametrize("definition", ["fails", "fails-with-handler"])
async def test_a_checked_wait_names_the_failed_operation_on_every_release(
    sandbox: Sandbox, oc: OpencastClient, definition: str
) -> None:
    started = await oc.workflows.start(sandbox.opencast.event(), definition)
    with pytest.raises(WorkflowFailed) as caught:
        await oc.workflows.wait(started.id, check=True)
    message = str(caught.value)
    assert message.startswith(
        f"workflow {started.id} failed in encode (attempt 1 of 1, host https://worker.example.org)"
    )
    assert message.endswith('of "Fails and tells the operators", then the error handler partial-error ran') is (
        definition == "fails-with-handler"
    )
    assert caught.value.workflow.step == "encode"  # type: ignore[attr-defined]  # the record of an Opencast


async def test_a_stopped_workflow_names_the_operation_it_was_stopped_in(sandbox: Sandbox, oc: OpencastClient) -> None:
    started = await oc.workflows.start(sandbox.opencast.event(), "publish")
    await oc.workflows.wait(started.id, until=lambda workflow: workflow.step == "encode")
    await oc.workflows.stop(started.id)
    assert (await oc.workflows.get(started.id, with_operations=True)).step == "encode"
