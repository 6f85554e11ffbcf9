"""One pass over the list of active workflows, whose length is known from the last one. Pure."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from attrs import define, field

from workflow_async._core.call import Call, Page
from workflow_async._listing.by_offset import is_last_page
from workflow_async._listing.scan import ScanState

T = TypeVar("T")

MAX_PAGES_IN_FLIGHT = 64
"""Pages that are asked for ahead, at most: four turns of 16 connections, which last no longer than a call may."""


@define
class ActiveScan(Generic[T]):
    """One page, and when that has come, as many at once as are there: as the server says, or else as there were.

    A list that cannot be had, or a server that is down, costs one request.
    """

    rows_call: Callable[[int, int], Call[Page[T]]]
    """The call for the rows from an offset on, so many of them."""
    state: ScanState[T]
    page_size: int
    expected_rows: int
    """In the list, most likely."""
    done: bool = field(default=False, init=False)
    _offset: int = field(default=0, init=False)
    _in_flight: deque[int] = field(factory=deque, init=False)

    def next_calls(self, pages_in_use: int = 0) -> Sequence[Call[Page[T]]]:
        """The pages that follow, besides those on their way; one if none is: there may be more than there were."""
        if pages_in_use or (self._in_flight and self._in_flight[0] != self._offset):
            return ()
        start = self._in_flight[-1] + self.page_size if self._in_flight else self._offset
        pages = -(-(self.expected_rows - start) // self.page_size)
        count = min(MAX_PAGES_IN_FLIGHT - len(self._in_flight), pages) if self._offset else 0
        offsets = [start + index * self.page_size for index in range(max(count, not self._in_flight))]
        self._in_flight += offsets
        return [self.rows_call(offset, self.page_size) for offset in offsets]

    def accept(self, page: Page[T]) -> tuple[T, ...] | None:
        """What is new; None for a page that does not begin where the one before ended, as it was shorter than asked.

        Raises `ListingInconsistent` when two pages in a row bring nothing new.
        """
        if self._in_flight.popleft() != self._offset:
            self._in_flight.clear()
            return None
        new, count = self.state.accept(page.items), len(page.items)
        self._offset += count
        self.done = is_last_page(self._offset, requested=self.page_size, count=count, total=page.total)
        if count or not self.done:
            self.state.check_not_stuck()
        self.expected_rows = self.expected_rows if page.total is None else page.total
        self.page_size = count or self.page_size
        return new
