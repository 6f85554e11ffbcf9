"""The private API of the admin interface, as far as it is about the errors of a workflow."""

from typing import Any

import httpx
import pytest

from tests.sandbox.opencast.releases import every_release, with_gson, without_gson
from workflow_async.sandbox import ManualClock, SecondResume, Step, StepResult
from workflow_async.sandbox.systems import FakeOpencast

MESSAGE = "WorkflowOperationException: Encoding failed: ffmpeg exited with code 1 (No space left on device)"


def started(opencast: FakeOpencast, clock: ManualClock, definition: str) -> tuple[int, str]:
    """Return the ids of a workflow that ran for a minute and of its event."""
    event = opencast.event()
    id = opencast.start(event, definition)
    clock.advance(60)
    return id, event


def path(id: int, event: str, rest: str) -> str:
    return f"/admin-ng/event/{event}/workflows/{id}/{rest}"


async def act(http: httpx.AsyncClient, id: int, event: str, action: str, **options: Any) -> httpx.Response:
    return await http.put(path(id, event, f"action/{action}"), **options)


async def operations(http: httpx.AsyncClient, id: int) -> list[tuple[str, str, int]]:
    tree = (await http.get(f"/api/workflows/{id}", params={"withoperations": "true"})).json()
    return [(each["operation"], each["state"], each["failed_attempts"]) for each in tree["operations"]]


@every_release
async def test_a_failed_operation_is_an_incident(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock
) -> None:
    id, event = started(opencast, clock, "fails")
    response = await http.get(path(id, event, "errors.json"))
    assert response.headers["content-type"] == "application/json"
    (incident,) = response.json()
    assert incident.pop("id") > 0
    assert incident == {
        "severity": "FAILURE",
        "timestamp": "2023-11-14T22:13:29Z",
        "title": "Unhandled exception",
        "description": f"Exception message {MESSAGE}",
    }


@pytest.mark.parametrize(("definition", "count"), [("noop", 0), ("holds", 1), ("fails-with-handler", 1), ("skips", 0)])
async def test_there_is_an_incident_for_each_operation_whose_last_run_failed(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock, definition: str, count: int
) -> None:
    id, event = started(opencast, clock, definition)
    assert len((await http.get(path(id, event, "errors.json"))).json()) == count


async def test_a_retry_that_succeeds_leaves_no_incident(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock
) -> None:
    opencast.define("shaky", [Step("encode", 5.0, StepResult.RETRIED)])
    id, event = started(opencast, clock, "shaky")
    assert (await http.get(path(id, event, "errors.json"))).json() == []
    assert await operations(http, id) == [("encode", "succeeded", 1)]


async def details(http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock) -> Any:
    opencast.define("silent", [Step("encode", 5.0, StepResult.FAILED)])
    id, event = started(opencast, clock, "silent")
    (incident,) = (await http.get(path(id, event, "errors.json"))).json()
    return (await http.get(path(id, event, f"errors/{incident['id']}.json"))).json()


@every_release
async def test_the_details_of_an_incident_name_the_job_and_the_host(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock
) -> None:
    tree = await details(http, opencast, clock)
    assert (tree["processing_host"], tree["service_type"]) == (
        "https://worker.example.org",
        "org.opencastproject.workflow",
    )
    assert tree["job_id"] > 0
    assert [each["name"] for each in tree["details"]] == ["job-type", "job-operation", "stack-trace"]


@without_gson
async def test_up_to_opencast_17_technical_details_are_a_text(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock
) -> None:
    tree = await details(http, opencast, clock)
    assert tree["technical_details"] == "{exception=WorkflowOperationException: encode failed}"


@with_gson
async def test_later_technical_details_are_an_object(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock
) -> None:
    tree = await details(http, opencast, clock)
    assert tree["technical_details"] == {"exception": "WorkflowOperationException: encode failed"}


async def test_what_does_not_exist_is_404_in_plain_text(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock
) -> None:
    id, event = started(opencast, clock, "fails")
    expected = {
        path(id, "none", "errors.json"): "Cannot find an event with id 'none'.",
        path(77, event, "errors.json"): "Cannot find the incident for the workflow 77",
        path(id, event, "errors/8.json"): "Cannot find the incident 8",
    }
    for url, text in expected.items():
        response = await http.get(url)
        assert (response.status_code, response.text, response.headers["content-type"]) == (404, text, "text/plain")
    assert (await http.get(path(id, event, "errors/x.json"))).status_code == 400
    response = await act(http, 77, event, "RETRY")
    assert (response.status_code, response.text) == (404, "Workflow not found: '77'.")


@every_release
async def test_the_roles_of_the_external_api_are_not_enough(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock
) -> None:
    id, event = started(opencast, clock, "holds")
    integration, operator = ("integration", "integration"), ("operator", "operator")
    assert (await http.get(path(id, event, "errors.json"), auth=integration)).status_code == 403
    assert (await http.get(path(id, event, "errors.json"), auth=operator)).status_code == 200
    for action in ("retry", "RETRY", "NONE", "stop"):
        assert (await act(http, id, event, action, auth=integration)).status_code == 403
    assert (await act(http, id, event, "RETRY", auth=operator)).status_code == 200


@every_release
async def test_an_answer_takes_effect_after_a_round_of_the_dispatcher(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock
) -> None:
    id, event = started(opencast, clock, "holds")
    response = await act(http, id, event, "RETRY")
    assert (response.status_code, response.content) == (200, b"")
    assert (await operations(http, id))[1:3] == [("error-resolution", "paused", 0), ("encode", "retry", 1)]
    clock.advance(2)
    assert (await operations(http, id))[1:3] == [("error-resolution", "succeeded", 0), ("encode", "running", 1)]
    clock.advance(60)
    assert {state for _, state, _ in await operations(http, id)} == {"succeeded"}


async def test_none_fails_the_operation(http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock) -> None:
    id, event = started(opencast, clock, "holds")
    assert (await act(http, id, event, "NONE")).status_code == 200
    clock.advance(2)
    assert await operations(http, id) == [
        ("inspect", "succeeded", 0),
        ("error-resolution", "failed", 1),
        ("encode", "failed", 1),
        ("archive", "instantiated", 0),
    ]
    assert (await http.get(f"/api/workflows/{id}")).json()["state"] == "failed"


async def test_an_answer_in_small_letters_holds_the_workflow_again(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock
) -> None:
    id, event = started(opencast, clock, "holds")
    assert (await act(http, id, event, "retry")).status_code == 200
    clock.advance(60)
    assert (await operations(http, id))[1:3] == [("error-resolution", "paused", 0), ("encode", "retry", 1)]


async def test_an_action_on_a_workflow_that_is_not_paused_is_400(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock
) -> None:
    id, event = started(opencast, clock, "fails")
    response = await act(http, id, event, "RETRY")
    text = f"Action RETRY not allowed for current workflow state. EventId: {event}"
    assert (response.status_code, response.text) == (400, text)
    response = await act(http, id, event, "HOLD")
    assert (response.status_code, response.text) == (400, "Action not supported: HOLD")
    other = opencast.event()
    response = await act(http, id, other, "RETRY")
    assert (response.status_code, response.text) == (400, f"Workflow {id} is not associated to event {other}")


async def test_a_second_answer_can_be_refused(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock
) -> None:
    opencast.faults = SecondResume("refused")
    id, event = started(opencast, clock, "holds")
    assert [(await act(http, id, event, "RETRY")).status_code for _ in range(2)] == [200, 400]


async def test_the_action_stop_stops_a_workflow(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock
) -> None:
    id, event = started(opencast, clock, "holds")
    assert (await act(http, id, event, "stop")).status_code == 200
    assert (await http.get(f"/api/workflows/{id}")).json()["state"] == "stopped"
