"""Turns the rows of a journal into the status of each start. Pure, except that other tasks run in between."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import anyio.lowlevel
from attrs import frozen

from workflow_async.batch import schema
from workflow_async.batch.entries import Entry, StartStatus, planned_status, status_after
from workflow_async.batch.journal_file import RESTORE_IT
from workflow_async.batch.schema import Head, Row
from workflow_async.errors import JournalError

YIELD_EVERY = 500
"""Yield to other tasks after reading this many rows."""


@frozen
class JournalRows:
    """All rows of a journal, as they were fetched."""

    batch: Sequence[Row]
    starts: Sequence[Row]
    entries: Sequence[Row]


async def read_rows(path: Path, rows: JournalRows) -> tuple[Head, dict[str, StartStatus]]:
    """Return the head of a journal, and the status of each start by key. Raises `JournalError` for damaged rows."""
    statuses: dict[str, StartStatus] = {}
    try:
        head = schema.parse_head(rows.batch)
        for n, row in _numbered("start", rows.starts, head.starts):
            ticket = schema.parse_start(head.id, n, row)
            statuses[ticket.key] = planned_status(ticket)
            await _yield_to_other_tasks(n)
        for n, row in _numbered("entry", rows.entries, head.entries):
            entry = schema.parse_entry(head.id, n, row)
            statuses[entry.key] = status_after(statuses.get(entry.key), entry)
            await _yield_to_other_tasks(n)
    except ValueError as error:
        raise JournalError(str(path), f"it is damaged or incomplete: {error}. {RESTORE_IT}") from None
    return head, statuses


def read_entries(rows: JournalRows) -> list[Entry]:
    """Return every entry in the order in which it was written. The rows have been checked by `read_rows`."""
    head = schema.parse_head(rows.batch)
    return [schema.parse_entry(head.id, n, row) for n, row in enumerate(rows.entries, 1)]


def _numbered(table: str, rows: Sequence[Row], count: int) -> Iterable[tuple[int, Row]]:
    """Return each row with its number, from 1. Raises ValueError unless there are `count` rows."""
    if len(rows) != count:
        raise ValueError(f"its table {table} has {len(rows)} rows instead of {count}")
    return enumerate(rows, 1)


async def _yield_to_other_tasks(n: int) -> None:
    if n % YIELD_EVERY == 0:
        await anyio.lowlevel.checkpoint()
