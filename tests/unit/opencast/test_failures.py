"""Why a workflow failed, and the answer to a hold. Over a socket against the sandbox, and by other responses."""

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from hypothesis import given, strategies as st

from tests.support.opencast_releases import on_all
from tests.support.stub_clients import NO_RETRIES, MockServer
from workflow_async import Clock, OpencastClient, Phase
from workflow_async._core.call import Reply
from workflow_async._decode.values import TypeMismatch
from workflow_async.errors import (
    BadRequest,
    DecodeError,
    Forbidden,
    ForeignResponse,
    InvalidArgument,
    NotFound,
    ResponseMismatch,
    WorkflowFailed,
)
from workflow_async.opencast import Incident, Severity
from workflow_async.opencast.incident_calls import get_incident, list_incidents
from workflow_async.opencast.incidents import parse_details
from workflow_async.sandbox import Fault, Faults, ManualClock, Sandbox, Step, StepResult

Connect = Callable[..., OpencastClient]

NO_SPACE = "Encoding failed: ffmpeg exited with code 1 (No space left on device)"
MESSAGE = f"Exception message WorkflowOperationException: {NO_SPACE}"
VIEW, EDIT = (f"ROLE_UI_EVENTS_DETAILS_WORKFLOWS_{right}" for right in ("VIEW", "EDIT"))
ROW = {"id": 5, "severity": "FAILURE", "timestamp": "2014-06-05T09:15:56Z", "title": "", "description": ""}


def paths(sandbox: Sandbox) -> list[str]:
    """Return the paths of all requests."""
    return [request.path for request in sandbox.opencast.requests]


def ended(sandbox: Sandbox, time: ManualClock, definition: str) -> tuple[int, str]:
    """Return the ids of a workflow that has ended and of its event."""
    event = sandbox.opencast.event()
    id = sandbox.opencast.start(event, definition)
    time.advance(600)
    return id, event


@on_all
async def test_the_errors_of_a_workflow_say_why_it_failed(
    sandbox: Sandbox, oc: OpencastClient, time: ManualClock
) -> None:
    id, event = ended(sandbox, time, "fails")
    (incident,) = await oc.workflows.errors(id)
    assert paths(sandbox) == [f"/api/workflows/{id}", f"/admin-ng/event/{event}/workflows/{id}/errors.json"]
    assert (incident.severity, incident.severity_text) == (Severity.FAILURE, "failure")
    assert (incident.title, incident.description) == ("Unhandled exception", MESSAGE)
    assert incident.message == MESSAGE
    assert incident.timestamp == datetime(2023, 11, 14, 22, 13, 29, tzinfo=UTC)
    assert (incident.job_id, incident.host, incident.details, incident.extra) == (None, "", None, {})
    assert incident.workflow_id == id


@on_all
async def test_details_hold_the_host_the_job_and_the_stack_trace_at_one_more_request_for_each_error(
    sandbox: Sandbox, oc: OpencastClient, time: ManualClock
) -> None:
    id, event = ended(sandbox, time, "fails")
    (incident,) = await oc.workflows.errors(str(id), event_id=event, with_details=True)
    below = f"/admin-ng/event/{event}/workflows/{id}"
    assert paths(sandbox) == [f"{below}/errors.json", f"{below}/errors/{incident.id}.json"]
    workflow = await oc.workflows.get(id, with_operations=True)
    assert workflow.failed_operation is not None
    assert (incident.job_id, incident.host) == (workflow.failed_operation.id, workflow.failed_operation.host)
    assert incident.service_type == "org.opencastproject.workflow"
    assert incident.details is not None
    assert NO_SPACE in incident.details["stack-trace"]
    assert incident.details["job-operation"] == "START_OPERATION"
    assert list(incident.extra) == ["technical_details"]
    assert json.loads(json.dumps(incident.to_dict()))["severity"] == "failure"


async def test_errors_are_in_the_order_of_the_operations(
    sandbox: Sandbox, oc: OpencastClient, time: ManualClock
) -> None:
    handlers = (Step("tell", 1.0, StepResult.FAILED, error="no mail server"),)
    sandbox.opencast.define(
        "both", [Step("encode", 1.0, StepResult.FAILED, handlers, NO_SPACE)], handler="partial-error"
    )
    id, _ = ended(sandbox, time, "both")
    found = [incident.message.rpartition(": ")[2] for incident in await oc.workflows.errors(id)]
    assert found == [NO_SPACE.rpartition(": ")[2], "no mail server"]


async def test_a_workflow_without_failures_has_no_errors(
    sandbox: Sandbox, oc: OpencastClient, time: ManualClock
) -> None:
    id, _ = ended(sandbox, time, "noop")
    assert await oc.workflows.errors(id, with_details=True) == ()


async def test_a_failed_wait_leads_to_the_errors(sandbox: Sandbox, oc: OpencastClient) -> None:
    id = sandbox.opencast.start(sandbox.opencast.event(), "fails")
    with pytest.raises(WorkflowFailed) as caught:
        await oc.workflows.wait(id, check=True)
    assert str(caught.value) == (f"workflow {id} failed in encode (attempt 1 of 1, host https://worker.example.org)")
    assert [incident.message for incident in await oc.workflows.errors(caught.value.workflow.id)] == [MESSAGE]


@on_all
async def test_a_user_without_the_role_learns_which_role_the_errors_need(
    sandbox: Sandbox, connect: Connect, time: ManualClock
) -> None:
    id, event = ended(sandbox, time, "fails")
    async with connect(auth=("integration", "integration")) as oc:
        with pytest.raises(Forbidden, match=f"this call needs {VIEW}") as caught:
            await oc.workflows.errors(id, event_id=event)
    assert caught.value.role == VIEW


@on_all
async def test_a_user_of_the_admin_interface_may_read_the_errors(
    sandbox: Sandbox, connect: Connect, time: ManualClock
) -> None:
    id, event = ended(sandbox, time, "fails")
    async with connect(auth=("operator", "operator")) as oc:
        assert len(await oc.workflows.errors(id, event_id=event, with_details=True)) == 1


@on_all
async def test_the_errors_of_an_unknown_workflow_or_of_a_hidden_event_are_not_found(
    sandbox: Sandbox, connect: Connect, time: ManualClock
) -> None:
    id, event = ended(sandbox, time, "fails")
    hidden = sandbox.opencast.event(readers=frozenset({"ROLE_SECRET"}))
    async with connect(auth=("operator", "operator")) as oc:
        with pytest.raises(NotFound, match="Cannot find the incident for the workflow 77"):
            await oc.workflows.errors(77, event_id=event)
        for unseen in ("no-event", hidden):
            with pytest.raises(NotFound, match=f"Cannot find an event with id '{unseen}'"):
                await oc.workflows.errors(id, event_id=unseen)


async def test_errors_are_read_again_after_a_fault(sandbox: Sandbox, oc: OpencastClient, time: ManualClock) -> None:
    id, event = ended(sandbox, time, "fails")
    sandbox.opencast.faults = Faults(script=(Fault.SERVER_ERROR,))
    assert len(await oc.workflows.errors(id, event_id=event)) == 1
    assert len(paths(sandbox)) == 2


@pytest.mark.parametrize("event_id", ["", "..", "a/b", "a?b", 7])
async def test_an_event_id_that_does_not_fit_into_a_path_is_refused_before_anything_is_sent(
    sandbox: Sandbox, oc: OpencastClient, event_id: Any
) -> None:
    with pytest.raises(InvalidArgument, match="^event_id: "):
        await oc.workflows.errors(7, event_id=event_id)
    with pytest.raises(InvalidArgument, match="^workflow_id: "):
        await oc.workflows.errors("x7")
    assert not paths(sandbox)


# A hold in a record


async def test_a_hold_names_the_operation_that_waits_for_an_answer(sandbox: Sandbox, oc: OpencastClient) -> None:
    id = sandbox.opencast.start(sandbox.opencast.event(), "holds")
    workflow = await oc.workflows.wait(id, parked="return")
    assert workflow.phase is Phase.PARKED
    assert workflow.held_operation is not None
    assert (workflow.step, workflow.held_operation.operation) == ("error-resolution", "encode")
    assert workflow.failure == "encode (attempt 1 of 2, host https://worker.example.org)"


# Responses of other servers


async def errors_of(clock: Clock, *responses: httpx.Response, **arguments: Any) -> tuple[Incident, ...]:
    rest = list(responses)
    server = MockServer("opencast", lambda _: rest.pop(0))
    async with server.client(clock, retry=NO_RETRIES) as oc:
        found: tuple[Incident, ...] = await oc.workflows.errors(7, event_id="e-1", **arguments)
        return found


async def test_titles_and_descriptions_that_the_server_does_not_have_give_no_message(clock: Clock) -> None:
    texts = [("-", "-"), ("Unhandled exception", "-"), ("Unhandled exception", "boom"), ("", ""), (None, None)]
    rows = [{**ROW, "title": title, "description": description} for title, description in texts]
    found = await errors_of(clock, httpx.Response(200, json=rows))
    assert [incident.message for incident in found] == ["", "Unhandled exception", "boom", "", ""]


async def test_a_severity_that_is_not_known_keeps_its_word(clock: Clock) -> None:
    rows = [{**ROW, "severity": word} for word in ("INFO", "Warning", "CATASTROPHE")]
    found = await errors_of(clock, httpx.Response(200, json=rows))
    assert [(incident.severity, incident.severity_text) for incident in found] == [
        (Severity.INFO, "info"),
        (Severity.WARNING, "warning"),
        (Severity.UNKNOWN, "catastrophe"),
    ]


async def test_details_that_cannot_be_read_stay_in_extra(clock: Clock) -> None:
    response = {**ROW, "job_id": "many", "details": [{"name": "a", "value": 1}], "processing_host": None}
    (found,) = await errors_of(
        clock, httpx.Response(200, json=[ROW]), httpx.Response(200, json=response), with_details=True
    )
    assert (found.job_id, found.host, found.details) == (None, "", None)
    assert found.extra == {"job_id": "many", "details": [{"name": "a", "value": 1}]}


@pytest.mark.parametrize("tree", [{}, "x", [{"severity": "INFO"}], [7], [{**ROW, "id": "x"}]])
async def test_errors_that_are_no_list_of_incidents_are_refused(clock: Clock, tree: Any) -> None:
    with pytest.raises(DecodeError):
        await errors_of(clock, httpx.Response(200, json=tree))


async def test_the_details_of_another_incident_are_refused(clock: Clock) -> None:
    other = httpx.Response(200, json={**ROW, "id": 6})
    with pytest.raises(ResponseMismatch, match="incident 5"):
        await errors_of(clock, httpx.Response(200, json=[ROW]), other, with_details=True)


async def test_a_refusal_by_the_endpoint_itself_names_no_role(clock: Clock) -> None:
    for body, role in (("", ""), ("<html>403</html>", VIEW)):
        responses = [httpx.Response(403, text=body), httpx.Response(200, json={"default": "v1.11.0", "versions": []})]
        with pytest.raises(Forbidden) as caught:
            await errors_of(clock, *responses)
        assert caught.value.role == role


async def test_a_404_without_the_words_of_the_endpoint_is_no_fact_about_the_workflow(clock: Clock) -> None:
    responses = [httpx.Response(404), httpx.Response(200, json={"default": "v1.11.0", "versions": []})]
    with pytest.raises(ForeignResponse):
        await errors_of(clock, *responses)


async def test_a_400_to_an_answer_is_a_bad_request_with_the_servers_words(clock: Clock) -> None:
    operations = [
        {"identifier": 8, "operation": "error-resolution", "state": "paused", "start": "2024-01-01T00:00:00Z"},
        {"identifier": 9, "operation": "encode", "state": "retry"},
    ]
    held = {"identifier": 7, "state": "paused", "event_identifier": "e;1", "operations": operations}
    refused = "Action RETRY not allowed for current workflow state. EventId: e;1"
    rest = [httpx.Response(200, json=held), httpx.Response(400, text=refused)]
    server = MockServer("opencast", lambda _: rest.pop(0))
    async with server.client(clock, retry=NO_RETRIES) as oc:
        with pytest.raises(BadRequest, match="Action RETRY not allowed"):
            await oc.workflows.answer(7, "retry")
    assert server.requests[1].url.raw_path == b"/admin-ng/event/e%3B1/workflows/7/action/RETRY"
    assert (server.requests[1].method, server.requests[1].content) == ("PUT", b"")


TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda children: (
        st.lists(children, max_size=4)
        | st.dictionaries(
            st.sampled_from(["id", "severity", "details", "name", "value", "title"]), children, max_size=4
        )
    ),
    max_leaves=15,
)


@given(TREES)
def test_any_json_is_read_or_refused(tree: Any) -> None:
    reply = Reply(200, {}, json.dumps(tree).encode())
    for call in (list_incidents("e", 1), get_incident("e", 1, 2)):
        with suppress(DecodeError, ResponseMismatch):
            call.read(reply)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.text(max_size=5)), max_size=6))
def test_every_detail_is_kept_under_its_name(pairs: list[tuple[str, str]]) -> None:
    found = parse_details([{"name": name, "value": value} for name, value in pairs])
    assert set(found) == {name for name, _ in pairs}
    for name, text in found.items():
        assert text == "\n".join(value for each, value in pairs if each == name)


@pytest.mark.parametrize("value", [None, {}, "x", [7], [{"name": 7}]])
def test_details_of_another_shape_are_refused(value: Any) -> None:
    with pytest.raises(TypeMismatch):
        parse_details(value)
