"""Keys of events. A key names what was seen, so that processes that see the same thing give the same key. Pure."""

import hashlib
import json
from typing import Any, TypeVar

from attrs import evolve

from workflow_async.monitor._engine.operations import operations_of
from workflow_async.monitor.events import Change, PollingFailed, Replaced, Stalled, Vanished
from workflow_async.phase import Phase, Workflow

Keyed = Change[Any] | Stalled[Any] | Replaced[Any] | Vanished[Any] | PollingFailed[Any]
E = TypeVar("E", bound=Keyed)


def with_key(event: E, place: str, *, operations: bool) -> E:
    """Return an event with its key.

    Args:
        event: the event.
        place: system and server, such as `opencast:oc.example.org`.
        operations: True if the watch is about operations too. Their states are part of the key then.
    """
    return evolve(event, key=f"{place}/{event.id}/{_seen(event, operations=operations)}")


def _seen(event: Keyed, *, operations: bool) -> str:
    match event:
        case Change() if event.now.final:
            return f"end/{event.workflow.state_text}"
        case Change():
            wanted = operations or event.now is Phase.PARKED  # a record of a pause always has its operations
            return f"{event.workflow.state_text}/{digest(event.workflow)}" if wanted else event.workflow.state_text
        case Stalled():
            return f"stalled/{digest(event.workflow)}"
        case Replaced():
            return f"replaced/{event.found.state_text}"
        case Vanished():
            return "vanished"
        case PollingFailed():
            return "polling-failed"


def digest(workflow: Workflow) -> str:
    """Return 8 hexadecimal digits that are the same for the same step and the same states of operations."""
    operations = operations_of(workflow)
    states = [] if operations is None else [[one.operation, one.state_text] for one in operations]
    text = json.dumps([workflow.step, states], separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:8]
