"""Response bodies in the form of the sandbox and of the vendors' examples. Standard library only."""

import json
from collections.abc import Collection, Sequence
from typing import Any

TOKEN_RESPONSE = {"success": True, "user": "u", "token": "t", "refresh-token": "r", "validFor": 1440}
FIXED = {
    "/api/accesstoken/login": json.dumps(TOKEN_RESPONSE).encode(),
    "/api/entity/versiondetails/version": b"<Version><CurrentVersion>7.4.0</CurrentVersion></Version>",
    "/api": b'{"url": "http://127.0.0.1/api", "version": "v1.6.0"}',
    "/api/version": b'{"default": "v1.6.0", "versions": ["v1.6.0"]}',
    "/api/user/details": b'{"roles": []}',
}
"""Responses for the login and for requests that ask whether the API is there, by path."""
DIGITS = 12
"""The number of digits of the workflow's id at the end of the id of its event."""
STARTED = "2026-01-02T03:04:05.678Z"


def opencast(id: int, operations: int = 0, *, finished: bool = False) -> bytes:
    """Return one workflow of Opencast."""
    return _to_json(_workflow(id, operations, finished=finished))


def opencast_page(ids: Sequence[int], operations: int = 0, changed: Collection[int] = ()) -> bytes:
    """Return a page of Opencast's list. The workflows in `changed` show another state that is not an end."""
    rows = [_workflow(id, operations) for id in ids]
    return _to_json([row | {"state": "failing"} if row["identifier"] in changed else row for row in rows])


def _to_json(tree: Any) -> bytes:
    """Return JSON as Opencast writes it, with escaped slashes."""
    return json.dumps(tree, separators=(",", ":")).replace("/", "\\/").encode()


def _workflow(id: int, operations: int, *, finished: bool = False) -> dict[str, Any]:
    row: dict[str, Any] = {
        "identifier": id,
        "title": "Process upon upload and schedule",
        "description": "\n      A minimal workflow for tests.\n    ",
        "workflow_definition_identifier": "schedule-and-upload",
        "event_identifier": event_id(id),
        "creator": "admin",
        "state": "succeeded" if finished else "running",
    }
    if operations:
        row["operations"] = [_operation(id, place, finished=finished) for place in range(operations)]
    return row


def events(ids: Sequence[int], finished: Collection[int]) -> bytes:
    """Return the events of these workflows."""
    return _to_json([_event(id, finished=id in finished) for id in ids])


def _event(id: int, *, finished: bool) -> dict[str, Any]:
    return {
        "identifier": event_id(id),
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
        "status": "EVENTS.EVENTS.STATUS.PROCESSED" if finished else "EVENTS.EVENTS.STATUS.PROCESSING",
        "processing_state": "SUCCEEDED" if finished else "RUNNING",
        "publication_status": [],
        "has_previews": False,
        "archive_version": 2,
    }


def event_id(id: int) -> str:
    """Return the id of a workflow's event."""
    return f"6fc46543-aa80-4261-93a5-{id:0{DIGITS}d}"


def _operation(id: int, place: int, *, finished: bool) -> dict[str, Any]:
    done = finished or place < 10
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


def preservica_page(ids: Sequence[int], total: int, changed: Collection[int] = ()) -> bytes:
    """Return a page of Preservica's list. The workflows in `changed` show another step."""
    rows = "".join(_instance(id, step="Index" if id in changed else "Store") for id in ids)
    return _document(f"<TotalCount>{total}</TotalCount><Count>{len(ids)}</Count>{rows}", "WorkflowInstances")


def preservica_one(id: int, *, finished: bool = False) -> bytes:
    """Return one workflow of Preservica."""
    inner = _instance(id, finished=finished).removeprefix("<WorkflowInstance>").removesuffix("</WorkflowInstance>")
    return _document(inner, "WorkflowInstance")


def _document(inner: str, root: str) -> bytes:
    head = "<?xml version='1.0' encoding='UTF-8'?>\n"
    return f'{head}<{root} xmlns="http://workflow.preservica.com">{inner}</{root}>'.encode()


def _instance(id: int, *, finished: bool = False, step: str = "Store") -> str:
    fields = {
        "Id": id,
        "Started": STARTED,
        "Finished": STARTED if finished else None,
        "State": "COMPLETED" if finished else "ACTIVE",
        "DisplayState": "Completed" if finished else "Active",
        "CurrentStepName": None if finished else step,
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
