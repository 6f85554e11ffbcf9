"""Searches of workflows as filters of events, and the tests for rows."""

from datetime import UTC, datetime
from typing import Any

import pytest

from workflow_async.opencast.event_records import Event
from workflow_async.opencast.event_search import EventSearch
from workflow_async.opencast.operation_records import Operation, OperationState
from workflow_async.opencast.query import WorkflowQuery
from workflow_async.opencast.records import State, Workflow

PREFIX = "EVENTS.EVENTS.STATUS."
DAY = datetime(2026, 3, 4, tzinfo=UTC)
EVENT = Event(
    id="e-1",
    title="Optics, part 2",
    series="s",
    series_title="Winter",
    presenters=("Ada", "Emmy"),
    extra={"language": "nor", "subjects": ["Light"], "contributor": ["Grace"], "license": "CC0"},
)


def search(*, literal: bool = False, **filters: Any) -> EventSearch:
    return EventSearch(WorkflowQuery.of(**filters), literal=literal)


def workflow(state: str = "running", *, step: OperationState = OperationState.RUNNING) -> Workflow:
    operation = Operation(operation="Encode", state=step, state_text=step.value)
    return Workflow(
        id=1603,
        state=State.read(state),
        state_text=state,
        event_id="e-1",
        definition_id="Fast",
        operations=(operation,),
    )


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, ("",)),
        ({"event_id": "e", "series_id": "s"}, ("series:s,identifier:e",)),
        ({"event_created": (DAY, DAY)}, ("start:2026-03-04T00:00:00Z/2026-03-04T00:00:00Z",)),
        ({"event_title": "a", "definition_id": "b", "text_filter": "c"}, ("",)),
        ({"state": "succeeded"}, ("",)),
        ({"state": ["running", "failed"]}, ("",)),
        ({"state": "running", "event_id": "e"}, (f"identifier:e,status:{PREFIX}PROCESSING",)),
        ({"state": ["running", "failing"]}, (f"status:{PREFIX}PROCESSING",)),
        (
            {"state_not": ["succeeded", "failed", "stopped"]},
            (f"status:{PREFIX}PENDING", f"status:{PREFIX}PROCESSING", f"status:{PREFIX}PAUSED"),
        ),
        ({"state_not": "running"}, ("",)),
    ],
)
def test_only_filters_of_the_same_meaning_are_sent(filters: dict[str, Any], expected: tuple[str, ...]) -> None:
    found = search(**filters).filters()
    assert [set(filter.split(",")) for filter in found] == [set(filter.split(",")) for filter in expected]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"event_title": "OPTICS"}, True),
        ({"event_title": "op*2"}, True),
        ({"event_title": "Optic?"}, True),
        ({"event_title": "Optic?", "literal": True}, False),
        ({"event_title": "Law"}, False),
        ({"event_creator": "a; e"}, True),
        ({"event_contributor": "grace", "event_language": "o", "event_license": "cc", "event_subject": "ight"}, True),
        ({"event_contributor": "grace", "event_language": "deu"}, False),
        ({"series_title": "inter"}, True),
        ({"text_filter": "nothing", "state": "failed"}, True),
    ],
)
def test_an_event_is_tested_by_the_texts_that_it_shows(filters: dict[str, Any], expected: bool) -> None:  # noqa: FBT001 - a column
    assert search(**filters).may_match(EVENT) is expected


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"state": "running"}, True),
        ({"state_not": "running"}, False),
        ({"definition_id": "fast"}, True),
        ({"definition_id": "fas"}, False),
        ({"current_operation": ["none", "ENCODE"]}, True),
        ({"current_operation": "none"}, False),
        ({"current_operation_not": "encode"}, False),
        ({"current_operation_not": "none"}, True),
        ({"text_filter": "1603"}, True),
        ({"text_filter": "optics"}, True),
        ({"text_filter": "nor"}, True),
        ({"text_filter": "nothing"}, False),
    ],
)
def test_a_workflow_is_tested_by_its_own_fields(filters: dict[str, Any], expected: bool) -> None:  # noqa: FBT001 - a column
    assert search(**filters).matches(workflow(), EVENT) is expected


def test_a_workflow_that_has_ended_has_no_current_operation() -> None:
    ended = workflow("failed", step=OperationState.FAILED)
    assert search(current_operation="none").matches(ended, EVENT)
    assert not search(current_operation="encode").matches(ended, EVENT)
