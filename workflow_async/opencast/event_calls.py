"""Builds the requests about events, and about the workflows of an event. Pure.

See tests/contract/opencast.md, sections 1 and 2.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from attrs import evolve

from workflow_async._core.call import (
    Call,
    OnUnreadable,
    Page,
    Params,
    Reply,
    UnreadableRow,
    checked_on_unreadable,
    path_segment,
)
from workflow_async._decode.json import spelled_json_tree
from workflow_async._decode.records import read_page, read_rows
from workflow_async.opencast.converter import event_state
from workflow_async.opencast.event_records import Event
from workflow_async.opencast.jettison import read_instance_rows, read_instances
from workflow_async.opencast.params import nonempty
from workflow_async.opencast.records import State, Workflow
from workflow_async.opencast.responses import API, CONVERTER, page_by_offset, rows_of

T = TypeVar("T")
EVENTS = "/api/events"
INSTANCES_OF_EVENT = "/workflow/mediaPackage/{}/instances.json"


def workflows_of_event(event_id: str, *, unreadable: OnUnreadable = "raise") -> Call[tuple[Workflow, ...]]:
    """Return the call for all workflows of one event. It uses an internal endpoint of Opencast 12 and later.

    An event's id may contain a semicolon.
    """
    read = partial(_read_instances, event_id, checked_on_unreadable(unreadable))
    path = INSTANCES_OF_EVENT.format(path_segment("event_id", event_id, allowed=";"))
    template = INSTANCES_OF_EVENT.format("{event_id}")
    return Call("GET", path, read, signature=API, name="workflows.for_event", template=template)


def rows_of_event(event_id: str) -> Call[tuple[Workflow | UnreadableRow, ...]]:
    """Return the call for all workflows of one event. A row that cannot be read is an `UnreadableRow`."""
    call = workflows_of_event(event_id)
    return evolve(call, read=partial(_read_instance_rows, event_id))  # type: ignore[arg-type]


def list_events(*, filter: str, sort: str = "", size: int, offset: int = 0) -> Call[Page[Event]]:
    """Return the call for a page of events."""
    next_page = partial(list_events, filter=filter, sort=sort, size=size)
    read = partial(_read_page, Event, size, lambda count: next_page(offset=offset + count))
    params = (*nonempty(filter=filter, sort=sort), ("limit", str(size)), ("offset", str(offset)))
    return Call("GET", EVENTS, read, params, signature=API, name="events.list")


def events_by_id(ids: Sequence[str]) -> Call[tuple[Event, ...]]:
    """Return the call for the events with these ids, except for ids that do not fit into a filter. One request."""
    read = partial(_read_events, ids=frozenset(ids))
    return Call("GET", EVENTS, read, _named_events(ids), signature=API, name="events.list")


def event_states(ids: Sequence[str]) -> Call[Mapping[str, State | None]]:
    """Return the call for the state of the latest workflow of each event, as `events_by_id` requests the events.

    Only the id and the state of a row are read. A row without a readable id is left out.
    """
    read = partial(_read_event_states, frozenset(ids))
    return Call("GET", EVENTS, read, _named_events(ids), signature=API, name="events.list")


def _named_events(ids: Sequence[str]) -> Params:
    filter = ",".join(f"identifier:{id}" for id in dict.fromkeys(ids) if id and "," not in id)
    return (("filter", filter), ("limit", str(len(ids))), ("offset", "0"))


def _read_page(kind: type[T], size: int, next_page: Callable[[int], Call[Page[T]]], reply: Reply) -> Page[T]:
    return page_by_offset(read_page(CONVERTER, rows_of(reply), kind), size, next_page)


def _read_events(reply: Reply, ids: frozenset[str]) -> tuple[Event, ...]:
    """Return the requested events only. A server that ignores the filter returns all events.

    Rows that cannot be read are left out.
    """
    events = read_rows(CONVERTER, rows_of(reply), Event)
    return tuple(event for event in events if isinstance(event, Event) and event.id in ids)


def _read_event_states(ids: frozenset[str], reply: Reply) -> Mapping[str, State | None]:
    rows = [row for row in rows_of(reply) if isinstance(row, dict) and isinstance(row.get("identifier"), str)]
    return {row["identifier"]: event_state(row.get("processing_state")) for row in rows if row["identifier"] in ids}


def _read_instances(event: str, unreadable: OnUnreadable, reply: Reply) -> tuple[Workflow, ...]:
    return read_instances(event, spelled_json_tree(reply.body), unreadable)


def _read_instance_rows(event: str, reply: Reply) -> tuple[Workflow | UnreadableRow, ...]:
    return read_instance_rows(event, spelled_json_tree(reply.body))
