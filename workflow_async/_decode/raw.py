"""Keeps what the server sent beside the record that was read from it. Pure.

Only calls of which that is requested do this. They parse the body a second time, so that other calls take no more time.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from xml.parsers import expat

from attrs import evolve

from workflow_async._core.call import Call, Page, Reply, UnreadableRow

R = TypeVar("R")


def with_raw(call: Call[R], raw_of: Callable[[bytes], Any]) -> Call[R]:
    """Return the call for a record that holds the body as `raw`."""

    def read(reply: Reply) -> R:
        return _kept(call.read(reply), raw_of(reply.body))

    return evolve(call, read=read)


def with_raw_rows(call: Call[Page[R]], rows_of: Callable[[bytes], Sequence[Any]]) -> Call[Page[R]]:
    """Return the call for a page whose records hold their rows as `raw`. The same for the pages after it."""

    def read(reply: Reply) -> Page[R]:
        page = call.read(reply)
        pairs = zip(page.items, rows_of(reply.body), strict=True)
        items = tuple(item if isinstance(item, UnreadableRow) else _kept(item, row) for item, row in pairs)
        return evolve(page, items=items, next=page.next and with_raw_rows(page.next, rows_of))

    return evolve(call, read=read)


def _kept(record: R, raw: Any) -> R:
    with_field: Any = record
    kept: R = evolve(with_field, raw=raw)
    return kept


TAG = re.compile(rb"""<(?:[^"'>]|"[^"]*"|'[^']*')*+>""")
"""An opening tag, or that of an element without content."""


def cut_elements(body: bytes, name: str) -> list[bytes]:
    """Return each child of the root element with this name, as bytes. The body has been read as XML before."""
    cuts: list[bytes] = []
    starts: list[int] = []  # where each open element begins
    parser = expat.ParserCreate("utf-8", namespace_separator=" ")

    def open_element(_: str, __: dict[str, str]) -> None:
        starts.append(parser.CurrentByteIndex)

    def close_element(tag: str) -> None:
        start = starts.pop()
        if len(starts) == 1 and tag.rpartition(" ")[2] == name:
            cuts.append(body[start : _end(body, start, parser.CurrentByteIndex)])

    parser.StartElementHandler, parser.EndElementHandler = open_element, close_element
    parser.Parse(body, True)  # noqa: FBT003 - expat takes it by position
    return cuts


def _end(body: bytes, start: int, closing: int) -> int:
    """Return where an element ends, given the place of its closing tag, if it has one."""
    opening = TAG.match(body, start)
    if opening is not None and opening[0].endswith(b"/>"):
        return opening.end()
    return body.index(b">", closing) + 1
