"""The rows of a journal, read: where each start stands. Pure, but for letting other tasks run."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import anyio.lowlevel
from attrs import frozen

from workflow_async.batch import schema
from workflow_async.batch.entries import Item, after, planned
from workflow_async.batch.guard import RESTORE
from workflow_async.batch.schema import Head, Row
from workflow_async.errors import JournalUnusable

CHUNK = 500
"""Rows read before other tasks get their turn."""


@frozen
class Content:
    """All rows of a journal, as they were fetched."""

    batch: Sequence[Row]
    starts: Sequence[Row]
    entries: Sequence[Row]


async def read(path: Path, content: Content) -> tuple[Head, dict[str, Item]]:
    """Read where each start stands, by key. Raises `JournalUnusable` for what does not read."""
    found: dict[str, Item] = {}
    try:
        head = schema.head(content.batch)
        for n, row in _numbered("start", content.starts, head.starts):
            ticket = schema.start_of(head.id, n, row)
            found[ticket.key] = planned(ticket)
            await _let_others_run(n)
        for n, row in _numbered("entry", content.entries, head.entries):
            entry = schema.entry_of(head.id, n, row)
            found[entry.key] = after(found.get(entry.key), entry)
            await _let_others_run(n)
    except ValueError as error:
        raise JournalUnusable(str(path), f"it is damaged or incomplete: {error}. {RESTORE}") from None
    return head, found


def _numbered(table: str, rows: Sequence[Row], count: int) -> Iterable[tuple[int, Row]]:
    """Return rows with the numbers they must have. Raises ValueError unless there are `count`."""
    if len(rows) != count:
        raise ValueError(f"its table {table} has {len(rows)} rows instead of {count}")
    return enumerate(rows, 1)


async def _let_others_run(n: int) -> None:
    if n % CHUNK == 0:
        await anyio.lowlevel.checkpoint()
