"""The state of a batch: the status of each start, and the journal if there is one."""

import os
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from typing import TypeVar, cast

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
from workflow_async.batch.journals import Journal, journal_module, name_of
from workflow_async.batch.tickets import Ticket
from workflow_async.batch.workflow_details import NO_DETAILS, read_details
from workflow_async.errors import JournalError
from workflow_async.phase import Workflow
from workflow_async.settings import Clock

T = TypeVar("T")


@define(eq=False)
class Ledger:
    """The status of each start of one run. Each change is stored before it is visible."""

    clock: Clock
    journal: Journal | None
    items: dict[str, StartStatus] = field(factory=dict, init=False)
    """The status of each start, by key."""
    _store: Journal | None = field(default=None, init=False)
    """The journal while it is open."""
    _failure: JournalError | None = field(default=None, init=False)
    """The error of the first write that failed. Nothing is written after it."""

    async def open(self, system: str, server: str) -> None:
        """Open the journal, if the batch has one, and read the status of each start."""
        journal = self.journal
        if journal is None:
            return
        self.items = {**await _checked(journal, "open", lambda: journal.open(system, server))}
        self._store = journal

    async def close(self) -> None:
        """Close the journal."""
        store, self._store = self._store, None
        if store is not None:
            with anyio.CancelScope(shield=True):
                await _checked(store, "close", store.close)

    async def plan(self, tickets: Iterable[Ticket], *, complete: bool) -> None:
        """Record starts before any of them is sent. `complete` is True if the batch has no other starts."""
        new: dict[str, Ticket] = {}
        for ticket in tickets:
            known = self.items.get(ticket.key)
            if known is None or known.ticket is None:
                new.setdefault(ticket.key, ticket)
        store, total = self._store, len(self.items.keys() | new.keys()) if complete else None
        if store is not None:
            await self._write(store, "plan", lambda: store.plan([*new.values()], total))
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
    ) -> Callable[[], bool] | None:
        """Record what happened to a start. `workflow` is the last record of a workflow that is no longer watched.

        The entry is stored even if the caller is cancelled. Return what `Journal.write` returned.
        """
        at = datetime.fromtimestamp(self.clock.wall(), UTC)
        details = read_details(workflow) if workflow is not None else NO_DETAILS
        entry = Entry(at=at, key=key, kind=kind, word=word, id=id, text=text, **details)
        store = self._store
        may_send = await self._write(store, "write", lambda: store.write(entry)) if store is not None else None
        self.items[entry.key] = status_after(self.items.get(entry.key), entry)
        return may_send

    async def _write(self, store: Journal, step: str, work: Callable[[], Awaitable[T]]) -> T:
        """Write to the journal even if the caller is cancelled. After a failure, raise it instead of writing more."""
        if self._failure is not None:
            raise self._failure
        returned: list[T] = []
        try:
            with anyio.CancelScope(shield=True):
                returned.append(await _checked(store, step, work))
        except JournalError as error:
            self._failure = error
            raise
        return returned.pop()


async def _checked(journal: Journal, step: str, work: Callable[[], Awaitable[T]]) -> T:
    """Call a method of a journal. Raise `JournalError` for any exception of it."""
    try:
        return await work()
    except JournalError:
        raise
    except Exception as error:
        why = f"its {step}() raised {type(error).__name__}: {error}. Correct the cause, then run the batch again"
        raise JournalError(name_of(journal), why) from error


async def read_journal(path: str | os.PathLike[str]) -> JournalContents:
    """Read a journal, even while a batch writes to it. Raises `JournalError` if the journal cannot be read."""
    return cast("JournalContents", await journal_module(path).read_journal(path))


async def read_history(path: str | os.PathLike[str]) -> JournalHistory:
    """Read a journal as `read_journal` does, with every entry."""
    return cast("JournalHistory", await journal_module(path).read_history(path))
