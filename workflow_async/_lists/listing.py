"""A listing as an async iterable: pages are asked for as they are needed, and some ahead of that."""

from collections.abc import AsyncGenerator, Callable, Hashable
from contextlib import aclosing
from typing import Generic, TypeVar

import attrs

from workflow_async._call import Call, OnUnreadable, Page, UnreadableRow, on_unreadable
from workflow_async._lists.ahead import Ahead, Send
from workflow_async._lists.scan import Chain, Consistency, Found, Scan

T = TypeVar("T")


@attrs.frozen
class ListingReport:
    """What a pass over a list did."""

    consistency: Consistency
    requests: int = 0
    """Pages asked for, those included that turned out not to be needed; not the retries of one."""
    pages: int = 0
    """Pages that came and counted."""
    rows: int = 0
    """Rows given."""
    duplicates: int = 0
    """Rows that came again and were not given again; the overlap of anchored pages is among them."""
    steps_back: int = 0
    """Pages that did not join on to what was known, so that the pass stepped back."""
    lag: float = 0.0
    """Seconds that the server's list may be behind its records."""
    unreadable: tuple[UnreadableRow, ...] = ()
    """Rows that were not given because they cannot be read: what is wrong, where, and the row as it came."""


class Listing(Generic[T]):
    """The items of a listing: `async for item in listing`, or page by page with `pages()`.

    Nothing is sent before the first item is asked for. From the second page on, the next ones are on their way while
    one is read; a reader that is slow holds no connection, since what has come waits here, and one that leaves early
    ends them. It can be iterated again, which asks the server again. An item that comes twice, because it moved between
    pages, is given once. What the listing did is in `report`.

    A row without a readable id or state does not hide the others. After all other rows, one `DecodeError` names each
    such row with its page and place. With `unreadable="skip"` only `report.unreadable` does.
    """

    __slots__ = ("_begin", "_found", "_key", "_lag", "_limit", "_mode", "_send", "_unreadable", "_wanted")

    def __init__(
        self,
        send: Send,
        begin: Call[Page[T]] | Callable[[Found[T]], Scan[T]],
        key: Callable[[T], Hashable],
        *,
        limit: int | None = None,
        wanted: Callable[[T], bool] | None = None,
        consistency: Consistency = "fast",
        lag: float = 0.0,
        unreadable: OnUnreadable = "raise",
    ) -> None:
        self._send = send
        self._begin = begin
        self._key = key
        self._limit = limit
        self._wanted = wanted
        self._mode = consistency
        self._lag = lag
        self._unreadable = on_unreadable(unreadable)
        self._found = self._nothing()

    @property
    def report(self) -> ListingReport:
        """What the pass that began last has done so far."""
        found = self._found
        return ListingReport(
            self._mode,
            found.requests,
            found.pages,
            found.rows,
            found.duplicates,
            found.steps_back,
            self._lag,
            tuple(found.unreadable),
        )

    async def pages(self) -> AsyncGenerator[Page[T], None]:
        """Page by page.

        Raises:
            ListingInconsistent: going on would never end.
            DecodeError: after the last page, for rows that cannot be read, unless they are to be skipped.
        """
        found = self._found = self._nothing()
        scan = Chain(self._begin, found) if isinstance(self._begin, Call) else self._begin(found)
        async with Ahead[Page[T]](self._send) as ahead:
            while not scan.over and ((calls := scan.plan()) or ahead):
                found.requests += len(calls)
                page = await ahead.answer(calls)
                items = scan.take(page)
                if items is None:
                    await ahead.rest()
                    continue
                if found.pages > 1 and not scan.over:
                    more = scan.plan(held=1)
                    found.requests += len(more)
                    ahead.ask(more)
                yield attrs.evolve(page, items=items)
            await ahead.rest()
        found.check_readable()

    async def __aiter__(self) -> AsyncGenerator[T, None]:
        async with aclosing(self.pages()) as pages:
            async for page in pages:
                for item in page.items:
                    yield item

    async def first(self) -> T | None:
        """The first item, or None if there is none; asks for one page."""
        async with aclosing(self.__aiter__()) as items:
            return await anext(items, None)

    def _nothing(self) -> Found[T]:
        return Found(self._key, self._limit, self._wanted, self._unreadable)
