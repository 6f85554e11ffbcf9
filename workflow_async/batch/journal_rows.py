"""The rows of a journal, read: where each start stands. Pure, but for letting other tasks run."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import anyio.lowlevel
from attrs import frozen

from workflow_async.batch import schema
from workflow_async.batch.entries import StartStatus, planned_status, status_after
from workflow_async.batch.journal_file import RESTORE_IT
from workflow_async.batch.schema import Head, Row
from workflow_async.errors import JournalError

YIELD_EVERY = 500
"""Rows read before other tasks get their turn."""


@frozen
class JournalRows:
    """All rows of a journal, as they were fetched."""

    batch: Sequence[Row]
    starts: Sequence[Row]
    entries: Sequence[Row]


async def read_rows(path: Path, content: JournalRows) -> tuple[Head, dict[str, StartStatus]]:
    """Read where each start stands, by key. Raises `JournalError` for what does not read."""
    found: dict[str, StartStatus] = {}
    try:
        head = schema.parse_head(content.batch)
        for n, row in _numbered("start", content.starts, head.starts):
            ticket = schema.parse_start(head.id, n, row)
            found[ticket.key] = planned_status(ticket)
            await _yield_to_other_tasks(n)
        for n, row in _numbered("entry", content.entries, head.entries):
            entry = schema.parse_entry(head.id, n, row)
            found[entry.key] = status_after(found.get(entry.key), entry)
            await _yield_to_other_tasks(n)
    except ValueError as error:
        raise JournalError(str(path), f"it is damaged or incomplete: {error}. {RESTORE_IT}") from None
    return head, found


def _numbered(table: str, rows: Sequence[Row], count: int) -> Iterable[tuple[int, Row]]:
    """Return rows with the numbers they must have. Raises ValueError unless there are `count`."""
    if len(rows) != count:
        raise ValueError(f"its table {table} has {len(rows)} rows instead of {count}")
    return enumerate(rows, 1)


async def _yield_to_other_tasks(n: int) -> None:
    if n % YIELD_EVERY == 0:
        await anyio.lowlevel.checkpoint()
