"""The filters of workflows as one value: what it accepts, what it sends, and which rows match."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given, strategies as st

from workflow_async.errors import InvalidArgument
from workflow_async.opencast import State, Workflow, WorkflowFilters
from workflow_async.opencast.filters import MAX_FILTER
from workflow_async.opencast.query import WorkflowQuery

DAY = datetime(2018, 3, 19, tzinfo=UTC)
FIRST = datetime.min.replace(tzinfo=timezone(timedelta(hours=1)))
LAST = datetime.max.replace(tzinfo=UTC)
NOT_INTERVALS = [
    None, 5, DAY, "", "/", "2018-03-19T00:00:00Z", "2018-03-19T00:00:00Z/", "a/b", ("a", "b"), (DAY,), (DAY, DAY, DAY),
    {DAY: DAY}, {DAY}, "2018-03-19T00:00:00Z/2018-03-20T00:00:00Z/2018-03-21T00:00:00Z", (DAY, None), b"a/b",
]  # fmt: skip


def workflow_filter(filters: Any) -> str:
    """Return the `filter` parameter of these filters."""
    return WorkflowQuery.of(**filters).on_the_wire()


def row(state: State) -> Workflow:
    return Workflow(id=7, state=state, state_text=state.value, event_id="e")


@pytest.mark.parametrize(
    ("filters", "sent"),
    [
        ({}, ""),
        ({"state": "running"}, "state:running"),
        ({"state": State.FAILED}, "state:failed"),
        ({"state": ["running", State.PAUSED]}, "state:running,state:paused"),
        ({"state_not": ["Succeeded", "STOPPED"]}, "state_not:succeeded,state_not:stopped"),
        ({"current_operation": ["encode", "publish"]}, "current_operation:encode,current_operation:publish"),
        ({"current_operation_not": "encode"}, "current_operation_not:encode"),
        ({"definition_id": "fast"}, "workflow_definition_identifier:fast"),
        ({"event_id": "e-1"}, "event_identifier:e-1"),
        ({"event_title": "Algebra: part 2"}, "event_title:Algebra: part 2"),
        ({"event_creator": "Noether"}, "event_creator:Noether"),
        ({"event_contributor": "Hilbert"}, "event_contributor:Hilbert"),
        ({"event_language": "de"}, "event_language:de"),
        ({"event_license": "CC-BY"}, "event_license:CC-BY"),
        ({"event_subject": "Rings"}, "event_subject:Rings"),
        ({"series_id": "s-1"}, "series_identifier:s-1"),
        ({"series_title": "Mathematics"}, "series_title:Mathematics"),
        ({"text_filter": "ring"}, "textFilter:ring"),
        ({"event_created": (DAY, DAY)}, "event_created:2018-03-19T00:00:00Z/2018-03-19T00:00:00Z"),
        ({"event_created": [DAY, DAY]}, "event_created:2018-03-19T00:00:00Z/2018-03-19T00:00:00Z"),
        (
            {"event_created": "2018-03-19T00:00:00Z/2018-03-20T01:00:00+02:00"},
            "event_created:2018-03-19T00:00:00Z/2018-03-19T23:00:00Z",
        ),
        (
            {"event_created": "2018-03-19T00:00:00.25+00:00 / 2018-03-19T00:00:00.25Z"},
            "event_created:2018-03-19T00:00:00Z/2018-03-19T00:00:01Z",
        ),
        ({"state": "running", "event_language": "de"}, "state:running,event_language:de"),
    ],
)
def test_every_documented_filter_is_sent_in_the_servers_spelling(filters: WorkflowFilters, sent: str) -> None:
    assert workflow_filter(filters) == sent


@pytest.mark.parametrize(
    ("filters", "why"),
    [
        ({"event_title": "Algebra, part 2"}, "event_title: must not contain a comma"),
        ({"event_title": ""}, "event_title: must be a text that is not empty"),
        ({"event_title": "   "}, "event_title: must be a text that is not empty"),
        ({"event_title": None}, "event_title: must be a text"),
        ({"event_title": "a\nb"}, "event_title: must not contain control characters"),
        ({"state": "runing"}, "state: must be one of instantiated, running"),
        ({"state": State.UNKNOWN}, "state: must be one of"),
        ({"state": []}, "state: must name at least one"),
        ({"state": "running", "state_not": "failed"}, "state_not: must not be mixed with state"),
        (
            {"current_operation": "encode", "current_operation_not": "publish"},
            "current_operation_not: must not be mixed with current_operation",
        ),
        ({"current_operation": "a,b"}, "current_operation: must not contain a comma"),
        ({"evnt_title": "x"}, "evnt_title: is not a filter"),
        ({"event_created": (DAY.replace(tzinfo=None), DAY)}, "event_created: must be two aware datetimes"),
        ({"event_created": (DAY, DAY.replace(tzinfo=None))}, "event_created: must be two aware datetimes"),
        ({"event_created": (DAY, DAY - timedelta(1))}, "event_created: must not end before it begins"),
        *(({"event_created": wrong}, "event_created: must be two datetimes") for wrong in NOT_INTERVALS),
        ({"event_created": "2018-03-19/2018-03-20"}, "event_created: must be two aware datetimes"),
        ({"event_created": "2018-03-20T00:00:00Z/2018-03-19T00:00:00Z"}, "event_created: must not end before"),
        ({"event_created": (DAY, LAST)}, "event_created: must lie between the years 1 and 9999"),
        ({"event_created": (FIRST, DAY)}, "event_created: must lie between the years 1 and 9999"),
        ({"state": 5}, "state: must be a list or another iterable"),
        ({"state_not": b"running"}, "state_not: must be a list or another iterable"),
        ({"state": [5]}, "state: must be one of instantiated"),
        ({"text_filter": None}, "text_filter: must be a text"),
    ],
)
def test_a_filter_that_the_grammar_cannot_carry_is_refused_with_the_reason(filters: Any, why: str) -> None:
    with pytest.raises(InvalidArgument, match=f"^{why}"):
        workflow_filter(filters)


@pytest.mark.parametrize(
    ("filters", "named"),
    [
        ({"event_title": "a" * 8_000}, "event_title"),
        ({"event_title": "ü" * 1_300}, "event_title"),
        ({"state": "running", "current_operation": ["encode"] * 300, "event_title": "a" * 300}, "current_operation"),
        ({"text_filter": "%" * 3_000}, "text_filter"),
    ],
)
def test_a_filter_that_is_too_large_is_refused_by_its_longest_part(filters: Any, named: str) -> None:
    with pytest.raises(InvalidArgument, match=f"^{named}: makes the filter [0-9]+ bytes long"):
        workflow_filter(filters)


def test_a_filter_may_be_as_large_as_the_limit() -> None:
    longest = "a" * (MAX_FILTER - len("event_title%3A"))
    assert workflow_filter({"event_title": longest}) == f"event_title:{longest}"
    with pytest.raises(InvalidArgument, match="^event_title: "):
        workflow_filter({"event_title": f"{longest}a"})


def split_as_server(filter: str) -> list[tuple[str, str]]:
    """Split a filter as the server does. See tests/contract/opencast.md, section 1.2."""
    pieces = (piece.partition(":") for piece in filter.split(","))
    return [(name, value) for name, colon, value in pieces if colon and value]


@pytest.mark.sweep
@given(st.text(max_size=40))
def test_a_value_reaches_the_server_unchanged_or_is_refused(value: str) -> None:
    try:
        sent = workflow_filter({"event_title": value})
    except InvalidArgument:
        assert "," in value or not value.strip() or not value.isprintable()
    else:
        assert split_as_server(sent) == [("event_title", value)]
        assert parse_qsl(urlencode([("filter", sent)])) == [("filter", sent)]


def test_filters_are_read_once_and_can_be_sent_repeatedly() -> None:
    def words() -> Iterator[str]:
        yield "running"

    query = WorkflowQuery.of(state=words(), event_title="a lecture")
    assert query.on_the_wire() == query.on_the_wire() == "state:running,event_title:a lecture"
    assert query.on_the_wire(without=("state",)) == "event_title:a lecture"


@pytest.mark.parametrize(
    ("filters", "passing"),
    [
        ({"state": "running"}, {State.RUNNING}),
        ({"state": ["FAILED", State.FAILING]}, {State.FAILED, State.FAILING}),
        ({"state_not": ["succeeded", "stopped"]}, set(State) - {State.SUCCEEDED, State.STOPPED}),
        ({"event_title": "Algebra"}, set(State)),
        ({}, set(State)),
    ],
)
def test_a_row_matches_by_its_state_alone(filters: WorkflowFilters, passing: set[State]) -> None:
    query = WorkflowQuery.of(**filters)
    assert {state for state in State if query.matches(row(state))} == passing
    assert query.filters_states is (passing != set(State))


def test_the_dates_of_a_query_are_two_datetimes() -> None:
    assert WorkflowQuery.of(event_created="2018-03-19T00:00:00Z/2018-03-19T02:00:00+02:00").created == (DAY, DAY)
    assert WorkflowQuery.of(state="running").created is None


def test_only_text_filters_know_wildcards() -> None:
    query = WorkflowQuery.of(event_title="What is love?", text_filter="a*b", state="running", event_id="e?")
    assert query.texts == {"event_title": "What is love?", "text_filter": "a*b"}
