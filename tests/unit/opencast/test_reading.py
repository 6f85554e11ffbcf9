"""Reading every response of the External API, without event loop and socket."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import given, strategies as st

from workflow_async import Phase
from workflow_async._core.call import Call, Reply
from workflow_async.errors import DecodeError, ListingNotSupported, ResponseMismatch, UnexpectedContent
from workflow_async.opencast import (
    Definition,
    Event,
    OperationState,
    State,
    Workflow,
    calls,
    definition_calls,
    event_calls,
    params,
    server_calls,
)

T = TypeVar("T")

SAMPLES = Path(__file__).parents[2] / "samples" / "opencast"
WITH_BOTH = params.including(withoperations=True, withconfiguration=True)
EVENT = "f41e4417-b841-4d20-a466-f98ddfbe4c2a"


def read(call: Call[T], sample: str, change: Callable[[str], str] = str) -> T:
    return call.read(Reply(200, {}, change((SAMPLES / sample).read_text()).encode()))


def workflow(sample: str, change: Callable[[str], str] = str) -> Workflow:
    return read(calls.get_workflow(1603, WITH_BOTH), sample, change)


def test_the_documented_example_is_read_completely() -> None:
    record = workflow("workflow-document.json")
    assert (record.id, record.definition_id, record.event_id) == (1603, "fast", EVENT)
    assert (record.state, record.state_text, record.phase) == (State.SUCCEEDED, "succeeded", Phase.SUCCEEDED)
    assert record.creator == "Opencast Project Administrator"
    assert record.configuration == {"publishLive": "false", "workflowDefinitionId": "fast"}
    assert record.operations is not None
    first, second = record.operations
    assert (first.operation, first.id, first.host) == ("defaults", 1604, "http://localhost:8080")
    assert first.start == datetime(2018, 8, 8, 8, 46, 57, 201000, tzinfo=UTC)
    assert first.completion == datetime(2018, 8, 8, 8, 46, 57, 300000, tzinfo=UTC)
    assert (second.state, second.completion) == (OperationState.SKIPPED, None)
    assert not record.extra


def test_empty_values_that_servers_up_to_17_leave_out_are_read_as_empty() -> None:
    record = workflow("workflow-16.json")
    assert record.configuration == {}
    assert record.operations is not None
    waiting = record.operations[1]
    assert (waiting.id, waiting.time_in_queue, waiting.start, waiting.configuration) == (None, None, None, {})
    assert waiting.max_attempts == -1
    assert record.operations[0].completion == datetime(2018, 8, 8, 8, 46, 57, tzinfo=UTC)
    assert record.step == "encode"


def test_nulls_that_newer_servers_leave_out_read_the_same() -> None:
    record = workflow("workflow-19.json")
    assert (record.creator, record.configuration) == (None, {})
    assert record.operations is not None
    assert (record.operations[0].id, record.operations[0].time_in_queue) == (None, 0)
    assert record.operations[0].if_ == "${publish} && x"


MINIMAL = '"identifier": 1603, "state": "running", "event_identifier": "e"'


@pytest.mark.parametrize("member", ["", ', "configuration": null', ', "configuration": {}'])
def test_an_empty_configuration_may_be_absent_null_or_an_empty_object(member: str) -> None:
    reply = Reply(200, {}, f"{{{MINIMAL}{member}}}".encode())
    assert calls.get_workflow(1603, WITH_BOTH).read(reply).configuration == {}


@pytest.mark.parametrize("body", [b"null", b"[]", b"7", b'"x"'])
def test_a_body_that_is_not_an_object_is_not_a_workflow(body: bytes) -> None:
    with pytest.raises(DecodeError, match=r"expected an object, got .* @ \$$"):
        calls.get_workflow(1603, WITH_BOTH).read(Reply(200, {}, body))


@pytest.mark.parametrize("value", ['""', "[]", "3", '{"a": true}', '{"a": {}}'])
def test_a_configuration_must_be_an_object_of_texts(value: str) -> None:
    reply = Reply(200, {}, f'{{{MINIMAL}, "configuration": {value}}}'.encode())
    record = calls.get_workflow(1603, WITH_BOTH).read(reply)
    assert (record.configuration, record.extra) == (None, {"configuration": json.loads(value)})


def test_a_field_that_was_not_requested_is_none() -> None:
    record = calls.get_workflow(7).read(
        Reply(200, {}, b'{"identifier": "7", "state": "paused", "event_identifier": "e"}')
    )
    assert (record.id, record.operations, record.configuration, record.step) == (7, None, None, None)
    assert record.phase is Phase.PARKED


@pytest.mark.parametrize(
    ("word", "phase"),
    [
        ("instantiated", Phase.WAITING),
        ("running", Phase.RUNNING),
        ("failing", Phase.RUNNING),
        ("paused", Phase.PARKED),
        ("succeeded", Phase.SUCCEEDED),
        ("failed", Phase.FAILED),
        ("stopped", Phase.STOPPED),
        ("SUCCEEDED", Phase.SUCCEEDED),
        ("hibernating", Phase.UNKNOWN),
    ],
)
def test_every_state_has_its_phase_and_an_unknown_one_is_kept(word: str, phase: Phase) -> None:
    record = workflow("workflow-16.json", lambda text: text.replace('"state": "running"', f'"state": "{word}"'))
    assert (record.phase, record.state_text) == (phase, word)


def test_failing_is_not_final() -> None:
    assert not State.FAILING.phase.final


def test_a_null_state_is_unknown_and_not_an_error() -> None:
    record = workflow("workflow-16.json", lambda text: text.replace('"state": "running"', '"state": null'))
    assert (record.state, record.state_text) == (State.UNKNOWN, "")


def test_unknown_fields_are_kept() -> None:
    record = workflow("workflow-16.json", lambda text: text.replace('"title"', '"priority": 3, "title"'))
    assert record.extra == {"priority": 3}


@pytest.mark.parametrize(
    ("was", "now", "fault"),
    [
        ('"identifier": 1603', '"identifier": 1603.0', r"expected a whole number, got a number @ \$\.identifier"),
        ('"identifier": 1603', '"identifier": true', r"expected a whole number, got true or false @ \$\.identifier"),
        ('"state": "running"', '"state": false', r"expected a text, got true or false @ \$\.state"),
        ('"event_identifier"', '"event"', r"required field missing @ \$\.event_identifier"),
    ],
)
def test_a_required_value_that_cannot_be_read_is_a_fault_at_the_servers_key(was: str, now: str, fault: str) -> None:
    with pytest.raises(DecodeError, match=fault):
        workflow("workflow-16.json", lambda text: text.replace(was, now, 1))


@pytest.mark.parametrize(
    ("was", "now", "name", "left", "raw"),
    [
        ('"title": "Fast Testing Workflow"', '"title": ["x"]', "title", "", ["x"]),
        ('"title": "Fast Testing Workflow"', '"title": 1984', "title", "", 1984),
        ('"creator": "Opencast Project Administrator"', '"creator": ["admin"]', "creator", None, ["admin"]),
        ('"workflow_definition_identifier": "fast"', '"workflow_definition_identifier": 7', "definition_id", "", 7),
    ],
)
def test_an_optional_value_that_cannot_be_read_hides_neither_id_nor_state(
    was: str, now: str, name: str, left: Any, raw: Any
) -> None:
    record = workflow("workflow-16.json", lambda text: text.replace(was, now))
    assert (record.id, record.state, record.event_id) == (1603, State.RUNNING, EVENT)
    assert getattr(record, name) == left
    assert record.extra == {was.partition(":")[0].strip('"'): raw}


@pytest.mark.parametrize(
    ("was", "now", "name", "raw"),
    [
        ('"start": "2018-08-08T08:46:57.201Z"', '"start": "in 2018"', "start", "in 2018"),
        ('"failed_attempts": 0', '"failed_attempts": null', "failed_attempts", None),
        ('"fail_workflow_on_error": true', '"fail_workflow_on_error": 1', "fail_workflow_on_error", 1),
        ('"max_attempts": 1', '"max_attempts": "many"', "max_attempts", "many"),
        ('"identifier": 1604', '"identifier": [1604]', "id", [1604]),
    ],
)
def test_an_unreadable_optional_value_of_an_operation_is_none_and_kept_raw(
    was: str, now: str, name: str, raw: Any
) -> None:
    record = workflow("workflow-16.json", lambda text: text.replace(was, now, 1))
    assert record.operations is not None
    first, second = record.operations
    assert (first.operation, first.state) == ("defaults", OperationState.SUCCEEDED)
    assert getattr(first, name) is None
    assert first.extra == {was.partition(":")[0].strip('"'): raw}
    assert not second.extra


def test_operations_that_cannot_be_read_are_none_and_kept_as_they_came() -> None:
    record = workflow("workflow-16.json", lambda text: text.replace('"operation": "encode",', ""))
    assert (record.id, record.operations) == (1603, None)
    assert [operation.get("operation") for operation in record.extra["operations"]] == ["defaults", None]


def test_a_state_of_an_event_that_cannot_be_read_is_unknown_and_not_none() -> None:
    body = b'[{"identifier": "e-1", "processing_state": 7}, {"identifier": "e-2", "processing_state": ""}]'
    unreadable, none = event_calls.list_events(filter="", size=2).read(Reply(200, {}, body)).items
    assert (unreadable.processing_state, unreadable.extra) == (State.UNKNOWN, {"processing_state": 7})
    assert none.processing_state is None


def test_versions_that_cannot_be_read_do_not_hide_the_default() -> None:
    record = server_calls.get_version().read(Reply(200, {}, b'{"default": "v1.7.0", "versions": "v1.7.0"}'))
    assert (record.lists_workflows, record.versions, record.extra) == (True, (), {"versions": "v1.7.0"})


def test_only_the_internal_endpoint_has_the_creation_date() -> None:
    body = f'{{{MINIMAL}, "created": "2018-08-08T08:46:57Z"}}'.encode()
    record = calls.get_workflow(1603).read(Reply(200, {}, body))
    assert (record.created, record.extra) == (None, {"created": "2018-08-08T08:46:57Z"})


def test_a_row_that_cannot_be_read_keeps_its_place_in_a_page() -> None:
    page = PAGE.read(Reply(200, {}, b'[{"identifier": 1}, {"identifier": 2, "state": "x", "event_identifier": "e"}]'))
    unreadable: Any = page.items[0]
    assert unreadable.faults == (
        "required field missing @ $[0].state",
        "required field missing @ $[0].event_identifier",
    )
    assert unreadable.row == {"identifier": 1}
    assert page.items[1].id == 2
    assert page.next is not None
    assert page.next.params == (("limit", "2"), ("offset", "2"))


def test_an_event_that_cannot_be_read_is_left_out() -> None:
    call = event_calls.events_by_id(["e-1", "e-2"])
    found = call.read(Reply(200, {}, b'[{"identifier": 7}, {"identifier": "e-2", "created": 3}, null]'))
    assert [event.id for event in found] == ["e-2"]


def test_a_bulk_check_reads_the_id_and_the_state_of_an_event_only() -> None:
    call = event_calls.event_states(["e-1", "e-2", "e-3", "e-4", "e-5"])
    rows = [
        {"identifier": "e-1", "processing_state": "RUNNING", "created": 7, "title": ["x"]},
        {"identifier": "e-2", "processing_state": ""},
        {"identifier": "e-3", "processing_state": 7},
        {"identifier": "e-4"},
        {"identifier": "e-5", "processing_state": "GROWN"},
        {"identifier": "e-6", "processing_state": "RUNNING"},
        {"identifier": 1, "processing_state": "RUNNING"},
        {"processing_state": "RUNNING"},
        None,
        "e-1",
    ]
    assert call.read(Reply(200, {}, json.dumps(rows).encode())) == {
        "e-1": State.RUNNING, "e-2": None, "e-3": State.UNKNOWN, "e-4": None, "e-5": State.UNKNOWN
    }  # fmt: skip
    with pytest.raises(DecodeError, match="expected a list"):
        call.read(Reply(200, {}, b"{}"))


@given(
    st.lists(
        st.none()
        | st.dictionaries(
            st.sampled_from(["identifier", "processing_state", "title", "created"]),
            st.none() | st.integers() | st.sampled_from(["", "a", "b", "RUNNING", "succeeded", "x"]) | st.just([]),
        )
    )
)
def test_a_bulk_check_finds_the_states_that_the_events_have(rows: list[Any]) -> None:
    reply = Reply(200, {}, json.dumps(rows).encode())
    events = event_calls.events_by_id(["a", "b"]).read(reply)
    assert event_calls.event_states(["a", "b"]).read(reply) == {event.id: event.processing_state for event in events}


def test_booleans_and_numbers_that_are_texts_as_documented_are_read_too() -> None:
    texts = '"fail_workflow_on_error": "true"', '"max_attempts": "1"'

    def change(text: str) -> str:
        return text.replace('"fail_workflow_on_error": true', texts[0]).replace('"max_attempts": 1', texts[1])

    record = workflow("workflow-document.json", change)
    assert record.operations is not None
    assert (record.operations[0].fail_workflow_on_error, record.operations[0].max_attempts) == (True, 1)


def test_a_response_about_another_workflow_is_refused() -> None:
    with pytest.raises(ResponseMismatch, match="requested workflow 1604, but the response is about workflow 1603"):
        read(calls.get_workflow(1604), "workflow-16.json")


def test_a_response_about_another_definition_is_refused() -> None:
    with pytest.raises(ResponseMismatch, match="definition slow"):
        read(definition_calls.get_definition("slow"), "definition.json")


def test_a_login_page_is_never_read_as_a_workflow() -> None:
    with pytest.raises(UnexpectedContent):
        calls.get_workflow(1).read(Reply(200, {}, b"<!DOCTYPE html><html>Log in</html>"))


PAGE = calls.list_workflows(filter="", sort="", include=(), size=2)


@pytest.mark.parametrize("body", [b'{"url": "https://oc", "version": "v1.11.0"}', b"null", b'"x"', b"3"])
def test_a_response_that_is_not_a_list_means_that_listing_is_not_supported(body: bytes) -> None:
    with pytest.raises(ListingNotSupported, match="removed it in 12"):
        PAGE.read(Reply(200, {}, body))


def rows(count: int) -> Reply:
    row = '{"identifier": %d, "state": "running", "event_identifier": "e"}'
    return Reply(200, {}, f"[{','.join(row % id for id in range(count))}]".encode())


def test_a_full_page_carries_the_call_for_the_next() -> None:
    page = PAGE.read(rows(2))
    assert page.next is not None
    assert page.next.params == (("limit", "2"), ("offset", "2"))


@pytest.mark.parametrize("count", [0, 1])
def test_a_short_page_ends_the_listing(count: int) -> None:
    assert PAGE.read(rows(count)).next is None


def test_a_page_larger_than_requested_is_read_completely() -> None:
    page = PAGE.read(rows(5))
    assert len(page.items) == 5
    assert page.next is not None
    assert page.next.params == (("limit", "2"), ("offset", "5"))


def definition(sample: str) -> Definition:
    include = params.including(withoperations=True, withconfigurationpanel=True, withconfigurationpaneljson=True)
    return read(definition_calls.get_definition("fast", include), sample)


def test_a_definition_has_identifier_and_operation_where_the_document_says_id() -> None:
    record = definition("definition.json")
    assert (record.id, record.tags, record.configuration_panel) == ("fast", ("schedule", "upload"), "<div></div>")
    assert record.configuration_panel_json == '[{"fieldset": []}]'
    assert record.operations is not None
    assert [(o.operation, o.fail_workflow_on_error, o.max_attempts) for o in record.operations] == [
        ("defaults", True, 1),
        ("series", False, -1),
    ]
    assert record.operations[1].configuration == {}


def test_a_definition_is_read_with_the_keys_of_the_document_too() -> None:
    record = definition("definition-document.json")
    assert record.operations is not None
    assert (record.id, [operation.operation for operation in record.operations]) == ("fast", ["defaults", "series"])


def test_definitions_are_one_page() -> None:
    call = definition_calls.list_definitions(filter="", sort="", include=(), limit=None)
    page = call.read(Reply(200, {}, b"[" + (SAMPLES / "definition.json").read_bytes() + b"]"))
    assert ([item.id for item in page.items], page.next) == (["fast"], None)
    with pytest.raises(DecodeError, match="expected a list"):
        call.read(Reply(200, {}, b"{}"))


def test_events_have_states_in_upper_case_or_none() -> None:
    page = read(event_calls.list_events(filter="", size=100), "events.json")
    assert [(e.id, e.processing_state, e.series) for e in page.items] == [
        ("e-1", State.RUNNING, "s-1"),
        ("e-2", None, ""),
    ]
    assert isinstance(page.items[0], Event)
    assert page.items[0].extra == {"publication_status": []}


@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        ("instances-none.json", []),
        ("instances-one.json", [(1603, State.SUCCEEDED)]),
        ("instances-several.json", [(1603, State.SUCCEEDED), (1700, State.RUNNING)]),
    ],
)
def test_the_workflows_of_an_event_are_read_from_an_object_a_list_or_nothing(
    sample: str, expected: list[tuple[int, State]]
) -> None:
    records = read(event_calls.workflows_of_event("e-1"), sample)
    assert [(record.id, record.state) for record in records] == expected
    assert all((r.event_id, r.definition_id, r.creator) == ("e-1", "fast", "admin") for r in records)
    assert all(r.state_text.islower() for r in records)
    assert all(r.created is not None and r.created.tzinfo is UTC for r in records)


def test_the_version_decides_whether_workflows_can_be_listed() -> None:
    version = read(server_calls.get_version(), "version.json")
    assert (version.default, version.number, version.lists_workflows) == ("v1.11.0", (1, 11, 0), False)
    older = read(
        server_calls.get_version(), "version.json", lambda text: text.replace('default": "v1.11.0', 'default": "v1.7.0')
    )
    assert older.lists_workflows


def test_me_is_the_user_of_the_credentials() -> None:
    assert read(server_calls.get_me(), "me.json").username == "admin"


STARTED = b'{"identifier": 3170, "state": "instantiated", "event_identifier": "e-1"}'


def test_a_start_returns_the_servers_record() -> None:
    record = calls.start_workflow("e-1", "fast", None).read(Reply(201, {}, STARTED))
    assert (record.id, record.phase) == (3170, Phase.WAITING)


def test_a_start_whose_response_is_about_another_event_is_refused() -> None:
    with pytest.raises(ResponseMismatch):
        calls.start_workflow("e-2", "fast", None).read(Reply(201, {}, STARTED))


@pytest.mark.parametrize(
    ("location", "id"),
    [("http://localhost:8080/api/workflows/3170", 3170), ("/api/workflows/", None), ("", None), ("//x/y/abc", None)],
)
def test_an_unreadable_start_still_has_the_id_of_its_location(location: str, id: int | None) -> None:
    with pytest.raises(DecodeError) as caught:
        calls.start_workflow("e-1", "fast", None).read(Reply(201, {"location": location}, b""))
    assert caught.value.located == id
