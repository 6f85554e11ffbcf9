"""Preservica's XML and JSON onto its records: renames, and what may be missing (contract: preservica.md 2, 3)."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import cattrs

from workflow_async._decode.records import ODD, Records, by, page_rows, record, structured
from workflow_async._decode.values import Stripped, Unfit, instant, known, or_none, text, truth, whole
from workflow_async._decode.xml_rows import Rows
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


def preservica_converter() -> Records:
    """The converter of this system."""
    return Records(_teach)


def _teach(strict: cattrs.Converter) -> None:
    record(strict, Context, shaped=_shaped, id=by(_filled, "Id"), name=by(text, "Name"))
    words = [state.value.upper() for state in State]
    reading: dict[str, Callable[[Any], Any]] = {
        "id": Stripped(whole),
        "state": known(lambda word: State.read(_filled(word)), words),
        "state_text": known(_filled, words),
        "started": Stripped(or_none(instant)),
        "finished": Stripped(or_none(instant)),
    }
    optional = or_none(text)
    fields = {name: by(reading.get(name, optional), tag) for name, tag in WORKFLOW.items()}
    record(strict, Workflow, shaped=_shaped, **fields)
    _processes(strict)
    _monitors(strict)
    _messages(strict)


def _processes(strict: cattrs.Converter) -> None:
    record(
        strict,
        Process,
        id=by(_filled, "apiId"),
        name=by(text),
        description=by(text),
        type=by(text),
        active=by(or_none(truth)),
        trigger=by(_object),
    )


def _monitors(strict: cattrs.Converter) -> None:
    record(
        strict,
        Monitor,
        id=by(_filled, "mappedId"),
        name=by(text),
        status=by(text),
        category=by(text),
        subcategory=by(text),
        started=by(or_none(instant)),
        completed=by(or_none(instant)),
        progress_text=by(text, "progressText"),
        percent_complete=by(_as_said, "percentComplete"),
        files_pending=by(or_none(whole), "filesPending"),
        files_processed=by(or_none(whole), "filesProcessed"),
        size=by(or_none(whole)),
        warnings=by(or_none(whole)),
        errors=by(or_none(whole)),
        can_retry=by(or_none(truth), "canRetry"),
    )


def _messages(strict: cattrs.Converter) -> None:
    record(
        strict,
        Message,
        id=by(_filled, "mappedId"),
        monitor_id=by(text, "mappedMonitorId"),
        monitor_name=by(text, "monitorName"),
        workflow_id=by(or_none(whole), "workflowInstanceId"),
        workflow_name=by(text, "workflowName"),
        path=by(text),
        date=by(or_none(instant)),
        status=by(text),
        message=by(text),
        display_message=by(text, "displayMessage"),
        security_descriptor=by(or_none(text), "securityDescriptor"),
        entity_title=by(or_none(text), "entityTitle"),
        entity_ref=by(or_none(text), "entityRef"),
        source_id=by(or_none(text), "sourceId"),
    )


def rows(listed: Iterable[Any] | Rows, kind: type[T], at: str = "$") -> tuple[T, ...]:
    """Return the rows of a page as records. `at` is the place of the list in the answer."""
    return page_rows(CONVERTER, listed, kind, at)


def element(tree: Any, kind: type[E]) -> E:
    """An element as a record."""
    return structured(CONVERTER, tree, kind)


def leaf(value: Any) -> str | None:
    """The text of an element, whatever attributes it has; None if it has children, comes twice, or not at all."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict) and all(name.startswith(("@", "#")) for name in value):
        return str(value.get("#text", ""))
    return None


def _shaped(value: Any) -> Any:
    """A child as the text it should be; ODD if it is more than a text."""
    if not isinstance(value, dict | list):
        return value
    text = leaf(value)
    return ODD if text is None else text


def _filled(value: Any) -> str:
    found = text(value).strip()
    if not found:
        raise Unfit("expected a text that is not blank")
    return found


def _as_said(value: Any) -> str:
    """A text, or the digits of a number: the server sends percentages as either."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else text(value)


def _object(value: Any) -> dict[str, Any]:
    if value is not None and not isinstance(value, dict):
        raise Unfit("expected an object")
    return value or {}


CONVERTER = preservica_converter()
