"""The requests to the workflow service as values, without event loop and socket."""

from typing import Any
from xml.etree import ElementTree as ET

import pytest

from workflow_async._core.call import Call, ParameterValue, Replay, Reply
from workflow_async.errors import InvalidArgument
from workflow_async.preservica import calls

NS = "{http://workflow.preservica.com}"
XML = "application/xml;charset=UTF-8"


def document(call: Call[object]) -> ET.Element:
    assert call.body is not None
    return ET.fromstring(call.body)


def start(parameters: Any = None, id: str | None = "42", name: str | None = None) -> Call[Any]:
    return calls.start_workflow(id, name, parameters, "mark-1")


def sent(parameters: Any) -> dict[str | None, str | None]:
    pairs = document(start(parameters)).findall(f"{NS}Parameter")
    return {pair.findtext(f"{NS}Key"): pair.findtext(f"{NS}Value") for pair in pairs}


def test_contexts_are_requested_with_their_filters_only() -> None:
    call = calls.list_contexts((("type", "Ingest"),))
    assert (call.method, call.path, call.params) == ("GET", "/sdb/rest/workflow/contexts", (("type", "Ingest"),))
    assert (call.accept, call.body, call.replay) == ("application/xml", None, Replay.SAFE)


def test_a_page_of_workflows_has_a_start_and_a_maximum_size() -> None:
    call = calls.list_workflows((("state", "Active"),), size=100)
    assert (call.method, call.path) == ("GET", "/sdb/rest/workflow/instances")
    assert call.params == (("state", "Active"), ("start", "0"), ("max", "100"))
    assert calls.list_workflows((), size=50, start=200).params == (("start", "200"), ("max", "50"))
    assert call.accept == "application/xml"


def test_one_workflow_is_requested_with_its_errors() -> None:
    call = calls.get_workflow(51234)
    assert (call.path, call.params) == ("/sdb/rest/workflow/instances/51234", (("includeErrors", "true"),))


def test_a_start_is_a_document_in_the_order_that_real_servers_accept() -> None:
    call = calls.start_workflow("42", "Web & Crawl", {"seedUrl": "a&b<c>", "maxDepth": "8"}, "mark-1")
    assert (call.method, call.path, call.params) == ("POST", "/sdb/rest/workflow/instances", ())
    assert (call.content_type, call.replay, sorted(call.success)) == (XML, Replay.ONCE, [200, 201, 202])
    root = document(call)
    assert root.tag == f"{NS}StartWorkflowRequest"
    names = ["WorkflowContextId", "WorkflowContextName", "Parameter", "Parameter", "CorrelationId"]
    assert [child.tag.removeprefix(NS) for child in root] == names
    assert root.findtext(f"{NS}WorkflowContextName") == "Web & Crawl"
    assert root.findtext(f"{NS}CorrelationId") == "mark-1"
    assert [child.findtext(f"{NS}Value") for child in root.findall(f"{NS}Parameter")] == ["a&b<c>", "8"]


@pytest.mark.parametrize(
    ("id", "name", "tags"),
    [
        ("42", None, ["WorkflowContextId", "CorrelationId"]),
        (None, "Ingest", ["WorkflowContextName", "CorrelationId"]),
        ("42", "Ingest", ["WorkflowContextId", "WorkflowContextName", "CorrelationId"]),
    ],
)
def test_a_context_is_named_by_its_id_its_name_or_both(id: str | None, name: str | None, tags: list[str]) -> None:
    assert [child.tag.removeprefix(NS) for child in document(start(None, id, name))] == tags


@pytest.mark.parametrize(
    ("value", "text"), [(True, "true"), (False, "false"), (8, "8"), (1.5, "1.5"), ("x", "x"), ("", None)]
)
def test_parameter_values_are_sent_as_texts(value: ParameterValue, text: str | None) -> None:
    pairs = document(start({"k": value})).findall(f"{NS}Parameter/{NS}Value")
    assert [pair.text for pair in pairs] == [text]


def test_a_parameter_key_can_be_any_text() -> None:
    assert sent({"not an identifier": "1", "from": "2", "a&b": "3"}) == {
        "not an identifier": "1",
        "from": "2",
        "a&b": "3",
    }


def test_line_ends_of_a_parameter_arrive_unchanged() -> None:
    assert sent({"note": "a\r\nb\rc\nd\te"}) == {"note": "a\r\nb\rc\nd\te"}


@pytest.mark.parametrize("value", [None, [], {}, ("a",), b"x", object()])
def test_a_parameter_that_is_no_text_is_refused_by_its_key(value: Any) -> None:
    with pytest.raises(InvalidArgument, match=r"^parameters\['k'\]: must be a text, a number, True or False"):
        start({"k": value})


def test_a_parameter_key_that_is_no_text_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="^parameters: must have texts as keys"):
        start({3: "x"})


@pytest.mark.parametrize("text", ["a\x00b", "\x1b"])
def test_characters_that_xml_cannot_carry_are_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="^Value: must not contain control characters"):
        start({"k": text})


def test_a_value_that_cannot_be_encoded_is_refused_by_its_key() -> None:
    with pytest.raises(InvalidArgument, match=r"^parameters\['k'\]: must not contain lone surrogates"):
        start({"k": "\ud800"})


def test_a_blank_context_or_correlation_id_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="^context: must be a text"):
        start(None, None, " ")
    with pytest.raises(InvalidArgument, match="^correlation_id: must be a text"):
        calls.start_workflow("42", None, None, "")


@pytest.mark.parametrize(("make", "verb"), [(calls.terminate_workflows, "terminate"), (calls.retry_workflows, "retry")])
def test_terminate_and_retry_name_the_workflows_in_the_query_and_have_no_body(make: Any, verb: str) -> None:
    call = make([7, "8", 9])
    assert (call.method, call.path) == ("POST", f"/sdb/rest/workflow/instances/{verb}")
    assert call.params == (("workflowInstanceIds", "7,8,9"),)
    assert (call.body, call.replay, sorted(call.success)) == (None, Replay.ONCE, [200, 202])


@pytest.mark.parametrize(("make", "verb"), [(calls.terminate_workflows, "terminate"), (calls.retry_workflows, "retry")])
def test_terminate_and_retry_without_ids_are_refused_because_the_server_may_apply_them_to_all(
    make: Any, verb: str
) -> None:
    with pytest.raises(InvalidArgument, match=f"^workflow_ids: must name the workflows to {verb}"):
        make([])


@pytest.mark.parametrize("id", ["", "7,8", "x", "-1", True, 1.0, None, 2**63])
def test_an_id_that_is_no_number_is_refused(id: Any) -> None:
    with pytest.raises(InvalidArgument, match="^workflow_ids: must be a whole number"):
        calls.terminate_workflows([id])


def test_calls_compare_by_their_request_and_show_no_body() -> None:
    assert start({"k": "v"}) == start({"k": "v"})
    assert start({"k": "v"}) != start({"k": "w"})
    assert "mark-1" not in repr(start())
    assert start().read(Reply(201, {}, b"")).correlation_id == "mark-1"
