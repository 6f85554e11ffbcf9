"""A paginated listing as an async iterable: pages are asked for as they are needed."""

from collections.abc import AsyncIterator, Callable, Hashable
from typing import Generic, Protocol, TypeVar

import attrs

from workflow_async._call import Call, Page
from workflow_async.errors import ListingInconsistent

T = TypeVar("T")
R = TypeVar("R")

STANDSTILL = 2
"""Pages in a row that bring nothing new, before a listing gives up."""


class Send(Protocol):
    """What a listing needs: something that turns a call into its answer."""

    async def __call__(self, call: Call[R], /) -> R: ...


class Listing(Generic[T]):
    """The items of a listing: `async for item in listing`, or page by page with `pages()`.

    Nothing is sent before the first item is asked for, no connection is held between items, and it can be iterated
    again, which asks the server again. An item that comes twice, because it moved between pages, is given once.
    """

    __slots__ = ("_first", "_key", "_send")

    def __init__(self, send: Send, first: Call[Page[T]], key: Callable[[T], Hashable]) -> None:
        self._send = send
        self._first = first
        self._key = key

    async def pages(self) -> AsyncIterator[Page[T]]:
        """Page by page; raises `ListingInconsistent` when two full pages in a row bring nothing new."""
        seen: set[Hashable] = set()
        call: Call[Page[T]] | None = self._first
        idle = 0
        while call is not None:
            page = await self._send(call)
            fresh = self._new(page, seen)
            idle = 0 if fresh else idle + 1
            if idle >= STANDSTILL and (page.next is not None or page.items):
                raise ListingInconsistent(f"{idle} pages in a row brought nothing new, after {len(seen)} items")
            yield attrs.evolve(page, items=fresh)
            call = page.next

    async def __aiter__(self) -> AsyncIterator[T]:
        async for page in self.pages():
            for item in page.items:
                yield item

    async def first(self) -> T | None:
        """The first item, or None if there is none; asks for one page."""
        async for item in self:
            return item
        return None

    def _new(self, page: Page[T], seen: set[Hashable]) -> tuple[T, ...]:
        fresh = []
        for item in page.items:
            key = self._key(item)
            if key not in seen:
                seen.add(key)
                fresh.append(item)
        return tuple(fresh)


def next_size(size: int, limit: int | None, given: int) -> int:
    """Rows to ask for next: a page, or what is left of the limit; 0 when nothing is."""
    return size if limit is None else max(0, min(size, limit - given))
