"""What calls of a synchronous client return in place of asynchronous iterators and context managers.

The types stand in streams.pyi, which `python -m tests.support.sync_stubs` writes.
"""

import threading
from collections.abc import Iterator
from types import AsyncGeneratorType, GenericAlias
from typing import TypeVar

from workflow_async._listing.listing import Listing, Pages
from workflow_async.batch.run import Run
from workflow_async.monitor.waits import OutcomeStream
from workflow_async.monitor.watch import Watch
from workflow_async.sync._blocking import RETURNED, Returned, blocking, iterate, step

T = TypeVar("T")

SyncPages = blocking(Pages, Returned, __name__)
SyncOutcomeStream = blocking(OutcomeStream, Returned, __name__)
SyncWatch = blocking(Watch, Returned, __name__)
SyncRun = blocking(Run, Returned, __name__)


class SyncItems:
    """The items of one pass over a list: `for item in listing`.

    A page is one call in the event loop. The items of the page are then taken from memory. Several threads may share
    one pass, and each item goes to one thread.
    """

    __slots__ = ("_items", "_lock", "_pages")
    __class_getitem__ = classmethod(GenericAlias)

    def __init__(self, pages: "SyncPages") -> None:  # pyright: ignore[reportInvalidTypeForm]
        self._pages = pages
        self._items: Iterator[object] = iter(())
        self._lock = threading.Lock()

    def __iter__(self) -> "SyncItems":
        return self

    def __next__(self) -> object:
        with self._lock:
            while True:
                for item in self._items:
                    return item
                self._items = step(self._pages, next_items)

    def close(self) -> None:
        """End the pass and cancel its requests."""
        self._pages.close()
        self._items = iter(())


async def next_items(pages: Pages[T]) -> Iterator[T]:
    """Return an iterator of the items of the next page. The resume point of the listing follows it."""
    page = await anext(pages)
    items = pages.place.unyielded = iter(page.items)
    return items


class SyncIterator(Returned):
    """What an asynchronous generator yields."""

    __slots__ = ()
    __iter__ = iterate
    __next__ = step

    def close(self) -> None:
        """End the generator."""
        self._call(lambda generator: generator.aclose())


class SyncListing(blocking(Listing, Returned, __name__)):
    """The items of a listing: `for item in listing`, or page by page with `pages()`. See `workflow_async.Listing`.

    Leaving the iteration early cancels the requests in flight. Iterating again requests the list again.
    """

    __slots__ = ()

    def __iter__(self) -> SyncItems:
        return SyncItems(self.pages())


RETURNED[Listing] = SyncListing
RETURNED[AsyncGeneratorType] = SyncIterator
