"""Every request the process and the process monitor services are sent (contract: preservica.md 2). Pure."""

from collections.abc import Sequence
from functools import partial
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

from workflow_async._core.call import Call, Page, Params, Reply, path_segment
from workflow_async._decode.json import json_tree
from workflow_async._decode.values import TypeMismatch, parse_bool
from workflow_async.errors import DecodeError, ListingInconsistent, ResponseMismatch
from workflow_async.preservica.converter import page_of
from workflow_async.preservica.records import Message, Monitor, Process

T = TypeVar("T")

PROCESSES = "/api/process/ingest/configs"
MONITORS = "/api/processmonitor/monitors"
MESSAGES = "/api/processmonitor/messages"
SENTENCE = 300
"""Characters of a server's sentence that an error keeps."""


def list_processes(types: Sequence[str] = ()) -> Call[Page[Process]]:
    """The configured processes of these types, or all; the server has no pages of them."""
    return Call("GET", PROCESSES, _processes, tuple(("types", type) for type in types))


def switch_process(id: str, *, active: bool) -> Call[bool]:
    """Switch a process on or off; the answer says which it is now."""
    path = f"{PROCESSES}/{path_segment('process_id', id)}/active"
    body = b"true" if active else b"false"
    return Call("PUT", path, partial(_switched, id), body=body, content_type="application/json")


def list_monitors(query: Params, *, limit: int | None) -> Call[Page[Monitor]]:
    """A page of monitors, as large as the server likes."""
    size = () if limit is None else (("max", str(limit)),)
    return _paged("monitors", Monitor, MONITORS, limit, (*query, *size))


def list_messages(query: Params, *, size: int, limit: int | None) -> Call[Page[Message]]:
    """A page of what a monitor has recorded."""
    most = size if limit is None else min(size, limit)
    window = (("start", "0"), ("max", str(most)))
    return _paged("messages", Message, MESSAGES, limit, (*query, *window))


def get_timeseries(monitor_id: str) -> Call[tuple[Any, ...]]:
    """How a monitor's process came along."""
    path = f"{MONITORS}/{path_segment('monitor_id', monitor_id)}/timeseries"
    return Call("GET", path, lambda reply: tuple(_array(_value(reply), "timeseries", "$.value.timeseries")))


def _paged(name: str, kind: type[T], path: str, limit: int | None, query: Params, given: int = 0) -> Call[Page[T]]:
    return Call("GET", path, partial(_page, name, kind, path, limit, query, given), query)


def _page(name: str, kind: type[T], path: str, limit: int | None, query: Params, given: int, reply: Reply) -> Page[T]:
    value = _value(reply)
    at = f"$.value.{name}"
    items = page_of(_array(value, name, at), kind, at)
    paging = value.get("paging")
    paging = paging if isinstance(paging, dict) else {}
    left = len(items) if limit is None else limit - given
    following = _following(query, paging.get("next"))
    over = not items or following is None or (limit is not None and len(items) >= left)
    return Page(
        items[:left],
        None if over or following is None else _paged(name, kind, path, limit, following, given + len(items)),
        _total(paging.get("totalResults")),
    )


def _total(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _following(query: Params, address: Any) -> Params | None:
    """The query of the next page: of its address nothing else is used, least of all its host."""
    if address in (None, ""):
        return None
    try:
        pairs = dict.fromkeys(parse_qsl(urlsplit(address).query, keep_blank_values=True, max_num_fields=64))
    except (ValueError, TypeError, AttributeError):
        raise DecodeError("expected an address @ $.value.paging.next") from None
    named = {name for name, _ in pairs}
    following = (*((name, value) for name, value in query if name not in named), *pairs)
    if sorted(following) == sorted(query):
        raise ListingInconsistent("the next page is the same page once more")
    return following


def _value(reply: Reply) -> dict[str, Any]:
    tree = json_tree(reply.body)
    envelope = tree if isinstance(tree, dict) else {}
    if envelope.get("success") is False:
        raise DecodeError(f"success is false: {str(envelope.get('message', ''))[:SENTENCE]} @ $")
    value = envelope.get("value")
    if not isinstance(value, dict):
        raise DecodeError("expected an object @ $.value")
    return value


def _array(tree: Any, name: str, at: str) -> list[Any]:
    found = tree.get(name) if isinstance(tree, dict) else None
    if not isinstance(found, list):
        raise DecodeError(f"expected a list @ {at}")
    return found


def _processes(reply: Reply) -> Page[Process]:
    at = "$.configs"
    return Page(page_of(_array(json_tree(reply.body), "configs", at), Process, at))


def _switched(id: str, reply: Reply) -> bool:
    tree = json_tree(reply.body)
    if not isinstance(tree, dict):
        raise DecodeError("expected an object @ $")
    if tree.get("apiId", id) != id:
        raise ResponseMismatch(f"process {id}", f"process {tree['apiId']}")
    try:
        return parse_bool(tree.get("active"))
    except TypeMismatch as error:
        fault = str(error)
    raise DecodeError(f"{fault} @ $.active")
