"""Builds every request of the process services and the process monitor as a value that reads its own response. Pure.

See tests/contract/preservica.md, section 2.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

from workflow_async._core.call import Call, Page, Params, Reply, path_segment
from workflow_async._decode.json import json_tree
from workflow_async._decode.values import TypeMismatch, parse_bool
from workflow_async.errors import DecodeError, ListingInconsistent, ResponseMismatch
from workflow_async.preservica.converter import read_records
from workflow_async.preservica.records import Message, Monitor, Process

T = TypeVar("T")

PROCESSES = "/api/process/ingest/configs"
MONITORS = "/api/processmonitor/monitors"
MESSAGES = "/api/processmonitor/messages"
MAX_MESSAGE = 300
"""Characters of a server's message that an error keeps."""


def list_processes(types: Sequence[str] = ()) -> Call[Page[Process]]:
    """Return the call for the processes of these types, or for all. The server returns them in one response."""
    params = tuple(("types", type) for type in types)
    return Call("GET", PROCESSES, _read_processes, params, name="processes.list")


def switch_process(id: str, *, active: bool) -> Call[bool]:
    """Return the call that switches a process on or off. The response shows the new state."""
    path = f"{PROCESSES}/{path_segment('process_id', id)}/active"
    body = b"true" if active else b"false"
    return Call(
        "PUT",
        path,
        partial(_read_active, id),
        body=body,
        content_type="application/json",
        name=f"processes.{'activate' if active else 'deactivate'}",
        template=f"{PROCESSES}/{{id}}/active",
    )


def list_monitors(query: Params, *, limit: int | None) -> Call[Page[Monitor]]:
    """Return the call for a page of monitors. The server decides its size."""
    size = () if limit is None else (("max", str(limit)),)
    return _page_call("monitors", Monitor, MONITORS, limit, (*query, *size))


def list_messages(query: Params, *, size: int, limit: int | None) -> Call[Page[Message]]:
    """Return the call for a page of a monitor's messages."""
    rows = size if limit is None else min(size, limit)
    paging = (("start", "0"), ("max", str(rows)))
    return _page_call("messages", Message, MESSAGES, limit, (*query, *paging))


def get_timeseries(monitor_id: str) -> Call[tuple[Any, ...]]:
    """Return the call for the progress of a monitor's process over time."""
    path = f"{MONITORS}/{path_segment('monitor_id', monitor_id)}/timeseries"
    return Call(
        "GET",
        path,
        lambda reply: tuple(_read_list(_read_value(reply), "timeseries", "$.value.timeseries")),
        name="monitors.timeseries",
        template=f"{MONITORS}/{{id}}/timeseries",
    )


def _page_call(name: str, kind: type[T], url: str, limit: int | None, query: Params, earlier: int = 0) -> Call[Page[T]]:
    call_name = "monitors.list" if url == MONITORS else "monitors.messages"
    return Call("GET", url, partial(_read_page, name, kind, url, limit, query, earlier), query, name=call_name)


def _read_page(
    name: str, kind: type[T], url: str, limit: int | None, query: Params, earlier: int, reply: Reply
) -> Page[T]:
    value = _read_value(reply)
    path = f"$.value.{name}"
    items = read_records(_read_list(value, name, path), kind, path)
    paging = value.get("paging")
    paging = paging if isinstance(paging, dict) else {}
    remaining = len(items) if limit is None else limit - earlier
    next_query = _next_query(query, paging.get("next"))
    is_last = not items or next_query is None or (limit is not None and len(items) >= remaining)
    return Page(
        items[:remaining],
        None if is_last or next_query is None else _page_call(name, kind, url, limit, next_query, earlier + len(items)),
        _parse_total(paging.get("totalResults")),
    )


def _parse_total(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _next_query(query: Params, url: Any) -> Params | None:
    """Return the query of the next page. Only the query of its URL is used, never its host."""
    if url in (None, ""):
        return None
    try:
        params = dict.fromkeys(parse_qsl(urlsplit(url).query, keep_blank_values=True, max_num_fields=64))
    except (ValueError, TypeError, AttributeError):
        raise DecodeError("expected an address @ $.value.paging.next") from None
    names = {name for name, _ in params}
    next_query = (*((name, value) for name, value in query if name not in names), *params)
    if sorted(next_query) == sorted(query):
        raise ListingInconsistent("the next page is this page again")
    return next_query


def _read_value(reply: Reply) -> dict[str, Any]:
    tree = json_tree(reply.body)
    envelope = tree if isinstance(tree, dict) else {}
    if envelope.get("success") is False:
        raise DecodeError(f"success is false: {str(envelope.get('message', ''))[:MAX_MESSAGE]} @ $")
    value = envelope.get("value")
    if not isinstance(value, dict):
        raise DecodeError("expected an object @ $.value")
    return value


def _read_list(tree: Any, name: str, path: str) -> list[Any]:
    rows = tree.get(name) if isinstance(tree, dict) else None
    if not isinstance(rows, list):
        raise DecodeError(f"expected a list @ {path}")
    return rows


def _read_processes(reply: Reply) -> Page[Process]:
    path = "$.configs"
    return Page(read_records(_read_list(json_tree(reply.body), "configs", path), Process, path))


def _read_active(id: str, reply: Reply) -> bool:
    tree = json_tree(reply.body)
    if not isinstance(tree, dict):
        raise DecodeError("expected an object @ $")
    if tree.get("apiId", id) != id:
        raise ResponseMismatch(f"process {id}", f"process {tree['apiId']}")
    try:
        return parse_bool(tree.get("active"))
    except TypeMismatch as error:
        reason = str(error)
    raise DecodeError(f"{reason} @ $.active")
