"""A listing as an async iterable: pages are asked for as they are needed, some at once."""

from collections import deque
from collections.abc import AsyncIterator, Callable, Hashable, Sequence
from typing import Generic, Protocol, TypeVar

import anyio
import attrs

from workflow_async._call import Call, Page
from workflow_async._lists.scan import Chain, Consistency, Found, Scan

T = TypeVar("T")
R = TypeVar("R")


class Send(Protocol):
    """What a listing needs: something that turns a call into its answer."""

    async def __call__(self, call: Call[R], /) -> R: ...


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


class Listing(Generic[T]):
    """The items of a listing: `async for item in listing`, or page by page with `pages()`.

    Nothing is sent before the first item is asked for, no connection is held between items, and it can be iterated
    again, which asks the server again. An item that comes twice, because it moved between pages, is given once. What
    the listing did is in `report`.
    """

    __slots__ = ("_begin", "_found", "_key", "_lag", "_limit", "_mode", "_send", "_wanted")

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
    ) -> None:
        self._send = send
        self._begin = begin
        self._key = key
        self._limit = limit
        self._wanted = wanted
        self._mode = consistency
        self._lag = lag
        self._found = self._nothing()

    @property
    def report(self) -> ListingReport:
        """What the pass that began last has done so far."""
        found = self._found
        return ListingReport(
            self._mode, found.requests, found.pages, found.rows, found.duplicates, found.steps_back, self._lag
        )

    async def pages(self) -> AsyncIterator[Page[T]]:
        """Page by page; raises `ListingInconsistent` when going on would never end."""
        found = self._found = self._nothing()
        scan = Chain(self._begin, found) if isinstance(self._begin, Call) else self._begin(found)
        while not scan.over and (calls := scan.plan()):
            found.requests += len(calls)
            answers = await answered(self._send, calls)
            while answers and not scan.over:
                page = answers.popleft()
                if isinstance(page, Exception):
                    raise page
                items = scan.take(page)
                if items is None:
                    break
                yield attrs.evolve(page, items=items)

    async def __aiter__(self) -> AsyncIterator[T]:
        async for page in self.pages():
            for item in page.items:
                yield item

    async def first(self) -> T | None:
        """The first item, or None if there is none; asks for one page."""
        async for item in self:
            return item
        return None

    def _nothing(self) -> Found[T]:
        return Found(self._key, self._limit, self._wanted)


async def answered(send: Send, calls: Sequence[Call[R]]) -> deque[R | Exception]:
    """The answers to calls that are sent at once, in their order, up to the first that failed.

    What comes behind one that failed is cut off. The tasks end before this does, however it ends.
    """
    if len(calls) == 1:
        return deque([await send(calls[0])])
    answers: dict[int, R | Exception] = {}
    scopes = [anyio.CancelScope() for _ in calls]

    async def ask(place: int) -> None:
        with scopes[place]:
            try:
                answers[place] = await send(calls[place])
            except Exception as error:  # noqa: BLE001 - raised when its turn comes, outside of the group
                answers[place] = error
                for scope in scopes[place + 1 :]:
                    scope.cancel()

    async with anyio.create_task_group() as group:
        for place in range(len(calls)):
            group.start_soon(ask, place)
    failed = [place for place, answer in answers.items() if isinstance(answer, Exception)]
    return deque(answers[place] for place in range(min(failed, default=len(calls) - 1) + 1))
