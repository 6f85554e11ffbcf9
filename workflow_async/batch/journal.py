"""The journal of a batch: an SQLite file to which entries are added, each on the disk before anything else happens.

The file is its own lock. An open journal keeps a read transaction open, and a batch that opens a journal needs the file
exclusively for a moment. SQLite's locks belong to the file, so the path it is opened by does not matter. Other programs
can read it all the time. There is no write-ahead log, so between two writes this one file is all there is.

Only this module knows `aiosqlite`, which the extra `[journal]` brings.
"""

import os
import sqlite3
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import aiosqlite
import anyio
import anyio.lowlevel
from attrs import define, field

from workflow_async._core.cancellation import shielded
from workflow_async.batch import schema
from workflow_async.batch.entries import Entry, JournalContents, StartStatus, storable
from workflow_async.batch.journal_file import (
    RESTORE_IT,
    USE_ANOTHER_PATH,
    ChangeDetector,
    check_file,
    check_open_mark,
    is_missing,
    new_file,
    real_path,
)
from workflow_async.batch.journal_rows import JournalRows, read_rows
from workflow_async.batch.schema import Row
from workflow_async.batch.tickets import Ticket
from workflow_async.errors import JournalError

T = TypeVar("T")

INSERT_BATCH = "INSERT INTO batch VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
INSERT_START = "INSERT INTO start VALUES (?, ?, ?, ?)"
INSERT_ENTRY = "INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
MARK = "UPDATE batch SET open_path = ?, open_inode = ?"
HOLD = "SELECT name FROM sqlite_master"
"""A query of several rows. Its transaction, and its lock, last until all are read or its cursor is closed."""
PATIENCE = 10.0
"""Seconds a write waits for a program that reads the file."""
CLAIM = 0.5
"""Seconds an opening waits for one."""
RETRY = 0.02
"""Seconds between two attempts."""

BUSY = (
    "another process is running this batch, or another program has the file open. "
    "Wait until it has ended. With another journal the same starts would be sent twice"
)
PERMISSIONS = "Check the permissions of the file and of its folder"
DISK = "Check the path, the disk and its free space"
REMEDIES = {
    0: RESTORE_IT,  # Python's own, such as for a text that is not UTF-8
    sqlite3.SQLITE_NOTADB: USE_ANOTHER_PATH,
    sqlite3.SQLITE_CORRUPT: RESTORE_IT,
    sqlite3.SQLITE_PERM: PERMISSIONS,
    sqlite3.SQLITE_READONLY: PERMISSIONS,
    sqlite3.SQLITE_CANTOPEN: PERMISSIONS,
}


@define(eq=False)
class Journal:
    """An open journal. No other batch can open it."""

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
        """Add starts that have not begun, and the number of all, None if it is not known. They are on the disk then."""
        async with self._lock:
            rows = [schema.start_row(self._id, n, each) for n, each in enumerate(tickets, self._starts + 1)]
            if rows or total != self._total:
                await self._commit(lambda: self._plan(rows, total))
            self._starts, self._total = self._starts + len(rows), total

    async def write(self, entry: Entry) -> None:
        """Add an entry. It is on the disk when this returns."""
        async with self._lock:
            row = schema.entry_row(self._id, self._entries + 1, entry)
            await self._commit(lambda: self._connection.execute_insert(INSERT_ENTRY, row))
            self._entries += 1

    async def close(self) -> None:
        """Note that no batch has it open any more, and let others open it."""
        try:
            if self._usable:
                await shielded(lambda: self._commit(lambda: self._connection.execute(MARK, (None, None))))
        finally:
            await self._open.aclose()

    async def _plan(self, rows: Sequence[Row], total: int | None) -> None:
        await self._connection.execute("BEGIN IMMEDIATE")
        await self._connection.executemany(INSERT_START, rows)
        await self._connection.execute("UPDATE batch SET total = ?", (total,))
        await self._connection.execute("COMMIT")

    async def _commit(self, change: Callable[[], Awaitable[object]]) -> None:
        """Make a change that is one transaction. After one that failed or was cancelled there is no other."""
        if not self._usable:
            raise JournalError(str(self.path), "an earlier write failed. Run the batch again once that is mended")
        self._usable = False
        try:
            self._changes.check()
            await _patiently(change, PATIENCE)
        except (OSError, OverflowError, ValueError, sqlite3.Error) as error:
            raise JournalError(str(self.path), f"it cannot be written: {error}. {_remedy(error)}") from None
        self._changes.expect_change()
        self._usable = True


async def open_journal(
    path: str | os.PathLike[str], system: str, server: str
) -> tuple[Journal, dict[str, StartStatus]]:
    """Open the journal in this file, or make it if there is none. Return it, and where each of its starts stands.

    Raises:
        JournalError: another batch has it open, it belongs to another system or server, it is incomplete, damaged
            or no journal at all.
    """
    where = Path(path)
    with _typed(where):
        real = real_path(where)
        if is_missing(real):
            await _make(real, system, server)
        async with AsyncExitStack() as stack:
            guard = ChangeDetector(real)
            stack.callback(guard.stop)  # after the connection: closing any file of its own would end SQLite's locks
            inode = check_file(real)
            connection = await stack.enter_async_context(_connected(real, patience=0))
            await _claim(where, connection)
            head, items = await read_rows(where, await _fetch(where, connection))
            if (head.system, head.server) != (system, server):
                why = f"it is of {head.system} at {head.server}, not {system} {server}. {USE_ANOTHER_PATH}"
                raise JournalError(str(where), why)
            check_open_mark(head, real, inode)
            hold = await connection.cursor()
            stack.push_async_callback(shielded, hold.close)  # whatever happens: it keeps the file locked
            await _hold(connection, hold, real, inode)
            guard.start()
            counts = head.starts, head.entries, head.total
            return Journal(where, connection, guard, head.id, stack.pop_all(), *counts), items


async def read_journal(path: str | os.PathLike[str]) -> JournalContents:
    """Read what a journal holds, even while a batch writes to it. Raises `JournalError` if it does not read."""
    where = Path(path)
    with _typed(where):
        check_file(where)
        async with _connected(real_path(where), patience=PATIENCE) as connection:
            await connection.execute("BEGIN")
            content = await _fetch(where, connection)
    head, items = await read_rows(where, content)
    return JournalContents(head.system, head.server, items, head.total)


@contextmanager
def _typed(path: Path) -> Iterator[None]:
    """Turn the errors of the file and of SQLite into `JournalError`."""
    try:
        yield
    except (OSError, ValueError, sqlite3.Error) as error:
        raise JournalError(str(path), f"{error}. {_remedy(error)}") from None


def _remedy(error: Exception) -> str:
    """Return what to do about an error."""
    if isinstance(error, sqlite3.Error):
        return REMEDIES.get(_code(error), DISK)
    return PERMISSIONS if isinstance(error, PermissionError) else DISK


@asynccontextmanager
async def _connected(path: Path, *, patience: float) -> AsyncIterator[aiosqlite.Connection]:
    """Connect to a file that exists, by its real path."""
    connection = aiosqlite.connect(f"{path.as_uri()}?mode=rw", uri=True, isolation_level=None, timeout=patience)
    try:
        await shielded(lambda: connection)  # a cancelled one would leave a thread that holds the lock
        yield connection
    finally:
        await shielded(connection.close)


async def _make(path: Path, system: str, server: str) -> None:
    """Make a new journal, all or nothing, unless another process is faster."""
    with new_file(path) as new:
        async with _connected(new, patience=0) as connection:
            await connection.executescript(schema.MAKE)
            made = schema.batch_row(uuid.uuid4().hex, system, server, datetime.now(UTC).isoformat())
            await connection.execute(INSERT_BATCH, made)


async def _claim(path: Path, connection: aiosqlite.Connection) -> None:
    """Begin a transaction that needs the file exclusively. Fails if any other connection has the file locked."""

    async def begin() -> None:
        await connection.execute("PRAGMA journal_mode = DELETE")
        await connection.execute("PRAGMA synchronous = EXTRA")
        await connection.execute("BEGIN EXCLUSIVE")

    try:
        await _patiently(begin, CLAIM)
    except sqlite3.OperationalError as error:
        if not _is_busy(error):
            raise
        raise JournalError(str(path), BUSY) from None


async def _hold(connection: aiosqlite.Connection, hold: aiosqlite.Cursor, path: Path, inode: str) -> None:
    """Mark the journal as open, and end the exclusive transaction in such a way that the file stays locked."""
    await connection.execute(MARK, (storable(str(path)), inode))
    await hold.execute(HOLD)
    await connection.execute("COMMIT")
    await connection.execute(f"PRAGMA busy_timeout = {PATIENCE * 1000:.0f}")


async def _patiently(act: Callable[[], Awaitable[T]], patience: float) -> T:
    """Do something with the file. Try again while another connection has it locked."""
    deadline = time.monotonic() + patience
    while True:
        try:
            return await act()
        except sqlite3.OperationalError as error:
            if not _is_busy(error) or time.monotonic() >= deadline:
                raise
        await anyio.sleep(RETRY)


def _is_busy(error: sqlite3.Error) -> bool:
    return _code(error) == sqlite3.SQLITE_BUSY


def _code(error: sqlite3.Error) -> int:
    """Return SQLite's primary error code, 0 for an error that Python raised."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


# Reading


async def _fetch(path: Path, connection: aiosqlite.Connection) -> JournalRows:
    """Fetch all rows, within a transaction of the caller's. Raises `JournalError` for another database."""
    marks = [await _rows(connection, f"PRAGMA {name}") for name in ("application_id", "user_version")]
    tables = await _rows(connection, "SELECT sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY rowid")
    if marks != [[(schema.APPLICATION,)], [(schema.SCHEMA,)]] or tables != [(sql,) for sql in schema.TABLES]:
        raise JournalError(str(path), f"it is no journal of version {schema.SCHEMA}. {USE_ANOTHER_PATH}")
    starts, entries = "SELECT * FROM start ORDER BY n", "SELECT * FROM entry ORDER BY n"
    batch = await _rows(connection, "SELECT * FROM batch")
    return JournalRows(batch, await _rows(connection, starts), await _rows(connection, entries))


async def _rows(connection: aiosqlite.Connection, query: str) -> list[Row]:
    async with connection.cursor() as cursor:  # closed whatever happens: it keeps the file locked
        await cursor.execute(query)
        return [tuple(row) for row in await cursor.fetchall()]
