"""Builds every request of the External API as a value that reads its own response. Pure.

See tests/contract/opencast.md, sections 1 to 3 and 6.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlencode

from attrs import evolve

from workflow_async._core.call import (
    DIGITS,
    Call,
    OnUnreadable,
    Page,
    ParameterValue,
    Params,
    Replay,
    Reply,
    Signature,
    UnreadableRow,
    checked_encodable,
    checked_on_unreadable,
    path_segment,
    stringify,
)
from workflow_async._core.status import REJECTIONS, status_error
from workflow_async._decode.json import json_rows, json_tree, spelled_json_tree
from workflow_async._decode.records import list_of, read_page, read_rows, structure
from workflow_async.errors import (
    CallError,
    ConfigurationNotReplaced,
    DecodeError,
    InvalidArgument,
    ListingNotSupported,
    ResponseMismatch,
)
from workflow_async.opencast.converter import event_state, opencast_converter, with_documented_keys
from workflow_async.opencast.definition_records import Definition
from workflow_async.opencast.event_records import Event
from workflow_async.opencast.jettison import read_instance_rows, read_instances
from workflow_async.opencast.records import State, Workflow
from workflow_async.opencast.server_records import Me, Organization, Version

T = TypeVar("T")

WORKFLOWS = "/api/workflows"
WORKFLOW_TEMPLATE = f"{WORKFLOWS}/{{id}}"
DEFINITIONS = "/api/workflow-definitions"
EVENTS = "/api/events"
INSTANCES_OF_EVENT = "/workflow/mediaPackage/{}/instances.json"
FORM = "application/x-www-form-urlencoded"

CONVERTER = opencast_converter()
LISTED = opencast_converter("list")

API_MESSAGES = re.compile(
    r"Cannot |Could not |Invalid |Unknown (?:filter|search|sort) criterion |Filter '|Required parameter "
    r"|Passed parameter |Can't start workflow |The resource you requested |\{\s*\"message\"\s*:\s*\"Can"
    r"|\{[^{}]*\"version\"\s*:\s*\"v?[0-9]"
)
"""How messages of the API begin. A response with a version in place of a list is the API's overview of itself."""
STARTUP_PAGES = re.compile(r"\{\s*\"servlet\"\s*:|(?:<html>\s*<body>\s*)?No service was found", re.IGNORECASE)
"""Pages of Jetty and CXF before an endpoint has been published. Seen on Opencast 11.11 and 16.6."""
API = Signature(API_MESSAGES, STARTUP_PAGES, redirects_to_login=True)
BY_ID = Signature(API_MESSAGES, STARTUP_PAGES, frozenset({400, 404, 405, 409, 410}), redirects_to_login=True)
"""For calls that name a workflow, an event or a definition. The API always sends a message with these statuses."""


def list_workflows(*, filter: str, sort: str, include: Params, size: int, offset: int = 0) -> Call[Page[Workflow]]:
    """Return the call for a page of workflows. Only Opencast 6 to 11 list workflows."""
    next_page = partial(list_workflows, filter=filter, sort=sort, include=include, size=size)
    return Call(
        "GET",
        WORKFLOWS,
        partial(_read_workflow_page, include, size, lambda count: next_page(offset=offset + count)),
        (*_nonempty(filter=filter, sort=sort), ("limit", str(size)), ("offset", str(offset)), *include),
        refusals={404: _no_listing, 405: _no_listing},
        signature=API,
        name="workflows.list",
    )


def get_workflow(id: int, include: Params = ()) -> Call[Workflow]:
    """Return the call for one workflow."""
    read = partial(_read_workflow, include, id)
    return Call(
        "GET", f"{WORKFLOWS}/{id}", read, include, signature=BY_ID, name="workflows.get", template=WORKFLOW_TEMPLATE
    )


def start_workflow(
    event_id: str, definition_id: str, configuration: Mapping[str, ParameterValue] | None, include: Params = ()
) -> Call[Workflow]:
    """Return the call that starts a workflow on an event."""
    form = {
        "event_identifier": checked_text("event_id", event_id),
        "workflow_definition_identifier": checked_text("definition_id", definition_id),
        **_configuration_form(configuration),
    }
    return Call(
        "POST",
        WORKFLOWS,
        partial(_read_started, include, event_id),
        include,
        urlencode(form).encode(),
        FORM,
        replay=Replay.ONCE,
        success=frozenset({201}),
        refusals=REJECTIONS,
        signature=BY_ID,
        name="workflows.start",
    )


def change_state(id: int, state: str, include: Params = ()) -> Call[Workflow]:
    """Return the call that requests the state `paused`, `running` or `stopped`."""
    return _put_call(id, {"state": state}, include)


def replace_configuration(id: int, configuration: Mapping[str, ParameterValue], include: Params = ()) -> Call[Workflow]:
    """Return the call that replaces the whole configuration."""
    call = _put_call(id, _configuration_form(configuration), include)
    return evolve(call, refusals={500: _configuration_error})


def delete_workflow(id: int) -> Call[None]:
    """Return the call that deletes a finished workflow."""
    return Call(
        "DELETE",
        f"{WORKFLOWS}/{id}",
        lambda _: None,
        replay=Replay.DELETE,
        success=frozenset({204}),
        signature=BY_ID,
        name="workflows.delete",
        template=WORKFLOW_TEMPLATE,
    )


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
    params = (*_nonempty(filter=filter, sort=sort), ("limit", str(size)), ("offset", str(offset)))
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


def list_definitions(
    *, filter: str, sort: str, include: Params, limit: int | None, offset: int = 0
) -> Call[Page[Definition]]:
    """Return the call for the definitions. The server returns all of them in one response."""
    rows = {"limit": "" if limit is None else str(limit), "offset": str(offset or "")}
    params = (*_nonempty(filter=filter, sort=sort, **rows), *include)
    return Call(
        "GET",
        DEFINITIONS,
        lambda reply: Page(_read_definitions(include, reply)),
        params,
        signature=API,
        name="definitions.list",
    )


def get_definition(definition_id: str, include: Params = ()) -> Call[Definition]:
    """Return the call for one definition."""
    path = f"{DEFINITIONS}/{path_segment('definition_id', definition_id)}"
    read, template = partial(_read_definition, include, definition_id), f"{DEFINITIONS}/{{id}}"
    return Call("GET", path, read, include, signature=BY_ID, name="definitions.get", template=template)


def get_version() -> Call[Version]:
    """Return the call for the API versions of the server."""
    return Call("GET", "/api/version", partial(_read_record, Version), signature=API, name="version")


def get_me() -> Call[Me]:
    """Return the call for the user of the credentials."""
    return Call("GET", "/api/info/me", partial(_read_record, Me), signature=API, name="me")


def get_roles() -> Call[tuple[str, ...]]:
    """Return the call for the names of the roles of that user."""
    return Call("GET", "/api/info/me/roles", _read_names, signature=API, name="me")


def get_organization() -> Call[Organization]:
    """Return the call for the organization that the server has chosen."""
    return Call(
        "GET", "/api/info/organization", partial(_read_record, Organization), signature=API, name="organization"
    )


def including(**flags: bool) -> Params:
    """Return the `with…` parameters whose flag is true. The server's default for each of them is false."""
    return tuple((name, "true") for name, flag in flags.items() if flag)


def checked_text(argument: str, value: str) -> str:
    """Return the text. Raise `InvalidArgument` if it is blank or cannot be encoded."""
    if not isinstance(value, str) or not value.strip():
        raise InvalidArgument(argument, "must be a text that is not blank")
    return checked_encodable(argument, value)


def _put_call(id: int, form: Mapping[str, str], include: Params) -> Call[Workflow]:
    return Call(
        "PUT",
        f"{WORKFLOWS}/{id}",
        partial(_read_workflow, include, id),
        include,
        urlencode(form).encode(),
        FORM,
        replay=Replay.ONCE,
        signature=BY_ID,
        name="workflows.update",
        template=WORKFLOW_TEMPLATE,
    )


def _configuration_error(reply: Reply) -> CallError:
    """Return the error for a refused configuration. The message of the known bug names no reason."""
    error = status_error(reply)
    known = error.message.endswith("reason: 'null'")
    return ConfigurationNotReplaced(error.status, error.body, error.message) if known else error


def _nonempty(**params: str) -> Params:
    return tuple((name, value) for name, value in params.items() if value)


def _configuration_form(configuration: Mapping[str, ParameterValue] | None) -> dict[str, str]:
    """Return the form field of a configuration. The server answers values that are not texts with 500."""
    if configuration is None:
        return {}
    return {"configuration": json.dumps(stringify("configuration", configuration))}


def _read_record(kind: type[T], reply: Reply) -> T:
    return structure(CONVERTER, json_tree(reply.body), kind)


def _read_names(reply: Reply) -> tuple[str, ...]:
    return tuple(structure(CONVERTER, [*_rows(reply)], list_of(str)))


def _read_workflow(include: Params, id: int, reply: Reply) -> Workflow:
    workflow = structure(CONVERTER, _with_requested(include, json_tree(reply.body)), Workflow)
    if workflow.id != id:
        raise ResponseMismatch(f"workflow {id}", f"workflow {workflow.id}")
    return workflow


def _read_started(include: Params, event: str, reply: Reply) -> Workflow:
    try:
        workflow = structure(CONVERTER, _with_requested(include, json_tree(reply.body)), Workflow)
    except DecodeError as error:
        error.located = _id_in_location(reply)
        raise
    if workflow.event_id != event:
        raise ResponseMismatch(f"a workflow on event {event}", f"one on {workflow.event_id}")
    return evolve(workflow, location=reply.headers.get("location"))


def _id_in_location(reply: Reply) -> int | None:
    """Return the id in the Location header. The header is never followed, because it often names another host."""
    segment = re.split("[?#]", reply.headers.get("location", ""), maxsplit=1)[0].rpartition("/")[2]
    return int(segment) if DIGITS.fullmatch(segment) else None


def _read_definition(include: Params, id: str, reply: Reply) -> Definition:
    tree = with_documented_keys(_with_requested(include, json_tree(reply.body)))
    definition = structure(CONVERTER, tree, Definition)
    if definition.id != id:
        raise ResponseMismatch(f"definition {id}", f"definition {definition.id}")
    return definition


def _read_definitions(include: Params, reply: Reply) -> tuple[Definition, ...]:
    trees = (with_documented_keys(tree) for tree in with_requested(include, _rows(reply)))
    return read_page(CONVERTER, trees, Definition)


REQUESTED_FIELDS = {
    "withconfiguration": "configuration",
    "withoperations": "operations",
    "withconfigurationpanel": "configuration_panel",
}
"""The field that each `with…` parameter requests. Null is the empty value of each."""


def with_requested(include: Params, rows: Iterable[Any]) -> Iterable[Any]:
    """Return the trees of rows with the requested fields that are missing."""
    return (_with_requested(include, row) for row in rows) if include else rows


def _with_requested(include: Params, tree: Any) -> Any:
    """Return the tree with the requested fields that are missing. Servers up to 17 leave out empty objects."""
    if not isinstance(tree, dict):
        return tree
    fields = (REQUESTED_FIELDS[name] for name, _ in include if name in REQUESTED_FIELDS)
    missing = {field: None for field in fields if field not in tree}
    return {**missing, **tree} if missing else tree


def _read_workflow_page(
    include: Params, size: int, next_page: Callable[[int], Call[Page[Workflow]]], reply: Reply
) -> Page[Workflow]:
    rows = json_rows(reply.body)
    if rows is None:
        raise ListingNotSupported("its response is not a list")
    items = read_page(LISTED, with_requested(include, rows), Workflow)
    return _page_by_offset(items, size, next_page)


def _read_page(kind: type[T], size: int, next_page: Callable[[int], Call[Page[T]]], reply: Reply) -> Page[T]:
    return _page_by_offset(read_page(CONVERTER, _rows(reply), kind), size, next_page)


def _read_events(reply: Reply, ids: frozenset[str]) -> tuple[Event, ...]:
    """Return the requested events only. A server that ignores the filter returns all events.

    Rows that cannot be read are left out.
    """
    events = read_rows(CONVERTER, _rows(reply), Event)
    return tuple(event for event in events if isinstance(event, Event) and event.id in ids)


def _read_event_states(ids: frozenset[str], reply: Reply) -> Mapping[str, State | None]:
    rows = [row for row in _rows(reply) if isinstance(row, dict) and isinstance(row.get("identifier"), str)]
    return {row["identifier"]: event_state(row.get("processing_state")) for row in rows if row["identifier"] in ids}


def _page_by_offset(items: tuple[T, ...], size: int, next_page: Callable[[int], Call[Page[T]]]) -> Page[T]:
    """Return a page and the call for the next one.

    There is no total, so a page that is shorter than requested is the last.
    """
    return Page(items, None if len(items) < size else next_page(len(items)))


def _rows(reply: Reply) -> Iterable[Any]:
    rows = json_rows(reply.body)
    if rows is None:
        raise DecodeError("expected a list @ $")
    return rows


def _no_listing(reply: Reply) -> ListingNotSupported:
    return ListingNotSupported(f"its response has status {reply.status}")


def _read_instances(event: str, unreadable: OnUnreadable, reply: Reply) -> tuple[Workflow, ...]:
    return read_instances(event, spelled_json_tree(reply.body), unreadable)


def _read_instance_rows(event: str, reply: Reply) -> tuple[Workflow | UnreadableRow, ...]:
    return read_instance_rows(event, spelled_json_tree(reply.body))
