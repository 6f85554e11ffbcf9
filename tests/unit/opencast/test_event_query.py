"""Filters and sorts of events: what is sent, and what is refused before any request."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import quote_plus

import pytest
from hypothesis import given, settings, strategies as st

from workflow_async.errors import InvalidArgument
from workflow_async.opencast.event_query import EventQuery, event_sort, status_key
from workflow_async.opencast.filters import MAX_FILTER
from workflow_async.sandbox.opencast.filter import split_filter

DAY = datetime(2026, 3, 4, 12, tzinfo=UTC)


def sent(**filters: Any) -> str:
    return EventQuery.of(**filters).on_the_wire()


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, ""),
        ({"status": "processing"}, "status:EVENTS.EVENTS.STATUS.PROCESSING"),
        ({"status": "Processing_Failure"}, "status:EVENTS.EVENTS.STATUS.PROCESSING_FAILURE"),
        ({"status": "EVENTS.EVENTS.STATUS.NEW"}, "status:EVENTS.EVENTS.STATUS.NEW"),
        ({"series_id": "s", "title": "a:b"}, "series:s,title:a:b"),
        ({"series_title": "Winter", "text_filter": "algebra"}, "series_name:Winter,textFilter:algebra"),
        ({"presenter": ["Ada", "Emmy"], "contributor": "Grace"}, "presenters:Ada,presenters:Emmy,contributors:Grace"),
        ({"start": (DAY, DAY)}, "start:2026-03-04T12:00:00Z/2026-03-04T12:00:00Z"),
        (
            {"technical_start": "2026-03-04T12:00:00+01:00/2026-03-05T12:00:00Z"},
            "technical_start:2026-03-04T11:00:00Z/2026-03-05T12:00:00Z",
        ),
        ({"created": DAY.astimezone(timezone(timedelta(hours=2)))}, "created:2026-03-04T12:00:00Z"),
    ],
)
def test_a_filter_is_sent_in_the_spelling_of_the_server(filters: dict[str, Any], expected: str) -> None:
    assert sent(**filters) == expected


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("nope", "x"),
        ("status", "running"),
        ("status", 7),
        ("status", "EVENTS.EVENTS.STATUS.A,B"),
        ("identifier", []),
        ("identifier", ["a,b"]),
        ("identifier", "x" * MAX_FILTER),
        ("title", "a,b"),
        ("title", ""),
        ("title", "x" * MAX_FILTER),
        ("text_filter", "a\nb"),
        ("created", "2026-03-04T12:00:00Z"),
        ("created", datetime(2026, 3, 4)),  # noqa: DTZ001 - a naive datetime is what is refused
        ("start", (DAY, DAY - timedelta(1))),
    ],
)
def test_a_filter_that_the_server_would_read_differently_is_refused(argument: str, value: Any) -> None:
    with pytest.raises(InvalidArgument) as caught:
        EventQuery.of(**{argument: value})
    assert caught.value.argument == argument


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        (None, ""),
        ("title:asc", "title:ASC"),
        ("start:DESC", "start_date:DESC"),
        ("series_title:asc", "series_name:ASC"),
        ("processing_state:asc", "workflow_state:ASC"),
    ],
)
def test_a_sort_is_sent_in_the_spelling_of_the_server(sort: str | None, expected: str) -> None:
    assert event_sort(sort) == expected


@pytest.mark.parametrize("sort", ["", "title", "title:up", "created:asc", "title:asc,start:asc", ["title:asc"]])
def test_a_sort_that_the_server_would_refuse_is_refused(sort: Any) -> None:
    with pytest.raises(InvalidArgument, match="^sort"):
        event_sort(sort)


ids = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"], exclude_characters=","), min_size=1)


@settings(deadline=None)
@given(st.lists(ids, min_size=1), ids)
def test_every_id_is_in_one_batch_together_with_the_other_filters(found: list[str], title: str) -> None:
    query = EventQuery.of(identifier=found * 3, title=title)
    batches = query.batches()
    assert [id for batch in batches for id in batch] == list(dict.fromkeys(found))
    for batch in batches:
        assert list(split_filter(query.on_the_wire(batch))) == [*(("identifier", id) for id in batch), ("title", title)]


@pytest.mark.parametrize("count", [1, 150, 5_000])
def test_a_batch_of_ids_fits_into_a_url(count: int) -> None:
    query = EventQuery.of(identifier=[f"{n:036}" for n in range(count)], title="x" * 500)
    sizes = [len(quote_plus(query.on_the_wire(batch))) for batch in query.batches()]
    assert max(sizes) <= MAX_FILTER
    assert min(sizes[:-1], default=MAX_FILTER) > MAX_FILTER - 60


def test_a_status_is_a_word_or_a_key() -> None:
    assert status_key("paused") == status_key("EVENTS.EVENTS.STATUS.PAUSED") == "EVENTS.EVENTS.STATUS.PAUSED"
