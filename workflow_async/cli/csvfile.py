"""Reads starts from a CSV file."""

import csv
import io
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, TypeVar

from workflow_async.cli.exit_codes import UsageError
from workflow_async.cli.journal_choice import STDIN
from workflow_async.cli.systems import System

Cells = Mapping[str, str]
S = TypeVar("S")

KEY = "key"
"""The optional column for the key of a start. Every other column that the system does not require is a setting."""


def read_starts(path: Path, system: System[Any, S]) -> list[S]:
    """Return the starts in a file or in stdin (`-`), in file order. Raise `UsageError` if it is not of this form."""
    return [_start(system, cells) for cells in _read_rows(path, system.start_columns)]


def _read_rows(path: Path, required: Sequence[str]) -> list[Cells]:
    try:
        with _opened(path) as file:
            reader = csv.DictReader(file, strict=True)
            headings = reader.fieldnames or ()
            missing = [name for name in required if name not in headings]
            if missing or len(set(headings)) < len(headings):
                raise UsageError(f"{path} needs a first line with the columns {', '.join(required)}, each once")
            return [_checked_row(path, reader.line_num, row, required) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path} cannot be read: {error}") from None


def _opened(path: Path) -> IO[str]:
    """Open a file, or return what stdin contains for `STDIN`."""
    if path == STDIN:
        return io.StringIO(sys.stdin.buffer.read().decode("utf-8-sig"), newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _checked_row(path: Path, line: int, row: Mapping[str | None, object], required: Sequence[str]) -> Cells:
    """Return the cells of a row. Raise `UsageError` if a cell is missing, or a required one is blank."""
    cells = {name: text for name, text in row.items() if isinstance(name, str) and isinstance(text, str)}
    if len(cells) < len(row) or not all(cells[name].strip() for name in required):
        raise UsageError(f"{path}, line {line}: each column needs one cell, and {', '.join(required)} a text")
    return cells


def _start(system: System[Any, S], cells: Cells) -> S:
    """Return the start in a row. Empty cells are left out of the settings."""
    named = (*system.start_columns, KEY)
    settings = {name: text for name, text in cells.items() if name not in named and text} or None
    return system.start_from_row(cells, settings, cells.get(KEY) or None)
