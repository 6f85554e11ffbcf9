"""What a batch needs of a journal, and the journal in the file of a path."""

import os
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from attrs import define, field

from workflow_async.batch.entries import Entry, StartStatus
from workflow_async.batch.tickets import Ticket
from workflow_async.errors import InvalidArgument, JournalError

if TYPE_CHECKING:
    from workflow_async.batch import journal

Path = str | os.PathLike[str]


@runtime_checkable
class Journal(Protocol):
    """Stores a batch, so that another run continues it: `run_all(…, journal=…)`.

    One run at a time may use a journal. `open` either raises while another run has the journal, or it shuts the other
    run out: each later `plan` and `write` of the other run must raise.

    A batch calls `plan` and `write` from several tasks. It cancels neither, unless the event loop itself ends. An
    exception of any method ends the batch with a `JournalError`. After an exception of `plan` or `write`, the batch
    sends no start and calls only `close`.
    """

    async def open(self, system: str, server: str) -> Mapping[str, StartStatus]:
        """Return the status of each start by key. It follows from `planned_status` and `status_after`.

        A run calls this once, before anything else, and sends nothing until it returns. `close` is not called after an
        exception.

        Args:
            system: `opencast` or `preservica`.
            server: the base URL.

        Raises:
            JournalError: another run has the journal, or the journal is of another system or server.
        """
        ...

    async def plan(self, tickets: Sequence[Ticket], total: int | None) -> None:
        """Add starts that have not begun. Return when all of them are stored.

        Each start is given once, before its first entry. There may be none.

        Args:
            tickets: the starts.
            total: the number of starts in the batch. None until its iterable has been read to the end.
        """
        ...

    async def write(self, entry: Entry) -> Callable[[], bool] | None:
        """Add an entry. Return when it is stored: another run, after a crash at this moment, must see it.

        An entry of kind INTENT is written before each start. The start is not sent if this raises.

        Returns:
            None, or a function that returns False once the start must not be sent any more. It is called for an INTENT
            only, just before the request is written. A journal whose `open` shuts other runs out needs it: a process
            that was stopped after its INTENT could otherwise send the start at any later time.
        """
        ...

    async def close(self) -> None:
        """Let other runs open the journal. No more starts are sent."""
        ...


@define(eq=False)
class FileJournal:
    """The journal in an SQLite file. Another run cannot open the file."""

    path: Path
    _open: "journal.Journal | None" = field(default=None, init=False)

    async def open(self, system: str, server: str) -> Mapping[str, StartStatus]:
        """Open the file, or make it. Return the status of each start."""
        opened: tuple[journal.Journal, dict[str, StartStatus]]
        opened = await journal_module(self.path).open_journal(self.path, system, server)
        self._open, items = opened
        return items

    async def plan(self, tickets: Sequence[Ticket], total: int | None) -> None:
        """Add starts that have not begun. Return when they are on the disk."""
        await self._opened.plan(tickets, total)

    async def write(self, entry: Entry) -> None:
        """Add an entry. Return when it is on the disk."""
        await self._opened.write(entry)

    async def close(self) -> None:
        """Close the file."""
        await self._opened.close()

    @property
    def _opened(self) -> "journal.Journal":
        assert self._open is not None, "a batch opens its journal first"
        return self._open


def journal_of(journal: object) -> Journal | None:
    """Return the journal that `run_all` was given as a path or as an object. Raises `InvalidArgument`."""
    if journal is None or (isinstance(journal, Journal) and not isinstance(journal, type)):
        return journal
    if isinstance(journal, str | os.PathLike):
        return FileJournal(journal)
    raise InvalidArgument("journal", "must be a path, an object with the methods of Journal, or None to keep none")


def name_of(journal: Journal) -> str:
    """Return what errors call a journal: its path, or its class."""
    return os.fspath(journal.path) if isinstance(journal, FileJournal) else type(journal).__name__


def journal_module(path: Path) -> ModuleType:
    """Return the module of the journal's file. Importing it needs the extra `[journal]`."""
    try:
        from workflow_async.batch import journal
    except ModuleNotFoundError as error:
        if error.name != "aiosqlite":
            raise
        why = "aiosqlite is not installed. Run: pip install 'workflow-async[journal]'"
        raise JournalError(os.fspath(path), why) from None
    return journal
