"""Where a command writes: data on stdout, as tables for people or lines of JSON for scripts; the rest on stderr."""

import json
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Any, Generic, TypeVar

import typer
from attrs import field, frozen
from rich.console import Console
from rich.status import Status
from rich.table import Table
from rich.text import Text

from workflow_async import Page
from workflow_async.cli.exits import printable
from workflow_async.cli.records import Tree, tree

T = TypeVar("T")

UNBOUNDED = 200
"""The width of tables that no terminal shows."""


@frozen
class Column(Generic[T]):
    """A column of a table: its heading, what it shows of a record, its width in characters (0: a share of the rest)."""

    heading: str
    show: Callable[[T], str]
    width: int = 0


def console(*, stderr: bool = False) -> Console:
    """A console that takes nothing in a text for markup, and colours nothing of its own."""
    plain = Console(stderr=stderr, markup=False, highlight=False, emoji=False)
    if not plain.is_terminal:
        plain.width = UNBOUNDED
    return plain


@frozen
class Output:
    """What a command writes to."""

    json: bool = False
    out: Console = field(factory=console)
    err: Console = field(factory=lambda: console(stderr=True))

    def line(self, value: Tree) -> None:
        """One line of JSON, at once."""
        typer.echo(json.dumps(value))

    def record(self, record: Any) -> None:
        """A record as a line of JSON."""
        self.line(tree(record))

    def told(self, record: Any, sentence: str) -> None:
        """A record for scripts, or the sentence that says it to people."""
        if self.json:
            self.record(record)
        else:
            self.out.print(printable(sentence), soft_wrap=True)

    def rows(self, columns: Sequence[Column[T]], records: Iterable[T], *, headed: bool = True) -> None:
        """Records as a table."""
        table = Table(box=None, pad_edge=False, show_header=headed, expand=True, header_style="bold")
        for column in columns:
            fixed = column.width or None
            table.add_column(column.heading, width=fixed, ratio=None if fixed else 1, overflow="fold")
        for record in records:
            table.add_row(*(Text(printable(column.show(record))) for column in columns))
        with self.out.capture() as drawn:
            self.out.print(table)
        typer.echo("\n".join(line.rstrip() for line in drawn.get().splitlines()))

    def waiting(self, doing: str) -> Status:
        """A sign of life on a terminal, for as long as the block takes."""
        return self.err.status(doing)

    async def pages(self, columns: Sequence[Column[T]], pages: AsyncIterator[Page[T]]) -> None:
        """A listing as it comes, page by page: nothing of it is kept."""
        headed = True
        async for page in self.awaited(pages):
            if self.json:
                for record in page.items:
                    self.record(record)
            elif page.items or headed:
                self.rows(columns, page.items, headed=headed)
                headed = False

    async def awaited(self, pages: AsyncIterator[Page[T]]) -> AsyncIterator[Page[T]]:
        """The same pages, with a sign of life on a terminal while the next is under way."""
        count = 0
        while True:
            with self.waiting(f"{count} so far"):
                page = await anext(pages, None)
            if page is None:
                return
            count += len(page.items)
            yield page
