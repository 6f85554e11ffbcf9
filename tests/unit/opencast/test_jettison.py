"""Reading the workflows of an event from the JSON that Jettison makes of XML, without event loop and socket."""

import copy
import json
import pickle
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from workflow_async._core.call import Reply
from workflow_async.errors import DecodeError, InvalidArgument, ResponseMismatch
from workflow_async.opencast import Operation, OperationState, State, Workflow, calls, event_calls

SAMPLES = Path(__file__).parents[2] / "samples" / "opencast"
ROW: dict[str, Any] = {"id": 7, "state": "RUNNING", "template": "fast"}


def read(body: str | bytes, event: str = "e-1", **options: Any) -> tuple[Workflow, ...]:
    sent = body if isinstance(body, bytes) else body.encode()
    return event_calls.workflows_of_event(event, **options).read(Reply(200, {}, sent))


def sample(name: str, event: str = "e-1") -> tuple[Workflow, ...]:
    return read((SAMPLES / f"instances-{name}.json").read_bytes(), event)


def with_raw_value(literal: str, key: str = "title") -> str:
    """Return the body of one workflow with a raw value."""
    return f'{{"workflows":{{"workflow":{{"id":7,"state":"RUNNING","{key}":{literal}}}}}}}'


def workflow(event: str = "e-1", **members: Any) -> Workflow:
    """Return one workflow with these members. None leaves a member out."""
    row = {key: value for key, value in {**ROW, **members}.items() if value is not None}
    (found,) = read(json.dumps({"workflows": {"workflow": row}}), event)
    return found


# Recorded responses of real servers


def test_texts_that_look_like_numbers_or_booleans_are_texts() -> None:
    (record,) = sample("real-numbers", "num-1795837210")
    assert (record.id, record.state, record.state_text) == (637217, State.SUCCEEDED, "succeeded")
    assert (record.title, record.description, record.creator) == ("1984", "true", "20481234")
    assert (record.definition_id, record.event_id) == ("fast", "num-1795837210")
    assert record.created == datetime(2026, 11, 28, 3, 40, 10, 891000, tzinfo=UTC)
    assert (record.operations, record.configuration) == ((), {"a": "5"})
    assert record.extra["organization-id"] == "mh_default_org"
    assert record.extra["dateCompleted"] == "2026-11-28T03:40:10.891Z"
    assert record.extra["mediapackage"]["title"] == 1984
    assert set(record.extra) == {"organization-id", "dateCompleted", "mediapackage"}


def test_several_workflows_are_a_list_and_an_absent_description_is_empty() -> None:
    first, second = sample("real-two", "num-1795837210b")
    assert (first.id, first.title, first.description, first.configuration) == (637218, "007", "", {})
    assert (second.id, second.title, second.state) == (637219, "  padded  ", State.FAILED)


def test_operations_have_milliseconds_and_other_names() -> None:
    (record,) = sample("real-paused", "d1795836252-23")
    assert (record.state, record.step, record.configuration) == (State.PAUSED, "op-pause", {"a": "1", "b": "2"})
    assert record.operations is not None
    held, waiting = record.operations
    assert (held.operation, held.id, held.state) == ("op-pause", 13, OperationState.PAUSED)
    assert held.start == datetime(2026, 11, 28, 3, 24, 20, 420000, tzinfo=UTC)
    assert (held.completion, held.time_in_queue, held.failed_attempts, held.max_attempts) == (None, 0, 0, 1)
    assert (held.fail_workflow_on_error, held.retry_strategy, held.configuration) == (True, "none", {})
    assert held.extra == {"job": 13, "abortable": True, "continuable": True}
    assert (waiting.operation, waiting.id, waiting.state_text) == ("op-quick", None, "instantiated")


def test_every_member_of_an_operation_is_read() -> None:
    (_, record) = sample("several")
    assert record.operations is not None
    first, second = record.operations
    assert first == Operation(
        operation="defaults",
        state=OperationState.SUCCEEDED,
        state_text="succeeded",
        id=1701,
        description="Applying default configuration values",
        start=datetime(2018, 8, 8, 8, 46, 57, 201000, tzinfo=UTC),
        completion=datetime(2018, 8, 8, 8, 46, 57, 300000, tzinfo=UTC),
        time_in_queue=12,
        host="http://localhost:8080",
        retry_strategy="none",
        extra={"job": 1701, "abortable": True, "continuable": True},
    )
    assert (second.if_, second.error_handler_workflow, second.retry_strategy) == ("${publish}", "partial-error", "hold")
    assert (second.max_attempts, second.configuration) == (2, {"source-flavor": "*/source", "empty": ""})


def test_an_event_is_read_if_all_its_texts_are_numbers() -> None:
    (record,) = read(
        """{"workflows":{"workflow":{"id":536814,"state":"RUNNING","template":"fast","title":2024,"description":"",
        "creator-id":123456,"dateCreated":"2023-11-14T23:13:20.123+01:00","operations":{"operation":{"template":"encode",
        "state":"RUNNING","started":1700000000000}},"mediaPackageId":24}}}""",
        "24",
    )
    assert (record.id, record.event_id, record.title, record.creator) == (536814, "24", "2024", "123456")
    assert record.created == datetime(2023, 11, 14, 22, 13, 20, 123000, tzinfo=UTC)
    assert record.operations is not None
    assert record.operations[0].start == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    assert record.extra == {}


# Texts


@pytest.mark.parametrize(
    "literal", ["1984", "-5", "3.14", "0", "12345", "true", "false", "3.10", "1e5", "-0", "0.0", "9" * 40, "1.50E-3"]
)
@pytest.mark.parametrize(
    ("key", "name"),
    [("title", "title"), ("description", "description"), ("template", "definition_id"), ("creator-id", "creator")],
)
def test_a_number_or_a_boolean_is_a_text_by_its_own_digits(literal: str, key: str, name: str) -> None:
    (record,) = read(with_raw_value(literal, key))
    assert getattr(record, name) == literal
    assert record.extra == {}


@pytest.mark.parametrize("said", ["007", "00", "1e5", "+7", "1.", ".5", "-0", "1_000", "NaN", "null", "", " 7 ", "ü"])
def test_a_text_stays_unchanged(said: str) -> None:
    assert workflow(title=said).title == said


@pytest.mark.parametrize("nothing", ["null", '""', '{"nil":true}'])
def test_a_text_that_is_absent_null_or_nil_is_empty_and_no_creator_is_none(nothing: str) -> None:
    for key, name, left in (("title", "title", ""), ("template", "definition_id", ""), ("creator-id", "creator", None)):
        (record,) = read(with_raw_value(nothing, key))
        assert getattr(record, name) == left
        assert record.extra == {}
    bare = workflow(template=None)
    assert (bare.title, bare.description, bare.definition_id, bare.creator) == ("", "", "", None)
    assert (bare.created, bare.operations, bare.configuration) == (None, None, None)


@pytest.mark.parametrize("literal", ["[1984]", '{"a":1}', '{"nil":false}'])
def test_a_value_that_is_neither_text_number_nor_boolean_is_kept_raw(literal: str) -> None:
    (record,) = read(with_raw_value(literal))
    assert (record.id, record.title, record.extra) == (7, "", {"title": json.loads(literal)})


def test_the_creator_may_be_spelled_either_way() -> None:
    assert (workflow(creatorId=7).creator, workflow(**{"creator-id": "a"}).creator) == ("7", "a")
    assert workflow(creatorId="b").extra == {"creatorId": "b"}
    assert workflow(**{"creator-id": "a", "creatorId": "b"}).creator == "a"


def test_a_parent_that_is_nil_is_kept() -> None:
    assert workflow(parent={"nil": True}).extra == {"parent": {"nil": True}}


def test_a_record_with_a_spelled_number_can_be_copied_and_pickled() -> None:
    (record,) = read(with_raw_value("3.10", "weight"))
    assert record.extra == {"weight": 3.1}
    copies = pickle.loads(pickle.dumps(record)), copy.deepcopy(record)
    assert all(repr(one.extra) == "{'weight': 3.1}" for one in copies)


@given(st.integers(-(2**63), 2**63 - 1) | st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20)))
def test_any_number_keeps_its_spelling(number: Any) -> None:
    literal = str(number).lower().replace("+", "")
    (record,) = read(with_raw_value(literal))
    assert record.title == literal


# The External API


@pytest.mark.parametrize("value", [1984, True, 3.1, {"nil": True}])
def test_the_external_api_is_never_read_so(value: Any) -> None:
    tree = {"identifier": 7, "state": "running", "event_identifier": "e", "title": value, "creator": value}
    record = calls.get_workflow(7).read(Reply(200, {}, json.dumps(tree).encode()))
    assert (record.title, record.creator, record.extra) == ("", None, {"title": value, "creator": value})


# Dates


@pytest.mark.parametrize(
    "said",
    [
        "2026-11-28T04:39:03.434+01:00", "2026-11-28T03:39:03.434Z", "2026-11-27T16:09:03.434-11:30", 1795837143434,
    ],
)  # fmt: skip
def test_a_date_is_iso_with_a_zone_or_milliseconds(said: Any) -> None:
    meant = datetime(2026, 11, 28, 3, 39, 3, 434000, tzinfo=UTC)
    assert workflow(dateCreated=said).created == meant
    operation = {"template": "encode", "state": "RUNNING", "started": said}
    (ran,) = workflow(operations={"operation": operation}).operations or ()
    assert ran.start == meant


@pytest.mark.parametrize("said", ["", None])
def test_a_date_that_is_not_there_is_none(said: Any) -> None:
    assert (workflow(dateCreated=said).created, workflow(dateCreated=said).extra) == (None, {})


@pytest.mark.parametrize(
    "said", ["2026-11-28 04:39:03", "2026-11-28T04:39:03", "yesterday", True, 1.5, 10**30, -(10**18), [], {"nil": True}]
)
def test_a_date_that_cannot_be_read_is_none_and_kept_as_it_came(said: Any) -> None:
    record = workflow(dateCreated=said)
    assert (record.id, record.created, record.extra) == (7, None, {"dateCreated": said})


@given(
    st.datetimes(datetime(1970, 1, 2), datetime(9000, 1, 1)),  # noqa: DTZ001 - zoned below
    st.integers(-14 * 60, 14 * 60),
)
def test_both_spellings_of_an_instant_are_the_same(naive: datetime, minutes: int) -> None:
    at = naive.replace(microsecond=naive.microsecond // 1000 * 1000, tzinfo=timezone(timedelta(minutes=minutes)))
    milliseconds = (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    assert workflow(dateCreated=milliseconds).created == workflow(dateCreated=at.isoformat()).created == at


# One, several, none


@pytest.mark.parametrize(
    "tree", [{"workflows": ""}, {"workflows": None}, {"workflows": {}}, {"workflows": {"workflow": ""}},
             {"workflows": {"workflow": []}}],
)  # fmt: skip
def test_none_is_an_empty_text_or_absent(tree: Any) -> None:
    assert read(json.dumps(tree)) == ()


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ("{}", "required field missing @ $.workflows"),
        ("[]", "required field missing @ $.workflows"),
        ('{"error": "no"}', "required field missing @ $.workflows"),
        ('{"workflows": "none"}', "expected an object, got a text @ $.workflows"),
        ('{"workflows": [1]}', "expected an object, got a list @ $.workflows"),
        ("", "not JSON: Expecting value: line 1 column 1 (char 0) @ $"),
    ],
)
def test_a_response_without_a_list_of_workflows_is_an_error(body: str, fault: str) -> None:
    with pytest.raises(DecodeError) as caught:
        read(body)
    assert caught.value.faults == (fault,)


OPERATION = {"template": "encode", "state": "RUNNING"}
NAMELESS = {"operation": {**OPERATION, "template": ""}}


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("", []),
        ({}, []),
        ({"operation": ""}, []),
        ({"operation": OPERATION}, ["encode"]),
        ({"operation": [OPERATION]}, ["encode"]),
        ({"operation": [OPERATION, {**OPERATION, "template": 1984}]}, ["encode", "1984"]),
    ],
)
def test_operations_are_one_several_or_none(value: Any, names: list[str]) -> None:
    assert [ran.operation for ran in workflow(operations=value).operations or ()] == names


@pytest.mark.parametrize(
    "value", ["encode", [OPERATION], {"operation": "encode"}, {"operation": [{"state": "X"}]}, NAMELESS]
)
def test_operations_that_cannot_be_read_are_none_and_kept_raw(value: Any) -> None:
    record = workflow(operations=value)
    assert (record.id, record.operations, record.extra) == (7, None, {"operations": value})


def test_an_unreadable_value_of_an_operation_hides_no_other_value() -> None:
    unreadable = {"started": "soon", "max-attempts": "many", "time-in-queue": -1.5, "description": [1]}
    (operation,) = workflow(operations={"operation": {**OPERATION, **unreadable}}).operations or ()
    assert (operation.operation, operation.state, operation.extra) == ("encode", OperationState.RUNNING, unreadable)
    assert (operation.start, operation.max_attempts, operation.time_in_queue) == (None, None, None)
    assert operation.description == ""


@pytest.mark.parametrize("value", ["a", [{"key": "a"}], {"configuration": "a"}, {"configuration": {"$": "no key"}}])
def test_a_configuration_that_cannot_be_read_is_none_and_kept_raw(value: Any) -> None:
    record = workflow(configurations=value)
    assert (record.configuration, record.extra) == (None, {"configurations": value})


# Rows that cannot be read


UNREADABLE_ROWS = [
    {"state": "RUNNING"},
    {**ROW, "id": "x"},
    {**ROW, "id": 7.0},
    {**ROW, "id": True},
    {"id": 7},
    "7",
    None,
]


@pytest.mark.parametrize("odd", UNREADABLE_ROWS, ids=repr)
def test_a_workflow_without_id_or_state_is_an_error_with_its_place_or_skipped(odd: Any) -> None:
    body = json.dumps({"workflows": {"workflow": [{**ROW, "id": 1}, odd, {**ROW, "id": 3}]}})
    with pytest.raises(DecodeError, match=r" @ \$\.workflows\.workflow\[1\]") as caught:
        read(body)
    assert len(caught.value.faults) == 1
    assert [record.id for record in read(body, unreadable="skip")] == [1, 3]


def test_unreadable_is_raise_or_skip() -> None:
    with pytest.raises(InvalidArgument, match="^unreadable: must be one of raise, skip"):
        read("", unreadable="ignore")


# The event of the workflows


@pytest.mark.parametrize(
    ("said", "event"),
    [
        ("24", "24"),
        (24, "24"),
        (True, "true"),
        (None, "e-1"),
        ("e-1", "e-1"),
        (7, "7.0"),
        (0.5, "0.5"),
        ([], "e-1"),
    ],
)
def test_workflows_have_the_id_of_the_requested_event(said: Any, event: str) -> None:
    assert workflow(event, mediaPackageId=said).event_id == event


@pytest.mark.parametrize(("said", "event"), [("E-1", "e-1"), ("e-2", "e-1"), (24, "e-1"), (True, "e-1"), ("7", "7.0")])
def test_a_workflow_of_another_event_is_a_mismatch(said: Any, event: str) -> None:
    with pytest.raises(ResponseMismatch, match=f"workflows of event {event}, but the response is about one of"):
        workflow(event, mediaPackageId=said)
