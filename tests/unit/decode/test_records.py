"""Trees onto records, strictly."""

import contextlib
import copy
import inspect
import pickle
import weakref
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import attrs
import cattrs
import pytest
from attrs import field, frozen
from hypothesis import given
from hypothesis import strategies as st

from workflow_async._core.call import UnreadableRow
from workflow_async._decode import records as decoding
from workflow_async._decode.compiled import MISSING
from workflow_async._decode.records import (
    MAX_UNREADABLE,
    RecordConverter,
    constant_field,
    list_field,
    list_of,
    read_rows,
    read_with,
    register,
    strict_converter,
    structure,
)
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
from workflow_async._decode.xml_rows import ColumnBlock, RowBlock
from workflow_async.errors import DecodeError
from workflow_async.opencast import records as opencast
from workflow_async.opencast.converter import opencast_converter
from workflow_async.opencast.jettison import internal_converter
from workflow_async.opencast.records import Definition, Event, Me, Version, Workflow
from workflow_async.preservica import records as preservica
from workflow_async.preservica.converter import preservica_converter


@frozen(kw_only=True)
class Part:
    title: str
    size: int = 0


@frozen(kw_only=True)
class Exact:
    """A record without `extra`: where its values cannot be kept as they came, none may be unreadable."""

    id: int
    title: str = ""
    ready: bool = False
    share: float = 0.0
    made: datetime | None = None
    parts: tuple[Part, ...] | None = None
    notes: Mapping[str, str] = field(factory=dict)


@frozen(kw_only=True)
class Whole(Exact):
    size: int | None = 1
    since: datetime | None = None
    extra: Mapping[str, Any] = field(factory=dict)


def teach(made: cattrs.Converter) -> None:
    register(made, Part)
    shared = {
        "id": read_with(parse_int, "identifier"),
        "made": read_with(or_none(parse_datetime)),
        "notes": read_with(parse_str_map),
    }
    register(made, Exact, **shared, parts=list_field(made, Part))
    own = {"size": read_with(parse_int, "how-large", fallback=None), "since": constant_field()}
    register(made, Whole, **shared, **own, parts=list_field(made, Part))


def strict() -> cattrs.Converter:
    made = strict_converter()
    teach(made)
    return made


def read(tree: Any, kind: Any = Whole) -> Any:
    return structure(strict(), tree, kind)


def faults(tree: Any, kind: Any = Exact) -> tuple[str, ...]:
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


@pytest.mark.parametrize(("kind", "expected"), [(int, list[int]), (Part, list[Part])])
def test_the_list_type_of_a_class_equals_the_written_one(kind: type[Any], expected: Any) -> None:
    assert list_of(kind) == expected
    assert hash(list_of(kind)) == hash(expected)


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
        ({"identifier": 1.9}, "expected a whole number, got a number @ $.identifier"),
        ({"identifier": 1603.0}, "expected a whole number, got a number @ $.identifier"),
        ({"identifier": True}, "expected a whole number, got true or false @ $.identifier"),
        ({"identifier": "1603.0"}, "expected a whole number, got a text @ $.identifier"),
        ({"identifier": ""}, "expected a whole number, got a text @ $.identifier"),
        ({"identifier": "\uff11"}, "expected a whole number, got a text @ $.identifier"),
        ({"identifier": "1" * 5000}, "expected a whole number, got a text @ $.identifier"),
        ({"identifier": None}, "expected a whole number, got null @ $.identifier"),
        ({}, "required field missing @ $.identifier"),
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
    made = strict_converter()
    register(made, Part, size=read_with(lambda value: 1 // value))
    with pytest.raises(DecodeError) as caught:
        structure(made, {"title": "s3cret", "size": 0}, Part)
    assert caught.value.faults == ("cannot be read (ZeroDivisionError) @ $.size",)


def test_every_fault_is_told_at_once() -> None:
    tree = [{"identifier": 1}, {"title": 5}, {"identifier": 1, "ready": "x", "parts": [{"title": 1}]}]
    assert sorted(faults(tree, list[Exact])) == [
        "expected a text, got a number @ $[1].title",
        "expected a text, got a number @ $[2].parts[0].title",
        "expected true or false, got a text @ $[2].ready",
        "required field missing @ $[1].identifier",
    ]


def test_a_fault_is_told_once_however_many_fields_read_its_key() -> None:
    tree = {"identifier": 1, "state": 7, "event_identifier": "e"}
    with pytest.raises(DecodeError) as caught:
        structure(OPENCAST, tree, Workflow)
    assert caught.value.faults == ("expected a text, got a number @ $.state",)


def test_a_place_may_begin_within_the_answer() -> None:
    with pytest.raises(DecodeError) as caught:
        structure(strict(), {}, Whole, "$.value")
    assert caught.value.faults == ("required field missing @ $.value.identifier",)


# What is optional and cannot be read


@pytest.mark.parametrize(
    ("key", "value", "name", "left"),
    [
        ("title", 5, "title", ""),
        ("title", None, "title", ""),
        ("title", ["a"], "title", ""),
        ("ready", "false", "ready", False),
        ("ready", 1, "ready", False),
        ("share", "1.9", "share", 0.0),
        ("share", 1, "share", 0.0),
        ("made", "2025-10-26 02:30:00", "made", None),
        ("made", {"year": 2025}, "made", None),
        ("parts", "abc", "parts", None),
        ("parts", [{"title": "a"}, {"size": 1}], "parts", None),
        ("parts", [{"title": "a", "size": 1.5}], "parts", None),
        ("notes", {"a": 1, "b": "c"}, "notes", {}),
        ("notes", [], "notes", {}),
        ("how-large", "1.5 GB", "size", None),
        ("how-large", None, "size", None),
        ("how-large", 2.0, "size", None),
    ],
)
def test_an_optional_value_that_does_not_read_counts_as_absent_and_is_kept_as_it_came(
    key: str, value: Any, name: str, left: Any
) -> None:
    found = read({"identifier": 7, key: value, "new": 1})
    assert (found.id, getattr(found, name)) == (7, left)
    assert found.extra == {key: value, "new": 1}
    others = {field.name for field in attrs.fields(Whole)} - {name, "extra"}
    assert all(getattr(found, other) == getattr(Whole(id=7), other) for other in others)


def test_several_optional_values_may_be_unreadable_at_once() -> None:
    odd = {"title": 1, "made": "yesterday", "how-large": "big"}
    assert read({"identifier": 7, "ready": True, **odd}) == Whole(id=7, ready=True, size=None, extra=odd)


def test_an_absent_number_has_its_default_and_an_unreadable_one_has_none() -> None:
    assert (read({"identifier": 7}).size, read({"identifier": 7, "how-large": "x"}).size) == (1, None)


def test_a_required_value_that_does_not_read_is_a_fault_beside_optional_ones_that_do_not() -> None:
    assert faults({"identifier": "x", "title": 5}, Whole) == ("expected a whole number, got a text @ $.identifier",)
    assert faults({"title": 5}, Whole) == ("required field missing @ $.identifier",)


def test_a_key_that_a_required_field_needs_is_required() -> None:
    tree = {"identifier": 1, "state": ["running"], "event_identifier": "e", "title": 3}
    assert refused(tree, Workflow) is not None


def test_a_field_that_never_comes_on_the_wire_holds_its_default_whatever_comes() -> None:
    assert read({"identifier": 7, "since": "2018-08-08T08:46:57Z"}) == Whole(
        id=7, extra={"since": "2018-08-08T08:46:57Z"}
    )
    (row,) = structure(strict(), RowBlock([1], ColumnBlock({"identifier": ["7"], "since": ["x"]}, 1)), list[Whole])
    assert row == Whole(id=7, extra={"since": "x"})


# Rows


def records_of(trees: Any, at: str = "$") -> tuple[Any, ...]:
    return read_rows(RecordConverter(teach), trees, Whole, at)


def test_a_row_that_cannot_be_read_stands_in_its_place_and_hides_no_other() -> None:
    odd: Any = {"title": "no id"}
    one, two, three = records_of([{"identifier": 1}, odd, {"identifier": 3, "title": 5}], "$.rows")
    assert (one, three) == (Whole(id=1), Whole(id=3, extra={"title": 5}))
    assert two == UnreadableRow(("required field missing @ $.rows[1].identifier",), odd)


def test_rows_may_be_of_any_kind_and_come_one_by_one() -> None:
    found = records_of(iter([7, None, {"identifier": 1}, [], "x"]))
    assert [type(row) for row in found] == [UnreadableRow, UnreadableRow, Whole, UnreadableRow, UnreadableRow]
    assert found[0].faults == ("expected an object, got a number @ $[0]",)


def test_rows_that_are_alike_are_read_one_by_one_where_one_of_them_cannot_be() -> None:
    table = ColumnBlock({"identifier": ["7", "x", None], "title": ["a", None, "c"]}, 3)
    one, two, three = records_of(RowBlock([1, {"identifier": "8"}, 2], table))[:3]
    assert (one, two) == (Whole(id=7, title="a"), Whole(id=8))
    assert three == UnreadableRow(("expected a whole number, got a text @ $[2].identifier",), {"identifier": "x"})


def test_an_unreadable_row_is_the_same_one_in_two_pages_and_shows_its_faults_only() -> None:
    one, two = records_of([{"title": "s3cret"}, {"title": "s3cret"}])
    assert one.id == two.id != records_of([{"title": "other"}])[0].id
    assert len({one, one}) == 1
    assert "s3cret" not in repr(one)


def test_a_list_of_far_too_many_of_them_is_no_list_of_these_records() -> None:
    assert len(records_of([7] * MAX_UNREADABLE)) == MAX_UNREADABLE
    with pytest.raises(DecodeError, match=r"more than 2000 rows cannot be read @ \$\.rows"):
        records_of(iter(lambda: 7, 8), "$.rows")


def test_an_unreadable_row_of_any_depth_and_length_has_an_id() -> None:
    deep: Any = {"title": "x" * 10**6}
    for _ in range(5000):
        deep = {"a": [deep]}
    (one,) = records_of([deep])
    assert len(one.id) < 5000
    (long,) = records_of([{"title": ["y"] * 10**6}])
    assert len(long.id) < 5000


def test_a_row_that_does_not_even_parse_is_the_whole_answers_fault() -> None:
    def trees() -> Iterator[Any]:
        yield {"identifier": 1}
        raise DecodeError("not JSON @ $", parsed=False)

    with pytest.raises(DecodeError, match="not JSON"):
        records_of(trees())


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
    found = parse_datetime(said)
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
    with pytest.raises(TypeMismatch):
        parse_datetime(said)


@given(st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1)), st.integers(-1439, 1439))  # noqa: DTZ001 - zoned below
def test_an_instant_means_the_same_in_every_zone(naive: datetime, minutes: int) -> None:
    moment = naive.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    assert parse_datetime(moment.isoformat()) == moment


@given(st.text() | st.from_regex(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d*)?(Z|[+-]\d\d:?\d\d)", fullmatch=True))
def test_any_text_is_an_aware_instant_or_unfit(said: str) -> None:
    with contextlib.suppress(TypeMismatch):
        assert parse_datetime(said).tzinfo is UTC


@pytest.mark.parametrize(("value", "read"), [(True, True), (False, False), ("true", True), ("false", False)])
def test_truth_may_come_as_its_two_words(value: Any, read: bool) -> None:  # noqa: FBT001 - a column
    assert parse_bool(value) is read


@pytest.mark.parametrize("value", [None, 0, 1, "True", "yes", "", 1.0, [], {}])
def test_anything_else_is_no_truth(value: Any) -> None:
    with pytest.raises(TypeMismatch):
        parse_bool(value)


def test_absent_texts_are_empty_and_other_types_are_refused() -> None:
    assert (parse_str(None), parse_str("a")) == ("", "a")
    assert (parse_str_map(None), parse_str_map({"a": None, "b": "c"})) == ({}, {"a": "", "b": "c"})
    assert (or_none(parse_int)(None), or_none(parse_int)(""), or_none(parse_int)("-7")) == (None, None, -7)
    with pytest.raises(TypeMismatch):
        parse_str(7)


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
        structure(OPENCAST, tree, kind)
    except DecodeError as error:
        return error
    return None


@pytest.mark.sweep
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


def test_how_records_are_read_is_made_when_the_first_is_read() -> None:
    taught: list[cattrs.Converter] = []

    def teach(strict: cattrs.Converter) -> None:
        taught.append(strict)
        register(strict, Part)

    records = RecordConverter(teach)
    assert taught == []
    assert structure(records, {"title": "P"}, Part) == structure(records, {"title": "P"}, Part) == Part(title="P")
    assert taught == [records.cattrs_converter]


# The fast reader beside the careful one


def carefully(make: Callable[[], RecordConverter]) -> RecordConverter:
    """The converter whose records are read in detail at once, as they are read again after a failure."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoding, "compile_reader", lambda kind, fields, careful, *, extra: careful)
        made = make()
        assert made.cattrs_converter is not None
        return made


def told(reading: RecordConverter, tree: Any, kind: Any) -> tuple[str, Any]:
    """The record in every detail, or the faults in their order."""
    try:
        return "read", repr(attrs.asdict(structure(reading, tree, kind)))
    except DecodeError as error:
        return "refused", error.faults


WORDS = st.sampled_from(
    ["", " ", "running", "RUNNING", "Active", "ACTIVE", " completed\n", "hibernating", "true", "false", "7", "-1", "x"]
)
MOMENTS = st.sampled_from(
    [
        "2018-08-08T08:46:57Z",
        "2018-08-08T08:46:57.201Z",
        "2018-08-08T10:46:57.2+02:00",
        " 2018-08-08T08:46:57Z",
        "in 18",
    ]
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | WORDS | MOMENTS | st.text(max_size=3)
LIKELY = st.sampled_from(["running", "a text", 7, True, "2018-08-08T08:46:57.201Z", {"a": "b"}, []])
PLACES = st.recursive(
    LIKELY | LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=4,
)
PAIRS = [
    (opencast_converter(), carefully(opencast_converter)),
    (preservica_converter(), carefully(preservica_converter)),
    (internal_converter(), carefully(internal_converter)),
]
OPERATION = """operation state identifier description if unless start completion time_in_queue host configuration
    fail_workflow_on_error error_handler_workflow retry_strategy max_attempts failed_attempts"""
DEFINITION = "identifier title description tags configuration_panel configuration_panel_json operations"
WORKFLOW = """identifier state title description workflow_definition_identifier event_identifier creator operations
    configuration"""
MONITOR = """mappedId name status category started completed progressText percentComplete filesPending size warnings
    errors canRetry"""
INTERNAL_OPERATION = "template state id started time-in-queue fail-on-error max-attempts configurations"
KINDS: list[tuple[int, Any, str]] = [
    (0, opencast.Operation, OPERATION),
    (0, opencast.OperationDefinition, "operation description if unless fail_workflow_on_error max_attempts"),
    (0, Workflow, WORKFLOW),
    (0, Definition, DEFINITION),
    (0, Event, "identifier title status processing_state created is_part_of"),
    (0, Version, "default versions"),
    (0, Me, "username name email provider userrole"),
    (1, preservica.Context, "Id Name"),
    (1, preservica.Workflow, "Id State DisplayState CorrelationToken Started Finished CurrentStepName Creator"),
    (1, preservica.Process, "apiId name description type active trigger"),
    (1, preservica.Monitor, MONITOR),
    (1, preservica.Message, "mappedId mappedMonitorId workflowInstanceId path date status entityRef"),
    (2, opencast.Operation, INTERNAL_OPERATION),
    (2, Workflow, "id state title template creator-id dateCreated mediaPackageId operations configurations"),
]
IDS = [f"{('opencast', 'preservica', 'internal')[system]}.{kind.__qualname__}" for system, kind, _ in KINDS]
STRANGERS = ["extra", "#extra", "id", "kind", "made", "self"]
NUMBERS = st.integers() | st.sampled_from([0, "7", 2**70])
INSTANTS = st.sampled_from(["2018-08-08T08:46:57Z", "2018-08-08T08:46:57.201Z", "2018-08-08T10:46:57.2+02:00", ""])
COUNTS = """identifier time_in_queue max_attempts failed_attempts Id filesPending size warnings errors
    workflowInstanceId id time-in-queue max-attempts"""
DATES = "start completion created Started Finished started completed date dateCreated"
TRUTHS = "fail_workflow_on_error active canRetry fail-on-error"
FITTING: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(COUNTS.split(), NUMBERS),
    **dict.fromkeys(DATES.split(), INSTANTS),
    **dict.fromkeys(TRUTHS.split(), st.sampled_from([True, False, "true", "false"])),
    **dict.fromkeys(["tags", "versions"], st.lists(st.text(), max_size=2) | st.none()),
    "configuration": st.none() | st.dictionaries(st.text(max_size=2), st.text(max_size=2) | st.none(), max_size=3),
    "operations": st.just([]),
    "trigger": st.just({"type": "Manual"}),
}
"""What each key holds; the others hold texts."""


@st.composite
def objects(draw: st.DrawFn, kind: Any, named: str, depth: int = 1) -> Any:
    """A record as it should be, but for a few keys: left out, strange, or with anything in them."""
    keys = named.split()
    texts = st.sampled_from(["running", "ACTIVE", "hibernating", "a text"]) | WORDS
    tree = {key: draw(FITTING.get(key, texts)) for key in keys}
    if kind in {Definition, Event, preservica.Context}:
        tree |= {"identifier": "a", "Id": "b"}
    if depth and "operations" in keys:
        inner = INTERNAL_OPERATION if "mediaPackageId" in keys else OPERATION
        tree["operations"] = draw(st.lists(objects(opencast.Operation, inner, 0), max_size=3))
    if "mediaPackageId" in keys:
        tree["operations"] = draw(st.sampled_from([{"operation": tree["operations"]}, "", {"operation": {}}]))
    for key in draw(st.sets(st.sampled_from([*keys, *STRANGERS]), max_size=2)):
        tree[key] = draw(PLACES | st.just(MISSING))
    return {key: value for key, value in tree.items() if value is not MISSING}


@pytest.mark.sweep
@pytest.mark.parametrize(("system", "kind", "keys"), KINDS, ids=IDS)
@given(data=st.data())
def test_the_fast_reader_gives_what_the_careful_one_gives(system: int, kind: Any, keys: str, data: Any) -> None:
    fast, careful = PAIRS[system]
    tree = data.draw(objects(kind, keys) | PLACES)
    kept = copy.deepcopy(tree)
    assert told(fast, tree, kind) == told(careful, tree, kind)
    assert repr(tree) == repr(kept)


@given(st.lists(st.fixed_dictionaries({"identifier": LIKELY, "state": LIKELY, "event_identifier": LIKELY}), max_size=4))
def test_a_page_is_read_or_refused_with_the_same_paths(trees: list[Any]) -> None:
    outcomes = []
    for reading in PAIRS[0]:
        try:
            outcomes.append(repr(structure(reading, trees, list[Workflow])))
        except DecodeError as error:
            outcomes.append(repr(error.faults))
        outcomes.append(repr(read_rows(reading, trees, Workflow)))
    assert outcomes[:2] == outcomes[2:]


CELLS = (
    st.sampled_from(["running", "ACTIVE", "7", " 7", "2018-08-08T08:46:57.201Z", "true", "a text"]) | WORDS | MOMENTS
)


@st.composite
def tables(draw: st.DrawFn, named: str) -> ColumnBlock:
    """Rows that are alike: most texts as they should be, some children left out of a row or of all, some unknown."""
    count = draw(st.integers(1, 3))
    children = set(named.split()) - draw(st.sets(st.sampled_from(named.split()), max_size=3))
    children |= draw(st.sets(st.sampled_from(STRANGERS), max_size=2))
    columns: dict[str, list[str | None]] = {}
    for child in sorted(children):
        fitting = FITTING.get(child, st.sampled_from(["ACTIVE", "a text"])).map(lambda value: str(value) or None)
        likely = draw(st.lists(fitting, min_size=count, max_size=count))
        columns[child] = [draw(st.none() | CELLS) or None if draw(ODDS) else text for text in likely]
    return ColumnBlock(columns, count)


ODDS = st.integers(0, 30).map(lambda number: number == 30)


def all_told(reading: RecordConverter, trees: Any, kind: Any) -> tuple[str, Any]:
    """The records in every detail, or the faults in their order."""
    try:
        return "read", [repr(attrs.asdict(row)) for row in structure(reading, trees, list[kind])]
    except DecodeError as error:
        return "refused", error.faults


@pytest.mark.sweep
@pytest.mark.parametrize(("system", "kind", "keys"), KINDS, ids=IDS)
@given(data=st.data())
def test_rows_that_are_alike_are_read_as_the_careful_reader_reads_their_trees(
    system: int, kind: Any, keys: str, data: Any
) -> None:
    fast, careful = PAIRS[system]
    alike = data.draw(tables(keys))
    others = data.draw(st.lists(objects(kind, keys), max_size=2))
    first = data.draw(st.integers(0, alike.count))
    mixed = RowBlock([*others[:1], first, *others[1:], alike.count - first], alike)
    assert all_told(fast, mixed, kind) == all_told(careful, mixed.trees(), kind)
    assert repr(read_rows(fast, mixed, kind)) == repr(read_rows(careful, mixed.trees(), kind))


ACTIVE: dict[str, list[str | None]] = {
    "Id": ["7", "8"],
    "State": ["ACTIVE", "Odd"],
    "Started": ["2018-08-08T08:46:57Z", None],
}


def test_rows_as_they_should_be_are_read_without_the_careful_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RowBlock, "trees", None)
    table = ColumnBlock({**ACTIVE, "Name": [None, "n"], "Creator": [None, "c"]}, 2)
    one, two = structure(preservica_converter(), RowBlock([2], table), list[preservica.Workflow])
    started = datetime(2018, 8, 8, 8, 46, 57, tzinfo=UTC)
    assert one == preservica.Workflow(id=7, state=preservica.State.ACTIVE, state_text="ACTIVE", started=started)
    assert two == preservica.Workflow(
        id=8, state=preservica.State.UNKNOWN, state_text="Odd", creator="c", extra={"Name": "n"}
    )
    assert (one.extra, two.extra) == ({}, {"Name": "n"})


def test_one_odd_text_in_rows_that_are_alike_is_named_by_its_place_in_the_list() -> None:
    alike = RowBlock([{"Id": "1", "State": "ACTIVE"}, 2], ColumnBlock({**ACTIVE, "Id": ["7", "x"]}, 2))
    with pytest.raises(DecodeError) as caught:
        structure(preservica_converter(), alike, list[preservica.Workflow])
    assert caught.value.faults == ("expected a whole number, got a text @ $[2].Id",)
    assert len(structure(preservica_converter(), RowBlock([2], ColumnBlock(ACTIVE, 2)), list[preservica.Workflow])) == 2


def test_rows_are_read_as_frozen_records_that_share_nothing_that_could_change() -> None:
    found = structure(preservica_converter(), RowBlock([2], ColumnBlock(ACTIVE, 2)), list[preservica.Workflow])
    one, two = found
    assert one.extra is not two.extra
    assert one.__class__ is preservica.Workflow
    assert pickle.loads(pickle.dumps(found)) == copy.deepcopy(found) == found
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        one.creator = "other"  # type: ignore[misc]


def test_values_that_are_absent_from_rows_are_each_records_own() -> None:
    alike = RowBlock([2], ColumnBlock({"identifier": ["7", "8"], "title": ["a", None]}, 2))
    one, two = structure(strict(), alike, list[Whole])
    assert (one, two) == (Whole(id=7, title="a"), Whole(id=8))
    assert one.notes is not two.notes


def records() -> Iterator[Any]:
    for module in (opencast, preservica):
        yield from (kind for _, kind in inspect.getmembers(module, attrs.has) if kind.__module__ == module.__name__)


@pytest.mark.parametrize("kind", list(records()), ids=lambda kind: f"{kind.__module__.split('.')[1]}.{kind.__name__}")
def test_a_record_is_plain_data_so_that_it_may_be_made_without_its_constructor(kind: Any) -> None:
    assert not hasattr(kind, "__attrs_post_init__")
    assert not hasattr(kind, "__dict__") or "__dict__" not in dir(kind)
    for one in attrs.fields(kind):
        assert one.init
        assert one.validator is None
        assert one.converter is None
        assert getattr(one.default, "takes_self", False) is False


def test_a_tree_of_as_many_keys_as_are_known_may_hold_others_all_the_same() -> None:
    assert read({"title": "T", "colour": "red"}, Part) == Part(title="T")
    assert faults({"size": 3, "colour": "red"}, Part) == ("required field missing @ $.title",)
    known = {"identifier": 1, "title": "", "ready": True, "share": 0.5, "made": None, "parts": [], "notes": {}}
    assert read(known).extra == {}
    assert read({**known, "more": 1}).extra == {"more": 1}
    del known["notes"]
    other = read({**known, "more": 1})
    assert (other.notes, other.extra) == ({}, {"more": 1})


def test_what_the_fast_reader_makes_is_the_record_itself_frozen_and_whole() -> None:
    tree = {"identifier": 7, "title": "T", "notes": {"a": "b"}, "new": 1}
    found: Any = read(tree)
    same = Whole(id=7, title="T", notes={"a": "b"}, extra={"new": 1})
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        found.title = "other"
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        del found.title
    assert found.__class__ is Whole
    assert (found, repr(found)) == (same, repr(same))
    assert weakref.ref(found)() is found
    assert pickle.loads(pickle.dumps(found)) == copy.deepcopy(found) == found
    assert attrs.evolve(found, title="other").title == "other"


def test_records_that_are_read_share_nothing_that_could_change() -> None:
    one, two = read({"identifier": 1}), read({"identifier": 2})
    assert one.notes is not two.notes
    assert one.extra is not two.extra


def test_a_read_record_hashes_as_a_made_one() -> None:
    tree = {"identifier": 7, "state": "running", "event_identifier": "e"}
    made = Workflow(id=7, state=opencast.State.RUNNING, state_text="running", event_id="e")
    assert hash(structure(OPENCAST, tree, Workflow)) == hash(made)


SHAPES = [
    "2018-08-08T08:46:57Z", "2018-08-08T08:46:57.201Z", "2018-W32-3T08:46:57Z", "2018-08-08T084657.1Z",
    "2018-08-08T08:46:57,201Z", "2018-08-08T08:46:57.+1Z", "20180808T084657+0000", "2018-08-08T08:46:57+00Z",
    "2018-W32-3T08:46:57.201Z", "2018-08-08T084657.20145Z", "2018-08-08T08:46:57.20+1", "2018-08-08T24:00:00Z",
]  # fmt: skip


@given(st.sampled_from(SHAPES), st.lists(st.tuples(st.integers(0, 25), st.sampled_from("0123459TWZtz:.,+- \uff11é"))))
def test_the_usual_shapes_of_an_instant_mean_what_the_pattern_says(said: str, changes: list[tuple[int, str]]) -> None:
    for place, char in changes[:3]:
        said = said[:place] + char + said[place + 1 :]
    outcomes = []
    for reading in (parse_datetime, parse_any_datetime):
        try:
            outcomes.append(repr(reading(said)))
        except TypeMismatch as error:
            outcomes.append(str(error))
    assert outcomes[0] == outcomes[1]
