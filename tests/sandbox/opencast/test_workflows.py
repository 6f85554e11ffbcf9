"""Starting, reading, changing and deleting workflow instances."""

import json
from typing import Any, Literal

import httpx
import pytest

from tests.sandbox.opencast.releases import with_list, without_list
from workflow_async.sandbox import Faults, ManualClock, SecondResume, Step, StepResult
from workflow_async.sandbox.systems import FakeOpencast

EDITOR_LOGIN = ("integration", "integration")
WITH = {"withoperations": "true", "withconfiguration": "true"}


async def post_start(http: httpx.AsyncClient, event: str, definition: str = "fast", **more: Any) -> httpx.Response:
    form = {"event_identifier": event, "workflow_definition_identifier": definition, **more.pop("form", {})}
    return await http.post("/api/workflows", data=form, **more)


async def put_state(http: httpx.AsyncClient, id: int, **form: str) -> httpx.Response:
    return await http.put(f"/api/workflows/{id}", data=form)


async def state_of(http: httpx.AsyncClient, id: int) -> str:
    found: str = (await http.get(f"/api/workflows/{id}")).json()["state"]
    return found


async def get_detailed(http: httpx.AsyncClient, id: int) -> Any:
    return (await http.get(f"/api/workflows/{id}", params=WITH)).json()


async def test_a_start_answers_with_the_instance_and_a_useless_location(
    http: httpx.AsyncClient, opencast: FakeOpencast
) -> None:
    event = opencast.event()
    answer = await post_start(http, event)
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


async def test_the_type_of_a_text_is_the_requested_version(http: httpx.AsyncClient) -> None:
    answer = await http.post("/api/workflows", headers={"Accept": "application/v1.7.0+json"})
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/v1.7.0+json")


@pytest.mark.parametrize(
    ("event", "definition", "text"),
    [
        ("none", "fast", "Cannot find an event with id 'none'."),
        (None, "none", "Cannot find a workflow definition with id 'none'."),
    ],
)
async def test_a_start_with_an_unknown_event_or_definition_is_404_in_text(
    http: httpx.AsyncClient, opencast: FakeOpencast, event: str | None, definition: str, text: str
) -> None:
    answer = await post_start(http, event or opencast.event(), definition)
    assert (answer.status_code, answer.headers["content-type"], answer.text) == (404, "text/plain", text)


async def test_a_start_on_an_event_without_read_access_is_404(http: httpx.AsyncClient, opencast: FakeOpencast) -> None:
    assert (await post_start(http, opencast.event(readers=frozenset()), auth=EDITOR_LOGIN)).status_code == 404


async def test_only_forms_are_read(http: httpx.AsyncClient) -> None:
    answer = await http.post("/api/workflows", json={"event_identifier": "e"})
    assert (answer.status_code, answer.content) == (415, b"")


JAVA = "module java.base of loader 'bootstrap'"
LIBRARY = "unnamed module of loader 'app'"
TEXT, LONG = "java.lang.String", "java.lang.Long"
ARRAY, OBJECT = "org.json.simple.JSONArray", "org.json.simple.JSONObject"


@pytest.mark.parametrize(
    ("configuration", "given", "wanted", "where"),
    [
        ("[]", ARRAY, OBJECT, f"{ARRAY} and {OBJECT} are in {LIBRARY}"),
        ('"a"', TEXT, OBJECT, f"{TEXT} is in {JAVA}; {OBJECT} is in {LIBRARY}"),
        ('{"a": 1}', LONG, TEXT, f"{LONG} and {TEXT} are in {JAVA}"),
        ('{"a": "b", "c": {}}', OBJECT, TEXT, f"{OBJECT} is in {LIBRARY}; {TEXT} is in {JAVA}"),
    ],
)
async def test_a_configuration_that_is_no_object_of_strings_is_500_and_starts_nothing(
    http: httpx.AsyncClient, opencast: FakeOpencast, configuration: str, given: str, wanted: str, where: str
) -> None:
    answer = await post_start(http, opencast.event(), form={"configuration": configuration})
    assert (answer.status_code, answer.headers["content-type"], opencast.engine.all()) == (500, "text/plain", [])
    reason = f"class {given} cannot be cast to class {wanted} ({where})"
    assert answer.text == f"Could not create workflow instances, reason: '{reason}'"


@pytest.mark.parametrize("configuration", ["null", '{"a": null}', '{"a": "b", "c": null}'])
async def test_a_null_in_a_configuration_is_500_and_starts_nothing(
    http: httpx.AsyncClient, opencast: FakeOpencast, configuration: str
) -> None:
    answer = await post_start(http, opencast.event(), form={"configuration": configuration})
    assert (answer.status_code, opencast.engine.all()) == (500, [])
    assert answer.text == "Could not create workflow instances, reason: 'null'"


@pytest.mark.parametrize(("value", "kind"), [("true", "Boolean"), ("1.5", "Double"), ("7", "Long")])
async def test_a_scalar_in_a_configuration_is_500_and_names_its_class(
    http: httpx.AsyncClient, opencast: FakeOpencast, value: str, kind: str
) -> None:
    answer = await post_start(http, opencast.event(), form={"configuration": f'{{"a": {value}}}'})
    assert (answer.status_code, f"class java.lang.{kind} cannot" in answer.text) == (500, True)


@pytest.mark.parametrize("configuration", ["{", "{bad", "{'a': 'b'}"])
async def test_a_configuration_that_is_no_json_is_400_in_text_called_json(
    http: httpx.AsyncClient, opencast: FakeOpencast, configuration: str
) -> None:
    answer = await post_start(http, opencast.event(), form={"configuration": configuration})
    assert (answer.status_code, answer.headers["content-type"], opencast.engine.all()) == (400, "application/json", [])
    assert answer.text == "Passed parameter 'configuration' is invalid JSON."


@pytest.mark.parametrize("configuration", ["", " "])
async def test_a_blank_configuration_is_none(
    http: httpx.AsyncClient, opencast: FakeOpencast, configuration: str
) -> None:
    assert (await post_start(http, opencast.event(), form={"configuration": configuration})).status_code == 201


async def test_an_event_has_one_active_workflow(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock
) -> None:
    event = opencast.event()
    await post_start(http, event)
    answer = await post_start(http, event)
    assert (answer.status_code, answer.headers["content-type"]) == (409, "application/v1.11.0+json")
    active = f"Can't start workflow 'Fast Testing Workflow' for media package '{event}' because another workflow is"
    assert answer.json() == {"message": f"{active} currently active."}
    clock.advance(60)
    assert (await post_start(http, event)).status_code == 201


async def test_an_event_keeps_the_settings_of_every_start_refused_ones_too(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock
) -> None:
    event = opencast.event()
    for settings in ({"a": "1", "b": "1"}, {"b": "2"}):
        await post_start(http, event, form={"configuration": json.dumps(settings)})
    clock.advance(60)
    answer = await post_start(http, event, form={"configuration": '{"c": "3"}'}, params={"withconfiguration": "true"})
    assert answer.json()["configuration"] == {"a": "1", "b": "2", "c": "3"}


async def test_the_with_flags_are_read_from_the_query_and_not_from_the_form(
    http: httpx.AsyncClient, opencast: FakeOpencast
) -> None:
    answer = await post_start(http, opencast.event(), form={"withoperations": "true"})
    assert "operations" not in answer.json()
    answer = await post_start(http, opencast.event(), params={"withoperations": "TRUE"})
    assert "operations" in answer.json()


@pytest.mark.parametrize("value", ["1", "yes", "", "false"])
async def test_only_true_is_true(http: httpx.AsyncClient, opencast: FakeOpencast, value: str) -> None:
    (id,) = opencast.seed(1)
    answer = await http.get(f"/api/workflows/{id}", params={"withoperations": value})
    assert "operations" not in answer.json()


async def test_an_unknown_id_is_404_in_text(http: httpx.AsyncClient) -> None:
    answer = await http.get("/api/workflows/1")
    expected = (404, "text/plain", "Cannot find workflow instance with id '1'.")
    assert (answer.status_code, answer.headers["content-type"], answer.text) == expected


@pytest.mark.parametrize("id", ["nonsense", "9223372036854775808", "1.5", "%C2%B2", "9" * 5000])
async def test_an_id_that_is_no_number_is_404_and_empty(http: httpx.AsyncClient, id: str) -> None:
    answer = await http.get(f"/api/workflows/{id}")
    assert (answer.status_code, answer.content) == (404, b"")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_a_workflow_of_an_event_without_read_access_is_403_and_empty(
    http: httpx.AsyncClient, opencast: FakeOpencast, method: str
) -> None:
    id = opencast.start(opencast.event(readers=frozenset()), "fast")
    answer = await http.request(method, f"/api/workflows/{id}", auth=EDITOR_LOGIN)
    assert (answer.status_code, answer.content) == (403, b"")


async def test_an_instance_moves_with_the_clock(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock
) -> None:
    id = opencast.start(opencast.event(), "noop")
    seen = [await state_of(http, id)]
    for _ in range(2):
        clock.advance(2.25)
        seen.append(await state_of(http, id))
    assert seen == ["instantiated", "running", "succeeded"]


async def test_operations_show_their_progress(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock
) -> None:
    opencast.define("two", [Step("inspect", 1.3), Step("encode", 5.0)])
    id = opencast.start(opencast.event(), "two")
    clock.advance(4)
    first, second = (await get_detailed(http, id))["operations"]
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
    operation = (await get_detailed(http, opencast.start(opencast.event(), "fast")))["operations"][0]
    assert (operation["identifier"], operation["host"], operation["start"]) == ("", "", "")
    assert "time_in_queue" not in operation


async def test_a_skipped_operation_never_completes(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock
) -> None:
    id = opencast.start(opencast.event(), "skips")
    clock.advance(60)
    operation = (await get_detailed(http, id))["operations"][1]
    assert (operation["state"], operation["completion"], operation["if"]) == ("skipped", "", "${publishToYouTube}")


async def test_a_failure_runs_its_handler_under_the_handler_s_name(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock
) -> None:
    id = opencast.start(opencast.event(), "fails-with-handler")
    seen = []
    for _ in range(16):
        tree = await get_detailed(http, id)
        step = (tree["state"], tree["workflow_definition_identifier"])
        seen += [step] if step not in seen else []
        clock.advance(1)
    assert seen[1:] == [("running", "fails-with-handler"), ("failing", "partial-error"), ("failed", "partial-error")]
    operations = (await get_detailed(http, id))["operations"]
    assert [o["operation"] for o in operations] == ["inspect", "encode", "send-email", "cleanup"]
    assert (operations[1]["error_handler_workflow"], operations[1]["failed_attempts"]) == ("partial-error", 1)


async def test_an_update_without_changes_is_200_with_the_instance(
    http: httpx.AsyncClient, opencast: FakeOpencast
) -> None:
    id = opencast.start(opencast.event(), "fast")
    assert (await put_state(http, id)).json()["identifier"] == id
    assert (await http.put(f"/api/workflows/{id}")).status_code == 200


@with_list
async def test_a_configuration_is_replaced_completely(http: httpx.AsyncClient, opencast: FakeOpencast) -> None:
    id = opencast.start(opencast.event(), "fast", {"a": "1", "b": "2"})
    assert (await put_state(http, id, configuration='{"c": "3"}')).status_code == 200
    assert (await get_detailed(http, id))["configuration"] == {"c": "3"}


async def test_a_refused_state_comes_after_the_configuration_is_saved(
    http: httpx.AsyncClient, opencast: FakeOpencast
) -> None:
    id = opencast.start(opencast.event(), "fast", {"a": "1"})
    answer = await put_state(http, id, configuration='{"b": "2"}', state="baked")
    assert (answer.status_code, answer.text) == (400, "Invalid workflow state 'baked'")
    assert (await get_detailed(http, id))["configuration"] == {"b": "2"}


@without_list
async def test_replacing_a_configuration_of_two_keys_is_500_and_changes_nothing(
    http: httpx.AsyncClient, opencast: FakeOpencast
) -> None:
    small, large = {"a": "1"}, {"a": "1", "b": "2"}
    ids = [opencast.start(opencast.event(), "fast", settings) for settings in (small, large)]
    answers = [await put_state(http, id, configuration='{"c": "3"}', state="paused") for id in ids]
    assert [answer.status_code for answer in answers] == [200, 500]
    assert answers[1].text == "Could not retrieve workflow instance, reason: 'null'"
    assert [(await get_detailed(http, id))["configuration"] for id in ids] == [{"c": "3"}, large]
    assert [await state_of(http, id) for id in ids] == ["paused", "instantiated"]


@pytest.mark.parametrize("configuration", ["{", "[]", '{"a": 1}'])
async def test_a_configuration_that_cannot_be_read_changes_nothing(
    http: httpx.AsyncClient, opencast: FakeOpencast, configuration: str
) -> None:
    id = opencast.start(opencast.event(), "fast", {"a": "1"})
    assert (await put_state(http, id, configuration=configuration, state="paused")).status_code in {400, 500}
    assert ((await get_detailed(http, id))["configuration"], await state_of(http, id)) == ({"a": "1"}, "instantiated")


async def test_setting_the_present_state_changes_nothing(http: httpx.AsyncClient, opencast: FakeOpencast) -> None:
    id = opencast.start(opencast.event(), "fast")
    assert (await put_state(http, id, state="Instantiated")).status_code == 200


@pytest.mark.parametrize("wanted", ["instantiated", "succeeded", "failed", "failing", "running"])
async def test_states_that_cannot_be_set_are_409_in_text_called_json(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock, wanted: str
) -> None:
    id = opencast.start(opencast.event(), "fast")
    assert (await put_state(http, id, state="stopped")).json()["state"] == "stopped"
    answer = await put_state(http, id, state=wanted)
    assert (answer.status_code, answer.headers["content-type"]) == (409, "application/json")
    resume = "Cannot resume from workflow state 'stopped'"
    assert answer.text == (resume if wanted == "running" else f"Cannot transition state from 'stopped' to '{wanted}'")


async def test_a_workflow_that_has_not_started_cannot_be_resumed(
    http: httpx.AsyncClient, opencast: FakeOpencast
) -> None:
    answer = await put_state(http, opencast.start(opencast.event(), "fast"), state="running")
    assert (answer.status_code, answer.headers["content-type"]) == (500, "text/plain")
    not_paused = "Can not resume a workflow where the current state is not in paused"
    assert answer.text == f"Could not retrieve workflow instance, reason: '{not_paused}'"


async def test_a_paused_workflow_ends_its_operation_and_waits(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock
) -> None:
    id = opencast.start(opencast.event(), "fast")
    clock.advance(4)
    assert (await put_state(http, id, state="paused")).json()["state"] == "paused"
    clock.advance(60)
    tree = await get_detailed(http, id)
    assert [o["state"] for o in tree["operations"]] == ["succeeded", "succeeded", "instantiated", "instantiated"]
    assert (await put_state(http, id, state="running")).json()["state"] == "running"


async def test_a_resumed_review_is_paused_for_two_more_seconds(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock
) -> None:
    id = opencast.start(opencast.event(), "review")
    clock.advance(60)
    assert (await get_detailed(http, id))["operations"][1]["state"] == "paused"
    assert (await put_state(http, id, state="running")).json()["state"] == "paused"
    clock.advance(2)
    assert await state_of(http, id) == "running"


async def test_a_hold_after_a_failure_cannot_be_resumed_through_the_api(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock
) -> None:
    id = opencast.start(opencast.event(), "holds")
    clock.advance(60)
    assert (await put_state(http, id, state="running")).status_code == 200
    clock.advance(60)
    tree = await get_detailed(http, id)
    assert tree["state"] == "paused"
    assert [(o["operation"], o["state"]) for o in tree["operations"]] == [
        ("inspect", "succeeded"),
        ("error-resolution", "paused"),
        ("encode", "retry"),
        ("archive", "instantiated"),
    ]
    failed = tree["operations"][2]
    assert (failed["retry_strategy"], failed["max_attempts"], failed["failed_attempts"]) == ("hold", 2, 1)
    assert failed["completion"] == "2023-11-14T22:13:29Z"
    assert "time_in_queue" not in failed
    assert tree["operations"][1]["max_attempts"] == 1


async def test_an_operation_that_is_retried_keeps_its_failed_attempt(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock
) -> None:
    opencast.define("retries", [Step("encode", 5.0, StepResult.RETRIED), Step("cleanup")])
    id = opencast.start(opencast.event(), "retries")
    seen, operation = [], {}
    for _ in range(14):
        clock.advance(1)
        operation = (await get_detailed(http, id))["operations"][0]
        row = tuple(operation.get(key) for key in ("state", "failed_attempts", "completion"))
        seen += [row] if row not in seen else []
    first, second = "2023-11-14T22:13:27Z", "2023-11-14T22:13:32Z"
    assert seen == [("instantiated", 0, ""), ("running", 0, ""), ("running", 1, first), ("succeeded", 1, second)]
    assert (operation["retry_strategy"], operation["max_attempts"], "time_in_queue" in operation) == ("retry", 2, True)
    assert await state_of(http, id) == "succeeded"


async def test_a_failed_operation_has_no_time_in_queue(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock
) -> None:
    id = opencast.start(opencast.event(), "fails")
    clock.advance(3)
    assert ["time_in_queue" in o for o in (await get_detailed(http, id))["operations"]] == [False, False, False]
    clock.advance(60)
    assert ["time_in_queue" in o for o in (await get_detailed(http, id))["operations"]] == [True, False, False]


@without_list
async def test_a_workflow_without_operations_fails(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock
) -> None:
    opencast.define("empty", [])
    id = (await post_start(http, opencast.event(), "empty")).json()["identifier"]
    clock.advance(2)
    assert (await state_of(http, id), (await get_detailed(http, id))["operations"]) == ("failed", [])


REVIEW = (Step("editor", 1.0, StepResult.HELD), Step("encode", 10.0), Step("cleanup", 1.0))


@pytest.mark.parametrize(
    ("harm", "end", "executed"),
    [
        (None, "succeeded", ["editor", "encode", "encode", "cleanup"]),
        ("twice", "succeeded", ["editor", "encode", "encode", "cleanup"]),
        ("lost", "succeeded", ["editor", "cleanup"]),
        ("hangs", "running", ["editor", "encode"]),
        ("refused", "succeeded", ["editor", "encode", "cleanup"]),
    ],
)
async def test_a_second_resume_has_an_effect_while_the_first_is_queued(
    http: httpx.AsyncClient,
    opencast: FakeOpencast,
    clock: ManualClock,
    harm: Literal["twice", "lost", "hangs", "refused"] | None,
    end: str,
    executed: list[str],
) -> None:
    opencast.faults = SecondResume(harm) if harm else Faults()
    opencast.define("asks", REVIEW)
    id = opencast.start(opencast.event(), "asks")
    clock.advance(10)
    answers = [await put_state(http, id, state="running")]
    clock.advance(1.9)
    answers.append(await put_state(http, id, state="running"))
    if harm == "refused":
        not_paused = "Can not resume a workflow where the current state is not in paused"
        assert (answers.pop().status_code, not_paused in (await put_state(http, id, state="running")).text) == (
            500,
            True,
        )
    assert {(answer.status_code, answer.json()["state"]) for answer in answers} == {(200, "paused")}
    clock.advance(600)
    assert await state_of(http, id) == end
    assert opencast.engine.runs[id].executed == executed


async def test_a_second_resume_after_the_first_was_dispatched_has_no_effect(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock
) -> None:
    opencast.define("asks", REVIEW)
    id = opencast.start(opencast.event(), "asks")
    clock.advance(10)
    await put_state(http, id, state="running")
    clock.advance(2)
    assert (await put_state(http, id, state="running")).json()["state"] == "running"
    clock.advance(600)
    assert await state_of(http, id) == "succeeded"
    assert opencast.engine.runs[id].executed == ["editor", "encode", "cleanup"]


async def test_a_pause_or_a_stop_cancels_a_queued_resume(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock
) -> None:
    ids = [opencast.start(opencast.event(), "review") for _ in range(2)]
    clock.advance(60)
    for id in ids:
        await put_state(http, id, state="running")
    opencast.engine.pause(opencast.engine.runs[ids[0]])
    await put_state(http, ids[1], state="stopped")
    clock.advance(60)
    assert [await state_of(http, id) for id in ids] == ["paused", "stopped"]
    assert [opencast.engine.runs[id].resuming for id in ids] == [False, False]


async def test_an_id_can_be_reused_for_another_workflow(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock
) -> None:
    first = opencast.event()
    id = opencast.start(first, "publish")
    clock.advance(3)
    opencast.replace(id, "noop")
    restored = await get_detailed(http, id)
    assert (restored["state"], restored["workflow_definition_identifier"]) == ("instantiated", "noop")
    assert restored["event_identifier"] != first
    clock.advance(60)
    assert await state_of(http, id) == "succeeded"
    opencast.replace(id, event=first)
    assert (await get_detailed(http, id))["event_identifier"] == first
    assert opencast.state.events[first].workflow_ids == [id]


async def test_a_stop_during_the_last_operation_is_overwritten(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock
) -> None:
    opencast.define("one", [Step("encode", 10.0, StepResult.FAILED)])
    id = opencast.start(opencast.event(), "one")
    clock.advance(3)
    assert (await put_state(http, id, state="stopped")).json()["state"] == "stopped"
    clock.advance(10)
    assert await state_of(http, id) == "failed"


@pytest.mark.parametrize(("release", "end"), [("11", "stopped"), ("16", "stopped"), ("19", "succeeded")])
async def test_stopping_a_finished_workflow_changes_its_state_before_opencast_19(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock, end: str
) -> None:
    id = opencast.start(opencast.event(), "noop")
    clock.advance(60)
    answer = await put_state(http, id, state="stopped")
    assert (answer.status_code, answer.json()["state"]) == (200, end)


async def test_pausing_a_finished_workflow_changes_its_state(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock
) -> None:
    id = opencast.start(opencast.event(), "noop")
    clock.advance(60)
    assert (await put_state(http, id, state="paused")).json()["state"] == "paused"


async def test_a_finished_workflow_is_deleted_permanently(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock
) -> None:
    event = opencast.event()
    id = opencast.start(event, "noop")
    clock.advance(60)
    answer = await http.delete(f"/api/workflows/{id}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert (await http.delete(f"/api/workflows/{id}")).status_code == 404
    assert opencast.state.events[event].workflow_ids == []


async def test_an_active_workflow_is_not_deleted(http: httpx.AsyncClient, opencast: FakeOpencast) -> None:
    answer = await http.delete(f"/api/workflows/{opencast.start(opencast.event(), 'fast')}")
    expected = (409, "application/json", "Cannot delete workflow instance in this workflow state")
    assert (answer.status_code, answer.headers["content-type"], answer.text) == expected


async def test_read_access_does_not_allow_a_delete(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock
) -> None:
    id = opencast.start(opencast.event(writers=frozenset({"ROLE_OTHER"})), "noop")
    clock.advance(60)
    assert (await http.delete(f"/api/workflows/{id}", auth=EDITOR_LOGIN)).status_code == 403
    mine = opencast.start(opencast.event(writers=frozenset({"ROLE_USER"})), "noop")
    clock.advance(60)
    assert (await http.delete(f"/api/workflows/{mine}", auth=EDITOR_LOGIN)).status_code == 204
