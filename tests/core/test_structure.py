"""Trees onto records, strictly."""

import contextlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import cattrs
import pytest
from attrs import field, frozen
from hypothesis import given
from hypothesis import strategies as st

from workflow_async._structure import (
    Unfit,
    by,
    converter,
    instant,
    listed,
    or_none,
    record,
    structured,
    text,
    texts,
    truth,
    whole,
)
from workflow_async.errors import DecodeError
from workflow_async.opencast._convert import opencast_converter
from workflow_async.opencast.records import Definition, Event, Me, Version, Workflow


@frozen(kw_only=True)
class Part:
    title: str
    size: int = 0


@frozen(kw_only=True)
class Whole:
    id: int
    title: str = ""
    ready: bool = False
    share: float = 0.0
    made: datetime | None = None
    parts: tuple[Part, ...] | None = None
    notes: Mapping[str, str] = field(factory=dict)
    extra: Mapping[str, Any] = field(factory=dict)


def strict() -> cattrs.Converter:
    made = converter()
    record(made, Part)
    record(
        made, Whole, id=by(whole, "identifier"), made=by(or_none(instant)), parts=listed(made, Part), notes=by(texts)
    )
    return made


def read(tree: Any, kind: Any = Whole) -> Any:
    return structured(strict(), tree, kind)


def faults(tree: Any, kind: Any = Whole) -> tuple[str, ...]:
    with pytest.raises(DecodeError) as caught:
        read(tree, kind)
    return caught.value.faults


def test_a_tree_becomes_a_record_and_what_has_no_field_its_extra() -> None:
    tree = {
        "identifier": "7",
        "title": "T",
        "ready": True,
        "share": 0.5,
        "parts": [{"title": "P", "size": 3}],
        "new": [1],
    }
    assert read(tree) == Whole(
        id=7, title="T", ready=True, share=0.5, parts=(Part(title="P", size=3),), extra={"new": [1]}
    )


def test_a_server_cannot_smuggle_its_own_extra() -> None:
    assert read({"identifier": 7, "#extra": 1, "extra": 2, "id": 3}).extra == {"#extra": 1, "extra": 2, "id": 3}


def test_null_for_a_list_is_the_empty_one_and_absent_is_not_asked_for() -> None:
    assert read({"identifier": 7, "parts": None}).parts == ()
    assert read({"identifier": 7}).parts is None


@pytest.mark.parametrize(
    ("tree", "fault"),
    [
        ({"identifier": 1, "title": None}, "expected a text, got null @ $.title"),
        ({"identifier": 1, "title": 5}, "expected a text, got a number @ $.title"),
        ({"identifier": 1, "title": ["a"]}, "expected a text, got a list @ $.title"),
        ({"identifier": 1, "title": {"a": 1}}, "expected a text, got an object @ $.title"),
        ({"identifier": 1, "ready": "false"}, "expected true or false, got a text @ $.ready"),
        ({"identifier": 1, "ready": 1}, "expected true or false, got a number @ $.ready"),
        ({"identifier": 1, "ready": None}, "expected true or false, got null @ $.ready"),
        ({"identifier": 1, "share": "1.9"}, "expected a number, got a text @ $.share"),
        ({"identifier": 1, "share": 1}, "expected a number, got a number @ $.share"),
        ({"identifier": 1.9}, "expected a whole number, got a number @ $.id"),
        ({"identifier": 1603.0}, "expected a whole number, got a number @ $.id"),
        ({"identifier": True}, "expected a whole number, got true or false @ $.id"),
        ({"identifier": "1603.0"}, "expected a whole number, got a text @ $.id"),
        ({"identifier": ""}, "expected a whole number, got a text @ $.id"),
        ({"identifier": "\uff11"}, "expected a whole number, got a text @ $.id"),
        ({"identifier": "1" * 5000}, "expected a whole number, got a text @ $.id"),
        ({"identifier": None}, "expected a whole number, got null @ $.id"),
        ({}, "required field missing @ $.id"),
        ({"identifier": 1, "parts": "abc"}, "expected a list, got a text @ $.parts"),
        ({"identifier": 1, "parts": {"0": {}}}, "expected a list, got an object @ $.parts"),
        ({"identifier": 1, "parts": [{"title": "a"}, {}]}, "required field missing @ $.parts[1].title"),
        (
            {"identifier": 1, "parts": [{"title": "a", "size": 1.9}]},
            "expected a number, got a number @ $.parts[0].size",
        ),
        ({"identifier": 1, "parts": [7]}, "expected an object, got a number @ $.parts[0]"),
        ({"identifier": 1, "notes": {"a": 1}}, "expected a text, got a number @ $.notes"),
        ({"identifier": 1, "notes": []}, "expected an object of texts, got a list @ $.notes"),
        (None, "expected an object, got null @ $"),
        ([], "expected an object, got a list @ $"),
        ("Whole", "expected an object, got a text @ $"),
    ],
)
def test_no_value_is_coerced_and_the_fault_names_its_path(tree: Any, fault: str) -> None:
    assert faults(tree) == (fault,)


def test_a_reader_that_fails_in_its_own_way_is_a_fault_with_a_path_too() -> None:
    made = converter()
    record(made, Part, size=by(lambda value: 1 // value))
    with pytest.raises(DecodeError) as caught:
        structured(made, {"title": "s3cret", "size": 0}, Part)
    assert caught.value.faults == ("does not fit (ZeroDivisionError) @ $.size",)


def test_every_fault_is_told_at_once() -> None:
    tree = [{"identifier": 1}, {"title": 5}, {"identifier": 1, "ready": "x", "parts": [{"title": 1}]}]
    assert sorted(faults(tree, list[Whole])) == [
        "expected a text, got a number @ $[1].title",
        "expected a text, got a number @ $[2].parts[0].title",
        "expected true or false, got a text @ $[2].ready",
        "required field missing @ $[1].id",
    ]


@pytest.mark.parametrize(
    ("said", "meant"),
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
def test_an_instant_is_read_in_utc(said: str, meant: datetime) -> None:
    found = instant(said)
    assert found == meant
    assert found.tzinfo is UTC


@pytest.mark.parametrize(
    "said",
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
def test_what_is_no_instant_or_has_no_zone_is_refused(said: Any) -> None:
    with pytest.raises(Unfit):
        instant(said)


@given(st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1)), st.integers(-1439, 1439))  # noqa: DTZ001 - zoned below
def test_an_instant_means_the_same_in_every_zone(naive: datetime, minutes: int) -> None:
    moment = naive.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    assert instant(moment.isoformat()) == moment


@given(st.text() | st.from_regex(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d*)?(Z|[+-]\d\d:?\d\d)", fullmatch=True))
def test_any_text_is_an_aware_instant_or_unfit(said: str) -> None:
    with contextlib.suppress(Unfit):
        assert instant(said).tzinfo is UTC


@pytest.mark.parametrize(("value", "read"), [(True, True), (False, False), ("true", True), ("false", False)])
def test_truth_may_come_as_its_two_words(value: Any, read: bool) -> None:  # noqa: FBT001 - a column
    assert truth(value) is read


@pytest.mark.parametrize("value", [None, 0, 1, "True", "yes", "", 1.0, [], {}])
def test_anything_else_is_no_truth(value: Any) -> None:
    with pytest.raises(Unfit):
        truth(value)


def test_absent_texts_are_empty_and_other_types_are_refused() -> None:
    assert (text(None), text("a")) == ("", "a")
    assert (texts(None), texts({"a": None, "b": "c"})) == ({}, {"a": "", "b": "c"})
    assert (or_none(whole)(None), or_none(whole)(""), or_none(whole)("-7")) == (None, None, -7)
    with pytest.raises(Unfit):
        text(7)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
KEYS = [
    "identifier", "state", "title", "event_identifier", "creator", "operations", "configuration", "start", "completion",
    "operation", "fail_workflow_on_error", "max_attempts", "time_in_queue", "tags", "configuration_panel", "created",
    "is_part_of", "processing_state", "default", "versions", "username", "name", "#extra", "extra",
]  # fmt: skip
NEAR = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from(["", "running", "1603", "true", "2018-08-08T08:46:57Z"])
    | JSON,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=8),
    max_leaves=30,
)
OPENCAST = opencast_converter()


def refused(tree: Any, kind: Any) -> DecodeError | None:
    try:
        structured(OPENCAST, tree, kind)
    except DecodeError as error:
        return error
    return None


@pytest.mark.parametrize(
    "kind", [Workflow, Definition, Event, Version, Me, list[Workflow], list[Definition], list[Event]]
)
@given(tree=JSON | NEAR | st.lists(NEAR) | st.dictionaries(st.sampled_from(KEYS), NEAR))
def test_any_tree_is_a_record_or_a_decode_error(kind: Any, tree: Any) -> None:
    if kind not in {Workflow, Definition, Event, Version, Me} and not isinstance(tree, list):
        tree = [tree]
    found = refused(tree, kind)
    assert found is None or (found.faults and all(" @ $" in fault for fault in found.faults))


@given(st.sampled_from(KEYS), st.sampled_from(["s3cret", ["s3cret"], {"a": "s3cret"}, {"s3cret": 1}]))
def test_an_error_never_repeats_the_value(key: str, value: Any) -> None:
    tree = {"identifier": 1, "state": "running", "event_identifier": "e", "operations": [{key: value}], key: value}
    assert "s3cret" not in str(refused(tree, Workflow))
