"""What a batch remembers: every entry, in its journal if it has one, and where each start stands."""

import os
from datetime import UTC, datetime
from types import ModuleType
from typing import Protocol, cast

import anyio
from attrs import define, field

from workflow_async.batch.entries import Entry, Item, Kind, Recorded, after
from workflow_async.errors import JournalUnusable
from workflow_async.settings import Clock


class Kept(Protocol):
    """Where entries are kept."""

    async def write(self, entry: Entry) -> None:
        """Add an entry; it is safe when this returns."""

    async def close(self) -> None:
        """No more entries come."""


@define(eq=False)
class Book:
    """The entries of one run."""

    clock: Clock
    path: str | os.PathLike[str] | None
    items: dict[str, Item] = field(factory=dict, init=False)
    """Where each start stands, by key."""
    _kept: Kept | None = field(default=None, init=False)

    async def open(self, system: str, server: str) -> None:
        """Open the journal, if there is to be one, and take from it where each start stands."""
        if self.path is None:
            return
        self._kept, self.items = await _files(self.path).opened(self.path, system, server)

    async def close(self) -> None:
        """Close the journal."""
        kept, self._kept = self._kept, None
        if kept is not None:
            with anyio.CancelScope(shield=True):
                await kept.close()

    async def note(self, key: str, kind: Kind, word: str, *, id: int | None = None, text: str = "") -> None:
        """Remember what happened to a start, on the disk first; a cancellation waits for it."""
        at = datetime.fromtimestamp(self.clock.wall(), UTC)
        entry = Entry(at=at, key=key, kind=kind, word=word, id=id, text=text)
        if self._kept is not None:
            with anyio.CancelScope(shield=True):
                await self._kept.write(entry)
        self.items[key] = after(self.items.get(key), entry)


async def recorded(path: str | os.PathLike[str]) -> Recorded:
    """What a journal holds, even while a batch writes to it; raises `JournalUnusable` if it is none."""
    return cast("Recorded", await _files(path).recorded(path))


def _files(path: str | os.PathLike[str]) -> ModuleType:
    """The module that knows the files of journals; only those who want one need its extra."""
    try:
        from workflow_async.batch import journal
    except ModuleNotFoundError as error:
        if error.name != "aiosqlite":
            raise
        why = "it needs its extra: pip install 'workflow-async[journal]'"
        raise JournalUnusable(os.fspath(path), why) from None
    return journal
