"""The command `report`: reads the journal of a batch. Its rows are those of `run`, too."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import anyio
import attrs
import typer
from attrs import frozen

from workflow_async.batch import StartStatus, StatusKind, read_journal
from workflow_async.batch.ledger import read_history
from workflow_async.cli.columns import Column
from workflow_async.cli.command import Json
from workflow_async.cli.exit_codes import Exit, OutputError, UsageError, is_full, run_and_exit
from workflow_async.cli.html.page import html_report
from workflow_async.cli.output import Output, print_message
from workflow_async.cli.styles import word_style
from workflow_async.cli.timeline import format_duration

JournalFile = Annotated[Path, typer.Argument(metavar="JOURNAL", help="A file written by `run --journal`.")]
Csv = Annotated[bool, typer.Option("--csv", help="Write comma-separated values.")]
HtmlFile = Annotated[Path | None, typer.Option("--html", help="Draw the batch in this file, for a browser.")]


@frozen(kw_only=True)
class Row:
    """One start of a batch, for the table and for `--json`."""

    key: str
    outcome: str
    """A phase, or the word of a `batch.StartStatus`."""
    id: int | None
    state: str
    seconds: float | None
    """From the workflow's start to its end, by the server's clock."""
    start: str
    """The arguments of the start, such as `f41e4417 fast`."""
    intended_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    """When the end was observed, by this machine's clock."""
    detail: str
    server_start: datetime | None = None
    """When the workflow started, by the server's clock."""
    server_end: datetime | None = None
    """When the workflow ended, by the server's clock."""
    failed_operation: str = ""
    failed_attempt: int | None = None
    failed_host: str = ""


def _duration(row: Row) -> str:
    return format_duration(None if row.seconds is None else timedelta(seconds=row.seconds))


ROWS: Sequence[Column[Row]] = (
    Column("OUTCOME", lambda row: row.outcome, 12, style=lambda row: word_style(row.outcome)),
    Column("ID", lambda row: "" if row.id is None else str(row.id), 9),
    Column("STATE", lambda row: row.state, 12, from_width=100),
    Column("TOOK", _duration, 8),
    Column("START", lambda row: row.start),
    Column("", lambda row: row.detail, below=True),
)


def report(journal: JournalFile, *, csv: Csv = False, html: HtmlFile = None, json: Json = False) -> None:
    """Show the counts and the starts of a batch, starts with an unknown outcome first.

    Needs no server. Can be used while the batch runs.
    """
    output = Output(json=json)
    run_and_exit(lambda: anyio.run(_report, journal, csv, output) if html is None else _draw(journal, html, output))


def _draw(journal: Path, file: Path, output: Output) -> Exit:
    """Write the report of a journal to an HTML file."""
    beside = journal.with_suffix(".csv")
    starts = {"starts": str(beside)} if beside.is_file() else {}
    text = html_report(anyio.run(read_history, journal), str(journal), **starts)
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        kind = OutputError if is_full(error) else UsageError
        raise kind(f"{file} cannot be written: {error.strerror}") from None
    print_message(output.err, f"The report is in {file}")
    return Exit.DONE


async def _report(path: Path, as_csv: bool, output: Output) -> Exit:  # noqa: FBT001 - anyio.run passes by position
    contents = await read_journal(path)
    rows = [row_of(status) for status in unknown_first(contents.items.values())]
    if as_csv:
        output.csv([field.name for field in attrs.fields(Row)], map(attrs.astuple, rows))
    elif output.json:
        for each in rows:
            output.record(each)
    else:
        more = "" if contents.total is not None else ", and more may follow"
        output.message(f"{contents.system} at {contents.server}: {count_text(contents.items.values())}{more}")
        output.rows(ROWS, rows)
    return Exit.DONE


def unknown_first(statuses: Iterable[StartStatus]) -> list[StartStatus]:
    """Return the starts whose outcome is unknown, then the others in their order."""
    return sorted(statuses, key=lambda status: status.kind not in {StatusKind.UNKNOWN, StatusKind.INTENT})


def count_text(statuses: Iterable[StartStatus]) -> str:
    """Return the number of starts for each word, as text."""
    counter = Counter(_word(status) for status in unknown_first(statuses))
    return f"{counter.total()} starts" + "".join(f", {count} {word}" for word, count in counter.items())


def _word(status: StartStatus) -> str:
    return "not begun" if status.kind is StatusKind.PLANNED else status.word


def row_of(status: StartStatus) -> Row:
    """Return a status as a row."""
    return Row(
        key=status.key,
        outcome=status.word,
        id=status.id,
        state=status.state,
        seconds=None if status.took is None else round(status.took.total_seconds(), 3),
        start="" if status.ticket is None else status.ticket.subject,
        intended_at=status.intended_at,
        started_at=status.started_at,
        ended_at=status.ended_at,
        detail=status.detail,
        server_start=status.server_start,
        server_end=status.server_end,
        failed_operation=status.failed_operation,
        failed_attempt=status.failed_attempt,
        failed_host=status.failed_host,
    )
