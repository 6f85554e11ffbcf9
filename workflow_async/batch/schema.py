"""The tables of a journal, and the conversion of entries and tickets to rows. Pure.

Each row has a digest of its values, its number and the journal's id, and the table `batch` counts the rows. A row that
was lost, altered or copied from another journal is therefore found when the journal is read.
"""

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from attrs import frozen

from workflow_async.batch.entries import Entry, StatusKind
from workflow_async.batch.operation_durations import durations_from_json, durations_to_json
from workflow_async.batch.tickets import Ticket

APPLICATION = 0x77664A31
"""The SQLite application id of journals."""
SCHEMA = 2
"""The version of the tables. Journals of other versions are refused."""
BATCH = (
    "CREATE TABLE batch (id TEXT NOT NULL, system TEXT NOT NULL, server TEXT NOT NULL, made_at TEXT NOT NULL,"
    " digest TEXT NOT NULL, total INTEGER, starts INTEGER NOT NULL, entries INTEGER NOT NULL,"
    " open_path TEXT, open_inode TEXT)"
)
START = "CREATE TABLE start (n INTEGER PRIMARY KEY, key TEXT NOT NULL, ticket TEXT NOT NULL, digest TEXT NOT NULL)"
ENTRY = (
    "CREATE TABLE entry (n INTEGER PRIMARY KEY, at TEXT NOT NULL, key TEXT NOT NULL, kind TEXT NOT NULL,"
    " word TEXT NOT NULL, workflow INTEGER, text TEXT NOT NULL, server_start TEXT, server_end TEXT,"
    " operation TEXT NOT NULL, attempt INTEGER, host TEXT NOT NULL, operations TEXT, digest TEXT NOT NULL)"
)
TABLES = (
    BATCH,
    START,
    ENTRY,
    "CREATE TRIGGER start_added AFTER INSERT ON start BEGIN UPDATE batch SET starts = new.n; END",
    "CREATE TRIGGER entry_added AFTER INSERT ON entry BEGIN UPDATE batch SET entries = new.n; END",
)
MAKE = ";".join(
    ("BEGIN", *TABLES, f"PRAGMA application_id = {APPLICATION}", f"PRAGMA user_version = {SCHEMA}", "COMMIT")
)
"""The statements that make all tables in one transaction."""

Row = tuple[Any, ...]
_json = json.JSONEncoder(default=repr).encode


@frozen
class Head:
    """The one row of the table `batch`."""

    id: str
    """Random. Rows of another journal have another id in their digest."""
    system: str
    server: str
    made_at: str
    digest: str
    total: int | None
    """The number of starts in the batch. None until its iterable has been read to the end."""
    starts: int
    entries: int
    open_path: str | None
    """The path by which a batch has the journal open, or had it open when its process died."""
    open_inode: str | None
    """The inode of the file that this batch opened. A copy of the file has another inode."""


def batch_row(id: str, system: str, server: str, made_at: str) -> Row:
    """Return the row of the table `batch` for a new journal."""
    digest = row_digest(id, "batch", system, server, made_at)
    return (id, system, server, made_at, digest, None, 0, 0, None, None)


def parse_head(rows: Sequence[Row]) -> Head:
    """Return the row of the table `batch`. Raises ValueError if it is missing or altered."""
    if len(rows) != 1:
        raise ValueError(f"its table batch has {len(rows)} rows instead of 1")
    found = Head(*rows[0])
    if found.digest != row_digest(found.id, "batch", found.system, found.server, found.made_at):
        raise ValueError("its table batch was altered")
    match found.total:
        case None | int():
            return found
    raise ValueError("the total in its table batch is not a number")


def row_digest(id: str, table: str, *values: object) -> str:
    """Return the digest of a row as 32 hexadecimal digits."""
    return hashlib.sha256(_json([id, table, *values]).encode()).hexdigest()[:32]


def entry_row(id: str, n: int, entry: Entry) -> Row:
    """Return an entry as row `n` of its table."""
    values = (
        n,
        entry.at.isoformat(),
        entry.key,
        entry.kind.value,
        entry.word,
        entry.id,
        entry.text,
        entry.server_start.isoformat() if entry.server_start is not None else None,
        entry.server_end.isoformat() if entry.server_end is not None else None,
        entry.failed_operation,
        entry.failed_attempt,
        entry.failed_host,
        durations_to_json(entry.operations) if entry.operations is not None else None,
    )
    return (*values, row_digest(id, "entry", *values))


def parse_entry(id: str, n: int, row: Row) -> Entry:
    """Return the entry in row `n`. Raises ValueError if the row is missing, altered or of an unknown kind."""
    _, at, key, kind, word, workflow, text, *details = _values(id, "entry", n, row)
    start, end, operation, attempt, host, operations = details
    return Entry(
        at=_parse_time(at),
        key=key,
        kind=StatusKind(kind),
        word=word,
        id=workflow,
        text=text,
        server_start=_parse_time(start) if start is not None else None,
        server_end=_parse_time(end) if end is not None else None,
        failed_operation=operation,
        failed_attempt=attempt,
        failed_host=host,
        operations=durations_from_json(operations) if operations is not None else None,
    )


def start_row(id: str, n: int, ticket: Ticket) -> Row:
    """Return a planned start as row `n` of its table."""
    values = (n, ticket.key, ticket.to_json())
    return (*values, row_digest(id, "start", *values))


def parse_start(id: str, n: int, row: Row) -> Ticket:
    """Return the planned start in row `n`. Raises ValueError if the row is missing or altered."""
    *_, text = _values(id, "start", n, row)
    return Ticket.from_json(text)


def _values(id: str, table: str, n: int, row: Row) -> Row:
    *values, digest = row
    if values[0] != n:
        raise ValueError(f"row {n} of its table {table} is missing")
    if digest != row_digest(id, table, *values):
        raise ValueError(f"row {n} of its table {table} was altered")
    return tuple(values)


def _parse_time(text: str) -> datetime:
    """Return a time in UTC. Raises ValueError if the text has no time zone."""
    time = datetime.fromisoformat(text)
    if time.utcoffset() is None:
        raise ValueError(f"the time {text!r} has no time zone")
    return time.astimezone(UTC)
