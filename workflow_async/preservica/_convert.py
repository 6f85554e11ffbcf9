"""Preservica's XML and JSON onto its records: renames, and what may be missing (contract: preservica.md 2, 3)."""

from collections.abc import Callable
from typing import Any, TypeVar

import attrs
import cattrs

from workflow_async._structure import (
    Unfit,
    by,
    converter,
    instant,
    known,
    or_none,
    record,
    structured,
    text,
    truth,
    whole,
)
from workflow_async.preservica.records import Context, Message, Monitor, Process, State, Workflow

T = TypeVar("T")
E = TypeVar("E", bound=Context | Workflow)

CONTEXT = {"id": "Id", "name": "Name"}
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
ELEMENTS: dict[type, frozenset[str]] = {
    Context: frozenset(CONTEXT.values()),
    Workflow: frozenset(WORKFLOW.values()),
}
"""The children known here; each should be a text."""


def preservica_converter() -> cattrs.Converter:
    """The converter of this system."""
    strict = converter()
    record(strict, Context, id=by(_filled, "Id"), name=by(text, "Name"))
    reading: dict[str, Callable[[Any], Any]] = {
        "id": _stripped(whole),
        "state": known(lambda word: State.read(_filled(word)), [state.value.upper() for state in State]),
        "state_text": _filled,
        "started": _stripped(or_none(instant)),
        "finished": _stripped(or_none(instant)),
    }
    optional = or_none(text)
    record(strict, Workflow, **{name: by(reading.get(name, optional), tag) for name, tag in WORKFLOW.items()})
    _processes(strict)
    _monitors(strict)
    _messages(strict)
    return strict


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


def rows(tree: Any, kind: type[T]) -> tuple[T, ...]:
    """A list of objects as records."""
    found: list[T] = structured(CONVERTER, tree, list[kind])  # type: ignore[valid-type]  # it is a type, at run time
    return tuple(found)


def elements(trees: list[Any], kind: type[E]) -> tuple[E, ...]:
    """Elements as records."""
    names = ELEMENTS[kind]
    read = [_leaves(tree, names) for tree in trees]
    found = rows(read, kind)
    if read == trees:
        return found
    return tuple(_whole(item, tree, names) for item, tree in zip(found, trees, strict=True))


def element(tree: Any, kind: type[E]) -> E:
    """An element as a record."""
    return _whole(structured(CONVERTER, _leaves(tree, ELEMENTS[kind]), kind), tree, ELEMENTS[kind])


def leaf(value: Any) -> str | None:
    """The text of an element, whatever attributes it has; None if it has children, comes twice, or not at all."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict) and all(name.startswith(("@", "#")) for name in value):
        return str(value.get("#text", ""))
    return None


def _leaves(tree: Any, names: frozenset[str]) -> Any:
    """An element with the known children as texts, and without those that are none: `_whole` puts them back."""
    if not isinstance(tree, dict) or {str}.issuperset(map(type, tree.values())):
        return tree
    read = {name: leaf(value) if name in names else value for name, value in tree.items()}
    return {name: value for name, value in read.items() if value is not None}


def _whole(item: E, tree: dict[str, Any], names: frozenset[str]) -> E:
    """The record with the children in `extra` that have a known name and an unknown shape."""
    odd = {name: tree[name] for name in tree.keys() & names if leaf(tree[name]) is None}
    return attrs.evolve(item, extra={**item.extra, **odd}) if odd else item


def _stripped(read: Callable[[Any], T]) -> Callable[[Any], T]:
    return lambda value: read(value.strip() if isinstance(value, str) else value)


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
