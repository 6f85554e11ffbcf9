"""Writes data to stdout, as tables or as lines of JSON, and all else to stderr.

A text from a server may contain characters that control a terminal. For that reason `plain_text` makes every text for
the terminal, and only this module and `exit_codes.print_error` write to the terminal.
"""

import csv
import json
import sys
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import IO, Any, TypeVar, cast

import typer
from attrs import field, frozen
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.status import Status
from rich.table import Table
from rich.text import Text

from workflow_async import Page
from workflow_async._records.tree import Tree
from workflow_async.cli.columns import Column, choose_columns, row_texts
from workflow_async.cli.exit_codes import is_full, printable_text
from workflow_async.cli.formats import Format, cell_text, fields_of, id_text, yaml_text
from workflow_async.cli.records import tree
from workflow_async.cli.remark_stream import RemarkStream
from workflow_async.monitor import Change

T = TypeVar("T")

UNLIMITED = 10_000
"""The width of a table that cuts nothing."""
INDENT = 2
"""The blank characters before a text below its row."""


class PlainConsole(Console):
    """A console that raises an error if the reader of its output is gone. The base class would exit with 1."""

    def on_broken_pipe(self) -> None:
        """Raise `BrokenPipeError`."""
        raise BrokenPipeError


def console(*, stderr: bool = False, wide: bool = False, quiet: bool = False) -> Console:
    """Return a console that neither interprets markup nor highlights texts."""
    remarks = cast("IO[str]", RemarkStream(sys.stderr)) if stderr else None
    plain = PlainConsole(file=remarks, quiet=quiet, markup=False, highlight=False, emoji=False)
    if wide or not plain.is_terminal:
        plain.width = UNLIMITED
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


def table_of(
    columns: Sequence[Column[T]], records: Iterable[T], width: int | None, *, with_header: bool = True
) -> Table:
    """Return a table with a line for each record. It cuts nothing if the width is None."""
    shares = width is not None and not all(column.width for column in columns)
    table = Table(box=None, pad_edge=False, show_header=with_header, expand=shares, header_style="bold")
    for column in columns:
        fixed = column.width or None
        size: dict[str, Any] = (
            {"min_width": fixed} if width is None else {"width": fixed, "ratio": None if fixed else 1}
        )
        table.add_column(plain_text(column.heading), no_wrap=True, overflow="ellipsis", **size)
    for record in records:
        texts = row_texts(columns, record, width)
        table.add_row(*(plain_text(text, each.style(record)) for each, text in zip(columns, texts, strict=True)))
    return table


@frozen
class Output:
    """The outputs of a command."""

    json: bool = False
    """True if records are written instead of tables and messages."""
    format: Format = Format.JSON
    """How records are written. `Format.WIDE` means tables that cut nothing."""
    quiet: bool = False
    """True if messages about results are left out."""
    out: Console = field(factory=console)
    err: Console = field(factory=lambda: console(stderr=True))
    _csv_headings: list[str] = field(factory=list, init=False)

    @property
    def table_width(self) -> int | None:
        """The width of the terminal. None if nothing is cut: in a file, in a pipe, and with `-o wide`."""
        return self.out.width if self.out.is_terminal and self.format is not Format.WIDE else None

    def json_line(self, value: Tree) -> None:
        """Write one line of JSON to stdout."""
        typer.echo(json.dumps(value))

    def record(self, record: Any, names: Sequence[str] = ()) -> None:
        """Write a record, or the named fields of it, in the format of the output.

        A change of a workflow is left out where all rows must be of one kind: in CSV and among ids.
        """
        if self.format is Format.IDS:
            id = id_text(record)
            if id is not None:
                typer.echo(printable_text(id))
        elif self.format is Format.CSV:
            if not isinstance(record, Change):
                self._csv_record(fields_of(tree(record), names))
        elif self.format is Format.YAML:
            typer.echo(yaml_text(fields_of(tree(record), names)))
        else:
            self.json_line(fields_of(tree(record), names))

    def _csv_record(self, record: dict[str, Tree]) -> None:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        if not self._csv_headings:
            self._csv_headings.extend(record)
            writer.writerow(self._csv_headings)
        writer.writerow(_cell(cell_text(record.get(name))) for name in self._csv_headings)

    def result(self, record: Any, message: str) -> None:
        """Write the record if records are written, else the message unless `--quiet` is given."""
        try:
            if self.json:
                self.record(record)
            elif not self.quiet:
                self.message(message)
        except OSError as error:
            if is_full(error):
                error.add_note(printable_text(message))  # what was done is told on stderr then
            raise

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

    def rows(
        self, columns: Sequence[Column[T]], records: Iterable[T], names: Sequence[str] = (), *, with_header: bool = True
    ) -> None:
        """Write records as a table, a line for each, with the columns that have room or that `names` lists."""
        rows = list(records)
        self.print_rows(choose_columns(columns, rows, names, self.table_width), rows, with_header=with_header)

    def print_rows(self, columns: Sequence[Column[T]], records: Sequence[T], *, with_header: bool = True) -> None:
        """Write records as a table with exactly these columns."""
        width = self.table_width
        below = [column for column in columns if column.below and width is not None]
        beside = [column for column in columns if column not in below]
        table = table_of(beside, records, width, with_header=with_header)
        lines = self._lines(table)
        header, body = lines[: len(lines) - len(records)], lines[len(lines) - len(records) :]
        reasons = [self._reasons(below, record) for record in records]
        typer.echo("\n".join(chain(header, *([line, *more] for line, more in zip(body, reasons, strict=True)))))

    def _reasons(self, columns: Sequence[Column[T]], record: T) -> list[str]:
        """Return the lines below the row of a record. Words are not broken."""
        texts = filter(None, (column.show(record) for column in columns))
        lines = [self._lines(Padding(plain_text(text, "dim"), (0, 0, 0, INDENT))) for text in texts]
        return list(chain.from_iterable(lines))

    def _lines(self, drawn: RenderableType) -> list[str]:
        with self.out.capture() as capture:
            self.out.print(drawn)
        return [line.rstrip() for line in capture.get().splitlines()]

    def spinner(self, text: str) -> Status:
        """Show a spinner on a terminal while the block runs. Print nothing meanwhile, except without the spinner."""
        return self.err.status(plain_text(text))

    async def pages(
        self, columns: Sequence[Column[T]], pages: AsyncIterator[Page[T]], names: Sequence[str] = ()
    ) -> None:
        """Write a listing page by page. No page is kept. The first page decides which columns are shown."""
        chosen: Sequence[Column[T]] = ()
        async for page in self.with_spinner(pages):
            if self.json:
                for record in page.items:
                    self.record(record, names)
            elif page.items or not chosen:
                with_header = not chosen
                chosen = chosen or choose_columns(columns, page.items, names, self.table_width)
                self.print_rows(chosen, page.items, with_header=with_header)

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


@contextmanager
def without(spinner: Status) -> Iterator[None]:
    """Remove a spinner while the block prints something."""
    spinner.stop()
    try:
        yield
    finally:
        spinner.start()


def print_message(console: Console, text: str, style: str = "") -> None:
    """Print a text in one line, however long it is."""
    console.print(plain_text(text, style), soft_wrap=True)


def _cell(value: Tree) -> Tree:
    if not isinstance(value, str):
        return value
    text = printable_text(value)
    return f"'{text}" if text.lstrip().startswith(("=", "+", "-", "@")) else text
