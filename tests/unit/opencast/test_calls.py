"""The requests to the External API as values, without event loop and socket."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

import pytest

from workflow_async._core.call import Call, ParameterValue, Replay
from workflow_async.errors import InvalidArgument
from workflow_async.opencast import calls, definition_calls, params, server_calls


def form(call: Call[object]) -> Mapping[str, list[str]]:
    assert call.content_type == "application/x-www-form-urlencoded"
    assert call.body is not None
    return parse_qs(call.body.decode(), keep_blank_values=True)


def test_the_limit_is_always_sent() -> None:
    call = calls.list_workflows(filter="", sort="", include=(), size=100)
    assert (call.method, call.path, call.params) == ("GET", "/api/workflows", (("limit", "100"), ("offset", "0")))


def test_filter_sort_and_requested_fields_are_query_parameters() -> None:
    include = params.including(withoperations=True, withconfiguration=False)
    call = calls.list_workflows(filter="state:running", sort="event_title:ASC", include=include, size=3, offset=7)
    assert call.params == (
        ("filter", "state:running"),
        ("sort", "event_title:ASC"),
        ("limit", "3"),
        ("offset", "7"),
        ("withoperations", "true"),
    )


def test_a_start_is_a_form_with_the_requested_fields_in_the_query() -> None:
    call = calls.start_workflow("e-1", "fast", {"publishLive": False, "n": 3}, (("withoperations", "true"),))
    assert (call.method, call.path, call.params) == ("POST", "/api/workflows", (("withoperations", "true"),))
    sent = form(call)
    assert sent["event_identifier"] == ["e-1"]
    assert sent["workflow_definition_identifier"] == ["fast"]
    assert json.loads(sent["configuration"][0]) == {"publishLive": "false", "n": "3"}


def test_a_start_without_configuration_sends_none() -> None:
    assert "configuration" not in form(calls.start_workflow("e-1", "fast", None))


@pytest.mark.parametrize(
    ("value", "sent"), [(True, "true"), (False, "false"), (8, "8"), (1.5, "1.5"), ("x", "x"), ("", "")]
)
def test_configuration_values_are_sent_as_texts(value: ParameterValue, sent: str) -> None:
    assert json.loads(form(calls.replace_configuration(1, {"k": value}))["configuration"][0]) == {"k": sent}


@pytest.mark.parametrize("value", [None, [], {}, b"x"])
def test_a_configuration_value_that_is_no_text_is_refused_by_its_key(value: Any) -> None:
    with pytest.raises(InvalidArgument, match=r"^configuration\['k'\]: must be a text, a number, True or False"):
        calls.start_workflow("e-1", "fast", {"k": value})


def test_a_configuration_key_that_is_no_text_is_refused() -> None:
    wrong: Any = {3: "x"}
    with pytest.raises(InvalidArgument, match="^configuration: must have texts as keys"):
        calls.start_workflow("e-1", "fast", wrong)


@pytest.mark.parametrize(("event", "definition"), [("", "fast"), ("  ", "fast"), ("e-1", ""), ("e-1", " ")])
def test_a_start_without_event_or_definition_is_refused(event: str, definition: str) -> None:
    with pytest.raises(InvalidArgument, match="^(event|definition)_id: must be a text that is not blank"):
        calls.start_workflow(event, definition, None)


def test_starts_and_changes_are_sent_once_and_a_deletion_may_repeat() -> None:
    assert calls.start_workflow("e-1", "fast", None).replay is Replay.ONCE
    assert calls.change_state(1, "stopped").replay is Replay.ONCE
    assert calls.replace_configuration(1, {}).replay is Replay.ONCE
    assert calls.delete_workflow(1).replay is Replay.DELETE
    assert calls.get_workflow(1).replay is Replay.SAFE


def test_state_and_configuration_are_sent_in_separate_requests() -> None:
    assert form(calls.change_state(7, "paused")) == {"state": ["paused"]}
    assert form(calls.replace_configuration(7, {"a": "b"})) == {"configuration": ['{"a": "b"}']}
    assert calls.change_state(7, "paused").path == "/api/workflows/7"


def test_no_path_ends_with_a_slash() -> None:
    some = [
        calls.start_workflow("e", "d", None),
        calls.get_workflow(1),
        calls.delete_workflow(1),
        server_calls.get_version(),
        server_calls.get_me(),
        definition_calls.list_definitions(filter="", sort="", include=(), limit=None),
    ]
    assert not any(call.path.endswith("/") for call in some)
