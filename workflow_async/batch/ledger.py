"""What a batch remembers: every entry, in its journal if it has one, and where each start stands."""

import os
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from types import ModuleType
from typing import Protocol, cast

import anyio
from attrs import define, field

from workflow_async.batch.entries import Entry, JournalContents, StartStatus, StatusKind, planned_status, status_after
from workflow_async.batch.tickets import Ticket
from workflow_async.batch.workflow_details import NO_DETAILS, read_details
from workflow_async.errors import JournalError
from workflow_async.phase import Workflow
from workflow_async.settings import Clock


class EntryStore(Protocol):
    """Where entries are kept."""

    async def plan(self, tickets: Sequence[Ticket], total: int | None) -> None:
        """Add starts that have not begun, and the number of all, None if it is not known. They are safe then."""

    async def write(self, entry: Entry) -> None:
        """Add an entry. It is safe when this returns."""

    async def close(self) -> None:
        """No more entries come."""


@define(eq=False)
class Ledger:
    """The entries of one run."""

    clock: Clock
    path: str | os.PathLike[str] | None
    items: dict[str, StartStatus] = field(factory=dict, init=False)
    """Where each start stands, by key."""
    _store: EntryStore | None = field(default=None, init=False)

    async def open(self, system: str, server: str) -> None:
        """Open the journal, if there is to be one, and take from it where each start stands."""
        if self.path is None:
            return
        self._store, self.items = await _journal_module(self.path).open_journal(self.path, system, server)

    async def close(self) -> None:
        """Close the journal."""
        kept, self._store = self._store, None
        if kept is not None:
            with anyio.CancelScope(shield=True):
                await kept.close()

    async def plan(self, tickets: Iterable[Ticket], *, complete: bool) -> None:
        """Remember starts before any of them is sent, on the disk first. `complete`: the batch has no others."""
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
        """Remember what happened to a start, on the disk first. `workflow` is the last record of one that is left.

        A cancellation waits for the disk.
        """
        at = datetime.fromtimestamp(self.clock.wall(), UTC)
        facts = read_details(workflow) if workflow is not None else NO_DETAILS
        entry = Entry(at=at, key=key, kind=kind, word=word, id=id, text=text, **facts)
        if self._store is not None:
            with anyio.CancelScope(shield=True):
                await self._store.write(entry)
        self.items[entry.key] = status_after(self.items.get(entry.key), entry)


async def read_journal(path: str | os.PathLike[str]) -> JournalContents:
    """Read what a journal holds, even while a batch writes to it. Raises `JournalError` if it does not read."""
    return cast("JournalContents", await _journal_module(path).read_journal(path))


def _journal_module(path: str | os.PathLike[str]) -> ModuleType:
    """The module that knows the files of journals; only those who want one need its extra."""
    try:
        from workflow_async.batch import journal
    except ModuleNotFoundError as error:
        if error.name != "aiosqlite":
            raise
        why = "it needs its extra: pip install 'workflow-async[journal]'"
        raise JournalError(os.fspath(path), why) from None
    return journal
