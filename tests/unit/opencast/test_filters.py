"""The filter and sort grammar, and what it cannot carry."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, strategies as st

from workflow_async.errors import InvalidArgument
from workflow_async.opencast.filters import (
    definition_filter,
    definition_sort,
    period,
    workflow_sort,
)


def test_a_period_is_sent_in_utc_and_widened_to_whole_seconds() -> None:
    berlin = timezone(timedelta(hours=2))
    first, last = datetime(2018, 8, 8, 10, 0, 0, 999999, berlin), datetime(2018, 8, 8, 10, 0, 1, 1, berlin)
    assert period("event_created", (first, last)) == "2018-08-08T08:00:00Z/2018-08-08T08:00:02Z"


MOMENTS = st.integers(-(2**31), 2**32).map(lambda second: datetime.fromtimestamp(second, UTC))


@given(MOMENTS, st.timedeltas(timedelta(0), timedelta(365)))
def test_a_period_is_never_narrowed(first: datetime, span: timedelta) -> None:
    last = first + span
    sent = [datetime.fromisoformat(part) for part in period("event_created", (first, last)).split("/")]
    assert sent[0] <= first
    assert last <= sent[1] < last + timedelta(seconds=1)


def test_tags_are_sent_one_by_one() -> None:
    assert definition_filter("archive") == "tag:archive"
    assert definition_filter(["schedule", "upload"]) == "tag:schedule,tag:upload"
    with pytest.raises(InvalidArgument, match="tag: must not contain a comma"):
        definition_filter("a,b")
    with pytest.raises(InvalidArgument, match="tag: must name at least one"):
        definition_filter([])
    with pytest.raises(InvalidArgument, match="^tag: makes the filter"):
        definition_filter(["archive"] * 900)


@pytest.mark.parametrize(
    ("sort", "sent"),
    [
        ("event_created:desc", "event_created:DESC"),
        ("series_title:asc", "series_title:ASC"),
        ("series_id:asc", "series_identifier:ASC"),
        ("definition_id:desc", "workflow_definition_identifier:DESC"),
    ],
)
def test_a_sort_is_one_key_and_its_direction(sort: str, sent: str) -> None:
    assert workflow_sort(sort) == sent


@pytest.mark.parametrize(
    ("sort", "why"),
    [
        ("event_id:asc", "which every server answers with 500: sort the rows in your code"),
        ("event_title:asc,event_created:desc", "must be one key"),
        ("event_title", "must name a direction: event_title:asc or event_title:desc"),
        ("event_title:upwards", "must name a direction"),
        ("state:asc", "must be by one of definition_id, event_contributor, event_created"),
        ("", "must be by one of"),
        (5, "must be a text such as title:asc"),
        (None, "must be a text such as title:asc"),
    ],
)
def test_a_sort_that_the_server_would_refuse_is_invalid(sort: str, why: str) -> None:
    with pytest.raises(InvalidArgument, match=f"^sort: .*{why}"):
        workflow_sort(sort)


def test_definitions_are_sorted_by_their_own_keys() -> None:
    assert definition_sort("displayorder:desc") == "displayorder:DESC"
    with pytest.raises(InvalidArgument, match="must be by one of displayorder, identifier, title"):
        definition_sort("event_title:asc")
