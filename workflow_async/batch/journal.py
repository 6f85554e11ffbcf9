"""The journal of a batch: an SQLite file in which each entry is on the disk before the batch goes on.

The file is its own lock. An open journal keeps a read transaction open, and opening a journal needs an exclusive lock
for a moment. SQLite's locks belong to the file, so the path by which the file is opened does not matter. Other programs
can always read the file. There is no write-ahead log, so between two writes the journal is this one file.

Importing this module needs `aiosqlite`, which the extra `[journal]` installs.
"""

import os
import sqlite3
import uuid
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

import aiosqlite
import anyio
from attrs import define, field

from workflow_async._core.cancellation import shielded
from workflow_async.batch import schema, sqlite_file
from workflow_async.batch.entries import Entry, JournalContents, JournalHistory, StartStatus
from workflow_async.batch.journal_file import (
    USE_ANOTHER_PATH,
    ChangeDetector,
    check_file,
    check_open_mark,
    is_missing,
    new_file,
    real_path,
)
from workflow_async.batch.journal_rows import JournalRows, read_entries, read_rows
from workflow_async.batch.schema import Row
from workflow_async.batch.sqlite_file import (
    SET_OPEN_MARK,
    connected,
    keep_locked,
    lock_exclusively,
    remedy,
    retry_while_locked,
    translated_errors,
)
from workflow_async.batch.tickets import Ticket
from workflow_async.errors import JournalError

INSERT_BATCH = "INSERT INTO batch VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
INSERT_START = "INSERT INTO start VALUES (?, ?, ?, ?)"
INSERT_ENTRY = "INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


@define(eq=False)
class Journal:
    """An open journal. No other batch can open the same file."""

    path: Path
    _connection: aiosqlite.Connection
    _changes: ChangeDetector
    _id: str
    _open: AsyncExitStack
    _starts: int
    _entries: int
    _total: int | None
    _lock: anyio.Lock = field(factory=anyio.Lock, init=False)
    _usable: bool = field(default=True, init=False)

    async def plan(self, tickets: Sequence[Ticket], total: int | None) -> None:
        """Add starts that have not begun, and the total number of starts. Return when both are on the disk.

        Args:
            tickets: the starts.
            total: the number of starts in the batch, None if it is not known.
        """
        async with self._lock:
            rows = [schema.start_row(self._id, n, each) for n, each in enumerate(tickets, self._starts + 1)]
            if rows or total != self._total:
                await self._commit(lambda: self._plan(rows, total))
            self._starts, self._total = self._starts + len(rows), total

    async def write(self, entry: Entry) -> None:
        """Add an entry. Return when it is on the disk."""
        async with self._lock:
            row = schema.entry_row(self._id, self._entries + 1, entry)
            await self._commit(lambda: self._connection.execute_insert(INSERT_ENTRY, row))
            self._entries += 1

    async def close(self) -> None:
        """Remove the mark of an open journal, and let other batches open the file."""
        try:
            if self._usable:
                await shielded(lambda: self._commit(lambda: self._connection.execute(SET_OPEN_MARK, (None, None))))
        finally:
            await self._open.aclose()

    async def _plan(self, rows: Sequence[Row], total: int | None) -> None:
        await self._connection.execute("BEGIN IMMEDIATE")
        await self._connection.executemany(INSERT_START, rows)
        await self._connection.execute("UPDATE batch SET total = ?", (total,))
        await self._connection.execute("COMMIT")

    async def _commit(self, change: Callable[[], Awaitable[object]]) -> None:
        """Make a change in one transaction. After a failed or cancelled change, no other one is made."""
        if not self._usable:
            raise JournalError(str(self.path), "an earlier write failed. Correct its cause, then run the batch again")
        self._usable = False
        try:
            self._changes.check()
            await retry_while_locked(change, sqlite_file.LOCK_TIMEOUT)
        except (OSError, OverflowError, ValueError, sqlite3.Error) as error:
            raise JournalError(str(self.path), f"it cannot be written: {error}. {remedy(error)}") from None
        self._changes.expect_change()
        self._usable = True


async def open_journal(
    path: str | os.PathLike[str], system: str, server: str
) -> tuple[Journal, dict[str, StartStatus]]:
    """Open the journal in this file, or make a new one. Return the journal and the status of each of its starts.

    Raises:
        JournalError: another batch has the file open, the journal is of another system or server, it is incomplete or
            damaged, or the file is not a journal.
    """
    where = Path(path)
    with translated_errors(where):
        real = real_path(where)
        if is_missing(real):
            await _make(real, system, server)
        async with AsyncExitStack() as stack:
            changes = ChangeDetector(real)
            # Stopped after the connection is closed: closing any file of its own would end SQLite's locks.
            stack.callback(changes.stop)
            inode = check_file(real)
            connection = await stack.enter_async_context(connected(real, timeout=0))
            await lock_exclusively(where, connection)
            head, items = await read_rows(where, await _fetch(where, connection))
            if (head.system, head.server) != (system, server):
                why = f"it is for {head.system} at {head.server}, not {system} {server}. {USE_ANOTHER_PATH}"
                raise JournalError(str(where), why)
            check_open_mark(head, real, inode)
            cursor = await connection.cursor()
            stack.push_async_callback(shielded, cursor.close)  # in every case, because the cursor locks the file
            await keep_locked(connection, cursor, real, inode)
            changes.start()
            counts = head.starts, head.entries, head.total
            return Journal(where, connection, changes, head.id, stack.pop_all(), *counts), items


async def read_journal(path: str | os.PathLike[str]) -> JournalContents:
    """Read a journal, even while a batch writes to it. Raises `JournalError` if the journal cannot be read."""
    where = Path(path)
    return await _contents(where, await _fetch_from(where))


async def read_history(path: str | os.PathLike[str]) -> JournalHistory:
    """Read a journal as `read_journal` does, with every entry."""
    where = Path(path)
    rows = await _fetch_from(where)
    return JournalHistory(await _contents(where, rows), read_entries(rows))


async def _fetch_from(path: Path) -> JournalRows:
    with translated_errors(path):
        check_file(path)
        async with connected(real_path(path), timeout=sqlite_file.LOCK_TIMEOUT) as connection:
            await connection.execute("BEGIN")
            return await _fetch(path, connection)


async def _contents(path: Path, rows: JournalRows) -> JournalContents:
    head, items = await read_rows(path, rows)
    return JournalContents(head.system, head.server, items, head.total)


async def _make(path: Path, system: str, server: str) -> None:
    """Make a complete new journal or none, unless another process makes one first."""
    with new_file(path) as new:
        async with connected(new, timeout=0) as connection:
            await connection.executescript(schema.MAKE)
            row = schema.batch_row(uuid.uuid4().hex, system, server, datetime.now(UTC).isoformat())
            await connection.execute(INSERT_BATCH, row)


async def _fetch(path: Path, connection: aiosqlite.Connection) -> JournalRows:
    """Fetch all rows in the caller's transaction. Raises `JournalError` for another kind of database."""
    versions = [await _rows(connection, f"PRAGMA {name}") for name in ("application_id", "user_version")]
    tables = await _rows(connection, "SELECT sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY rowid")
    if versions != [[(schema.APPLICATION,)], [(schema.SCHEMA,)]] or tables != [(sql,) for sql in schema.TABLES]:
        raise JournalError(str(path), f"it is not a journal of version {schema.SCHEMA}. {USE_ANOTHER_PATH}")
    starts, entries = "SELECT * FROM start ORDER BY n", "SELECT * FROM entry ORDER BY n"
    batch = await _rows(connection, "SELECT * FROM batch")
    return JournalRows(batch, await _rows(connection, starts), await _rows(connection, entries))


async def _rows(connection: aiosqlite.Connection, query: str) -> list[Row]:
    async with connection.cursor() as cursor:  # closed in every case, because the cursor locks the file
        await cursor.execute(query)
        return [tuple(row) for row in await cursor.fetchall()]
