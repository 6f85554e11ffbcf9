"""The filters of lists of a Preservica, and what its queries cannot carry."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from workflow_async.errors import InvalidArgument
from workflow_async.preservica import Context, filters

NOON = datetime(2025, 11, 18, 12, tzinfo=UTC)


@pytest.mark.parametrize("given", ["ingest", "Ingest", "INGEST"])
def test_a_type_is_sent_in_the_servers_own_spelling(given: str) -> None:
    assert filters.one_of("type", filters.TYPES, given) == "Ingest"


@pytest.mark.parametrize("given", ["", "Export", "Ingest,Access", None, 3])
def test_an_unknown_type_is_refused(given: Any) -> None:
    with pytest.raises(InvalidArgument, match="^type: must be one of Ingest, Access, Transformation, DataManagement"):
        filters.one_of("type", filters.TYPES, given)


@pytest.mark.parametrize(
    ("given", "sent"), [(42, "42"), ("42", "42"), (Context(id="42", name="x"), "42"), (Context(id="c-1"), "c-1")]
)
def test_a_context_is_its_id(given: Context | int | str, sent: str) -> None:
    assert filters.context_id(given) == sent


@pytest.mark.parametrize("given", ["Ingest OPEX", "", "1,2", True, -1, None, Context(id="1,2"), Context(id="")])
def test_a_context_without_an_id_is_refused(given: Any) -> None:
    with pytest.raises(InvalidArgument, match="^context: must "):
        filters.context_id(given)


@pytest.mark.parametrize("given", ["", "  ", None, 3, "\ud800"])
def test_a_blank_or_broken_text_is_refused(given: Any) -> None:
    with pytest.raises(InvalidArgument, match="^creator: must be a text that is not blank and can be encoded"):
        filters.checked_filled("creator", given)


def test_a_comma_is_refused_where_the_server_may_split() -> None:
    assert filters.checked_text("creator", "bob") == "bob"
    with pytest.raises(InvalidArgument, match="^creator: must not contain a comma"):
        filters.checked_text("creator", "bob,eve")


def test_several_words_are_one_comma_list() -> None:
    assert filters.comma_list("status", filters.MESSAGE_STATUSES, ["info", "Error"]) == "Info,Error"
    assert filters.comma_list("status", filters.MESSAGE_STATUSES, "warning") == "Warning"
    with pytest.raises(InvalidArgument, match="^status: must name at least one"):
        filters.comma_list("status", filters.MESSAGE_STATUSES, [])


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (NOON, "2025-11-18T12:00:00.000Z"),
        (NOON.astimezone(timezone(timedelta(hours=5, minutes=30))), "2025-11-18T12:00:00.000Z"),
        (NOON + timedelta(microseconds=1999), "2025-11-18T12:00:00.001Z"),
    ],
)
def test_an_instant_is_sent_in_utc_with_milliseconds(given: datetime, sent: str) -> None:
    assert filters.format_instant("since", given) == sent


def test_a_period_is_widened_to_whole_milliseconds_so_that_nothing_in_it_is_left_out() -> None:
    inside = NOON + timedelta(microseconds=1500)
    assert filters.period(inside, inside) == ("2025-11-18T12:00:00.001Z", "2025-11-18T12:00:00.002Z")
    assert filters.period(NOON, None) == ("2025-11-18T12:00:00.000Z", None)
    assert filters.period(None, None) == (None, None)


@pytest.mark.parametrize("given", [NOON.replace(tzinfo=None), NOON.date(), "2025-11-18", 3])
def test_a_value_that_is_not_an_aware_datetime_is_refused(given: Any) -> None:
    with pytest.raises(InvalidArgument, match="^since: must be an aware datetime"):
        filters.period(given, None)
    with pytest.raises(InvalidArgument, match="^until: must be an aware datetime"):
        filters.period(None, given)


def test_a_period_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="^until: must not be before since"):
        filters.period(NOON, NOON - timedelta(seconds=1))


@pytest.mark.parametrize(
    "since", [datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=timezone(timedelta(1) / 2))]
)
def test_an_instant_that_has_no_date_in_utc_is_refused(since: datetime) -> None:
    with pytest.raises(InvalidArgument, match="^until: must lie between the years 1 and 9999 in UTC"):
        filters.format_instant("until", since, up=True)


@pytest.mark.parametrize("given", [5, b"Active", object(), None])
def test_values_that_are_not_texts_are_refused(given: Any) -> None:
    with pytest.raises(InvalidArgument, match="^type: must be a list or another iterable of values"):
        filters.checked_texts("type", given)
