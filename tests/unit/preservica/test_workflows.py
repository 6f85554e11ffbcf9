"""Workflows of a Preservica over a real socket: get, terminate, retry, wait."""

from typing import Any

import httpx
import pytest

from workflow_async import Clock, Phase, Poll
from workflow_async.errors import (
    DecodeError,
    InvalidArgument,
    NotFound,
    PartialFailure,
    ResponseMismatch,
    ServerError,
    TransportError,
    WaitTimeout,
    WorkflowFailed,
    WorkflowParked,
)
from workflow_async.preservica import PreservicaClient, State, Workflow
from workflow_async.sandbox import Fault, Faults, ManualClock, Step, StepResult
from workflow_async.sandbox.fault_middleware import RecordedRequest
from workflow_async.sandbox.systems import FakePreservica

INSTANCES = "/sdb/rest/workflow/instances"
QUICK = Poll(interval=1.0, ceiling=1.0)


def requests(archive: FakePreservica, method: str = "GET", path: str = INSTANCES) -> list[RecordedRequest]:
    return [request for request in archive.requests if (request.method, request.path) == (method, path)]


# Getting


async def test_one_workflow_is_read_by_number_or_digits(archive: FakePreservica, pv: PreservicaClient) -> None:
    (id,) = archive.seed(1)
    assert (await pv.workflows.get(id)) == (await pv.workflows.get(str(id)))
    assert requests(archive, path=f"{INSTANCES}/{id}")[0].query == "includeErrors=true"


async def test_an_unknown_workflow_is_not_found(pv: PreservicaClient) -> None:
    with pytest.raises(NotFound):
        await pv.workflows.get(1)


async def test_an_id_that_is_not_a_number_is_refused_before_anything_is_sent(
    archive: FakePreservica, pv: PreservicaClient
) -> None:
    with pytest.raises(InvalidArgument, match="^workflow_id"):
        await pv.workflows.get("../1")
    assert archive.requests == []


async def test_the_servers_errors_are_in_extra(
    archive: FakePreservica, pv: PreservicaClient, time: ManualClock
) -> None:
    context = archive.context("Breaks", "org.example.breaks", "Ingest", [Step("Break", 1.0, StepResult.FAILED)])
    started = await pv.workflows.start(context)
    assert started.id is not None
    time.advance(60)
    workflow = await pv.workflows.get(started.id)
    assert workflow.phase is Phase.FAILED
    errors = workflow.extra["Errors"]["Error"]
    assert [error["StepName"] for error in errors] == ["Break", "Break"]


async def test_a_response_about_another_workflow_is_requested_again_and_then_a_mismatch(
    scripted: Any, clock: Clock
) -> None:
    server = scripted(lambda _: httpx.Response(200, text="<W><Id>8</Id><State>ACTIVE</State></W>"))
    async with server.client(clock) as pv:
        with pytest.raises(ResponseMismatch, match="requested workflow 7, but the response is about workflow 8"):
            await pv.workflows.get(7)
    assert len(server.requests) == 4


# Terminating and retrying


async def test_workflows_are_terminated_in_one_request_and_end_later(
    archive: FakePreservica, pv: PreservicaClient
) -> None:
    first, second = await pv.workflows.start(42), await pv.workflows.start(43)
    assert first.id is not None
    assert second.id is not None
    await pv.workflows.terminate(first.id, str(second.id))
    for id in (first.id, second.id):
        assert (await pv.workflows.wait(id, poll=QUICK)).state is State.ABORTED
    (request,) = requests(archive, "POST", f"{INSTANCES}/terminate")
    assert (request.query, request.body) == (f"workflowInstanceIds={first.id}%2C{second.id}", b"")
    assert request.headers["content-length"] == "0"


async def test_a_retry_returns_the_number_of_retried_workflows(archive: FakePreservica, pv: PreservicaClient) -> None:
    archive.seed(100, age=60.0)
    failed = [workflow.id async for workflow in pv.workflows.list(state="Failed", limit=3)]
    assert await pv.workflows.retry(*failed) == 3


async def test_a_partly_refused_retry_is_a_partial_failure(archive: FakePreservica, pv: PreservicaClient) -> None:
    archive.seed(100, age=60.0)
    failed = await pv.workflows.list(state="Failed").first()
    done = await pv.workflows.list(state="Completed").first()
    assert failed is not None
    assert done is not None
    with pytest.raises(PartialFailure, match="retry: 1 of 2 workflows were refused") as caught:
        await pv.workflows.retry(failed.id, done.id)
    assert (caught.value.successful, caught.value.failed) == (1, 1)


async def test_a_partly_refused_termination_is_a_partial_failure(scripted: Any, clock: Clock) -> None:
    body = "<R><SuccessfulNumber>1</SuccessfulNumber><FailedNumber>2</FailedNumber></R>"
    async with scripted(lambda _: httpx.Response(202, text=body)).client(clock) as pv:
        with pytest.raises(PartialFailure, match="terminate: 2 of 3 workflows were refused"):
            await pv.workflows.terminate(1, 2, 3)


@pytest.mark.parametrize("verb", ["terminate", "retry"])
@pytest.mark.parametrize("given", [[7, 8], (7,), {7, 8}, range(3), {7: "x"}])
async def test_a_list_of_ids_is_refused_with_an_example(
    verb: str, given: Any, archive: FakePreservica, pv: PreservicaClient
) -> None:
    with pytest.raises(InvalidArgument, match=rf"^workflow_ids: must be given one by one, such as {verb}\(7, 8\)"):
        await getattr(pv.workflows, verb)(given)
    assert archive.requests == []


@pytest.mark.parametrize("verb", ["terminate", "retry"])
async def test_terminate_and_retry_without_ids_are_refused_because_they_may_mean_all(
    verb: str, archive: FakePreservica, pv: PreservicaClient
) -> None:
    with pytest.raises(InvalidArgument, match="^workflow_ids"):
        await getattr(pv.workflows, verb)()
    assert archive.requests == []


@pytest.mark.parametrize("verb", ["terminate", "retry"])
@pytest.mark.parametrize(("fault", "kind"), [(Fault.SERVER_ERROR, ServerError), (Fault.CUT_BEFORE, TransportError)])
async def test_a_termination_and_a_retry_are_sent_once(
    verb: str, fault: Fault, kind: type[Exception], archive: FakePreservica, pv: PreservicaClient
) -> None:
    archive.faults = Faults(rates={fault: 1.0}, paths=(f"{INSTANCES}/",))
    with pytest.raises(kind):
        await getattr(pv.workflows, verb)(7)
    assert len(requests(archive, "POST", f"{INSTANCES}/{verb}")) == 1


async def test_a_retry_response_without_counts_cannot_be_read(scripted: Any, clock: Clock) -> None:
    async with scripted(lambda _: httpx.Response(200)).client(clock) as pv:
        with pytest.raises(DecodeError):
            await pv.workflows.retry(1)


# Waiting


async def test_a_wait_returns_the_record_in_its_final_state(pv: PreservicaClient) -> None:
    started = await pv.workflows.start(42)
    assert started.id is not None
    done = await pv.workflows.wait(started.id, poll=QUICK, check=True)
    assert (done.id, done.phase) == (started.id, Phase.SUCCEEDED)
    assert done.started is not None
    assert done.finished is not None
    assert done.started < done.finished


@pytest.mark.parametrize(("result", "phase"), [(StepResult.FAILED, Phase.FAILED), (StepResult.PARTIAL, Phase.PARTIAL)])
async def test_a_checked_wait_raises_for_failures_and_mixed_outcomes(
    result: StepResult, phase: Phase, archive: FakePreservica, pv: PreservicaClient
) -> None:
    context = archive.context("Ends", "org.example.ends", "Ingest", [Step("Step", 1.0, result), Step("Last", 1.0)])
    started = await pv.workflows.start(context)
    assert started.id is not None
    assert (await pv.workflows.wait(started.id, poll=QUICK)).phase is phase
    with pytest.raises(WorkflowFailed):
        await pv.workflows.wait(started.id, poll=QUICK, check=True)


async def test_a_suspended_workflow_is_returned_raised_or_waited_for(
    archive: FakePreservica, pv: PreservicaClient
) -> None:
    context = archive.context("Holds", "org.example.holds", "Ingest", [Step("Approve", 1.0, StepResult.HELD)])
    started = await pv.workflows.start(context)
    assert started.id is not None
    parked = await pv.workflows.wait(started.id, poll=QUICK, parked="return")
    assert (parked.phase, parked.step) == (Phase.PARKED, "Approve")
    with pytest.raises(WorkflowParked):
        await pv.workflows.wait(started.id, poll=QUICK, parked="raise")
    with pytest.raises(WaitTimeout, match="last seen SUSPENDED"):
        await pv.workflows.wait(started.id, poll=QUICK, timeout=30)


async def test_a_wait_survives_an_outage_of_the_login(
    archive: FakePreservica, pv: PreservicaClient, time: ManualClock
) -> None:
    started = await pv.workflows.start(42)
    assert started.id is not None
    archive.state.revoke()
    archive.faults = Faults(script=(Fault.SERVER_ERROR,) * 9, paths=("/api/accesstoken/",))
    assert (await pv.workflows.wait(started.id, poll=QUICK)).phase is Phase.SUCCEEDED


# Steps


@pytest.mark.parametrize(
    ("state", "step"),
    [
        *((state, "Store") for state in ("Active", "Suspended", "Failed", "Aborted", "Unheard")),
        *((state, None) for state in ("Completed", "Finished_Mixed_Outcome")),
    ],
)
def test_a_succeeded_workflow_is_in_no_step(state: str, step: str | None) -> None:
    assert Workflow(id=1, state=State.read(state), state_text=state, current_step="Store").step == step


def test_a_failure_names_the_servers_step() -> None:
    failed = Workflow(id=7, state=State.FAILED, state_text="Failed", current_step="Store")
    assert str(WorkflowFailed(failed)) == "workflow 7 ended Failed in Store"
