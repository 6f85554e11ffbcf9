"""Reads the responses of the External API, and tells them from those of other servers. Pure.

See tests/contract/opencast.md, sections 1 to 3 and 6.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from workflow_async._core.call import Call, Page, Params, Reply, Signature
from workflow_async._decode.json import json_rows, json_tree
from workflow_async._decode.records import structure
from workflow_async.errors import DecodeError
from workflow_async.opencast.converter import opencast_converter

T = TypeVar("T")
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
REQUESTED_FIELDS = {
    "withconfiguration": "configuration",
    "withoperations": "operations",
    "withconfigurationpanel": "configuration_panel",
}
"""The field that each `with…` parameter requests. Null is the empty value of each."""


def read_record(kind: type[T], reply: Reply) -> T:
    """Return the record of a response. Raises `DecodeError` if it is not one of this kind."""
    return structure(CONVERTER, json_tree(reply.body), kind)


def with_requested(include: Params, rows: Iterable[Any]) -> Iterable[Any]:
    """Return the trees of rows with the requested fields that are missing."""
    return (with_requested_fields(include, row) for row in rows) if include else rows


def with_requested_fields(include: Params, tree: Any) -> Any:
    """Return the tree with the requested fields that are missing. Servers up to 17 leave out empty objects."""
    if not isinstance(tree, dict):
        return tree
    fields = (REQUESTED_FIELDS[name] for name, _ in include if name in REQUESTED_FIELDS)
    missing = {field: None for field in fields if field not in tree}
    return {**missing, **tree} if missing else tree


def page_by_offset(items: tuple[T, ...], size: int, next_page: Callable[[int], Call[Page[T]]]) -> Page[T]:
    """Return a page and the call for the next one.

    There is no total, so a page that is shorter than requested is the last.
    """
    return Page(items, None if len(items) < size else next_page(len(items)))


def rows_of(reply: Reply) -> Iterable[Any]:
    """Return the rows of a response. Raises `DecodeError` if it is not a list."""
    rows = json_rows(reply.body)
    if rows is None:
        raise DecodeError("expected a list @ $")
    return rows
