"""A listing as an async iterable. Pages are requested as they are needed, and some ahead of that."""

import asyncio
from collections.abc import Callable, Hashable, Iterator
from contextlib import aclosing
from functools import partial
from typing import Generic, Self, TypeVar

import attrs

from workflow_async._core.call import Call, OnUnreadable, Page, UnreadableRow, checked_on_unreadable
from workflow_async._listing.prefetch import Prefetcher, Send
from workflow_async._listing.resume import BEGINNING, ListingIdentity, Place, ResumePoint
from workflow_async._listing.scan import Consistency, LinkScan, Scan, ScanState
from workflow_async.errors import CallError

T = TypeVar("T")


@attrs.frozen
class ListingReport:
    """A report on one pass over a list."""

    consistency: Consistency
    requests: int = 0
    """Pages requested, including pages that turned out not to be needed. Retries are not counted."""
    pages: int = 0
    """Pages that were received and used."""
    rows: int = 0
    """Rows returned."""
    duplicates: int = 0
    """Rows that were received again and not returned again. The overlap of anchored pages is included."""
    steps_back: int = 0
    """Pages that did not continue the known rows, so that the pass stepped back."""
    lag: float = 0.0
    """Seconds that the server's list may be behind its records."""
    unreadable: tuple[UnreadableRow, ...] = ()
    """Rows that were not returned because they cannot be read: their faults, their place, and the row as received."""


class Pages(Generic[T]):
    """The pages of one pass over a list: `async for page in listing.pages()`.

    No page is lost if a step is cancelled or its request fails: the next step sends the missing requests again. Several
    tasks may share one pass, and each page goes to one task. Requests in flight are cancelled when this object is
    garbage collected. `aclose()` cancels them immediately and waits until they have ended.
    """

    __slots__ = ("_failure", "_lock", "_planned", "_prefetcher", "_resume_point", "_scan", "_state")

    def __init__(
        self, send: Send, scan: Scan[T], state: ScanState[T], resume_point: Callable[[], str | None] = lambda: None
    ) -> None:
        self._prefetcher = Prefetcher[Page[T]](send)
        self._scan: Scan[T] | None = scan
        self._state = state
        self._planned = False
        self._failure: Exception | None = None
        self._resume_point = resume_point
        self._lock = asyncio.Lock()

    @property
    def place(self) -> Place[T]:
        """How far the pass is."""
        return self._state.place

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Page[T]:
        """Return the next page.

        Raises:
            CallError: a request failed. The next step sends it again.
            ListingInconsistent: the list makes no progress. Every further step raises this too.
            DecodeError: after the last page, if rows cannot be read and are not skipped. Further steps raise it again.
        """
        async with self._lock:
            if self._failure is not None:
                raise self._failure.with_traceback(None)
            try:
                page = await self._next()
            except CallError as error:
                error.resume_point = self._resume_point()
                raise
        if page is None:
            raise StopAsyncIteration
        return page

    async def _next(self) -> Page[T] | None:
        scan = self._scan
        while scan is not None and self._has_result(scan):
            page = await self._prefetcher.next_result()
            self._planned = False
            items = await self._new_items(scan, page)
            if items is not None:
                self._send_ahead(scan)
                return Page(items, page.next, page.total)  # `evolve` costs as much as the rest of this step
            await self._prefetcher.drop()
        await self._prefetcher.drop()
        if scan is not None:
            self._state.check_readable()
        return None

    async def _new_items(self, scan: Scan[T], page: Page[T]) -> tuple[T, ...] | None:
        try:
            return scan.accept(page)
        except Exception as error:
            self._failure = error
            await self._prefetcher.stop()
            raise

    def _has_result(self, scan: Scan[T]) -> bool:
        """Plan the next calls, unless an interrupted step has done so. Return False if no result is left."""
        if not scan.done and not self._planned:
            self._plan(scan)
            self._planned = True
        return not scan.done and bool(self._prefetcher)

    def _plan(self, scan: Scan[T], pages_in_use: int = 0) -> None:
        calls = scan.next_calls(pages_in_use)
        self._state.requests += len(calls)
        self._prefetcher.add(calls)

    def _send_ahead(self, scan: Scan[T]) -> None:
        """Send the calls that can run while a page is read.

        The first page is read alone, because the caller may not want more.
        """
        if self._state.pages > 1 and not scan.done:
            self._plan(scan, pages_in_use=1)
            self._prefetcher.send()

    async def aclose(self) -> None:
        """End the pass and cancel its requests. Wait for a step that another task has begun."""
        async with self._lock:
            self._scan = None
            await self._prefetcher.stop()


class Items(Generic[T]):
    """The items of one pass over a list: `async for item in listing`.

    No item is lost if a step is cancelled or its request fails, as with `Pages`.
    """

    __slots__ = ("_items", "_lock", "_pages")

    def __init__(self, pages: Pages[T]) -> None:
        self._pages = pages
        self._items: Iterator[T] = iter(())
        self._lock = asyncio.Lock()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        """Return the next item. This raises what the steps of `Pages` raise."""
        for item in self._items:
            return item
        async with self._lock:
            while True:
                for item in self._items:  # another task may have received a page
                    return item
                self._items = self._pages.place.unyielded = iter((await anext(self._pages)).items)

    async def aclose(self) -> None:
        """End the pass and cancel its requests. Wait for a step that another task has begun."""
        await self._pages.aclose()
        self._items = iter(())


class Listing(Generic[T]):
    """The items of a listing: `async for item in listing`, or page by page with `pages()`.

    Nothing is sent before the first item is requested. From the second page on, the next pages are requested while one
    is read. A slow reader holds no connection, because received pages wait in memory. Leaving the iteration early
    cancels the requests in flight. Iterating again requests the list again. An item that comes twice, because it moved
    between pages, is returned once. `report` says what the pass did.

    A row without a readable id or state does not hide the others. After all other rows, one `DecodeError` names each
    such row with its page and place. With `unreadable="skip"` they are listed in `report.unreadable` only.

    A step that is cancelled or fails ends its requests. The next step of the same iterator resumes at that point:
    `items = aiter(listing)`, and `async with asyncio.timeout(15): item = await anext(items)`.
    """

    __slots__ = (
        *("_consistency", "_identity", "_key", "_lag", "_limit", "_predicate", "_resume"),
        *("_send", "_start", "_state", "_unreadable"),
    )

    def __init__(
        self,
        send: Send,
        start: Call[Page[T]] | Callable[[ScanState[T]], Scan[T]],
        key: Callable[[T], Hashable],
        *,
        limit: int | None = None,
        predicate: Callable[[T], bool] | None = None,
        consistency: Consistency = "fast",
        lag: float = 0.0,
        unreadable: OnUnreadable = "raise",
        identity: ListingIdentity | None = None,
        resume: ResumePoint = BEGINNING,
    ) -> None:
        self._send = send
        self._start = start
        self._key = key
        self._limit = limit
        self._predicate = predicate
        self._consistency: Consistency = consistency
        self._lag = lag
        self._unreadable: OnUnreadable = checked_on_unreadable(unreadable)
        self._identity = identity
        self._resume = resume
        self._state = self._new_state()

    @property
    def report(self) -> ListingReport:
        """The report on the latest pass, up to now."""
        state = self._state
        return ListingReport(
            self._consistency,
            state.requests,
            state.pages,
            state.rows,
            state.duplicates,
            state.steps_back,
            self._lag,
            tuple(state.unreadable),
        )

    @property
    def resume_point(self) -> str | None:
        """The place after the last row that the latest pass has yielded, for `resume` of the same `list` call.

        A short text without credentials, for another process. None for a list that cannot be resumed.
        """
        return self._point(self._state)

    def pages(self) -> Pages[T]:
        """Return the pages of a new pass. See `Pages` for what they raise."""
        state = self._state = self._new_state()
        scan = LinkScan(self._start, state) if isinstance(self._start, Call) else self._start(state)
        return Pages(self._send, scan, state, partial(self._point, state))

    def __aiter__(self) -> Items[T]:
        return Items(self.pages())

    async def first(self) -> T | None:
        """Return the first item, or None if the list is empty. This requests one page."""
        async with aclosing(aiter(self)) as items:
            return await anext(items, None)

    def _point(self, state: ScanState[T]) -> str | None:
        return None if self._identity is None else self._identity.point_text(state.place, self._key)

    def _new_state(self) -> ScanState[T]:
        return ScanState(self._key, self._limit, self._predicate, self._unreadable, Place(self._resume))
