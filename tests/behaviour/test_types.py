"""Row 41: values of another type than the contract says."""

import json
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from tests.behaviour.test_fields import OPERATION, WORKFLOW, faults, read
from tests.conftest import See
from workflow_async._core.call import Reply
from workflow_async.errors import DecodeError, ListingInconsistent, ListingNotSupported, ResponseMismatch
from workflow_async.opencast import calls as opencast, definition_calls, event_calls, params, server_calls
from workflow_async.preservica import calls as preservica, process_calls

VALUES: list[Any] = [None, True, "true", "1603", 1603, 1603.0, [], {}, "some text", ""]
TEXT = [None, "true", "1603", "some text", ""]
INTS = ["1603", 1603]
MAYBE = [None, ""]
ACCEPTED: dict[str, list[Any]] = {
    "identifier": INTS, "operations": [None, []],
    **dict.fromkeys(["state", "title", "description", "creator", "workflow_definition_identifier"], TEXT),
    "event_identifier": TEXT,
}  # fmt: skip
ACCEPTED_OPERATION: dict[str, list[Any]] = {
    "identifier": [*INTS, *MAYBE], "time_in_queue": [*INTS, *MAYBE], "max_attempts": INTS, "failed_attempts": INTS,
    "fail_workflow_on_error": [True, "true"], "configuration": [None, {}],
    "start": MAYBE, "completion": MAYBE, "operation": ["true", "1603", "some text", ""],
    **dict.fromkeys(
        ["state", "description", "unless", "host", "if", "retry_strategy", "error_handler_workflow"], TEXT
    ),
}  # fmt: skip


def same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and one == other


REQUIRED = {"identifier", "state", "event_identifier"}
REQUIRED_OPERATION = {"operation", "state"}


@pytest.mark.row(41)
def test_a_value_of_another_type_is_kept_beside_the_workflow_or_a_decode_error_with_its_path(see: See) -> None:
    assert WORKFLOW.keys() == ACCEPTED.keys()
    for key in WORKFLOW:
        for value in VALUES:
            tree = WORKFLOW | {key: value}
            is_read = any(same(value, good) for good in ACCEPTED[key])
            faults_found = faults("opencast", tree)
            assert bool(faults_found) == (key in REQUIRED and not is_read), (key, value)
            assert f" @ $.{key}" in faults_found or not faults_found
            assert faults_found or read("opencast", tree).extra == ({} if is_read else {key: value}), (key, value)
    see(f"workflow: {len(WORKFLOW) * len(VALUES)} pairs of field and type as documented")


@pytest.mark.row(41)
def test_a_value_of_another_type_is_kept_beside_its_operation_or_hides_the_operations(see: See) -> None:
    assert OPERATION.keys() == ACCEPTED_OPERATION.keys()
    for key in OPERATION:
        for value in VALUES:
            odd = OPERATION | {key: value}
            found = read("opencast", WORKFLOW | {"operations": [OPERATION, odd]})
            is_read = any(same(value, good) for good in ACCEPTED_OPERATION[key])
            assert (found.operations is None) == (key in REQUIRED_OPERATION and not is_read), (key, value)
            if found.operations is None:
                assert found.extra == {"operations": [OPERATION, odd]}
            else:
                assert found.operations[1].extra == ({} if is_read else {key: value}), (key, value)
    see(f"operation: {len(OPERATION) * len(VALUES)} pairs of field and type as documented")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9)
    | st.sampled_from(["running", "1603", "true", "2018-08-08T08:46:57Z", "/x?start=1"]),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(
            [*WORKFLOW, *OPERATION, "success", "value", "configs", "monitors", "messages", "paging", "next", "apiId",
             "mappedId", "workflows", "workflow", "default", "versions", "username", "token", "validFor", "message"]
        ),
        inner,
        max_size=9,
    ),
    max_leaves=40,
)  # fmt: skip
WITH = params.including(withoperations=True, withconfiguration=True)
JSON_CALLS: dict[str, Any] = {
    "workflow": opencast.get_workflow(1603, WITH),
    "workflows": opencast.list_workflows(filter="", sort="", include=WITH, size=3),
    "workflows of an event": event_calls.workflows_of_event("e"),
    "started": opencast.start_workflow("e", "d", None),
    "definition": definition_calls.get_definition("d"),
    "definitions": definition_calls.list_definitions(filter="", sort="", include=(), limit=None),
    "events": event_calls.list_events(filter="", size=3),
    "version": server_calls.get_version(),
    "me": server_calls.get_me(),
    "processes": process_calls.list_processes(),
    "switched": process_calls.switch_process("p", active=True),
    "monitors": process_calls.list_monitors((), limit=None),
    "messages": process_calls.list_messages((), size=3, limit=None),
    "timeseries": process_calls.get_timeseries("m"),
}
ANOTHER = (ResponseMismatch, ListingNotSupported, ListingInconsistent)


def faults_of(call: Any, body: bytes) -> tuple[str, ...]:
    """Return the faults of the decode error, or nothing if the body is read. Other errors are raised."""
    try:
        call.read(Reply(min(call.success), {}, body))
    except DecodeError as error:
        return error.faults or ("none named",)
    except ANOTHER:
        pass
    return ()


def assert_taken(call: Any, body: bytes) -> None:
    faults_found = faults_of(call, body)
    assert all(" @ " in fault for fault in faults_found), faults_found


@pytest.mark.row(41)
@pytest.mark.parametrize("name", JSON_CALLS)
@settings(max_examples=40)
@given(tree=JSON)
def test_any_json_is_a_record_or_a_typed_error_with_a_path(name: str, tree: Any) -> None:
    for document in (tree, [tree], {"value": tree}, {"value": {name: [tree]}}, {"value": {name: [], "paging": tree}}):
        assert_taken(JSON_CALLS[name], json.dumps(document).encode())


XML_CALLS: dict[str, Any] = {
    "workflow": preservica.get_workflow(1603),
    "workflows": preservica.list_workflows((), size=3),
    "contexts": preservica.list_contexts(()),
    "started": preservica.start_workflow("c", None, None, "m"),
    "terminated": preservica.terminate_workflows([1]),
    "retried": preservica.retry_workflows([1]),
}
TAGS = st.sampled_from(
    ["Id", "State", "Started", "WorkflowInstance", "WorkflowContext", "TotalCount", "Count", "SuccessfulNumber",
     "FailedNumber", "Name", "x:Id", "CorrelationToken", "Other"]
)  # fmt: skip
WORDS = st.sampled_from(["", " ", "1603", "ACTIVE", "2018-08-08T08:46:57Z", "-1", "٣", "9" * 30])
MARKS = st.sampled_from(["", "", " a='1'", " x:nil='true'"])
XML = st.recursive(
    st.builds(lambda tag, marks, text: f"<{tag}{marks}>{text}</{tag}>", TAGS, MARKS, WORDS),
    lambda inner: st.builds(
        lambda tag, marks, parts: f"<{tag}{marks}>{''.join(parts)}</{tag}>", TAGS, MARKS, st.lists(inner | WORDS)
    ),
    max_leaves=15,
)


@pytest.mark.row(41)
@pytest.mark.parametrize("name", XML_CALLS)
@settings(max_examples=60)
@given(parts=st.lists(XML, max_size=4))
def test_any_xml_is_a_record_or_a_typed_error_with_a_path(name: str, parts: list[str]) -> None:
    assert_taken(XML_CALLS[name], f"<r xmlns:x='urn:x'>{''.join(parts)}</r>".encode())
