"""The filter and sort grammar, and what it cannot carry."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_async.errors import InvalidArgument
from workflow_async.opencast import State, WorkflowFilters
from workflow_async.opencast.filters import (
    MAX_FILTER,
    definition_filter,
    definition_sort,
    period,
    term,
    workflow_filter,
    workflow_sort,
)

DAY = datetime(2018, 3, 19, tzinfo=UTC)
FIRST = datetime.min.replace(tzinfo=timezone(timedelta(hours=1)))
LAST = datetime.max.replace(tzinfo=UTC)
NO_INTERVALS = [
    None, 5, DAY, "", "/", "2018-03-19T00:00:00Z", "2018-03-19T00:00:00Z/", "a/b", ("a", "b"), (DAY,), (DAY, DAY, DAY),
    {DAY: DAY}, {DAY}, "2018-03-19T00:00:00Z/2018-03-20T00:00:00Z/2018-03-21T00:00:00Z", (DAY, None), b"a/b",
]  # fmt: skip


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
        ({"workflow_definition_identifier": "fast"}, "workflow_definition_identifier:fast"),
        ({"event_identifier": "e-1"}, "event_identifier:e-1"),
        ({"event_title": "Algebra: part 2"}, "event_title:Algebra: part 2"),
        ({"event_creator": "Noether"}, "event_creator:Noether"),
        ({"event_contributor": "Hilbert"}, "event_contributor:Hilbert"),
        ({"event_language": "de"}, "event_language:de"),
        ({"event_license": "CC-BY"}, "event_license:CC-BY"),
        ({"event_subject": "Rings"}, "event_subject:Rings"),
        ({"series_identifier": "s-1"}, "series_identifier:s-1"),
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
def test_every_filter_of_the_document_is_sent_as_the_server_reads_it(filters: WorkflowFilters, sent: str) -> None:
    assert workflow_filter(filters) == sent


@pytest.mark.parametrize(
    ("filters", "why"),
    [
        ({"event_title": "Algebra, part 2"}, "event_title: must not contain a comma"),
        ({"event_title": ""}, "event_title: must be a text that is not empty"),
        ({"event_title": "   "}, "event_title: must be a text that is not empty"),
        ({"event_title": None}, "event_title: must be a text"),
        ({"event_title": "a\nb"}, "event_title: must not contain control characters"),
        ({"state": "runing"}, "state: must be of instantiated, running"),
        ({"state": State.UNKNOWN}, "state: must be of"),
        ({"state": []}, "state: must name at least one"),
        ({"state": "running", "state_not": "failed"}, "state_not: must not be mixed with state"),
        (
            {"current_operation": "encode", "current_operation_not": "publish"},
            "current_operation_not: must not be mixed with current_operation",
        ),
        ({"current_operation": "a,b"}, "current_operation: must not contain a comma"),
        ({"evnt_title": "x"}, "evnt_title: is no filter"),
        ({"event_created": (DAY.replace(tzinfo=None), DAY)}, "event_created: must be two aware datetimes"),
        ({"event_created": (DAY, DAY.replace(tzinfo=None))}, "event_created: must be two aware datetimes"),
        ({"event_created": (DAY, DAY - timedelta(1))}, "event_created: must not end before it begins"),
        *(({"event_created": wrong}, "event_created: must be two datetimes") for wrong in NO_INTERVALS),
        ({"event_created": "2018-03-19/2018-03-20"}, "event_created: must be two aware datetimes"),
        ({"event_created": "2018-03-20T00:00:00Z/2018-03-19T00:00:00Z"}, "event_created: must not end before"),
        ({"event_created": (DAY, LAST)}, "event_created: must lie between the years 1 and 9999"),
        ({"event_created": (FIRST, DAY)}, "event_created: must lie between the years 1 and 9999"),
        ({"state": 5}, "state: must be a list or another iterable"),
        ({"state_not": b"running"}, "state_not: must be a list or another iterable"),
        ({"state": [5]}, "state: must be of instantiated"),
        ({"text_filter": None}, "text_filter: must be a text"),
    ],
)
def test_what_the_grammar_cannot_carry_is_refused_with_the_reason(filters: Any, why: str) -> None:
    with pytest.raises(InvalidArgument, match=f"^{why}"):
        workflow_filter(filters)


def test_a_period_is_sent_in_utc_and_widened_to_whole_seconds() -> None:
    berlin = timezone(timedelta(hours=2))
    first, last = datetime(2018, 8, 8, 10, 0, 0, 999999, berlin), datetime(2018, 8, 8, 10, 0, 1, 1, berlin)
    assert period("event_created", (first, last)) == "2018-08-08T08:00:00Z/2018-08-08T08:00:02Z"


MOMENTS = st.integers(-(2**31), 2**32).map(lambda second: datetime.fromtimestamp(second, UTC))


@given(MOMENTS, st.timedeltas(timedelta(0), timedelta(365)))
def test_a_period_never_leaves_out_what_was_asked_for(first: datetime, span: timedelta) -> None:
    last = first + span
    sent = [datetime.fromisoformat(part) for part in period("event_created", (first, last)).split("/")]
    assert sent[0] <= first
    assert last <= sent[1] < last + timedelta(seconds=1)


@pytest.mark.parametrize(
    ("filters", "named"),
    [
        ({"event_title": "a" * 8_000}, "event_title"),
        ({"event_title": "ü" * 1_300}, "event_title"),
        ({"state": "running", "current_operation": ["encode"] * 300, "event_title": "a" * 300}, "current_operation"),
        ({"text_filter": "%" * 3_000}, "text_filter"),
    ],
)
def test_a_filter_that_no_server_takes_is_refused_by_the_longest_part(filters: Any, named: str) -> None:
    with pytest.raises(InvalidArgument, match=f"^{named}: makes the filter [0-9]+ bytes long"):
        workflow_filter(filters)


def test_a_filter_is_taken_up_to_the_bound() -> None:
    longest = "a" * (MAX_FILTER - len("event_title%3A"))
    assert workflow_filter({"event_title": longest}) == f"event_title:{longest}"
    with pytest.raises(InvalidArgument, match="^event_title: "):
        workflow_filter({"event_title": f"{longest}a"})
    with pytest.raises(InvalidArgument, match="^tag: makes the filter"):
        definition_filter(["archive"] * 900)


def servers_reading(filter: str) -> list[tuple[str, str]]:
    """How the server takes a filter apart (contract: opencast.md 1.2)."""
    pieces = (piece.partition(":") for piece in filter.split(","))
    return [(name, value) for name, colon, value in pieces if colon and value]


@pytest.mark.sweep
@given(st.text(max_size=40))
def test_a_value_reaches_the_server_whole_or_is_refused(value: str) -> None:
    try:
        sent = term("event_title", value)
    except InvalidArgument:
        assert "," in value or not value.strip() or not value.isprintable()
    else:
        assert servers_reading(sent) == [("event_title", value)]
        assert parse_qsl(urlencode([("filter", sent)])) == [("filter", sent)]


def test_tags_are_sent_one_by_one() -> None:
    assert definition_filter("archive") == "tag:archive"
    assert definition_filter(["schedule", "upload"]) == "tag:schedule,tag:upload"
    with pytest.raises(InvalidArgument, match="tag: must not contain a comma"):
        definition_filter("a,b")
    with pytest.raises(InvalidArgument, match="tag: must name at least one"):
        definition_filter([])


@pytest.mark.parametrize(
    ("sort", "sent"), [("event_created:desc", "event_created:DESC"), ("series_title:asc", "series_title:ASC")]
)
def test_a_sort_is_one_key_and_its_direction(sort: str, sent: str) -> None:
    assert workflow_sort(sort) == sent


@pytest.mark.parametrize(
    ("sort", "why"),
    [
        ("event_identifier:asc", "answered with 500 by every server: sort on your side"),
        ("event_title:asc,event_created:desc", "must be one key"),
        ("event_title", "must say in which order: event_title:asc or event_title:desc"),
        ("event_title:upwards", "must say in which order"),
        ("state:asc", "must be by one of event_contributor, event_created"),
        ("", "must be by one of"),
        (5, "must be a text such as title:asc"),
        (None, "must be a text such as title:asc"),
    ],
)
def test_a_sort_the_server_would_answer_with_an_error_is_refused(sort: str, why: str) -> None:
    with pytest.raises(InvalidArgument, match=f"^sort: .*{why}"):
        workflow_sort(sort)


def test_definitions_are_sorted_by_their_own_keys() -> None:
    assert definition_sort("displayorder:desc") == "displayorder:DESC"
    with pytest.raises(InvalidArgument, match="must be by one of displayorder, identifier, title"):
        definition_sort("event_title:asc")
