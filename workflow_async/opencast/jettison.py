"""Reads the workflows of an event from the internal endpoint `/workflow`, whose JSON is JAXB through Jettison. Pure.

Jettison turns a text that looks like a number or a boolean into one: `"title": 1984`, `"description": true`. It leaves
out null. It writes one element as an object, several elements as a list, and no element as "". The External API does
none of this. Seen on Opencast 16.6. The names are those of JaxbWorkflowInstance.java and
JaxbWorkflowOperationInstance.java (Opencast 12 and later).
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import cattrs

from workflow_async._core.call import OnUnreadable, UnreadableRow
from workflow_async._decode.json import SpelledNumber
from workflow_async._decode.records import RecordConverter, constant_field, list_field, read_rows, read_with, register
from workflow_async._decode.values import (
    TypeMismatch,
    or_none,
    parse_bool,
    parse_datetime,
    parse_int,
    parse_str,
    type_name,
)
from workflow_async.errors import DecodeError, ResponseMismatch
from workflow_async.opencast.converter import OPERATION_STATE, STATE
from workflow_async.opencast.operation_records import Operation
from workflow_async.opencast.records import Workflow

EVENT = "mediaPackageId"
ROWS_PATH = "$.workflows.workflow"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ABSENT = (None, "")


def read_instances(event: str, tree: Any, unreadable: OnUnreadable) -> tuple[Workflow, ...]:
    """Return the workflows of one event.

    Raises:
        DecodeError: rows cannot be read and `unreadable` is "raise".
    """
    records = read_instance_rows(event, tree)
    faults = [fault for row in records if isinstance(row, UnreadableRow) for fault in row.faults]
    if faults and unreadable == "raise":
        raise DecodeError(*faults)
    return tuple(row for row in records if isinstance(row, Workflow))


def read_instance_rows(event: str, tree: Any) -> tuple[Workflow | UnreadableRow, ...]:
    """Return the workflows of one event, with an `UnreadableRow` in the place of each that cannot be read."""
    if not isinstance(tree, dict) or "workflows" not in tree:
        raise DecodeError("required field missing @ $.workflows")
    try:
        rows = elements("workflow", tree["workflows"])
    except TypeMismatch as error:
        raise DecodeError(f"{error} @ $.workflows") from None
    return read_rows(INTERNAL, [_with_event(event, row) for row in rows], Workflow, ROWS_PATH)


def _with_event(expected: str, row: Any) -> Any:
    """Return a row with the id of the requested event. Raise `ResponseMismatch` if the row is of another event."""
    if not isinstance(row, dict):
        return row
    event_id = row.get(EVENT, expected)
    if isinstance(event_id, str | int | float) and not _is_event_id(event_id, expected):
        raise ResponseMismatch(f"the workflows of event {expected}", f"one of event {loose_text(event_id)}")
    aliases = {"creator-id": row["creatorId"]} if "creatorId" in row and "creator-id" not in row else {}
    return {**row, **aliases, EVENT: expected}


def _is_event_id(value: str | float, event_id: str) -> bool:
    """Return True if a value is the id of the event. Jettison writes the text 7.0 as the number 7."""
    return loose_text(value) == event_id or (not isinstance(value, str) and f"{loose_text(value)}.0" == event_id)


def elements(name: str, value: Any) -> list[Any]:
    """Return the elements of this name within another. One is an object, several are a list, none is ""."""
    if value in ABSENT:
        return []
    if not isinstance(value, dict):
        raise TypeMismatch(f"expected an object, got {type_name(value)}")
    children = value.get(name)
    if children in ABSENT:
        return []
    return children if isinstance(children, list) else [children]


def loose_text(value: Any) -> str:
    """Return a text, or the spelling of the number or boolean that Jettison made of it. A missing value is ""."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, SpelledNumber):
        return value.spelling
    if isinstance(value, int):
        return str(value)
    return parse_str(None if value == {"nil": True} else value)


def parse_instant(value: Any) -> datetime:
    """Return a datetime from ISO 8601 with a time zone, or from milliseconds since 1970."""
    if not isinstance(value, int) or isinstance(value, bool):
        return parse_datetime(value)
    try:
        return EPOCH + timedelta(milliseconds=value)
    except OverflowError:
        raise TypeMismatch("expected an instant that exists") from None


def parse_configuration(value: Any) -> Mapping[str, str]:
    """Return a configuration from elements with a key and a text."""
    pairs = elements("configuration", value)
    if not all(isinstance(pair, dict) and "key" in pair for pair in pairs):
        raise TypeMismatch("expected elements with a key")
    return {loose_text(pair["key"]): loose_text(pair.get("$")) for pair in pairs}


def internal_converter() -> RecordConverter:
    """Return the converter for records of this endpoint."""
    return RecordConverter(_register_records)


def _register_records(strict: cattrs.Converter) -> None:
    register(
        strict,
        Operation,
        operation=read_with(_required_text, "template"),
        state=read_with(OPERATION_STATE),
        state_text=read_with(_lower, "state"),
        id=read_with(or_none(parse_int)),
        description=read_with(loose_text),
        start=read_with(or_none(parse_instant), "started"),
        completion=read_with(or_none(parse_instant), "completed"),
        time_in_queue=read_with(or_none(parse_int), "time-in-queue"),
        host=read_with(loose_text, "execution-host"),
        if_=read_with(loose_text, "if"),
        unless=read_with(loose_text),
        fail_workflow_on_error=read_with(parse_bool, "fail-on-error", fallback=None),
        error_handler_workflow=read_with(loose_text, "exception-handler-workflow"),
        retry_strategy=read_with(parse_str, "retry-strategy"),
        max_attempts=read_with(parse_int, "max-attempts", fallback=None),
        failed_attempts=read_with(parse_int, "failed-attempts", fallback=None),
        configuration=read_with(parse_configuration, "configurations"),
    )
    register(
        strict,
        Workflow,
        id=read_with(parse_int),
        state=read_with(STATE),
        state_text=read_with(_lower, "state"),
        title=read_with(loose_text),
        description=read_with(loose_text),
        definition_id=read_with(loose_text, "template"),
        event_id=read_with(parse_str, EVENT),
        creator=read_with(lambda value: loose_text(value) or None, "creator-id"),
        created=read_with(or_none(parse_instant), "dateCreated"),
        operations=list_field(strict, Operation, unwrap=partial(elements, "operation")),
        configuration=read_with(parse_configuration, "configurations"),
        location=constant_field(),
        source=constant_field(),
        superseded_by=constant_field(),
    )


def _required_text(value: Any) -> str:
    text = loose_text(value)
    if not text:
        raise TypeMismatch("expected a text that is not empty")
    return text


def _lower(value: Any) -> str:
    return parse_str(value).lower()


INTERNAL = internal_converter()
