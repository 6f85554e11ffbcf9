"""Writes data to stdout, as tables or as lines of JSON, and all else to stderr.

A text from a server may contain characters that control a terminal. For that reason `plain_text` makes every text for
the terminal, and only this module and `exit_codes.print_error` write to the terminal.
"""

import csv
import json
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Any, Generic, TypeVar

import typer
from attrs import field, frozen
from rich.console import Console, RenderableType
from rich.status import Status
from rich.table import Table
from rich.text import Text

from workflow_async import Page
from workflow_async._records.tree import Tree
from workflow_async.cli.exit_codes import printable_text
from workflow_async.cli.records import tree

T = TypeVar("T")

FILE_WIDTH = 200
"""The width of a table in characters where stdout is not a terminal."""


@frozen
class Column(Generic[T]):
    """A column of a table: its heading, the text for a record, and its width (0 for a share of the remaining width)."""

    heading: str
    show: Callable[[T], str]
    width: int = 0


class PlainConsole(Console):
    """A console that raises an error if the reader of its output is gone. The base class would exit with 1."""

    def on_broken_pipe(self) -> None:
        """Raise `BrokenPipeError`."""
        raise BrokenPipeError


def console(*, stderr: bool = False) -> Console:
    """Return a console that neither interprets markup nor highlights texts."""
    plain = PlainConsole(stderr=stderr, markup=False, highlight=False, emoji=False)
    if not plain.is_terminal:
        plain.width = FILE_WIDTH
    return plain


def plain_text(text: str, style: str = "") -> Text:
    """Return a text in one line, without control characters. Markup is taken literally."""
    return Text(printable_text(text), style=style)


def dim_text(text: str) -> Text:
    """Return a dim line that is cut at the width of the terminal."""
    line = plain_text(text, "dim")
    line.no_wrap, line.overflow = True, "ellipsis"
    return line


def grid(headings: Sequence[str], rows: Iterable[Sequence[str | RenderableType]]) -> Table:
    """Return a table without lines. A column with a heading is aligned to the right."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(plain_text(heading), justify="right" if heading else "left")
    for row in rows:
        table.add_row(*(plain_text(cell) if isinstance(cell, str) else cell for cell in row))
    return table


@frozen
class Output:
    """The outputs of a command."""

    json: bool = False
    out: Console = field(factory=console)
    err: Console = field(factory=lambda: console(stderr=True))

    def json_line(self, value: Tree) -> None:
        """Write one line of JSON to stdout."""
        typer.echo(json.dumps(value))

    def record(self, record: Any) -> None:
        """Write a record as a line of JSON."""
        self.json_line(tree(record))

    def result(self, record: Any, message: str) -> None:
        """Write the record if `--json` is given, else the message."""
        if self.json:
            self.record(record)
        else:
            self.message(message)

    def message(self, text: str, style: str = "") -> None:
        """Write a message to stdout."""
        print_message(self.out, text, style)

    def note(self, text: str) -> None:
        """Write a remark about the data to stderr. Nothing if it is empty."""
        if text:
            print_message(self.err, text, "dim")

    def facts(self, facts: Sequence[tuple[str, str]]) -> None:
        """Write pairs of a name and a text, one below the other."""
        margin = max(len(printable_text(name)) for name, _ in facts)
        for name, fact in facts:
            label = plain_text(f"  {printable_text(name):<{margin}}  ", "dim")
            self.out.print(label + plain_text(fact), soft_wrap=True)
        self.out.print()

    def csv(self, headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Write rows as CSV. A text that a spreadsheet would read as a formula gets a quote before it."""
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(headings)
        for row in rows:
            writer.writerow(_cell(tree(value)) for value in row)

    def rows(self, columns: Sequence[Column[T]], records: Iterable[T], *, with_header: bool = True) -> None:
        """Write records as a table."""
        table = Table(box=None, pad_edge=False, show_header=with_header, expand=True, header_style="bold")
        for column in columns:
            fixed = column.width or None
            table.add_column(column.heading, width=fixed, ratio=None if fixed else 1, overflow="fold")
        for record in records:
            table.add_row(*(plain_text(column.show(record)) for column in columns))
        with self.out.capture() as capture:
            self.out.print(table)
        typer.echo("\n".join(line.rstrip() for line in capture.get().splitlines()))

    def spinner(self, text: str) -> Status:
        """Show a spinner on a terminal while the block runs."""
        return self.err.status(plain_text(text))

    async def pages(self, columns: Sequence[Column[T]], pages: AsyncIterator[Page[T]]) -> None:
        """Write a listing page by page. No page is kept."""
        with_header = True
        async for page in self.with_spinner(pages):
            if self.json:
                for record in page.items:
                    self.record(record)
            elif page.items or with_header:
                self.rows(columns, page.items, with_header=with_header)
                with_header = False

    async def with_spinner(self, pages: AsyncIterator[Page[T]]) -> AsyncIterator[Page[T]]:
        """Return the same pages. Show a spinner on a terminal while the next page is loading."""
        count = 0
        while True:
            with self.spinner(f"{count} rows"):
                page = await anext(pages, None)
            if page is None:
                return
            count += len(page.items)
            yield page


def print_message(console: Console, text: str, style: str = "") -> None:
    """Print a text in one line, however long it is."""
    console.print(plain_text(text, style), soft_wrap=True)


def _cell(value: Tree) -> Tree:
    if not isinstance(value, str):
        return value
    text = printable_text(value)
    return f"'{text}" if text.lstrip().startswith(("=", "+", "-", "@")) else text
