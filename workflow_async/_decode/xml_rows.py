"""Extracts the uniform rows of an XML list by a pattern, before the document is parsed. Pure.

Uniform rows hold nothing but texts. A pattern finds them in less than half the time that a parser takes to make an
object of every element. Each run of rows is replaced by a placeholder element, and the rest is parsed as usual.

Rows that a parser would read in another way do not match: no attributes, no unusual escapes, no characters that XML
cannot carry. The rest is well-formed exactly when the document is, because the extracted rows are, and a placeholder
stands where an element may.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from itertools import islice
from typing import Any, TypeVar

from attrs import field, frozen

T = TypeVar("T")

PLACEHOLDER = "\ufdd0"
"""The text of the element that stands for a run of rows. It is a noncharacter, which no server writes."""
ESCAPED_PLACEHOLDER = re.compile("&#(?:x0*fdd0|0*64976);", re.IGNORECASE)
"""The placeholder written as a character reference."""
SAMPLE_ROWS = 8
"""Rows of a document that are searched for the names of their children."""
MAX_CHILDREN = 64
"""Children of a row that the pattern covers."""
NAME = "[A-Za-z_][A-Za-z0-9_.-]*+"
CHILD = re.compile(f"<({NAME})>")
CELL = re.compile(f"<({NAME})>([^<]++)</")
BLANKS = " \t\n"
BLANK = f"[{BLANKS}]*+"
PLAIN_TEXT = "[\t\n\x20-%'-;=?-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]++"
ESCAPES = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
ESCAPE = re.compile(f"&({'|'.join(ESCAPES)});")
ESCAPED_TEXT = f"(?:{PLAIN_TEXT}|&(?:{'|'.join(ESCAPES)});)++"


@frozen
class ColumnBlock:
    """Uniform rows, stored column by column."""

    columns: Mapping[str, Sequence[str | None]] = field(factory=dict)
    """The texts of each child, one per row. None if the row does not have the child. No text is empty."""
    count: int = 0

    def trees(self) -> list[dict[str, str]]:
        """Return the rows as a parser returns them."""
        if not self.columns:
            return [{} for _ in range(self.count)]
        rows = zip(*self.columns.values(), strict=True)
        return [{child: text for child, text in zip(self.columns, texts, strict=True) if text} for texts in rows]


@frozen
class RowBlock:
    """The rows of a list: the uniform ones and, in their places, the others."""

    layout: Sequence[Any] = ()
    """The length of each run of uniform rows, and the tree of each other row, in order."""
    uniform: ColumnBlock = field(factory=ColumnBlock)

    def merge(self, uniform: Iterable[T], read: Callable[[Any], T]) -> list[T]:
        """Return all rows in order, given what the uniform rows were read as. `read` reads the tree of another row."""
        rows, remaining = list[T](), iter(uniform)
        for part in self.layout:
            rows += islice(remaining, part) if isinstance(part, int) else [read(part)]
        return rows

    def trees(self) -> list[Any]:
        """Return all rows as a parser returns them."""
        return self.merge(self.uniform.trees(), lambda tree: tree)


def extract_rows(text: str, name: str) -> tuple[str, list[int], ColumnBlock]:
    """Replace each run of uniform rows of this name by a placeholder.

    Returns the document, the lengths of the runs and the rows.
    """
    children, escapes = _child_names(text, name), "&" in text
    pattern = _row_pattern(name, children, ESCAPED_TEXT if escapes else PLAIN_TEXT)
    samples = {text.find(f"<{name}>"), text.rfind(f"<{name}>")}
    if PLACEHOLDER in text or not children or not any(pattern.match(text, start) for start in samples):
        return text, [], ColumnBlock()
    parts = pattern.split(text)
    step = 1 + len(children)
    document, runs = _replace_runs(parts[::step], name)
    if hides_placeholders(document):
        return text, [], ColumnBlock()
    columns = {child: parts[index::step] for index, child in enumerate(children, 1)}
    if escapes:
        columns = {child: [text and _unescaped(text) for text in texts] for child, texts in columns.items()}
    return document, runs, ColumnBlock(columns, sum(runs))


def hides_placeholders(document: str) -> bool:
    """Return True if a placeholder may be inside a comment, or may be in the document itself."""
    return "<!" in document or document.find("<?", 1) > 0 or ESCAPED_PLACEHOLDER.search(document) is not None


def uniform_row(row: str, name: str) -> dict[str, str] | None:
    """Return one element of this name as a parser returns it, if it is a uniform row. None otherwise."""
    if _any_row_pattern(name).fullmatch(row) is None:
        return None
    cells = CELL.findall(row)
    children = {child: _unescaped(text) for child, text in cells}
    return children if len(children) == len(cells) else None  # a child that repeats is a list


@cache
def _any_row_pattern(name: str) -> re.Pattern[str]:
    """Return a pattern for a row with children of any names, in any order."""
    name = re.escape(name)
    cells = rf"(?:{BLANK}<({NAME})>{ESCAPED_TEXT}</\1>)++"
    return re.compile(f"{BLANK}<{name}>{cells}{BLANK}</{name}>")


def uniform_rows(rows: Sequence[str], name: str) -> ColumnBlock | None:
    """Return elements of this name, if each of them is a uniform row. None otherwise."""
    if not rows:
        return ColumnBlock()
    document, runs, uniform = extract_rows("".join(rows), name)
    return uniform if runs == [len(rows)] and document.strip(BLANKS) == placeholder_element(name) else None


def placeholder_element(name: str) -> str:
    """Return the element that stands for a run of rows."""
    return f"<{name}>{PLACEHOLDER}</{name}>"


def restore_rows(elements: Sequence[Any], runs: Sequence[int], uniform: ColumnBlock) -> RowBlock | None:
    """Return the rows with the runs in place of their placeholders. None if the placeholders are elsewhere."""
    if elements.count(PLACEHOLDER) != len(runs):
        return None
    lengths = iter(runs)
    return RowBlock([next(lengths) if item == PLACEHOLDER else item for item in elements], uniform)


def _replace_runs(between: Sequence[str], name: str) -> tuple[str, list[int]]:
    """Join the texts around rows with placeholders. Rows with only blanks between them share one placeholder."""
    document, runs = [between[0]], [1]
    for text in between[1:-1]:
        if text.strip(BLANKS):
            document.append(text)
            runs.append(1)
        else:
            runs[-1] += 1
    return placeholder_element(name).join([*document, between[-1]]), runs


def _child_names(text: str, name: str) -> tuple[str, ...]:
    """Return the children of some sampled rows, in an order that fits them. Rows with other children do not match."""
    merged: list[str] = []
    for row_names in dict.fromkeys(tuple(CHILD.findall(row)) for row in _sample_rows(text, name)):
        _merge_names(merged, (child for child in row_names if child != name))
    return tuple(merged[:MAX_CHILDREN])


def _sample_rows(text: str, name: str) -> Iterator[str]:
    """Yield rows from all parts of the document."""
    for offset in range(0, len(text), len(text) // SAMPLE_ROWS + 1):
        start = text.find(f"<{name}>", offset) + 1
        if start:
            yield text[start : text.find(f"</{name}>", start)]


def _merge_names(merged: list[str], names: Iterable[str]) -> None:
    """Insert each new name after the name that it follows."""
    index = 0
    for child in names:
        if len(merged) < MAX_CHILDREN and child not in merged:
            merged.insert(index, child)
        index = merged.index(child) + 1 if child in merged else index


@lru_cache(maxsize=32)
def _row_pattern(name: str, children: tuple[str, ...], text_pattern: str) -> re.Pattern[str]:
    """Return a pattern for a row with at least one of these children.

    Each child occurs at most once, in this order, and is not empty.
    """
    cells = "".join(f"(?:{BLANK}<{child}>({text_pattern})</{child}>)?+" for child in map(re.escape, children))
    name = re.escape(name)
    return re.compile(f"<{name}>(?!{BLANK}</){cells}{BLANK}</{name}>")


def _unescaped(text: str) -> str:
    return ESCAPE.sub(lambda match: ESCAPES[match[1]], text) if "&" in text else text
