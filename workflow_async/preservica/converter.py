"""Maps Preservica's XML and JSON to records: names, and what may be missing.

See tests/contract/preservica.md, sections 2 and 3.
"""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import cattrs

from workflow_async._decode.records import RecordConverter, constant_field, read_page, read_with, register, structure
from workflow_async._decode.reference import LEAVE_IN_EXTRA
from workflow_async._decode.values import (
    Stripped,
    TypeMismatch,
    cached,
    or_none,
    parse_bool,
    parse_datetime,
    parse_int,
    parse_str,
)
from workflow_async._decode.xml_rows import RowBlock
from workflow_async.preservica.records import Context, Message, Monitor, Process, State, Workflow

T = TypeVar("T")
E = TypeVar("E", bound=Context | Workflow)

WORKFLOW = {
    "id": "Id",
    "state": "State",
    "state_text": "State",
    "display_state": "DisplayState",
    "correlation_id": "CorrelationToken",
    "started": "Started",
    "finished": "Finished",
    "current_step": "CurrentStepName",
    "context_id": "WorkflowContextId",
    "context_name": "WorkflowContextName",
    "definition_id": "WorkflowDefinitionTextId",
    "definition_name": "WorkflowDefinitionName",
    "creator": "Creator",
    "archival_process_id": "ArchivalProcessId",
    "group_id": "WorkflowGroupId",
    "monitor_id": "ProcessMonitorApiId",
}


def preservica_converter() -> RecordConverter:
    """Return the converter for records of Preservica."""
    return RecordConverter(_register_records)


def _register_records(strict: cattrs.Converter) -> None:
    register(
        strict,
        Context,
        preprocess=_child_text,
        id=read_with(_required_text, "Id"),
        name=read_with(parse_str, "Name"),
        raw=constant_field(),
    )
    spellings = [state.value.upper() for state in State]
    readers: dict[str, Callable[[Any], Any]] = {
        "id": Stripped(parse_int),
        "state": cached(lambda word: State.read(_required_text(word)), spellings),
        "state_text": cached(_required_text, spellings),
        "started": Stripped(or_none(parse_datetime)),
        "finished": Stripped(or_none(parse_datetime)),
    }
    optional = or_none(parse_str)
    fields = {name: read_with(readers.get(name, optional), tag) for name, tag in WORKFLOW.items()}
    register(strict, Workflow, preprocess=_child_text, raw=constant_field(), **fields)
    _register_processes(strict)
    _register_monitors(strict)
    _register_messages(strict)


def _register_processes(strict: cattrs.Converter) -> None:
    register(
        strict,
        Process,
        id=read_with(_required_text, "apiId"),
        name=read_with(parse_str),
        description=read_with(parse_str),
        type=read_with(parse_str),
        active=read_with(or_none(parse_bool)),
        trigger=read_with(_dict_or_empty),
    )


def _register_monitors(strict: cattrs.Converter) -> None:
    register(
        strict,
        Monitor,
        id=read_with(_required_text, "mappedId"),
        name=read_with(parse_str),
        status=read_with(parse_str),
        category=read_with(parse_str),
        subcategory=read_with(parse_str),
        started=read_with(or_none(parse_datetime)),
        completed=read_with(or_none(parse_datetime)),
        progress_text=read_with(parse_str, "progressText"),
        percent_complete=read_with(_text_or_number, "percentComplete"),
        files_pending=read_with(or_none(parse_int), "filesPending"),
        files_processed=read_with(or_none(parse_int), "filesProcessed"),
        size=read_with(or_none(parse_int)),
        warnings=read_with(or_none(parse_int)),
        errors=read_with(or_none(parse_int)),
        can_retry=read_with(or_none(parse_bool), "canRetry"),
    )


def _register_messages(strict: cattrs.Converter) -> None:
    register(
        strict,
        Message,
        id=read_with(_required_text, "mappedId"),
        monitor_id=read_with(parse_str, "mappedMonitorId"),
        monitor_name=read_with(parse_str, "monitorName"),
        workflow_id=read_with(or_none(parse_int), "workflowInstanceId"),
        workflow_name=read_with(parse_str, "workflowName"),
        path=read_with(parse_str),
        date=read_with(or_none(parse_datetime)),
        status=read_with(parse_str),
        message=read_with(parse_str),
        display_message=read_with(parse_str, "displayMessage"),
        security_descriptor=read_with(or_none(parse_str), "securityDescriptor"),
        entity_title=read_with(or_none(parse_str), "entityTitle"),
        entity_ref=read_with(or_none(parse_str), "entityRef"),
        source_id=read_with(or_none(parse_str), "sourceId"),
    )


def read_records(rows: Iterable[Any] | RowBlock, kind: type[T], path: str = "$") -> tuple[T, ...]:
    """Return the rows of a page as records. `path` is the place of the list in the response."""
    return read_page(CONVERTER, rows, kind, path)


def read_element(tree: Any, kind: type[E]) -> E:
    """Return an element as a record."""
    return structure(CONVERTER, tree, kind)


def element_text(value: Any) -> str | None:
    """Return the text of an element, whatever its attributes. None if it has children, occurs twice, or is missing."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict) and all(name.startswith(("@", "#")) for name in value):
        return str(value.get("#text", ""))
    return None


def _child_text(value: Any) -> Any:
    """Return a child as a text. Return `LEAVE_IN_EXTRA` if it is more than a text."""
    if not isinstance(value, dict | list):
        return value
    text = element_text(value)
    return LEAVE_IN_EXTRA if text is None else text


def _required_text(value: Any) -> str:
    text = parse_str(value).strip()
    if not text:
        raise TypeMismatch("expected a text that is not blank")
    return text


def _text_or_number(value: Any) -> str:
    """Return a text, or a number as a text. The server sends percentages as either."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else parse_str(value)


def _dict_or_empty(value: Any) -> dict[str, Any]:
    if value is not None and not isinstance(value, dict):
        raise TypeMismatch("expected an object")
    return value or {}


CONVERTER = preservica_converter()
