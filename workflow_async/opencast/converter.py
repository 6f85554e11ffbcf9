"""Maps Opencast's JSON to records: names, and the meaning of absent, null and "".

See tests/contract/opencast.md, sections 4.2, 4.3 and 8.
"""

from functools import partial
from typing import Any

import cattrs

from workflow_async._decode.records import RecordConverter, constant_field, list_field, read_with, register
from workflow_async._decode.values import (
    TypeMismatch,
    cached,
    or_none,
    parse_bool,
    parse_datetime,
    parse_int,
    parse_str,
    parse_str_map,
)
from workflow_async.opencast.definition_records import Definition, OperationDefinition
from workflow_async.opencast.event_records import Event
from workflow_async.opencast.operation_records import Operation, OperationState
from workflow_async.opencast.records import Source, State, Workflow
from workflow_async.opencast.server_records import Me, Organization, Version

STATE = cached(lambda value: State.read(parse_str(value)), [state.value for state in State])
EVENT_STATE = or_none(STATE)
OPERATION_STATE = cached(lambda value: OperationState.read(parse_str(value)), [state.value for state in OperationState])


def opencast_converter(source: Source | None = None) -> RecordConverter:
    """Return the converter for records of the External API. `source` is that of its workflows."""
    return RecordConverter(partial(_register_records, source=source))


def with_documented_keys(tree: Any) -> Any:
    """Return a definition with the keys that servers send, where only the documented key `id` is there.

    The example of the API's documentation writes `id` for `identifier` of a definition and for `operation` of an
    operation. See tests/contract/opencast.md, section 3.3.
    """
    tree = _with_key(tree, "identifier")
    operations = tree.get("operations") if isinstance(tree, dict) else None
    if not isinstance(operations, list) or not any(_has_documented_key(item, "operation") for item in operations):
        return tree
    return {**tree, "operations": [_with_key(item, "operation") for item in operations]}


def event_state(value: Any) -> State | None:
    """Return the state of an event's latest workflow. None if the event has no workflow."""
    try:
        return EVENT_STATE(value)
    except TypeMismatch:
        return State.UNKNOWN


def _with_key(tree: Any, key: str) -> Any:
    if not _has_documented_key(tree, key):
        return tree
    return {key if name == "id" else name: value for name, value in tree.items()}


def _has_documented_key(tree: Any, key: str) -> bool:
    """Return True if `id` is there in place of the key. An `id` that is not a text stays where it is."""
    return isinstance(tree, dict) and key not in tree and isinstance(tree.get("id"), str)


def _register_records(strict: cattrs.Converter, source: Source | None) -> None:
    _register_operations(strict)
    register(
        strict,
        Workflow,
        id=read_with(parse_int, "identifier"),
        state=read_with(STATE),
        state_text=read_with(parse_str, "state"),
        title=read_with(parse_str),
        description=read_with(parse_str),
        definition_id=read_with(parse_str, "workflow_definition_identifier"),
        event_id=read_with(parse_str, "event_identifier"),
        creator=read_with(or_none(parse_str)),
        created=constant_field(),
        location=constant_field(),
        source=constant_field(source),
        superseded_by=constant_field(),
        # Operations are read with their record. Reading them on first access would make a page with 20 operations for
        # each row two to three times faster, but faults would then raise anywhere later, and every record would keep
        # the whole parsed tree alive.
        operations=list_field(strict, Operation),
        configuration=read_with(parse_str_map),
        raw=constant_field(),
    )
    register(
        strict,
        Definition,
        id=cattrs.override(rename="identifier"),
        title=read_with(parse_str),
        description=read_with(parse_str),
        tags=list_field(strict, str),
        configuration_panel=read_with(parse_str),
        configuration_panel_json=read_with(parse_str),
        operations=list_field(strict, OperationDefinition),
        raw=constant_field(),
    )
    _register_others(strict)


def _register_operations(strict: cattrs.Converter) -> None:
    shared = {
        "description": read_with(parse_str),
        "if_": read_with(parse_str, "if"),
        "unless": read_with(parse_str),
        "fail_workflow_on_error": read_with(parse_bool, fallback=None),
        "error_handler_workflow": read_with(parse_str),
        "retry_strategy": read_with(parse_str),
        "max_attempts": read_with(parse_int, fallback=None),
        "configuration": read_with(parse_str_map),
    }
    register(strict, OperationDefinition, **shared)
    register(
        strict,
        Operation,
        **shared,
        id=read_with(or_none(parse_int), "identifier"),
        state=read_with(OPERATION_STATE),
        state_text=read_with(parse_str, "state"),
        start=read_with(or_none(parse_datetime)),
        completion=read_with(or_none(parse_datetime)),
        time_in_queue=read_with(or_none(parse_int)),
        host=read_with(parse_str),
        failed_attempts=read_with(parse_int, fallback=None),
    )


def _seconds(value: Any) -> float:
    """Return milliseconds as seconds."""
    return parse_int(value) / 1000


def _register_others(strict: cattrs.Converter) -> None:
    register(
        strict,
        Event,
        id=cattrs.override(rename="identifier"),
        title=read_with(parse_str),
        status=read_with(parse_str),
        # None would mean that the event has no workflow.
        processing_state=read_with(EVENT_STATE, fallback=State.UNKNOWN),
        created=read_with(or_none(parse_datetime)),
        series=read_with(parse_str, "is_part_of"),
        series_title=read_with(parse_str, "series"),
        start=read_with(or_none(parse_datetime)),
        duration=read_with(or_none(_seconds)),
        location=read_with(parse_str),
        presenters=list_field(strict, str, "presenter"),
    )
    register(strict, Version, versions=list_field(strict, str))
    register(
        strict,
        Me,
        name=read_with(parse_str),
        email=read_with(parse_str),
        provider=read_with(parse_str),
        userrole=read_with(parse_str),
        roles=constant_field(),
    )
    register(
        strict,
        Organization,
        name=read_with(parse_str),
        admin_role=read_with(parse_str, "adminRole"),
        anonymous_role=read_with(parse_str, "anonymousRole"),
    )
