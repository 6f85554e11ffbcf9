"""The compiled readers make the same records as the reference, and leave the same errors to it."""

import copy
import inspect
import pickle
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import attrs
import pytest
from attrs import field, frozen
from hypothesis import given, strategies as st

from workflow_async import opencast
from workflow_async._decode import records as decoding
from workflow_async._decode.compiled import MISSING, default_factory
from workflow_async._decode.records import (
    RecordConverter,
    read_rows,
    structure,
)
from workflow_async._decode.xml_rows import ColumnBlock, RowBlock
from workflow_async.errors import DecodeError
from workflow_async.opencast.converter import opencast_converter
from workflow_async.opencast.definition_records import Definition
from workflow_async.opencast.event_records import Event
from workflow_async.opencast.jettison import internal_converter
from workflow_async.opencast.records import Workflow
from workflow_async.opencast.server_records import Me, Version
from workflow_async.preservica import records as preservica
from workflow_async.preservica.converter import preservica_converter

OPENCAST = opencast_converter()


def with_reference_only(make: Callable[[], RecordConverter]) -> RecordConverter:
    """Return the converter without compiled readers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoding, "compile_reader", lambda kind, fields, reference, *, extra: reference)
        converter = make()
        assert converter.cattrs_converter is not None
        return converter


def outcome(converter: RecordConverter, tree: Any, kind: Any) -> tuple[str, Any]:
    """Return the record in every detail, or the faults in their order."""
    try:
        return "read", repr(attrs.asdict(structure(converter, tree, kind)))
    except DecodeError as error:
        return "rejected", error.faults


TEXTS = st.sampled_from(
    ["", " ", "running", "RUNNING", "Active", "ACTIVE", " completed\n", "hibernating", "true", "false", "7", "-1", "x"]
)
DATES_AS_TEXT = st.sampled_from(
    [
        "2018-08-08T08:46:57Z",
        "2018-08-08T08:46:57.201Z",
        "2018-08-08T10:46:57.2+02:00",
        " 2018-08-08T08:46:57Z",
        "in 18",
    ]
)
LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS | DATES_AS_TEXT | st.text(max_size=3)
)
USUAL_VALUES = st.sampled_from(["running", "a text", 7, True, "2018-08-08T08:46:57.201Z", {"a": "b"}, []])
VALUES = st.recursive(
    USUAL_VALUES | LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=4,
)
PAIRS = [
    (opencast_converter(), with_reference_only(opencast_converter)),
    (preservica_converter(), with_reference_only(preservica_converter)),
    (internal_converter(), with_reference_only(internal_converter)),
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
UNKNOWN_KEYS = ["extra", "#extra", "id", "kind", "created", "self"]
NUMBERS = st.integers() | st.sampled_from([0, "7", 2**70])
DATE_VALUES = st.sampled_from(["2018-08-08T08:46:57Z", "2018-08-08T08:46:57.201Z", "2018-08-08T10:46:57.2+02:00", ""])
COUNTS = """identifier time_in_queue max_attempts failed_attempts Id filesPending size warnings errors
    workflowInstanceId id time-in-queue max-attempts"""
DATES = "start completion created Started Finished started completed date dateCreated"
BOOLEANS = "fail_workflow_on_error active canRetry fail-on-error"
VALID_VALUES: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(COUNTS.split(), NUMBERS),
    **dict.fromkeys(DATES.split(), DATE_VALUES),
    **dict.fromkeys(BOOLEANS.split(), st.sampled_from([True, False, "true", "false"])),
    **dict.fromkeys(["tags", "versions"], st.lists(st.text(), max_size=2) | st.none()),
    "configuration": st.none() | st.dictionaries(st.text(max_size=2), st.text(max_size=2) | st.none(), max_size=3),
    "operations": st.just([]),
    "trigger": st.just({"type": "Manual"}),
}
"""Values of each key. All other keys hold texts."""


@st.composite
def objects(draw: st.DrawFn, kind: Any, named: str, depth: int = 1) -> Any:
    """Draw a valid record in which up to two keys are left out, unknown, or hold any value."""
    keys = named.split()
    texts = st.sampled_from(["running", "ACTIVE", "hibernating", "a text"]) | TEXTS
    tree = {key: draw(VALID_VALUES.get(key, texts)) for key in keys}
    if kind in {Definition, Event, preservica.Context}:
        tree |= {"identifier": "a", "Id": "b"}
    if depth and "operations" in keys:
        inner = INTERNAL_OPERATION if "mediaPackageId" in keys else OPERATION
        tree["operations"] = draw(st.lists(objects(opencast.Operation, inner, 0), max_size=3))
    if "mediaPackageId" in keys:
        tree["operations"] = draw(st.sampled_from([{"operation": tree["operations"]}, "", {"operation": {}}]))
    for key in draw(st.sets(st.sampled_from([*keys, *UNKNOWN_KEYS]), max_size=2)):
        tree[key] = draw(VALUES | st.just(MISSING))
    return {key: value for key, value in tree.items() if value is not MISSING}


@pytest.mark.sweep
@pytest.mark.parametrize(("system", "kind", "keys"), KINDS, ids=IDS)
@given(data=st.data())
def test_the_compiled_reader_returns_what_the_reference_returns(system: int, kind: Any, keys: str, data: Any) -> None:
    fast, reference = PAIRS[system]
    tree = data.draw(objects(kind, keys) | VALUES)
    kept = copy.deepcopy(tree)
    assert outcome(fast, tree, kind) == outcome(reference, tree, kind)
    assert repr(tree) == repr(kept)


@given(
    st.lists(
        st.fixed_dictionaries({"identifier": USUAL_VALUES, "state": USUAL_VALUES, "event_identifier": USUAL_VALUES}),
        max_size=4,
    )
)
def test_a_page_is_read_or_rejected_with_the_same_paths(trees: list[Any]) -> None:
    outcomes = []
    for converter in PAIRS[0]:
        try:
            outcomes.append(repr(structure(converter, trees, list[Workflow])))
        except DecodeError as error:
            outcomes.append(repr(error.faults))
        outcomes.append(repr(read_rows(converter, trees, Workflow)))
    assert outcomes[:2] == outcomes[2:]


CELLS = (
    st.sampled_from(["running", "ACTIVE", "7", " 7", "2018-08-08T08:46:57.201Z", "true", "a text"])
    | TEXTS
    | DATES_AS_TEXT
)


@st.composite
def tables(draw: st.DrawFn, named: str) -> ColumnBlock:
    """Draw uniform rows. Most texts are valid, some children are missing in a row or in all, and some are unknown."""
    count = draw(st.integers(1, 3))
    children = set(named.split()) - draw(st.sets(st.sampled_from(named.split()), max_size=3))
    children |= draw(st.sets(st.sampled_from(UNKNOWN_KEYS), max_size=2))
    columns: dict[str, list[str | None]] = {}
    for child in sorted(children):
        fitting = VALID_VALUES.get(child, st.sampled_from(["ACTIVE", "a text"])).map(lambda value: str(value) or None)
        likely = draw(st.lists(fitting, min_size=count, max_size=count))
        columns[child] = [draw(st.none() | CELLS) or None if draw(ONE_IN_31) else text for text in likely]
    return ColumnBlock(columns, count)


ONE_IN_31 = st.integers(0, 30).map(lambda number: number == 30)


def outcomes_of_rows(converter: RecordConverter, trees: Any, kind: Any) -> tuple[str, Any]:
    """Return the records in every detail, or the faults in their order."""
    try:
        return "read", [repr(attrs.asdict(row)) for row in structure(converter, trees, list[kind])]
    except DecodeError as error:
        return "rejected", error.faults


@pytest.mark.sweep
@pytest.mark.parametrize(("system", "kind", "keys"), KINDS, ids=IDS)
@given(data=st.data())
def test_uniform_rows_are_read_as_the_reference_reads_their_trees(system: int, kind: Any, keys: str, data: Any) -> None:
    fast, reference = PAIRS[system]
    uniform = data.draw(tables(keys))
    others = data.draw(st.lists(objects(kind, keys), max_size=2))
    first = data.draw(st.integers(0, uniform.count))
    mixed = RowBlock([*others[:1], first, *others[1:], uniform.count - first], uniform)
    assert outcomes_of_rows(fast, mixed, kind) == outcomes_of_rows(reference, mixed.trees(), kind)
    assert repr(read_rows(fast, mixed, kind)) == repr(read_rows(reference, mixed.trees(), kind))


ACTIVE: dict[str, list[str | None]] = {
    "Id": ["7", "8"],
    "State": ["ACTIVE", "Odd"],
    "Started": ["2018-08-08T08:46:57Z", None],
}


def test_valid_uniform_rows_are_read_without_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RowBlock, "trees", None)
    table = ColumnBlock({**ACTIVE, "Name": [None, "n"], "Creator": [None, "c"]}, 2)
    one, two = structure(preservica_converter(), RowBlock([2], table), list[preservica.Workflow])
    started = datetime(2018, 8, 8, 8, 46, 57, tzinfo=UTC)
    assert one == preservica.Workflow(id=7, state=preservica.State.ACTIVE, state_text="ACTIVE", started=started)
    assert two == preservica.Workflow(
        id=8, state=preservica.State.UNKNOWN, state_text="Odd", creator="c", extra={"Name": "n"}
    )
    assert (one.extra, two.extra) == ({}, {"Name": "n"})


def test_an_invalid_text_in_uniform_rows_is_named_by_its_place_in_the_list() -> None:
    rows = RowBlock([{"Id": "1", "State": "ACTIVE"}, 2], ColumnBlock({**ACTIVE, "Id": ["7", "x"]}, 2))
    with pytest.raises(DecodeError) as caught:
        structure(preservica_converter(), rows, list[preservica.Workflow])
    assert caught.value.faults == ("expected a whole number, got a text @ $[2].Id",)
    assert len(structure(preservica_converter(), RowBlock([2], ColumnBlock(ACTIVE, 2)), list[preservica.Workflow])) == 2


def test_uniform_rows_become_frozen_records_that_share_nothing_mutable() -> None:
    found = structure(preservica_converter(), RowBlock([2], ColumnBlock(ACTIVE, 2)), list[preservica.Workflow])
    one, two = found
    assert one.extra is not two.extra
    assert one.__class__ is preservica.Workflow
    assert pickle.loads(pickle.dumps(found)) == copy.deepcopy(found) == found
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        one.creator = "other"  # type: ignore[misc]


def records() -> Iterator[Any]:
    for module in (opencast, preservica):
        yield from (kind for _, kind in inspect.getmembers(module, attrs.has) if kind.__module__ == module.__name__)


@pytest.mark.parametrize("kind", list(records()), ids=lambda kind: f"{kind.__module__.split('.')[1]}.{kind.__name__}")
def test_a_record_has_no_hooks_so_that_it_can_be_made_without_its_constructor(kind: Any) -> None:
    assert not hasattr(kind, "__attrs_post_init__")
    assert not hasattr(kind, "__dict__") or "__dict__" not in dir(kind)
    for attribute in attrs.fields(kind):
        assert attribute.init
        assert attribute.validator is None
        assert attribute.converter is None
        assert getattr(attribute.default, "takes_self", False) is False


def test_a_record_that_was_read_hashes_as_one_that_was_constructed() -> None:
    tree = {"identifier": 7, "state": "running", "event_identifier": "e"}
    made = Workflow(id=7, state=opencast.State.RUNNING, state_text="running", event_id="e")
    assert hash(structure(OPENCAST, tree, Workflow)) == hash(made)


# Defaults


@frozen
class _Record:
    required: str
    plain: int = 7
    made: list[int] = field(factory=list)
    kind: Any = list


@pytest.mark.parametrize("name", ["plain", "required", "kind"])
def test_a_default_that_is_a_value_has_no_factory(name: str) -> None:
    assert default_factory(getattr(attrs.fields(_Record), name).default) is None


def test_the_factory_of_a_default_is_found() -> None:
    assert default_factory(attrs.fields(_Record).made.default) is list
