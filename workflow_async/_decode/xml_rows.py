"""Rows of an XML list that are alike, taken out of the document by a pattern before it is parsed. Pure.

A parser makes an object of every element. Rows that hold nothing but texts are found by a pattern in less than half the
time, and what is left of the document, a mark in the place of each run of them, is parsed as ever. Nothing is taken for
a row that a parser would read in another way: no attributes, no unusual escapes, no characters that XML cannot carry.
The rest is well-formed exactly if the document is, because what was taken is, and a mark stands where an element may.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any, TypeVar

from attrs import field, frozen

T = TypeVar("T")

PLACEHOLDER = "\ufdd0"
"""The text of what stands for rows; no character that anybody writes."""
WRITTEN = re.compile("&#(?:x0*fdd0|0*64976);", re.IGNORECASE)
"""The mark as it may be written all the same."""
SAMPLES = 8
"""Rows of a document that are looked at for what children rows have."""
MAX_CHILDREN = 64
"""Children of a row that a pattern is made of."""
CHILD = re.compile(r"<([A-Za-z_][\w.-]*)>", re.ASCII)
BLANKS = " \t\n"
BLANK = f"[{BLANKS}]*+"
PLAIN = "[\t\n\x20-%'-;=?-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]++"
ESCAPES = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
ESCAPE = re.compile(f"&({'|'.join(ESCAPES)});")
ESCAPED = f"(?:{PLAIN}|&(?:{'|'.join(ESCAPES)});)++"


@frozen
class ColumnBlock:
    """Rows that are alike, column by column."""

    columns: Mapping[str, Sequence[str | None]] = field(factory=dict)
    """The texts of each child; none is empty, and None is a row's that has no such child."""
    count: int = 0

    def trees(self) -> list[dict[str, str]]:
        """The rows as a parser gives them."""
        if not self.columns:
            return [{} for _ in range(self.count)]
        rows = zip(*self.columns.values(), strict=True)
        return [{child: text for child, text in zip(self.columns, texts, strict=True) if text} for texts in rows]


@frozen
class RowBlock:
    """The rows of a list: those that are alike, and the others in their places."""

    places: Sequence[Any] = ()
    """For each run of rows that are alike its length, and the tree of each other row."""
    alike: ColumnBlock = field(factory=ColumnBlock)

    def woven(self, alike: Iterable[T], read: Callable[[Any], T]) -> list[T]:
        """All in their order: what the rows that are alike were read as, and how to read the tree of another one."""
        found, left = list[T](), iter(alike)
        for place in self.places:
            found += islice(left, place) if isinstance(place, int) else [read(place)]
        return found

    def trees(self) -> list[Any]:
        """All as a parser gives them."""
        return self.woven(self.alike.trees(), lambda tree: tree)


def extract_rows(text: str, name: str) -> tuple[str, list[int], ColumnBlock]:
    """The document with a mark for each run of rows of this name that are alike, how long each run is, and the rows."""
    children, escapes = _children(text, name), "&" in text
    pattern = _pattern(name, children, ESCAPED if escapes else PLAIN)
    ends = {text.find(f"<{name}>"), text.rfind(f"<{name}>")}
    if PLACEHOLDER in text or not children or not any(pattern.match(text, end) for end in ends):
        return text, [], ColumnBlock()
    parts = pattern.split(text)
    step = 1 + len(children)
    rest, runs = _replace_runs(parts[::step], name)
    if "<!" in rest or rest.find("<?", 1) > 0 or WRITTEN.search(rest):
        return (
            text,
            [],
            ColumnBlock(),
        )  # what looks like a row may be within a comment, and what looks like a mark, none
    columns = {child: parts[place::step] for place, child in enumerate(children, 1)}
    if escapes:
        columns = {child: [text and _unescaped(text) for text in texts] for child, texts in columns.items()}
    return rest, runs, ColumnBlock(columns, sum(runs))


def restore_rows(listed: Sequence[Any], runs: Sequence[int], alike: ColumnBlock) -> RowBlock | None:
    """The rows where their marks are; None if the marks are elsewhere."""
    if listed.count(PLACEHOLDER) != len(runs):
        return None
    left = iter(runs)
    return RowBlock([next(left) if item == PLACEHOLDER else item for item in listed], alike)


def _replace_runs(between: Sequence[str], name: str) -> tuple[str, list[int]]:
    """What is left between, before and behind rows, with a mark for those that only blanks are between."""
    left, runs = [between[0]], [1]
    for text in between[1:-1]:
        if text.strip(BLANKS):
            left.append(text)
            runs.append(1)
        else:
            runs[-1] += 1
    return f"<{name}>{PLACEHOLDER}</{name}>".join([*left, between[-1]]), runs


def _children(text: str, name: str) -> tuple[str, ...]:
    """What children some rows have, in an order that suits them; of what was not seen in them, no row is taken."""
    merged: list[str] = []
    for shape in dict.fromkeys(tuple(CHILD.findall(row)) for row in _samples(text, name)):
        _merge(merged, (child for child in shape if child != name))
    return tuple(merged[:MAX_CHILDREN])


def _samples(text: str, name: str) -> Iterator[str]:
    """Rows from all over the document."""
    for place in range(0, len(text), len(text) // SAMPLES + 1):
        start = text.find(f"<{name}>", place) + 1
        if start:
            yield text[start : text.find(f"</{name}>", start)]


def _merge(merged: list[str], shape: Iterable[str]) -> None:
    """Put what is new behind what it follows."""
    place = 0
    for child in shape:
        if len(merged) < MAX_CHILDREN and child not in merged:
            merged.insert(place, child)
        place = merged.index(child) + 1 if child in merged else place


@lru_cache(maxsize=32)
def _pattern(name: str, children: tuple[str, ...], text: str) -> re.Pattern[str]:
    """An element with at least one of these children, each at most once, in this order, and not empty."""
    some = "".join(f"(?:{BLANK}<{child}>({text})</{child}>)?+" for child in map(re.escape, children))
    name = re.escape(name)
    return re.compile(f"<{name}>(?!{BLANK}</){some}{BLANK}</{name}>")


def _unescaped(text: str) -> str:
    return ESCAPE.sub(lambda escape: ESCAPES[escape[1]], text) if "&" in text else text
