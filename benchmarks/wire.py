"""The bytes that servers send, as made by the sandbox and by the vendors' examples; standard library only."""

import json
from collections.abc import Collection, Sequence
from typing import Any

GRANT = {"success": True, "user": "u", "token": "t", "refresh-token": "r", "validFor": 1440}
FIXED = {
    "/api/accesstoken/login": json.dumps(GRANT).encode(),
    "/api/entity/versiondetails/version": b"<Version><CurrentVersion>7.4.0</CurrentVersion></Version>",
    "/api/user/details": b'{"roles": []}',
}
"""What never changes, by path: what clients ask for as they log in."""
DIGITS = 12
"""Of the workflow's id, at the end of its event's."""
STARTED = "2026-01-02T03:04:05.678Z"


def opencast(id: int, operations: int = 0, *, over: bool = False) -> bytes:
    """One workflow of Opencast."""
    return _written(_workflow(id, operations, over=over))


def opencast_page(ids: Sequence[int], operations: int = 0) -> bytes:
    """A page of Opencast's list."""
    return _written([_workflow(id, operations) for id in ids])


def _written(tree: Any) -> bytes:
    """JSON as Opencast's writer writes it, which escapes slashes."""
    return json.dumps(tree, separators=(",", ":")).replace("/", "\\/").encode()


def _workflow(id: int, operations: int, *, over: bool = False) -> dict[str, Any]:
    row: dict[str, Any] = {
        "identifier": id,
        "title": "Process upon upload and schedule",
        "description": "\n      A minimal workflow for tests.\n    ",
        "workflow_definition_identifier": "schedule-and-upload",
        "event_identifier": event(id),
        "creator": "admin",
        "state": "succeeded" if over else "running",
    }
    if operations:
        row["operations"] = [_operation(id, place, over=over) for place in range(operations)]
    return row


def events(ids: Sequence[int], finished: Collection[int]) -> bytes:
    """The events of these workflows."""
    return _written([_event(id, over=id in finished) for id in ids])


def _event(id: int, *, over: bool) -> dict[str, Any]:
    return {
        "identifier": event(id),
        "title": "Thermodynamics, part 1",
        "creator": "Emmy Noether",
        "presenter": ["Emmy Noether"],
        "contributor": [],
        "subjects": ["Thermodynamics"],
        "description": "",
        "language": "eng",
        "license": "CC-BY",
        "is_part_of": "6d23d6a8-a248-4dfa-a5c3-ccd4ccfe2019",
        "created": "2026-01-02T00:00:00Z",
        "start": "2026-01-02T00:00:00Z",
        "duration": 2700000,
        "location": "hall-1",
        "status": "EVENTS.EVENTS.STATUS.PROCESSED" if over else "EVENTS.EVENTS.STATUS.PROCESSING",
        "processing_state": "SUCCEEDED" if over else "RUNNING",
        "publication_status": [],
        "has_previews": False,
        "archive_version": 2,
    }


def event(id: int) -> str:
    """The id of a workflow's event."""
    return f"6fc46543-aa80-4261-93a5-{id:0{DIGITS}d}"


def _operation(id: int, place: int, *, over: bool) -> dict[str, Any]:
    done = over or place < 10
    return {
        "identifier": id * 100 + place,
        "operation": "analyze-audio",
        "description": "Normalizing audio",
        "if": "${normalizeAudio}",
        "unless": "",
        "state": "succeeded" if done else "instantiated",
        "start": STARTED if done else "",
        "completion": STARTED if done else "",
        "time_in_queue": 1111 if done else 0,
        "host": "https://worker.example.org" if done else "",
        "fail_workflow_on_error": True,
        "error_handler_workflow": "partial-error",
        "retry_strategy": "none",
        "max_attempts": 1,
        "failed_attempts": 0,
        "configuration": {"target-decibel": "-26", "source-flavors": "*/trimmed", "target-tags": "engage-download"},
    }


def preservica_page(ids: Sequence[int], total: int) -> bytes:
    """A page of Preservica's list."""
    rows = "".join(_instance(id) for id in ids)
    return _document(f"<TotalCount>{total}</TotalCount><Count>{len(ids)}</Count>{rows}", "WorkflowInstances")


def preservica_one(id: int, *, over: bool = False) -> bytes:
    """One workflow of Preservica."""
    inner = _instance(id, over=over).removeprefix("<WorkflowInstance>").removesuffix("</WorkflowInstance>")
    return _document(inner, "WorkflowInstance")


def _document(inner: str, root: str) -> bytes:
    head = "<?xml version='1.0' encoding='UTF-8'?>\n"
    return f'{head}<{root} xmlns="http://workflow.preservica.com">{inner}</{root}>'.encode()


def _instance(id: int, *, over: bool = False) -> str:
    fields = {
        "Id": id,
        "Started": STARTED,
        "Finished": STARTED if over else None,
        "State": "COMPLETED" if over else "ACTIVE",
        "DisplayState": "Completed" if over else "Active",
        "CurrentStepName": None if over else "Store",
        "ArchivalProcessId": id + 7,
        "WorkflowGroupId": f"09cd111c-2df5-4b2a-bd7e-{id:012d}",
        "ProcessMonitorApiId": f"0000c85572904980a2d6{id:012d}",
        "WorkflowContextId": 43,
        "WorkflowContextName": "Ingest Packages",
        "WorkflowDefinitionTextId": "com.preservica.core.workflow.ingest",
        "WorkflowDefinitionName": "Ingest Packages",
        "Creator": "manager@example.org",
    }
    inner = "".join(f"<{name}>{value}</{name}>" for name, value in fields.items() if value is not None)
    return f"<WorkflowInstance>{inner}</WorkflowInstance>"
