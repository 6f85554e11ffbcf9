"""Chooses the columns of a table for the width of the terminal. Pure."""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, TypeVar

from attrs import evolve, field, frozen

from workflow_async.cli.exit_codes import printable_text
from workflow_async.cli.formats import cell_text, field_of
from workflow_async.cli.records import tree

T = TypeVar("T")

UUID = re.compile(r"\b([0-9a-f]{8})(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.IGNORECASE)
SHORT_UUID = 8
"""The characters of a UUID on a narrow terminal."""
NARROW = 120
"""Terminals of fewer characters are narrow."""


@frozen
class Column(Generic[T]):
    """A column of a table: its heading, the text for a record, and its width (0 for a share of the remaining width)."""

    heading: str
    show: Callable[[T], str]
    width: int = 0
    narrow: int = 0
    """The width on a narrow terminal. 0 for the same width."""
    from_width: int = 0
    """Terminals of fewer characters do not show the column. It is also left out if it is empty."""
    below: bool = False
    """True for a long text, such as a reason. On a terminal it stands in lines of its own below the row."""
    style: Callable[[T], str] = field(default=lambda _: "")
    """The style of the text, by the names of rich."""


def choose_columns(
    columns: Sequence[Column[T]], records: Sequence[T], names: Sequence[str], width: int | None
) -> list[Column[T]]:
    """Return the columns to show, with their widths.

    Args:
        columns: the columns of the table.
        records: the first records.
        names: headings or fields of the record that were asked for. Empty for the usual columns.
        width: the width of the terminal. None if nothing may be cut.
    """
    if names:
        headings = {column.heading.lower(): column for column in columns}
        return [headings.get(name.lower()) or _field_column(name) for name in names]
    shown = [column for column in columns if _has_room(column, records, width)]
    if width is None or width >= NARROW:
        return shown
    return [evolve(column, width=column.narrow or column.width) for column in shown]


def cut_uuids(text: str) -> str:
    """Return a text with the first 8 characters of each UUID, as git shows its ids."""
    return UUID.sub(r"\1", text)


def row_texts(columns: Sequence[Column[T]], record: T, width: int | None) -> list[str]:
    """Return the text of each column for a record. The first column identifies the record and keeps its UUID."""
    texts = [printable_text(column.show(record)) for column in columns]
    if width is None or width >= NARROW:
        return texts
    return [text if index == 0 or columns[index].below else cut_uuids(text) for index, text in enumerate(texts)]


def _has_room(column: Column[T], records: Iterable[T], width: int | None) -> bool:
    if not column.from_width:
        return True
    return (width is None or width >= column.from_width) and any(column.show(record) for record in records)


def _field_column(name: str) -> Column[Any]:
    return Column(name.upper(), lambda record: cell_text(field_of(_fields(record), name)))


def _fields(record: object) -> dict[str, object]:
    fields = tree(record)
    return fields if isinstance(fields, dict) else {}
