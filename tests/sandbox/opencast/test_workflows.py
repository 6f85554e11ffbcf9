import json
from typing import Any

import httpx
import pytest

from workflow_async.sandbox import Fate, ManualClock, Step
from workflow_async.sandbox.systems import FakeOpencast

EDITOR = ("integration", "integration")
WITH = {"withoperations": "true", "withconfiguration": "true"}


async def post(http: httpx.AsyncClient, event: str, definition: str = "fast", **more: Any) -> httpx.Response:
    form = {"event_identifier": event, "workflow_definition_identifier": definition, **more.pop("form", {})}
    return await http.post("/api/workflows", data=form, **more)


async def put(http: httpx.AsyncClient, id: int, **form: str) -> httpx.Response:
    return await http.put(f"/api/workflows/{id}", data=form)


async def state(http: httpx.AsyncClient, id: int) -> str:
    found: str = (await http.get(f"/api/workflows/{id}")).json()["state"]
    return found


async def told(http: httpx.AsyncClient, id: int) -> Any:
    return (await http.get(f"/api/workflows/{id}", params=WITH)).json()


async def test_a_start_answers_with_the_instance_and_a_useless_location(
    http: httpx.AsyncClient, opencast: FakeOpencast
) -> None:
    event = opencast.event()
    answer = await post(http, event)
    tree = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"http://localhost:8080/api/workflows/{tree['identifier']}"
    assert tree == {
        "identifier": 1000,
        "title": "Fast Testing Workflow",
        "description": "\n      A minimal workflow for tests.\n    ",
        "workflow_definition_identifier": "fast",
        "event_identifier": event,
        "creator": "admin",
        "state": "instantiated",
    }


@pytest.mark.parametrize("name", ["event_identifier", "workflow_definition_identifier"])
@pytest.mark.parametrize("value", ["", " ", None])
async def test_a_start_without_event_or_definition_is_400_in_text_called_json(
    http: httpx.AsyncClient, opencast: FakeOpencast, name: str, value: str | None
) -> None:
    form = {"event_identifier": opencast.event(), "workflow_definition_identifier": "fast", name: value}
    answer = await http.post("/api/workflows", data={k: v for k, v in form.items() if v is not None})
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/json")
    assert answer.text == f"Required parameter '{name}' is missing or invalid"


async def test_text_is_called_by_the_version_that_was_asked_for(http: httpx.AsyncClient) -> None:
    answer = await http.post("/api/workflows", headers={"Accept": "application/v1.7.0+json"})
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/v1.7.0+json")


@pytest.mark.parametrize(("event", "definition"), [("none", "fast"), (None, "none")])
async def test_a_start_of_what_is_not_there_is_404_in_text(
    http: httpx.AsyncClient, opencast: FakeOpencast, event: str | None, definition: str
) -> None:
    answer = await post(http, event or opencast.event(), definition)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "text/plain")


async def test_a_start_on_an_event_that_one_may_not_see_is_404(http: httpx.AsyncClient, opencast: FakeOpencast) -> None:
    assert (await post(http, opencast.event(readers=frozenset()), auth=EDITOR)).status_code == 404


async def test_only_forms_are_read(http: httpx.AsyncClient) -> None:
    answer = await http.post("/api/workflows", json={"event_identifier": "e"})
    assert (answer.status_code, answer.content) == (415, b"")


@pytest.mark.parametrize(
    ("configuration", "status"),
    [("{", 400), ("[]", 500), ('"a"', 500), ("7", 500), ('{"a": true}', 500), ('{"a": 1}', 500), ('{"a": null}', 500)],
)
async def test_a_configuration_that_is_no_object_of_strings_is_refused_and_starts_nothing(
    http: httpx.AsyncClient, opencast: FakeOpencast, configuration: str, status: int
) -> None:
    answer = await post(http, opencast.event(), form={"configuration": configuration})
    assert (answer.status_code, opencast.engine.all()) == (status, [])


@pytest.mark.parametrize("configuration", ["", " "])
async def test_a_blank_configuration_is_none(
    http: httpx.AsyncClient, opencast: FakeOpencast, configuration: str
) -> None:
    assert (await post(http, opencast.event(), form={"configuration": configuration})).status_code == 201


async def test_an_event_has_one_active_workflow(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock
) -> None:
    event = opencast.event()
    await post(http, event)
    answer = await post(http, event)
    assert (answer.status_code, list(answer.json())) == (409, ["message"])
    assert answer.headers["content-type"] == "application/v1.11.0+json"
    clock.advance(60)
    assert (await post(http, event)).status_code == 201


async def test_an_event_keeps_the_settings_of_every_start_refused_ones_too(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock
) -> None:
    event = opencast.event()
    for settings in ({"a": "1", "b": "1"}, {"b": "2"}):
        await post(http, event, form={"configuration": json.dumps(settings)})
    clock.advance(60)
    answer = await post(http, event, form={"configuration": '{"c": "3"}'}, params={"withconfiguration": "true"})
    assert answer.json()["configuration"] == {"a": "1", "b": "2", "c": "3"}


async def test_what_to_tell_is_asked_in_the_query_and_not_in_the_form(
    http: httpx.AsyncClient, opencast: FakeOpencast
) -> None:
    answer = await post(http, opencast.event(), form={"withoperations": "true"})
    assert "operations" not in answer.json()
    answer = await post(http, opencast.event(), params={"withoperations": "TRUE"})
    assert "operations" in answer.json()


@pytest.mark.parametrize("value", ["1", "yes", "", "false"])
async def test_only_true_is_true(http: httpx.AsyncClient, opencast: FakeOpencast, value: str) -> None:
    (id,) = opencast.seed(1)
    answer = await http.get(f"/api/workflows/{id}", params={"withoperations": value})
    assert "operations" not in answer.json()


async def test_an_id_nobody_has_is_404_in_text(http: httpx.AsyncClient) -> None:
    answer = await http.get("/api/workflows/1")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "text/plain")


@pytest.mark.parametrize("id", ["nonsense", "9223372036854775808", "1.5", "%C2%B2", "9" * 5000])
async def test_an_id_that_is_no_number_is_404_and_empty(http: httpx.AsyncClient, id: str) -> None:
    answer = await http.get(f"/api/workflows/{id}")
    assert (answer.status_code, answer.content) == (404, b"")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_a_workflow_of_an_event_that_one_may_not_see_is_403_and_empty(
    http: httpx.AsyncClient, opencast: FakeOpencast, method: str
) -> None:
    id = opencast.start(opencast.event(readers=frozenset()), "fast")
    answer = await http.request(method, f"/api/workflows/{id}", auth=EDITOR)
    assert (answer.status_code, answer.content) == (403, b"")


async def test_an_instance_moves_with_the_clock(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock
) -> None:
    id = opencast.start(opencast.event(), "noop")
    seen = [await state(http, id)]
    for _ in range(2):
        clock.advance(2.25)
        seen.append(await state(http, id))
    assert seen == ["instantiated", "running", "succeeded"]


async def test_operations_are_told_as_they_stand(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock
) -> None:
    opencast.define("two", [Step("inspect", 1.3), Step("encode", 5.0)])
    id = opencast.start(opencast.event(), "two")
    clock.advance(4)
    first, second = (await told(http, id))["operations"]
    assert first == {
        "identifier": 1001,
        "operation": "inspect",
        "description": "Inspecting the media package",
        "if": "",
        "state": "succeeded",
        "start": "2023-11-14T22:13:22Z",
        "completion": "2023-11-14T22:13:23.3Z",
        "time_in_queue": 1001 * 37 % 3000,
        "host": "https://worker.example.org",
        "fail_workflow_on_error": True,
        "error_handler_workflow": "",
        "retry_strategy": "none",
        "max_attempts": 1,
        "failed_attempts": 0,
    }
    assert (second["state"], second["completion"], second["configuration"]["encoding-profile"]) == (
        "running",
        "",
        "mp4",
    )


async def test_an_operation_without_a_job_has_no_number_no_queue_and_no_host(
    http: httpx.AsyncClient, opencast: FakeOpencast
) -> None:
    operation = (await told(http, opencast.start(opencast.event(), "fast")))["operations"][0]
    assert (operation["identifier"], operation["host"], operation["start"]) == ("", "", "")
    assert "time_in_queue" not in operation


async def test_a_skipped_operation_never_completes(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock
) -> None:
    id = opencast.start(opencast.event(), "skips")
    clock.advance(60)
    operation = (await told(http, id))["operations"][1]
    assert (operation["state"], operation["completion"], operation["if"]) == ("skipped", "", "${publishToYouTube}")


async def test_a_failure_runs_its_handler_under_the_handler_s_name(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock
) -> None:
    id = opencast.start(opencast.event(), "fails-with-handler")
    seen = []
    for _ in range(16):
        tree = await told(http, id)
        step = (tree["state"], tree["workflow_definition_identifier"])
        seen += [step] if step not in seen else []
        clock.advance(1)
    assert seen[1:] == [("running", "fails-with-handler"), ("failing", "partial-error"), ("failed", "partial-error")]
    operations = (await told(http, id))["operations"]
    assert [o["operation"] for o in operations] == ["inspect", "encode", "send-email", "cleanup"]
    assert (operations[1]["error_handler_workflow"], operations[1]["failed_attempts"]) == ("partial-error", 1)


async def test_nothing_to_change_is_200_with_the_instance(http: httpx.AsyncClient, opencast: FakeOpencast) -> None:
    id = opencast.start(opencast.event(), "fast")
    assert (await put(http, id)).json()["identifier"] == id
    assert (await http.put(f"/api/workflows/{id}")).status_code == 200


async def test_a_configuration_is_replaced_whole(http: httpx.AsyncClient, opencast: FakeOpencast) -> None:
    id = opencast.start(opencast.event(), "fast", {"a": "1", "b": "2"})
    assert (await put(http, id, configuration='{"c": "3"}')).status_code == 200
    assert (await told(http, id))["configuration"] == {"c": "3"}


async def test_a_refused_state_comes_after_the_configuration_is_saved(
    http: httpx.AsyncClient, opencast: FakeOpencast
) -> None:
    id = opencast.start(opencast.event(), "fast", {"a": "1"})
    answer = await put(http, id, configuration='{"b": "2"}', state="baked")
    assert (answer.status_code, answer.text) == (400, "Invalid workflow state 'baked'")
    assert (await told(http, id))["configuration"] == {"b": "2"}


async def test_replacing_a_configuration_may_be_made_to_fail_as_the_code_suggests(
    http: httpx.AsyncClient, opencast: FakeOpencast
) -> None:
    opencast.world.configuration_put_fails = True
    ids = [opencast.start(opencast.event(), "fast", settings) for settings in ({"a": "1"}, {"a": "1", "b": "2"})]
    answers = [await put(http, id, configuration='{"c": "3"}') for id in ids]
    assert [answer.status_code for answer in answers] == [200, 500]
    assert answers[1].text == "Could not retrieve workflow instance, reason: 'null'"


@pytest.mark.parametrize("configuration", ["{", "[]", '{"a": 1}'])
async def test_a_configuration_that_cannot_be_read_changes_nothing(
    http: httpx.AsyncClient, opencast: FakeOpencast, configuration: str
) -> None:
    id = opencast.start(opencast.event(), "fast", {"a": "1"})
    assert (await put(http, id, configuration=configuration, state="paused")).status_code in {400, 500}
    assert ((await told(http, id))["configuration"], await state(http, id)) == ({"a": "1"}, "instantiated")


async def test_the_state_it_has_is_no_change(http: httpx.AsyncClient, opencast: FakeOpencast) -> None:
    id = opencast.start(opencast.event(), "fast")
    assert (await put(http, id, state="Instantiated")).status_code == 200


@pytest.mark.parametrize("wanted", ["instantiated", "succeeded", "failed", "failing", "running"])
async def test_states_that_nobody_may_write_are_409_in_text_called_json(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock, wanted: str
) -> None:
    id = opencast.start(opencast.event(), "fast")
    assert (await put(http, id, state="stopped")).json()["state"] == "stopped"
    answer = await put(http, id, state=wanted)
    assert (answer.status_code, answer.headers["content-type"]) == (409, "application/json")
    assert answer.text == f"Cannot transition state from 'stopped' to '{wanted}'"


async def test_what_has_not_begun_cannot_be_resumed(http: httpx.AsyncClient, opencast: FakeOpencast) -> None:
    answer = await put(http, opencast.start(opencast.event(), "fast"), state="running")
    assert (answer.status_code, answer.headers["content-type"]) == (500, "text/plain")
    assert answer.text.startswith("Could not retrieve workflow instance, reason: '")


async def test_a_paused_workflow_ends_its_operation_and_waits(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock
) -> None:
    id = opencast.start(opencast.event(), "fast")
    clock.advance(4)
    assert (await put(http, id, state="paused")).json()["state"] == "paused"
    clock.advance(60)
    tree = await told(http, id)
    assert [o["state"] for o in tree["operations"]] == ["succeeded", "succeeded", "instantiated", "instantiated"]
    assert (await put(http, id, state="running")).json()["state"] == "running"


async def test_a_resumed_review_still_says_paused_for_a_moment(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock
) -> None:
    id = opencast.start(opencast.event(), "review")
    clock.advance(60)
    assert (await told(http, id))["operations"][1]["state"] == "paused"
    assert (await put(http, id, state="running")).json()["state"] == "paused"
    clock.advance(2)
    assert await state(http, id) == "running"


async def test_a_hold_after_a_failure_cannot_be_resumed_from_here(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock
) -> None:
    id = opencast.start(opencast.event(), "holds")
    clock.advance(60)
    assert (await put(http, id, state="running")).status_code == 200
    clock.advance(60)
    tree = await told(http, id)
    assert tree["state"] == "paused"
    assert [(o["operation"], o["state"]) for o in tree["operations"]] == [
        ("inspect", "succeeded"),
        ("error-resolution", "paused"),
        ("encode", "retry"),
        ("archive", "instantiated"),
    ]
    failed = tree["operations"][2]
    assert (failed["retry_strategy"], failed["max_attempts"], failed["failed_attempts"]) == ("hold", 2, 1)


async def test_a_stop_during_the_last_operation_is_overwritten(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock
) -> None:
    opencast.define("one", [Step("encode", 10.0, Fate.FAILED)])
    id = opencast.start(opencast.event(), "one")
    clock.advance(3)
    assert (await put(http, id, state="stopped")).json()["state"] == "stopped"
    clock.advance(10)
    assert await state(http, id) == "failed"


@pytest.mark.parametrize(("release", "end"), [("11", "stopped"), ("16", "stopped"), ("19", "succeeded")])
async def test_stopping_a_finished_workflow_rewrites_it_until_that_was_mended(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock, end: str
) -> None:
    id = opencast.start(opencast.event(), "noop")
    clock.advance(60)
    answer = await put(http, id, state="stopped")
    assert (answer.status_code, answer.json()["state"]) == (200, end)


async def test_pausing_a_finished_workflow_rewrites_it(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock
) -> None:
    id = opencast.start(opencast.event(), "noop")
    clock.advance(60)
    assert (await put(http, id, state="paused")).json()["state"] == "paused"


async def test_a_finished_workflow_is_deleted_for_good(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock
) -> None:
    event = opencast.event()
    id = opencast.start(event, "noop")
    clock.advance(60)
    answer = await http.delete(f"/api/workflows/{id}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert (await http.delete(f"/api/workflows/{id}")).status_code == 404
    assert opencast.world.events[event].runs == []


async def test_an_active_workflow_is_not_deleted(http: httpx.AsyncClient, opencast: FakeOpencast) -> None:
    answer = await http.delete(f"/api/workflows/{opencast.start(opencast.event(), 'fast')}")
    assert (answer.status_code, answer.headers["content-type"]) == (409, "application/json")


async def test_who_may_read_may_not_therefore_delete(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock
) -> None:
    id = opencast.start(opencast.event(writers=frozenset({"ROLE_OTHER"})), "noop")
    clock.advance(60)
    assert (await http.delete(f"/api/workflows/{id}", auth=EDITOR)).status_code == 403
    mine = opencast.start(opencast.event(writers=frozenset({"ROLE_USER"})), "noop")
    clock.advance(60)
    assert (await http.delete(f"/api/workflows/{mine}", auth=EDITOR)).status_code == 204
