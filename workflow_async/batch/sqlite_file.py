"""Connections to one SQLite file, the locks on it, and its errors as `JournalError`."""

import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TypeVar

import aiosqlite
import anyio

from workflow_async._core.cancellation import shielded
from workflow_async.batch.entries import storable
from workflow_async.batch.journal_file import RESTORE_IT, USE_ANOTHER_PATH
from workflow_async.errors import JournalError

T = TypeVar("T")

SET_OPEN_MARK = "UPDATE batch SET open_path = ?, open_inode = ?"
SHARED_LOCK_QUERY = "SELECT name FROM sqlite_master"
"""A query of several rows. Its transaction and its lock last until all rows are read or its cursor is closed."""
LOCK_TIMEOUT = 10.0
"""Seconds that a read or a write waits for another connection's lock."""
OPEN_TIMEOUT = 0.5
"""Seconds that opening a journal waits for another connection's lock."""
RETRY_DELAY = 0.02
"""Seconds between two attempts to lock the file."""

BUSY = (
    "another process is running this batch, or another program has the file open. "
    "Wait until it has ended. With another journal the same starts would be sent twice"
)
CHECK_PERMISSIONS = "Check the permissions of the file and of its folder"
CHECK_DISK = "Check the path, the disk and its free space"
REMEDIES = {
    0: RESTORE_IT,  # an error of Python's own, such as for a text that is not UTF-8
    sqlite3.SQLITE_NOTADB: USE_ANOTHER_PATH,
    sqlite3.SQLITE_CORRUPT: RESTORE_IT,
    sqlite3.SQLITE_PERM: CHECK_PERMISSIONS,
    sqlite3.SQLITE_READONLY: CHECK_PERMISSIONS,
    sqlite3.SQLITE_CANTOPEN: CHECK_PERMISSIONS,
}


@contextmanager
def translated_errors(path: Path) -> Iterator[None]:
    """Turn errors of the file and of SQLite into `JournalError`."""
    try:
        yield
    except (OSError, ValueError, sqlite3.Error) as error:
        raise JournalError(str(path), f"{error}. {remedy(error)}") from None


def remedy(error: Exception) -> str:
    """Return what to do about an error of the file or of SQLite."""
    if isinstance(error, sqlite3.Error):
        return REMEDIES.get(_code(error), CHECK_DISK)
    return CHECK_PERMISSIONS if isinstance(error, PermissionError) else CHECK_DISK


@asynccontextmanager
async def connected(path: Path, *, timeout: float) -> AsyncIterator[aiosqlite.Connection]:
    """Connect to a file that exists, by its real path. SQLite waits `timeout` seconds for locks."""
    connection = aiosqlite.connect(f"{path.as_uri()}?mode=rw", uri=True, isolation_level=None, timeout=timeout)
    try:
        await shielded(lambda: connection)  # a cancelled connect would leave a thread that holds the lock
        yield connection
    finally:
        await shielded(connection.close)


async def lock_exclusively(path: Path, connection: aiosqlite.Connection) -> None:
    """Begin an exclusive transaction. Raises `JournalError` if another connection has the file locked."""

    async def begin() -> None:
        await connection.execute("PRAGMA journal_mode = DELETE")
        await connection.execute("PRAGMA synchronous = EXTRA")
        await connection.execute("BEGIN EXCLUSIVE")

    try:
        await retry_while_locked(begin, OPEN_TIMEOUT)
    except sqlite3.OperationalError as error:
        if not _is_busy(error):
            raise
        raise JournalError(str(path), BUSY) from None


async def keep_locked(connection: aiosqlite.Connection, cursor: aiosqlite.Cursor, path: Path, inode: str) -> None:
    """Mark the journal as open, and end the exclusive transaction so that `cursor` keeps the file locked."""
    await connection.execute(SET_OPEN_MARK, (storable(str(path)), inode))
    await cursor.execute(SHARED_LOCK_QUERY)
    await connection.execute("COMMIT")
    await connection.execute(f"PRAGMA busy_timeout = {LOCK_TIMEOUT * 1000:.0f}")


async def retry_while_locked(act: Callable[[], Awaitable[T]], timeout: float) -> T:
    """Return the result of `act`, repeated for `timeout` seconds while another connection has the file locked."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            return await act()
        except sqlite3.OperationalError as error:
            if not _is_busy(error) or time.monotonic() >= deadline:
                raise
        await anyio.sleep(RETRY_DELAY)


def _is_busy(error: sqlite3.Error) -> bool:
    return _code(error) == sqlite3.SQLITE_BUSY


def _code(error: sqlite3.Error) -> int:
    """Return SQLite's primary error code, or 0 for an error that Python raised."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
