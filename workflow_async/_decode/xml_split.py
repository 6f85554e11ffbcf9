"""Cuts an XML list at its rows, so that each row can be read alone. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any
from xml.etree import ElementTree as ET

from attrs import frozen

from workflow_async._decode.xml import NotSimple, check_bounds, parse_simple
from workflow_async._decode.xml_rows import (
    PLACEHOLDER,
    RowBlock,
    hides_placeholders,
    placeholder_element,
    uniform_row,
    uniform_rows,
)

FEW_ROWS = 8
"""Rows that are read one by one."""
MAX_FRAMES = 4
"""Number of documents without their rows that are kept. All pages of a list have the same one."""


@frozen
class SplitElements:
    """A document that is cut at each element of one name. Its parts, put together, are the document."""

    name: str
    before: bytes
    rows: Sequence[bytes]
    """Each element with the blanks before it and without its closing tag. It may hold anything."""
    after: bytes
    context: None = None
    """A uniform row is read from its own bytes alone."""

    def uniform(self, places: Sequence[int]) -> Iterable[Any] | RowBlock | None:
        """Return the trees of the rows at these places. None if one of them is not uniform."""
        closing = f"</{self.name}>"
        try:
            rows = [self.rows[place].decode() + closing for place in places]
        except UnicodeDecodeError:
            return None
        if len(rows) <= FEW_ROWS:  # a pattern for rows of any kind takes less time than one for these rows
            trees = [uniform_row(row, self.name) for row in rows]
            return None if None in trees else trees
        block = uniform_rows(rows, self.name)
        return None if block is None else RowBlock([block.count], block)

    def frame(self) -> Mapping[str, Any] | None:
        """Return the tree of the document without its rows. None if they may be anything but children of the root.

        A placeholder stands for the rows. The document with uniform rows is well-formed if it is so without them.
        """
        return _frame(self.before, self.after, self.name)


@lru_cache(maxsize=MAX_FRAMES)
def _frame(before: bytes, after: bytes, name: str) -> Mapping[str, Any] | None:
    try:
        tree = _tree_around(before.decode(), after.decode(), name)
    except (UnicodeDecodeError, ET.ParseError, NotSimple):
        return None
    return tree if tree.pop(name, None) == [PLACEHOLDER] else None


def _tree_around(before: str, after: str, name: str) -> dict[str, Any]:
    document = before + placeholder_element(name) + after
    if PLACEHOLDER in before or PLACEHOLDER in after or hides_placeholders(document):
        raise NotSimple
    tree = parse_simple(document, frozenset({name}))
    return tree if isinstance(tree, dict) else {}


def split_elements(body: bytes, name: str) -> SplitElements | None:
    """Cut an XML body at each element of this name. None if it has none.

    Raises `DecodeError` for an HTML page, and for a document that would take long to parse.
    """
    check_bounds(body)
    start = body.find(f"<{name}>".encode())
    *rows, after = body[start:].split(f"</{name}>".encode()) if start >= 0 else [b""]
    return SplitElements(name, body[:start], rows, after) if rows else None
