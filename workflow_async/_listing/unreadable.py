"""Reads a page of a list around the rows that the server cannot return. One such row makes the whole page an error."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Generic, TypeVar

from attrs import define, evolve, field

from workflow_async._core.call import Call, Page, Replay, UnreadableRow
from workflow_async._listing.by_offset import RowRange, RowsCall
from workflow_async._listing.prefetch import Send
from workflow_async.errors import CallError, ServerError

T = TypeVar("T")

MAX_REQUESTS = 100
"""Largest number of requests for one page. A page of 100 rows takes up to 14 for each row that cannot be read."""


@define
class PageParts(Generic[T]):
    """A page in parts, each halved if it fails, down to single rows. Parts are requested in the order of the rows."""

    page: RowRange
    items: list[T | UnreadableRow] = field(factory=list, init=False)
    requests: int = field(default=0, init=False)
    """Requests so far."""
    _pending: list[RowRange] = field(init=False)
    """Parts to request. The last one is requested first."""

    def __attrs_post_init__(self) -> None:
        self._pending = []
        self._split(self.page)

    @property
    def done(self) -> bool:
        """True if every row has been read or found unreadable."""
        return not self._pending

    @property
    def exhausted(self) -> bool:
        """True if the page has taken the largest number of requests."""
        return self.requests >= MAX_REQUESTS

    def next_part(self) -> RowRange:
        """Return the part to request next."""
        self.requests += 1
        return self._pending[-1]

    def accept(self, items: tuple[T, ...]) -> None:
        """Store the rows of the part."""
        self._pending.pop()
        self.items += items

    def fail(self, error: CallError) -> None:
        """Halve the part, or record its only row as unreadable."""
        part = self._pending.pop()
        if part.rows > 1:
            self._split(part)
        else:
            fault = f"the server cannot return the row: {error.what} @ row {part.offset}"
            self.items.append(UnreadableRow((fault,), row=None, offset=part.offset))

    def _split(self, part: RowRange) -> None:
        first = (part.rows + 1) // 2
        halves = (RowRange(part.offset, first), RowRange(part.offset + first, part.rows - first))
        self._pending += [half for half in reversed(halves) if half.rows]


def may_be_caused_by_row(error: CallError) -> bool:
    """Return True if a row that the server failed to write may be the reason. Other 5xx than 500 are outages."""
    return isinstance(error, ServerError) and error.status == HTTPStatus.INTERNAL_SERVER_ERROR


def read_around(
    send: Send, rows_call: RowsCall[T], range_of: Callable[[Call[Any]], RowRange], control: Call[Page[T]]
) -> Send:
    """Return a `send` that reads a page in parts if it fails. `control` has no rows and tells if the list works."""

    async def send_page(call: Call[Any], /) -> Any:
        try:
            return await send(call)
        except CallError as error:
            if not may_be_caused_by_row(error):
                raise
            failure = error
        await _check_list_works(send, control, failure)
        return await _read_in_parts(send, rows_call, PageParts(range_of(call)), failure)

    return send_page


async def _check_list_works(send: Send, control: Call[Any], failure: CallError) -> None:
    """Raise the failure if the list does not answer either."""
    try:
        await send(control)
    except CallError:
        raise failure from None


async def _read_in_parts(
    send: Send, rows_call: RowsCall[T], parts: PageParts[T], failure: CallError
) -> Page[T | UnreadableRow]:
    """Return the page, with an `UnreadableRow` in the place of each row that the server cannot return.

    Raises the failure if this takes too many requests.
    """
    while not parts.done:
        if parts.exhausted:
            raise failure
        part = parts.next_part()
        call = rows_call(part.offset, part.rows)
        try:
            # a part of several rows may well fail, so only a request for a single row is retried
            page = await send(call if part.rows == 1 else evolve(call, replay=Replay.ONCE))
        except CallError as error:
            if part.rows == 1 and not may_be_caused_by_row(error):
                raise
            parts.fail(error)
        else:
            parts.accept(page.items)
    return Page(tuple(parts.items))
