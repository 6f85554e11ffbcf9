"""The state of a batch: the status of each start, and the journal if there is one."""

import os
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from types import ModuleType
from typing import Protocol, cast

import anyio
from attrs import define, field

from workflow_async.batch.entries import (
    Entry,
    JournalContents,
    JournalHistory,
    StartStatus,
    StatusKind,
    planned_status,
    status_after,
)
from workflow_async.batch.tickets import Ticket
from workflow_async.batch.workflow_details import NO_DETAILS, read_details
from workflow_async.errors import JournalError
from workflow_async.phase import Workflow
from workflow_async.settings import Clock


class EntryStore(Protocol):
    """Stores entries durably."""

    async def plan(self, tickets: Sequence[Ticket], total: int | None) -> None:
        """Add starts that have not begun, and the total number of starts or None. Return when both are stored."""

    async def write(self, entry: Entry) -> None:
        """Add an entry. Return when it is stored."""

    async def close(self) -> None:
        """Close the store. No more entries are added."""


@define(eq=False)
class Ledger:
    """The status of each start of one run. Each change is stored before it is visible."""

    clock: Clock
    path: str | os.PathLike[str] | None
    items: dict[str, StartStatus] = field(factory=dict, init=False)
    """The status of each start, by key."""
    _store: EntryStore | None = field(default=None, init=False)

    async def open(self, system: str, server: str) -> None:
        """Open the journal, if the batch has one, and read the status of each start."""
        if self.path is None:
            return
        self._store, self.items = await _journal_module(self.path).open_journal(self.path, system, server)

    async def close(self) -> None:
        """Close the journal."""
        store, self._store = self._store, None
        if store is not None:
            with anyio.CancelScope(shield=True):
                await store.close()

    async def plan(self, tickets: Iterable[Ticket], *, complete: bool) -> None:
        """Record starts before any of them is sent. `complete` is True if the batch has no other starts."""
        new: dict[str, Ticket] = {}
        for ticket in tickets:
            known = self.items.get(ticket.key)
            if known is None or known.ticket is None:
                new.setdefault(ticket.key, ticket)
        if self._store is not None:
            with anyio.CancelScope(shield=True):
                await self._store.plan([*new.values()], len(self.items.keys() | new.keys()) if complete else None)
        self.items |= {key: planned_status(ticket) for key, ticket in new.items()}

    async def record(
        self,
        key: str,
        kind: StatusKind,
        word: str,
        *,
        id: int | None = None,
        text: str = "",
        workflow: Workflow | None = None,
    ) -> None:
        """Record what happened to a start. `workflow` is the last record of a workflow that is no longer watched.

        The entry is stored even if the caller is cancelled.
        """
        at = datetime.fromtimestamp(self.clock.wall(), UTC)
        details = read_details(workflow) if workflow is not None else NO_DETAILS
        entry = Entry(at=at, key=key, kind=kind, word=word, id=id, text=text, **details)
        if self._store is not None:
            with anyio.CancelScope(shield=True):
                await self._store.write(entry)
        self.items[entry.key] = status_after(self.items.get(entry.key), entry)


async def read_journal(path: str | os.PathLike[str]) -> JournalContents:
    """Read a journal, even while a batch writes to it. Raises `JournalError` if the journal cannot be read."""
    return cast("JournalContents", await _journal_module(path).read_journal(path))


async def read_history(path: str | os.PathLike[str]) -> JournalHistory:
    """Read a journal as `read_journal` does, with every entry."""
    return cast("JournalHistory", await _journal_module(path).read_history(path))


def _journal_module(path: str | os.PathLike[str]) -> ModuleType:
    """Return the module of the journal's file. Importing it needs the extra `[journal]`."""
    try:
        from workflow_async.batch import journal
    except ModuleNotFoundError as error:
        if error.name != "aiosqlite":
            raise
        why = "aiosqlite is not installed. Run: pip install 'workflow-async[journal]'"
        raise JournalError(os.fspath(path), why) from None
    return journal
