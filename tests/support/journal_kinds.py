"""Journals of each kind, each as another machine would open it: a file, a stream of NATS, and one that a user wrote."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import define, field

from workflow_async.batch import (
    Entry,
    Journal,
    JournalContents,
    StartStatus,
    Ticket,
    entry_from_json,
    entry_to_json,
    planned_status,
    status_after,
)
from workflow_async.errors import JournalError


@define(eq=False)
class Storage:
    """What journals in memory share, as two machines would share a database."""

    rows: list[str] = field(factory=list)
    """Tickets and entries as JSON."""
    owner: object = None
    batch: tuple[str, str] | None = None
    total: int | None = None


@define(eq=False)
class MemoryJournal:
    """A journal as a user would write one. The run that opened it last owns it."""

    storage: Storage

    async def open(self, system: str, server: str) -> Mapping[str, StartStatus]:
        if self.storage.batch not in {None, (system, server)}:
            raise JournalError("memory", f"it is for {self.storage.batch}")
        self.storage.owner, self.storage.batch = self, (system, server)
        return self.statuses()

    async def plan(self, tickets: Sequence[Ticket], total: int | None) -> None:
        self.check()
        self.storage.rows += [f"start {ticket.to_json()}" for ticket in tickets]
        self.storage.total = total

    async def write(self, entry: Entry) -> Callable[[], bool]:
        self.check()
        self.storage.rows.append(f"entry {entry_to_json(entry)}")
        return lambda: self.storage.owner is self

    async def close(self) -> None:
        if self.storage.owner is self:
            self.storage.owner = None

    def check(self) -> None:
        if self.storage.owner is not self:
            raise JournalError("memory", "another run has opened it")

    def statuses(self) -> dict[str, StartStatus]:
        items: dict[str, StartStatus] = {}
        for row in self.storage.rows:
            kind, _, text = row.partition(" ")
            if kind == "start":
                ticket = Ticket.from_json(text)
                items[ticket.key] = planned_status(ticket)
            else:
                entry = entry_from_json(text)
                items[entry.key] = status_after(items.get(entry.key), entry)
        return items


@define(eq=False)
class Kind:
    """A kind of journal, with one batch in it."""

    name: str
    new: Callable[[], Journal]
    """Returns the journal as a process on another machine would make it."""
    read: Callable[[], Any]
    """Returns what the journal holds, as a coroutine."""
    shuts_out: bool
    """True if opening it shuts out the run before. False if it is refused while another run has it."""

    async def contents(self) -> JournalContents:
        """Return what the journal holds."""
        contents: JournalContents = await self.read()
        return contents


class Crash(Exception):
    """The process ends."""


@define(eq=False)
class CrashingJournal:
    """A journal whose process ends before or after a write. It never closes a journal that the next run shuts out."""

    inner: Journal
    fatal: int
    """The number of the step at which the process ends, from 1."""
    closes: bool
    taken: int = field(default=0, init=False)

    async def open(self, system: str, server: str) -> Mapping[str, StartStatus]:
        return await self.inner.open(system, server)

    async def plan(self, tickets: Sequence[Ticket], total: int | None) -> None:
        self.step()
        await self.inner.plan(tickets, total)
        self.step()

    async def write(self, entry: Entry) -> Callable[[], bool] | None:
        self.step()
        may_send = await self.inner.write(entry)
        self.step()
        return may_send

    async def close(self) -> None:
        if self.closes or self.taken < self.fatal:
            await self.inner.close()

    def step(self) -> None:
        self.taken += 1
        if self.taken >= self.fatal:
            raise Crash
