"""Answers to workflows on hold: each is sent once, for a hold that exists. Over a socket against the sandbox."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.opencast_releases import on_all
from workflow_async import OpencastClient, Phase
from workflow_async.errors import (
    ConnectionBroken,
    Forbidden,
    InvalidArgument,
    NotHeld,
    RateLimited,
    ServerError,
    WorkflowFailed,
    WorkflowParked,
)
from workflow_async.opencast import Operation, OperationState, State, Workflow
from workflow_async.sandbox import Fault, Faults, ManualClock, Sandbox, Step, StepResult

Connect = Callable[..., OpencastClient]

EDIT = "ROLE_UI_EVENTS_DETAILS_WORKFLOWS_EDIT"
PLACE = "encode (attempt 1 of 2, host https://worker.example.org)"
ARCHIVE = Step("archive", 60.0)


def answers(sandbox: Sandbox) -> list[str]:
    """Return the last part of the path of every answer that the server has received."""
    requests = [request for request in sandbox.opencast.requests if request.path.startswith("/admin-ng")]
    return [request.path.rpartition("/")[2] for request in requests if request.method == "PUT"]


async def held(sandbox: Sandbox, oc: OpencastClient, *plan: Step, **metadata: Any) -> int:
    """Return the id of a workflow on hold."""
    sandbox.opencast.define("held", plan or (Step("encode", 5.0, StepResult.STUCK), ARCHIVE), **metadata)
    id = sandbox.opencast.start(sandbox.opencast.event(), "held")
    assert (await oc.workflows.wait(id, parked="return")).held_operation is not None
    return id


@on_all
async def test_a_retry_brings_a_held_workflow_on(sandbox: Sandbox, oc: OpencastClient) -> None:
    id = await held(sandbox, oc)
    answered = await oc.workflows.answer(id, "retry")
    assert (answered.state, answered.step, answered.held_operation) == (State.RUNNING, "encode", None)
    assert answers(sandbox) == ["RETRY"]
    done = await oc.workflows.wait(id, check=True)
    assert [(each.operation, each.state_text) for each in done.operations or ()] == [
        ("error-resolution", "succeeded"),
        ("encode", "succeeded"),
        ("archive", "succeeded"),
    ]


@on_all
async def test_fail_ends_a_held_workflow_in_the_operation_that_failed(sandbox: Sandbox, oc: OpencastClient) -> None:
    id = await held(sandbox, oc)
    answered = await oc.workflows.answer(str(id), "fail")
    assert (answered.state, answers(sandbox)) == (State.FAILED, ["NONE"])
    assert answered.failed_operation is not None
    assert (answered.failed_operation.operation, answered.step) == ("encode", "encode")
    assert str(WorkflowFailed(answered)) == f"workflow {id} failed in {PLACE}"


async def test_fail_starts_the_error_handler_if_the_operation_has_one(sandbox: Sandbox, oc: OpencastClient) -> None:
    stuck = Step("encode", 5.0, StepResult.STUCK, (Step("send-email", 3.0),))
    id = await held(sandbox, oc, stuck, ARCHIVE, handler="partial-error")
    assert (await oc.workflows.answer(id, "fail")).state is State.FAILING
    done = await oc.workflows.wait(id)
    assert (done.state, done.error_handler) == (State.FAILED, "partial-error")
    assert done.failed_operation is not None
    assert done.failed_operation.operation == "encode"


async def test_each_hold_gets_its_own_answer(sandbox: Sandbox, oc: OpencastClient) -> None:
    stuck = Step("encode", 5.0, StepResult.STUCK, failing_runs=2, max_attempts=3)
    id = await held(sandbox, oc, stuck, ARCHIVE)
    holds = []
    while (workflow := await oc.workflows.wait(id, parked="return")).phase is Phase.PARKED:
        holds.append(workflow.failure)
        await oc.workflows.answer(id, "retry")
    assert [(failure or "").partition(",")[0] for failure in holds] == [
        "encode (attempt 1 of 3",
        "encode (attempt 2 of 3",
    ]
    assert (workflow.state, answers(sandbox)) == (State.SUCCEEDED, ["RETRY", "RETRY"])


async def test_a_retry_that_fails_in_the_last_attempt_fails_the_workflow(sandbox: Sandbox, oc: OpencastClient) -> None:
    id = await held(sandbox, oc, Step("encode", 5.0, StepResult.STUCK, failing_runs=2), ARCHIVE)
    await oc.workflows.answer(id, "retry")
    with pytest.raises(WorkflowFailed, match=r"failed in encode \(attempt 2 of 2, host"):
        await oc.workflows.wait(id, check=True)


@pytest.mark.parametrize(
    ("definition", "seconds", "sentence"),
    [
        ("publish", 10, "is running in encode and not on hold after an error: only a workflow that is paused in"),
        ("review", 60, "is paused in editor and not on hold after an error: resume it"),
        ("noop", 60, "is succeeded and not on hold after an error"),
        ("fails", 60, "is failed in encode and not on hold after an error"),
    ],
)
async def test_a_workflow_without_a_hold_is_not_answered(
    sandbox: Sandbox, oc: OpencastClient, time: ManualClock, definition: str, seconds: float, sentence: str
) -> None:
    id = sandbox.opencast.start(sandbox.opencast.event(), definition)
    time.advance(seconds)
    with pytest.raises(NotHeld, match=f"^workflow {id} {sentence}") as caught:
        await oc.workflows.answer(id, "retry")
    assert isinstance(caught.value.workflow, Workflow)
    assert [request.method for request in sandbox.opencast.requests] == ["GET"]


@pytest.mark.parametrize(
    "states", [("instantiated", "retry"), ("running", "retry"), ("succeeded", "paused"), ("paused",)]
)
def test_only_a_paused_error_resolution_holds_the_operation_after_it(states: tuple[str, ...]) -> None:
    names = ("error-resolution", "encode")
    operations = tuple(
        Operation(operation=name, state=OperationState.read(state), state_text=state)
        for name, state in zip(names, states, strict=False)
    )
    paused = Workflow(id=7, state=State.PAUSED, state_text="paused", event_id="e-1", operations=operations)
    assert (paused.held_operation, paused.failure) == (None, None)
    assert str(NotHeld(paused)).endswith(f"is paused in {paused.step} and not on hold after an error: resume it")


@pytest.mark.parametrize("answer", ["continue", "RETRY", "none", "", None, ["retry"]])
async def test_other_answers_are_refused_before_anything_is_sent(
    sandbox: Sandbox, oc: OpencastClient, answer: Any
) -> None:
    with pytest.raises(InvalidArgument, match=r'^answer: must be "retry" \(run .* or "fail" \(let'):
        await oc.workflows.answer(7, answer)
    with pytest.raises(InvalidArgument, match="^settle: "):
        await oc.workflows.answer(7, "retry", settle=-1)
    with pytest.raises(InvalidArgument, match="^workflow_id: "):
        await oc.workflows.answer("x", "retry")
    assert not sandbox.opencast.requests


@on_all
async def test_a_user_without_the_role_learns_which_role_an_answer_needs_and_changes_nothing(
    sandbox: Sandbox, oc: OpencastClient, connect: Connect
) -> None:
    id = await held(sandbox, oc)
    async with connect(auth=("integration", "integration")) as integration:
        for _ in range(2):
            with pytest.raises(Forbidden, match=f"this call needs {EDIT}") as caught:
                await integration.workflows.answer(id, "retry")
            assert caught.value.role == EDIT
        assert (await integration.workflows.wait(id, parked="return")).held_operation is not None
    async with connect(auth=("operator", "operator")) as operator:
        assert (await operator.workflows.answer(id, "retry")).state is State.RUNNING


async def test_with_settle_0_the_record_from_before_the_answer_is_returned(
    sandbox: Sandbox, oc: OpencastClient, time: ManualClock
) -> None:
    id = await held(sandbox, oc)
    started = time()
    assert (await oc.workflows.answer(id, "retry", settle=0)).held_operation is not None
    assert time() == started
    assert (await oc.workflows.wait(id, parked="return")).state is State.SUCCEEDED


async def test_an_answer_whose_response_was_lost_is_not_repeated_if_it_took_effect(
    sandbox: Sandbox, oc: OpencastClient
) -> None:
    id = await held(sandbox, oc)
    sandbox.opencast.faults = Faults(script=(Fault.CUT_BEFORE,), methods=("PUT",))
    with pytest.raises(ConnectionBroken):
        await oc.workflows.answer(id, "retry")
    assert (await oc.workflows.answer(id, "retry")).state is State.RUNNING
    assert answers(sandbox) == ["RETRY"]


async def test_an_answer_that_may_have_been_lost_is_sent_again_after_30_seconds(
    sandbox: Sandbox, oc: OpencastClient, time: ManualClock
) -> None:
    id = await held(sandbox, oc)
    sandbox.opencast.faults = Faults(script=(Fault.SERVER_ERROR,), methods=("PUT",))
    with pytest.raises(ServerError):
        await oc.workflows.answer(id, "fail")
    started = time()
    assert (await oc.workflows.answer(id, "fail")).state is State.FAILED
    assert time() - started >= 30
    assert answers(sandbox) == ["NONE", "NONE"]


async def test_a_refused_answer_is_sent_again_by_the_next_call(sandbox: Sandbox, oc: OpencastClient) -> None:
    id = await held(sandbox, oc)
    sandbox.opencast.faults = Faults(script=(Fault.RATE_LIMITED,), methods=("PUT",))
    with pytest.raises(RateLimited):
        await oc.workflows.answer(id, "retry")
    assert (await oc.workflows.answer(id, "retry")).state is State.RUNNING


async def test_the_same_answer_from_several_tasks_is_sent_once(sandbox: Sandbox, oc: OpencastClient) -> None:
    id = await held(sandbox, oc)
    found = await asyncio.gather(*(oc.workflows.answer(id, "retry") for _ in range(4)))
    assert {workflow.state for workflow in found} == {State.RUNNING}
    assert answers(sandbox) == ["RETRY"]


async def test_of_two_different_answers_the_first_counts(sandbox: Sandbox, oc: OpencastClient) -> None:
    id = await held(sandbox, oc)
    await oc.workflows.answer(id, "retry", settle=0)
    with pytest.raises(NotHeld, match="is running in encode"):
        await oc.workflows.answer(id, "fail")
    assert answers(sandbox) == ["RETRY"]


async def test_an_answer_after_a_resume_waits_until_the_resume_can_have_no_effect(
    sandbox: Sandbox, oc: OpencastClient, time: ManualClock
) -> None:
    id = await held(sandbox, oc)
    await oc.workflows.resume(id, settle=0)
    started = time()
    assert (await oc.workflows.answer(id, "retry")).state is State.RUNNING
    assert time() - started >= 30
    assert answers(sandbox) == ["RETRY"]


async def test_an_answered_hold_is_not_reported_again(sandbox: Sandbox, oc: OpencastClient) -> None:
    id = await held(sandbox, oc)
    with pytest.raises(WorkflowParked, match=f"waits for a person: it is on hold after a failure in {PLACE[:6]}"):
        await oc.workflows.wait(id, parked="raise")
    await oc.workflows.answer(id, "retry", settle=0)
    assert (await oc.workflows.wait(id, parked="raise")).state is State.SUCCEEDED


async def test_an_operation_before_the_hold_does_not_count_as_held(sandbox: Sandbox, oc: OpencastClient) -> None:
    id = await held(sandbox, oc, Step("inspect", 1.0), Step("encode", 5.0, StepResult.STUCK), ARCHIVE)
    workflow = await oc.workflows.get(id, with_operations=True)
    assert workflow.held_operation is not None
    assert (workflow.held_operation.operation, workflow.held_operation.state) == ("encode", OperationState.RETRY)
    assert (await oc.workflows.get(id)).held_operation is None
