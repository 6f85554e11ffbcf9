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
ESCAPED_PLACEHOLDER = re.compile("&#(?:x0*fdd0|0*64976);", re.IGNORECASE)
"""The mark as it may be written all the same."""
SAMPLE_ROWS = 8
"""Rows of a document that are looked at for what children rows have."""
MAX_CHILDREN = 64
"""Children of a row that a pattern is made of."""
CHILD = re.compile(r"<([A-Za-z_][\w.-]*)>", re.ASCII)
BLANKS = " \t\n"
BLANK = f"[{BLANKS}]*+"
PLAIN_TEXT = "[\t\n\x20-%'-;=?-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]++"
ESCAPES = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
ESCAPE = re.compile(f"&({'|'.join(ESCAPES)});")
ESCAPED_TEXT = f"(?:{PLAIN_TEXT}|&(?:{'|'.join(ESCAPES)});)++"


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

    layout: Sequence[Any] = ()
    """For each run of rows that are alike its length, and the tree of each other row."""
    uniform: ColumnBlock = field(factory=ColumnBlock)

    def merge(self, uniform: Iterable[T], read: Callable[[Any], T]) -> list[T]:
        """All in their order: what the rows that are alike were read as, and how to read the tree of another one."""
        rows, remaining = list[T](), iter(uniform)
        for part in self.layout:
            rows += islice(remaining, part) if isinstance(part, int) else [read(part)]
        return rows

    def trees(self) -> list[Any]:
        """All as a parser gives them."""
        return self.merge(self.uniform.trees(), lambda tree: tree)


def extract_rows(text: str, name: str) -> tuple[str, list[int], ColumnBlock]:
    """The document with a mark for each run of rows of this name that are alike, how long each run is, and the rows."""
    children, escapes = _child_names(text, name), "&" in text
    pattern = _row_pattern(name, children, ESCAPED_TEXT if escapes else PLAIN_TEXT)
    samples = {text.find(f"<{name}>"), text.rfind(f"<{name}>")}
    if PLACEHOLDER in text or not children or not any(pattern.match(text, start) for start in samples):
        return text, [], ColumnBlock()
    parts = pattern.split(text)
    step = 1 + len(children)
    document, runs = _replace_runs(parts[::step], name)
    if "<!" in document or document.find("<?", 1) > 0 or ESCAPED_PLACEHOLDER.search(document):
        # what looks like a row may be within a comment, and what looks like a mark, none
        return text, [], ColumnBlock()
    columns = {child: parts[place::step] for place, child in enumerate(children, 1)}
    if escapes:
        columns = {child: [text and _unescaped(text) for text in texts] for child, texts in columns.items()}
    return document, runs, ColumnBlock(columns, sum(runs))


def restore_rows(elements: Sequence[Any], runs: Sequence[int], uniform: ColumnBlock) -> RowBlock | None:
    """The rows where their marks are; None if the marks are elsewhere."""
    if elements.count(PLACEHOLDER) != len(runs):
        return None
    lengths = iter(runs)
    return RowBlock([next(lengths) if item == PLACEHOLDER else item for item in elements], uniform)


def _replace_runs(between: Sequence[str], name: str) -> tuple[str, list[int]]:
    """What is left between, before and behind rows, with a mark for those that only blanks are between."""
    document, runs = [between[0]], [1]
    for text in between[1:-1]:
        if text.strip(BLANKS):
            document.append(text)
            runs.append(1)
        else:
            runs[-1] += 1
    return f"<{name}>{PLACEHOLDER}</{name}>".join([*document, between[-1]]), runs


def _child_names(text: str, name: str) -> tuple[str, ...]:
    """What children some rows have, in an order that suits them; of what was not seen in them, no row is taken."""
    merged: list[str] = []
    for row_names in dict.fromkeys(tuple(CHILD.findall(row)) for row in _sample_rows(text, name)):
        _merge_names(merged, (child for child in row_names if child != name))
    return tuple(merged[:MAX_CHILDREN])


def _sample_rows(text: str, name: str) -> Iterator[str]:
    """Rows from all over the document."""
    for offset in range(0, len(text), len(text) // SAMPLE_ROWS + 1):
        start = text.find(f"<{name}>", offset) + 1
        if start:
            yield text[start : text.find(f"</{name}>", start)]


def _merge_names(merged: list[str], names: Iterable[str]) -> None:
    """Put what is new behind what it follows."""
    index = 0
    for child in names:
        if len(merged) < MAX_CHILDREN and child not in merged:
            merged.insert(index, child)
        index = merged.index(child) + 1 if child in merged else index


@lru_cache(maxsize=32)
def _row_pattern(name: str, children: tuple[str, ...], text_pattern: str) -> re.Pattern[str]:
    """An element with at least one of these children, each at most once, in this order, and not empty."""
    cells = "".join(f"(?:{BLANK}<{child}>({text_pattern})</{child}>)?+" for child in map(re.escape, children))
    name = re.escape(name)
    return re.compile(f"<{name}>(?!{BLANK}</){cells}{BLANK}</{name}>")


def _unescaped(text: str) -> str:
    return ESCAPE.sub(lambda match: ESCAPES[match[1]], text) if "&" in text else text
