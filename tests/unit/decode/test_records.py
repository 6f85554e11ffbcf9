"""Mapping trees to records strictly."""

import copy
import pickle
import weakref
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import attrs
import cattrs
import pytest
from attrs import field, frozen
from hypothesis import given, strategies as st

from workflow_async._core.call import UnreadableRow
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
    or_none,
    parse_datetime,
    parse_int,
    parse_str_map,
)
from workflow_async._decode.xml_rows import ColumnBlock, RowBlock
from workflow_async.errors import DecodeError
from workflow_async.opencast.converter import opencast_converter
from workflow_async.opencast.definition_records import Definition
from workflow_async.opencast.event_records import Event
from workflow_async.opencast.records import Source, Workflow
from workflow_async.opencast.server_records import Me, Version


@frozen(kw_only=True)
class Part:
    title: str
    size: int = 0


@frozen(kw_only=True)
class StrictRecord:
    """A record without `extra`, in which no value may be unreadable because none can be kept unchanged."""

    id: int
    title: str = ""
    ready: bool = False
    share: float = 0.0
    created: datetime | None = None
    parts: tuple[Part, ...] | None = None
    notes: Mapping[str, str] = field(factory=dict)


@frozen(kw_only=True)
class Record(StrictRecord):
    size: int | None = 1
    since: datetime | None = None
    extra: Mapping[str, Any] = field(factory=dict)


def configure(converter: cattrs.Converter) -> None:
    register(converter, Part)
    shared = {
        "id": read_with(parse_int, "identifier"),
        "created": read_with(or_none(parse_datetime)),
        "notes": read_with(parse_str_map),
    }
    register(converter, StrictRecord, **shared, parts=list_field(converter, Part))
    own = {"size": read_with(parse_int, "how-large", fallback=None), "since": constant_field()}
    register(converter, Record, **shared, **own, parts=list_field(converter, Part))


def make_converter() -> cattrs.Converter:
    converter = strict_converter()
    configure(converter)
    return converter


def read(tree: Any, kind: Any = Record) -> Any:
    return structure(make_converter(), tree, kind)


def faults(tree: Any, kind: Any = StrictRecord) -> tuple[str, ...]:
    with pytest.raises(DecodeError) as caught:
        read(tree, kind)
    return caught.value.faults


def test_a_tree_becomes_a_record_and_unknown_keys_its_extra() -> None:
    tree = {
        "identifier": "7",
        "title": "T",
        "ready": True,
        "share": 0.5,
        "parts": [{"title": "P", "size": 3}],
        "new": [1],
    }
    assert read(tree) == Record(
        id=7, title="T", ready=True, share=0.5, parts=(Part(title="P", size=3),), extra={"new": [1]}
    )


def test_a_server_cannot_set_extra_itself() -> None:
    assert read({"identifier": 7, "#extra": 1, "extra": 2, "id": 3}).extra == {"#extra": 1, "extra": 2, "id": 3}


@pytest.mark.parametrize(("kind", "expected"), [(int, list[int]), (Part, list[Part])])
def test_the_list_type_of_a_class_equals_the_written_one(kind: type[Any], expected: Any) -> None:
    assert list_of(kind) == expected
    assert hash(list_of(kind)) == hash(expected)


def test_null_for_a_list_is_empty_and_an_absent_list_has_its_default() -> None:
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
        ("Record", "expected an object, got a text @ $"),
    ],
)
def test_no_value_is_coerced_and_the_fault_names_its_path(tree: Any, fault: str) -> None:
    assert faults(tree) == (fault,)


def test_any_error_of_a_reader_is_a_fault_with_a_path() -> None:
    converter = strict_converter()
    register(converter, Part, size=read_with(lambda value: 1 // value))
    with pytest.raises(DecodeError) as caught:
        structure(converter, {"title": "s3cret", "size": 0}, Part)
    assert caught.value.faults == ("cannot be read (ZeroDivisionError) @ $.size",)


def test_all_faults_are_reported_together() -> None:
    tree = [{"identifier": 1}, {"title": 5}, {"identifier": 1, "ready": "x", "parts": [{"title": 1}]}]
    assert sorted(faults(tree, list[StrictRecord])) == [
        "expected a text, got a number @ $[1].title",
        "expected a text, got a number @ $[2].parts[0].title",
        "expected true or false, got a text @ $[2].ready",
        "required field missing @ $[1].identifier",
    ]


def test_a_fault_is_reported_once_if_several_fields_read_its_key() -> None:
    tree = {"identifier": 1, "state": 7, "event_identifier": "e"}
    with pytest.raises(DecodeError) as caught:
        structure(OPENCAST, tree, Workflow)
    assert caught.value.faults == ("expected a text, got a number @ $.state",)


def test_a_path_may_begin_inside_the_response() -> None:
    with pytest.raises(DecodeError) as caught:
        structure(make_converter(), {}, Record, "$.value")
    assert caught.value.faults == ("required field missing @ $.value.identifier",)


# Unreadable optional values


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
        ("created", "2025-10-26 02:30:00", "created", None),
        ("created", {"year": 2025}, "created", None),
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
def test_an_unreadable_optional_value_counts_as_absent_and_is_kept_unchanged(
    key: str, value: Any, name: str, left: Any
) -> None:
    found = read({"identifier": 7, key: value, "new": 1})
    assert (found.id, getattr(found, name)) == (7, left)
    assert found.extra == {key: value, "new": 1}
    others = {field.name for field in attrs.fields(Record)} - {name, "extra"}
    assert all(getattr(found, other) == getattr(Record(id=7), other) for other in others)


def test_several_optional_values_may_be_unreadable() -> None:
    unreadable = {"title": 1, "created": "yesterday", "how-large": "big"}
    assert read({"identifier": 7, "ready": True, **unreadable}) == Record(id=7, ready=True, size=None, extra=unreadable)


def test_an_absent_number_has_its_default_and_an_unreadable_one_has_none() -> None:
    assert (read({"identifier": 7}).size, read({"identifier": 7, "how-large": "x"}).size) == (1, None)


def test_only_the_required_one_of_several_unreadable_values_is_a_fault() -> None:
    assert faults({"identifier": "x", "title": 5}, Record) == ("expected a whole number, got a text @ $.identifier",)
    assert faults({"title": 5}, Record) == ("required field missing @ $.identifier",)


def test_a_key_that_a_required_field_needs_is_required() -> None:
    tree = {"identifier": 1, "state": ["running"], "event_identifier": "e", "title": 3}
    assert decode_error(tree, Workflow) is not None


def test_a_constant_field_holds_its_default_whatever_is_received() -> None:
    assert read({"identifier": 7, "since": "2018-08-08T08:46:57Z"}) == Record(
        id=7, extra={"since": "2018-08-08T08:46:57Z"}
    )
    (row,) = structure(
        make_converter(), RowBlock([1], ColumnBlock({"identifier": ["7"], "since": ["x"]}, 1)), list[Record]
    )
    assert row == Record(id=7, extra={"since": "x"})


@pytest.mark.parametrize("source", ["list", None])
def test_a_constant_field_holds_the_declared_value(source: Source | None) -> None:
    converter = opencast_converter(source)
    tree = {"identifier": 7, "state": "running", "event_identifier": "e", "source": "forged"}
    compiled = converter.structure(tree, Workflow)
    by_reference = converter.structure({**tree, "title": 7}, Workflow)
    assert (compiled.source, by_reference.source) == (source, source)
    assert (compiled.extra, by_reference.extra) == ({"source": "forged"}, {"source": "forged", "title": 7})


# Rows


def records_of(trees: Any, path: str = "$") -> tuple[Any, ...]:
    return read_rows(RecordConverter(configure), trees, Record, path)


def test_an_unreadable_row_keeps_its_place_and_hides_no_other() -> None:
    unreadable: Any = {"title": "no id"}
    one, two, three = records_of([{"identifier": 1}, unreadable, {"identifier": 3, "title": 5}], "$.rows")
    assert (one, three) == (Record(id=1), Record(id=3, extra={"title": 5}))
    assert two == UnreadableRow(("required field missing @ $.rows[1].identifier",), unreadable)


def test_rows_may_have_any_type_and_come_from_an_iterator() -> None:
    found = records_of(iter([7, None, {"identifier": 1}, [], "x"]))
    assert [type(row) for row in found] == [UnreadableRow, UnreadableRow, Record, UnreadableRow, UnreadableRow]
    assert found[0].faults == ("expected an object, got a number @ $[0]",)


def test_uniform_rows_are_read_one_by_one_if_one_of_them_is_unreadable() -> None:
    table = ColumnBlock({"identifier": ["7", "x", None], "title": ["a", None, "c"]}, 3)
    one, two, three = records_of(RowBlock([1, {"identifier": "8"}, 2], table))[:3]
    assert (one, two) == (Record(id=7, title="a"), Record(id=8))
    assert three == UnreadableRow(("expected a whole number, got a text @ $[2].identifier",), {"identifier": "x"})


def test_an_unreadable_row_is_equal_in_two_pages_and_shows_its_faults_only() -> None:
    one, two = records_of([{"title": "s3cret"}, {"title": "s3cret"}])
    assert one.id == two.id != records_of([{"title": "other"}])[0].id
    assert len({one, one}) == 1
    assert "s3cret" not in repr(one)


def test_more_than_2000_unreadable_rows_are_an_error() -> None:
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


def test_a_row_that_cannot_be_parsed_fails_the_whole_response() -> None:
    def trees() -> Iterator[Any]:
        yield {"identifier": 1}
        raise DecodeError("not JSON @ $", parsed=False)

    with pytest.raises(DecodeError, match="not JSON"):
        records_of(trees())


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
NEARLY_VALID = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from(["", "running", "1603", "true", "2018-08-08T08:46:57Z"])
    | JSON,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=8),
    max_leaves=30,
)
OPENCAST = opencast_converter()


def decode_error(tree: Any, kind: Any) -> DecodeError | None:
    try:
        structure(OPENCAST, tree, kind)
    except DecodeError as error:
        return error
    return None


@pytest.mark.sweep
@pytest.mark.parametrize(
    "kind", [Workflow, Definition, Event, Version, Me, list[Workflow], list[Definition], list[Event]]
)
@given(tree=JSON | NEARLY_VALID | st.lists(NEARLY_VALID) | st.dictionaries(st.sampled_from(KEYS), NEARLY_VALID))
def test_any_tree_is_a_record_or_a_decode_error(kind: Any, tree: Any) -> None:
    if kind not in {Workflow, Definition, Event, Version, Me} and not isinstance(tree, list):
        tree = [tree]
    found = decode_error(tree, kind)
    assert found is None or (found.faults and all(" @ $" in fault for fault in found.faults))


@given(st.sampled_from(KEYS), st.sampled_from(["s3cret", ["s3cret"], {"a": "s3cret"}, {"s3cret": 1}]))
def test_an_error_never_repeats_the_value(key: str, value: Any) -> None:
    tree = {"identifier": 1, "state": "running", "event_identifier": "e", "operations": [{key: value}], key: value}
    assert "s3cret" not in str(decode_error(tree, Workflow))


def test_the_converter_is_configured_when_the_first_record_is_read() -> None:
    configured: list[cattrs.Converter] = []

    def configure(converter: cattrs.Converter) -> None:
        configured.append(converter)
        register(converter, Part)

    records = RecordConverter(configure)
    assert configured == []
    assert structure(records, {"title": "P"}, Part) == structure(records, {"title": "P"}, Part) == Part(title="P")
    assert configured == [records.cattrs_converter]


# Compiled readers


def test_the_defaults_of_uniform_rows_are_not_shared() -> None:
    rows = RowBlock([2], ColumnBlock({"identifier": ["7", "8"], "title": ["a", None]}, 2))
    one, two = structure(make_converter(), rows, list[Record])
    assert (one, two) == (Record(id=7, title="a"), Record(id=8))
    assert one.notes is not two.notes


def test_a_tree_with_the_expected_number_of_keys_may_hold_other_keys() -> None:
    assert read({"title": "T", "colour": "red"}, Part) == Part(title="T")
    assert faults({"size": 3, "colour": "red"}, Part) == ("required field missing @ $.title",)
    known = {"identifier": 1, "title": "", "ready": True, "share": 0.5, "created": None, "parts": [], "notes": {}}
    assert read(known).extra == {}
    assert read({**known, "more": 1}).extra == {"more": 1}
    del known["notes"]
    other = read({**known, "more": 1})
    assert (other.notes, other.extra) == ({}, {"more": 1})


def test_the_compiled_reader_makes_a_complete_and_frozen_record() -> None:
    tree = {"identifier": 7, "title": "T", "notes": {"a": "b"}, "new": 1}
    found: Any = read(tree)
    same = Record(id=7, title="T", notes={"a": "b"}, extra={"new": 1})
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        found.title = "other"
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        del found.title
    assert found.__class__ is Record
    assert (found, repr(found)) == (same, repr(same))
    assert weakref.ref(found)() is found
    assert pickle.loads(pickle.dumps(found)) == copy.deepcopy(found) == found
    assert attrs.evolve(found, title="other").title == "other"


def test_records_share_nothing_mutable() -> None:
    one, two = read({"identifier": 1}), read({"identifier": 2})
    assert one.notes is not two.notes
    assert one.extra is not two.extra
