"""Keys of events. Two processes that see the same state of a workflow give its event the same key. Pure."""

import hashlib
import json
from typing import Any, TypeVar

from attrs import evolve

from workflow_async.monitor._engine.operations import operations_of
from workflow_async.monitor.events import Change, PollingFailed, Replaced, Stalled, Vanished
from workflow_async.phase import Phase, Workflow

Keyed = Change[Any] | Stalled[Any] | Replaced[Any] | Vanished[Any] | PollingFailed[Any]
E = TypeVar("E", bound=Keyed)


def with_key(event: E, server_key: str, *, operations: bool) -> E:
    """Return an event with its key.

    Args:
        event: the event.
        server_key: system and server, such as `opencast:oc.example.org`.
        operations: True if operations are watched too. Their states are part of the key then.
    """
    return evolve(event, key=f"{server_key}/{event.id}/{_seen(event, operations=operations)}")


def _seen(event: Keyed, *, operations: bool) -> str:
    match event:
        case Change() if event.now.final:
            return f"end/{event.workflow.state_text}"
        case Change():
            detailed = operations or event.now is Phase.PARKED  # the record of a pause always holds its operations
            return f"{event.workflow.state_text}/{digest(event.workflow)}" if detailed else event.workflow.state_text
        case Stalled():
            return f"stalled/{digest(event.workflow)}"
        case Replaced():
            return f"replaced/{event.found.state_text}"
        case Vanished():
            return "vanished"
        case PollingFailed():
            return "polling-failed"


def digest(workflow: Workflow) -> str:
    """Return 8 hexadecimal digits for the step and the states of the operations."""
    operations = operations_of(workflow)
    states = [] if operations is None else [[each.operation, each.state_text] for each in operations]
    text = json.dumps([workflow.step, states], separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:8]
