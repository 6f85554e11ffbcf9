"""`report`: what a batch's journal says. And the rows that `run` tells its results by."""

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
from workflow_async.cli.command import Json
from workflow_async.cli.exit_codes import Exit, run_and_exit
from workflow_async.cli.output import Column, Output
from workflow_async.cli.timeline import words

JournalFile = Annotated[Path, typer.Argument(metavar="JOURNAL", help="What `run --journal` wrote.")]
Csv = Annotated[bool, typer.Option("--csv", help="Comma-separated values, for spreadsheets.")]


@frozen(kw_only=True)
class Row:
    """One start of a batch, for people and scripts."""

    key: str
    outcome: str
    """A phase's word, or one of `batch.Item`'s."""
    id: int | None
    state: str
    seconds: float | None
    """From the workflow's start to its end, by the server's clock."""
    start: str
    """What was started on what."""
    intended_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    """When its end was seen, by this machine's clock."""
    detail: str
    server_start: datetime | None = None
    """When the workflow started, by the server's clock."""
    server_end: datetime | None = None
    """When the workflow ended, by the server's clock."""
    failed_operation: str = ""
    failed_attempt: int | None = None
    failed_host: str = ""


def _took(row: Row) -> str:
    return words(None if row.seconds is None else timedelta(seconds=row.seconds))


ROWS: Sequence[Column[Row]] = (
    Column("OUTCOME", lambda row: row.outcome, 12),
    Column("ID", lambda row: "" if row.id is None else str(row.id), 9),
    Column("STATE", lambda row: row.state, 12),
    Column("TOOK", _took, 8),
    Column("START", lambda row: row.start),
    Column("", lambda row: row.detail),
)


def report(journal: JournalFile, *, csv: Csv = False, json: Json = False) -> None:
    """Show what a batch has come to: the counts, then every start, those that nobody knows about first.

    Needs no server, and can be asked for while the batch runs.
    """
    run_and_exit(lambda: anyio.run(_report, journal, csv, Output(json=json)))


async def _report(path: Path, as_csv: bool, output: Output) -> Exit:  # noqa: FBT001 - anyio.run passes by position
    found = await read_journal(path)
    rows = [row(item) for item in ordered(found.items.values())]
    if as_csv:
        output.csv([field.name for field in attrs.fields(Row)], map(attrs.astuple, rows))
    elif output.json:
        for each in rows:
            output.record(each)
    else:
        more = "" if found.total is not None else "; more may follow"
        output.say(f"{found.system} at {found.server}: {counts(found.items.values())}{more}")
        output.rows(ROWS, rows)
    return Exit.DONE


def ordered(items: Iterable[StartStatus]) -> list[StartStatus]:
    """Those of which nobody knows whether they were started first, the others as they came."""
    return sorted(items, key=lambda item: item.kind not in {StatusKind.UNKNOWN, StatusKind.INTENT})


def counts(items: Iterable[StartStatus]) -> str:
    """How many stand where, in a row of words."""
    counted = Counter(item.word for item in ordered(items))
    return f"{counted.total()} starts" + "".join(f", {count} {word}" for word, count in counted.items())


def row(item: StartStatus) -> Row:
    """An item as a row."""
    return Row(
        key=item.key,
        outcome=item.word,
        id=item.id,
        state=item.state,
        seconds=None if item.took is None else round(item.took.total_seconds(), 3),
        start="" if item.ticket is None else item.ticket.subject,
        intended_at=item.intended_at,
        started_at=item.started_at,
        ended_at=item.ended_at,
        detail=item.detail,
        server_start=item.server_start,
        server_end=item.server_end,
        failed_operation=item.failed_operation,
        failed_attempt=item.failed_attempt,
        failed_host=item.failed_host,
    )
