"""Reading single values strictly."""

import contextlib
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, strategies as st

from workflow_async._decode.values import (
    TypeMismatch,
    or_none,
    parse_any_datetime,
    parse_bool,
    parse_datetime,
    parse_int,
    parse_str,
    parse_str_map,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2018-08-08T08:46:57Z", datetime(2018, 8, 8, 8, 46, 57, tzinfo=UTC)),
        ("2018-08-08T08:46:57.Z", datetime(2018, 8, 8, 8, 46, 57, tzinfo=UTC)),
        ("2018-08-08T08:46:57.3Z", datetime(2018, 8, 8, 8, 46, 57, 300_000, tzinfo=UTC)),
        ("2018-08-08T08:46:57.123456789Z", datetime(2018, 8, 8, 8, 46, 57, 123_456, tzinfo=UTC)),
        ("2018-08-08T10:46:57+02:00", datetime(2018, 8, 8, 8, 46, 57, tzinfo=UTC)),
        ("2018-08-08T04:16:57-0430", datetime(2018, 8, 8, 8, 46, 57, tzinfo=UTC)),
        ("1970-01-01T00:00:00Z", datetime(1970, 1, 1, tzinfo=UTC)),
        ("9999-12-31T23:59:59.999Z", datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)),
        ("2024-02-29T00:00:00Z", datetime(2024, 2, 29, tzinfo=UTC)),
    ],
)
def test_a_date_time_is_read_in_utc(text: str, expected: datetime) -> None:
    found = parse_datetime(text)
    assert found == expected
    assert found.tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "2018-08-08", "2018-08-08T08:46:57", "2018-08-08T08:46Z", "2018-08-32T08:46:57Z",
        "2018-02-29T00:00:00Z",
        "2018-13-01T00:00:00Z", "2018-08-08T24:46:57Z", "2018-08-08T08:46:60Z", "0000-01-01T00:00:00Z",
        "10000-01-01T00:00:00Z", "9999-12-31T23:59:59-01:00", "0001-01-01T00:00:00+01:00", "2018-08-08T08:46:57+25:00",
        "2018-08-08T08:46:57.1234567890Z", "2018-08-08 08:46:57Z", "2018-08-08t08:46:57z", " 2018-08-08T08:46:57Z",
        "2018-08-08T08:46:57Z\n", "\uff12018-08-08T08:46:57Z", "now", None, 0, 1533717.0, True, [], {},
    ],
    ids=repr,
)  # fmt: skip
def test_a_value_that_is_not_a_date_time_with_a_zone_is_rejected(text: Any) -> None:
    with pytest.raises(TypeMismatch):
        parse_datetime(text)


@given(st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1)), st.integers(-1439, 1439))  # noqa: DTZ001 - zoned below
def test_a_date_time_means_the_same_in_every_zone(naive: datetime, minutes: int) -> None:
    moment = naive.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    assert parse_datetime(moment.isoformat()) == moment


@given(st.text() | st.from_regex(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d*)?(Z|[+-]\d\d:?\d\d)", fullmatch=True))
def test_any_text_is_an_aware_date_time_or_a_type_mismatch(text: str) -> None:
    with contextlib.suppress(TypeMismatch):
        assert parse_datetime(text).tzinfo is UTC


@pytest.mark.parametrize(("value", "read"), [(True, True), (False, False), ("true", True), ("false", False)])
def test_a_boolean_may_be_written_as_a_word(value: Any, read: bool) -> None:  # noqa: FBT001 - a column
    assert parse_bool(value) is read


@pytest.mark.parametrize("value", [None, 0, 1, "True", "yes", "", 1.0, [], {}])
def test_anything_else_is_not_a_boolean(value: Any) -> None:
    with pytest.raises(TypeMismatch):
        parse_bool(value)


def test_absent_texts_are_empty_and_other_types_are_rejected() -> None:
    assert (parse_str(None), parse_str("a")) == ("", "a")
    assert (parse_str_map(None), parse_str_map({"a": None, "b": "c"})) == ({}, {"a": "", "b": "c"})
    assert (or_none(parse_int)(None), or_none(parse_int)(""), or_none(parse_int)("-7")) == (None, None, -7)
    with pytest.raises(TypeMismatch):
        parse_str(7)


FORMATS = [
    "2018-08-08T08:46:57Z", "2018-08-08T08:46:57.201Z", "2018-W32-3T08:46:57Z", "2018-08-08T084657.1Z",
    "2018-08-08T08:46:57,201Z", "2018-08-08T08:46:57.+1Z", "20180808T084657+0000", "2018-08-08T08:46:57+00Z",
    "2018-W32-3T08:46:57.201Z", "2018-08-08T084657.20145Z", "2018-08-08T08:46:57.20+1", "2018-08-08T24:00:00Z",
]  # fmt: skip


@given(st.sampled_from(FORMATS), st.lists(st.tuples(st.integers(0, 25), st.sampled_from("0123459TWZtz:.,+- \uff11é"))))
def test_the_usual_formats_of_a_date_time_mean_what_the_pattern_says(text: str, changes: list[tuple[int, str]]) -> None:
    for index, character in changes[:3]:
        text = text[:index] + character + text[index + 1 :]
    outcomes = []
    for converter in (parse_datetime, parse_any_datetime):
        try:
            outcomes.append(repr(converter(text)))
        except TypeMismatch as error:
            outcomes.append(str(error))
    assert outcomes[0] == outcomes[1]
