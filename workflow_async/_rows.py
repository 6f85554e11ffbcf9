"""Rows of an XML list that are alike, taken out of the document by a pattern before it is parsed. Pure.

A parser makes an object of every element. Rows that hold nothing but texts are found by a pattern in less than half the
time, and what is left of the document, a mark in the place of each such row, is parsed as ever. Nothing is taken for a
row that a parser would read in another way: no attributes, no unusual escapes, no characters that XML cannot carry. The
rest is well-formed exactly if the document is, because what was taken is, and a mark stands where an element may stand.
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

MARK = "\ufdd0"
"""The text of what stands for a row; no character that anybody writes."""
SAMPLES = 8
"""Rows of a document that are looked at for what children rows have."""
MOST = 64
"""Children of a row that a pattern is made of."""
CHILD = re.compile(r"<([A-Za-z_][\w.-]*)>", re.ASCII)
BLANK = r"[ \t\n]*+"
PLAIN = "[^<>&\0-\x08\x0b-\x1f\ufffe\uffff]++"
ESCAPES = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
ESCAPE = re.compile(f"&({'|'.join(ESCAPES)});")
ESCAPED = f"(?:{PLAIN}|&(?:{'|'.join(ESCAPES)});)++"


def apart(text: str, name: str, lists: frozenset[str]) -> tuple[str, list[dict[str, str]]]:
    """The document without its rows of this name, as far as they are alike, and those rows."""
    opening, escapes = f"<{name}>", "&" in text
    children = _children(text.split(opening)[1:], name, lists)
    pattern = _pattern(name, children, ESCAPED if escapes else PLAIN)
    ends = {text.find(opening), text.rfind(opening)}
    if MARK in text or not children or not any(pattern.match(text, end) for end in ends):
        return text, []
    parts = pattern.split(text)
    step = 1 + len(children)
    rest = f"<{name}>{MARK}</{name}>".join(parts[::step])
    if "<!" in rest or rest.find("<?", 1) > 0:
        return text, []  # what looks like a row may be within a comment
    rows = [_row(children, parts[at : at + step - 1]) for at in range(1, len(parts), step)]
    return rest, [_unescaped(row) for row in rows] if escapes else rows


def put_back(tree: Any, name: str, rows: Sequence[dict[str, str]]) -> bool:
    """Put the rows where their marks are; whether each is a child of the root."""
    listed = tree.get(name, []) if isinstance(tree, dict) else []
    if listed.count(MARK) != len(rows):
        return False
    if rows:
        left = iter(rows)
        tree[name] = [next(left) if item == MARK else item for item in listed]
    return True


def _children(rows: Sequence[str], name: str, lists: frozenset[str]) -> tuple[str, ...]:
    """What children some rows have, in an order that suits them; of what was not seen in them, no row is taken."""
    some = (row.partition(f"</{name}>")[0] for row in rows[:: len(rows) // SAMPLES | 1])
    merged: list[str] = []
    for shape in dict.fromkeys(tuple(CHILD.findall(row)) for row in some):
        _merge(merged, (child for child in shape if child not in lists))
    return tuple(merged[:MOST])


def _merge(merged: list[str], shape: Iterable[str]) -> None:
    """Put what is new behind what it follows."""
    place = 0
    for child in shape:
        if len(merged) < MOST and child not in merged:
            merged.insert(place, child)
        place = merged.index(child) + 1 if child in merged else place


@lru_cache(maxsize=32)
def _pattern(name: str, children: tuple[str, ...], text: str) -> re.Pattern[str]:
    """An element with at least one of these children, each at most once, in this order, and not empty."""
    some = "".join(f"(?:{BLANK}<{child}>({text})</{child}>)?" for child in map(re.escape, children))
    name = re.escape(name)
    return re.compile(f"<{name}>(?!{BLANK}</){some}{BLANK}</{name}>")


def _row(children: tuple[str, ...], texts: Sequence[Any]) -> dict[str, str]:
    found = dict(zip(children, texts, strict=True))
    return found if all(texts) else {child: text for child, text in found.items() if text}


def _unescaped(row: dict[str, str]) -> dict[str, str]:
    return {child: ESCAPE.sub(lambda escape: ESCAPES[escape[1]], text) for child, text in row.items()}
