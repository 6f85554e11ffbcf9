"""The journal of a batch: an SQLite file to which entries are added, each on the disk before anything else happens.

Only this module knows `aiosqlite`; the extra `[journal]` brings it.
"""

import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiosqlite
from attrs import define, field

from workflow_async._shelter import whole
from workflow_async.batch.entries import Entry, Item, Kind, Recorded, items
from workflow_async.errors import JournalUnusable

APPLICATION = 0x77664A31
"""What SQLite files of this kind are marked with."""
SCHEMA = 1
"""The version of the tables; another one is refused."""
ENTRY = (
    "CREATE TABLE entry (n INTEGER PRIMARY KEY, at TEXT NOT NULL, key TEXT NOT NULL, kind TEXT NOT NULL,"
    " word TEXT NOT NULL, workflow INTEGER, text TEXT NOT NULL)"
)
TABLES = (
    "CREATE TABLE batch (system TEXT NOT NULL, server TEXT NOT NULL, made_at TEXT NOT NULL)",
    ENTRY,
    f"PRAGMA application_id = {APPLICATION}",
    f"PRAGMA user_version = {SCHEMA}",
)
INSERT = "INSERT INTO entry (at, key, kind, word, workflow, text) VALUES (?, ?, ?, ?, ?, ?)"
PRIVATE = 0o600
PATIENCE = 10.0
"""Seconds a write waits for somebody who reads."""


@define(eq=False)
class Journal:
    """An open journal, which no other process can open for a batch meanwhile; reading it is free."""

    path: Path
    _connection: aiosqlite.Connection
    _open: AsyncExitStack = field(factory=AsyncExitStack)

    async def write(self, entry: Entry) -> None:
        """Add an entry; it is on the disk when this returns."""
        row = (entry.at.isoformat(), entry.key, entry.kind.value, entry.word, entry.id, entry.text)
        try:
            await self._connection.execute_insert(INSERT, row)
        except sqlite3.Error as error:
            raise JournalUnusable(str(self.path), f"it cannot be written: {error}") from None

    async def close(self) -> None:
        """Close it, and let others open it."""
        await self._open.aclose()


async def opened(path: str | os.PathLike[str], system: str, server: str) -> tuple[Journal, dict[str, Item]]:
    """The journal in this file, made if there is none, and where each of its starts stands.

    Raises:
        JournalUnusable: another process has it open, it is of another system or server, or no journal at all.
    """
    where = Path(path)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(_locked(where))
        connection = await stack.enter_async_context(_connected(where, create=True))
        await connection.execute("PRAGMA synchronous = FULL")
        if await _is_new(connection):
            await _make(connection, system, server)
        recorded = await _read(where, connection)
        if (recorded.system, recorded.server) != (system, server):
            raise JournalUnusable(str(where), f"it is of {recorded.system} at {recorded.server}, not {system} {server}")
        return Journal(where, connection, stack.pop_all()), dict(recorded.items)


async def recorded(path: str | os.PathLike[str]) -> Recorded:
    """What a journal holds, even while a batch writes to it; raises `JournalUnusable` if it is none."""
    where = Path(path)
    async with _connected(where, create=False) as connection:
        return await _read(where, connection)


@asynccontextmanager
async def _locked(path: Path) -> AsyncIterator[None]:
    """Nobody else in here: a lock that ends with the process, on a file of its own so that readers are let in."""
    async with _connected(path.with_name(f"{path.name}.lock"), create=True, patience=0) as lock:
        try:
            await lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            busy = error.sqlite_errorcode == sqlite3.SQLITE_BUSY
            why = "another process is running this batch" if busy else str(error)
            raise JournalUnusable(str(path), why) from None
        yield


@asynccontextmanager
async def _connected(path: Path, *, create: bool, patience: float = PATIENCE) -> AsyncIterator[aiosqlite.Connection]:
    try:
        _there(path, create=create)
        connection = aiosqlite.connect(path, isolation_level=None, timeout=patience)
        try:
            await whole(lambda: connection)  # whoever cancels it would leave a thread that holds the lock
            yield connection
        finally:
            await whole(connection.close)
    except (OSError, sqlite3.Error) as error:
        raise JournalUnusable(str(path), f"it cannot be used: {error}") from None


def _there(path: Path, *, create: bool) -> None:
    """See to it that there is such a file, for its owner only: it may hold what was given as configuration.

    One that is there already is not opened: closing it again would end SQLite's locks on it.
    """
    if not path.exists():
        os.close(os.open(path, os.O_RDWR | (os.O_CREAT if create else 0), PRIVATE))


async def _is_new(connection: aiosqlite.Connection) -> bool:
    return await _first(connection, "SELECT count(*) FROM sqlite_master") == (0,)


async def _make(connection: aiosqlite.Connection, system: str, server: str) -> None:
    """Make the tables, all or nothing."""
    await connection.execute("PRAGMA journal_mode = WAL")
    await connection.execute("BEGIN IMMEDIATE")
    for statement in TABLES:
        await connection.execute(statement)
    made = (system, server, datetime.now(UTC).isoformat())
    await connection.execute("INSERT INTO batch VALUES (?, ?, ?)", made)
    await connection.execute("COMMIT")


async def _read(path: Path, connection: aiosqlite.Connection) -> Recorded:
    marks = [await _first(connection, f"PRAGMA {name}") for name in ("application_id", "user_version")]
    if marks != [(APPLICATION,), (SCHEMA,)]:
        raise JournalUnusable(str(path), f"it is no journal of version {SCHEMA}")
    system, server = await _first(connection, "SELECT system, server FROM batch") or ("", "")
    rows = await connection.execute_fetchall("SELECT at, key, kind, word, workflow, text FROM entry ORDER BY n")
    return Recorded(system, server, items(_entry(*row) for row in rows))


async def _first(connection: aiosqlite.Connection, query: str) -> tuple[Any, ...] | None:
    async with connection.execute(query) as cursor:
        row = await cursor.fetchone()
    return None if row is None else tuple(row)


def _entry(at: str, key: str, kind: str, word: str, id: int | None, text: str) -> Entry:
    return Entry(at=datetime.fromisoformat(at), key=key, kind=Kind(kind), word=word, id=id, text=text)
