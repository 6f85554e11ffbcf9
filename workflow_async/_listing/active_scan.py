"""One pass over the list of active workflows, whose length is known from the pass before. Pure."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from attrs import define, field

from workflow_async._core.call import Call, Page
from workflow_async._listing.by_offset import is_last_page
from workflow_async._listing.scan import ScanState

T = TypeVar("T")

MAX_PAGES_IN_FLIGHT = 64
"""Largest number of pages requested ahead: four rounds of 16 connections, which take no longer than a call may."""


@define
class ActiveScan(Generic[T]):
    """A scan that requests one page, and then concurrently all other pages.

    Their number follows from the server's total or else from the last pass. If the list is not available, or the server
    is down, the pass costs one request.
    """

    rows_call: Callable[[int, int], Call[Page[T]]]
    """Makes the call for rows, given the offset of the first and their number."""
    state: ScanState[T]
    page_size: int
    expected_rows: int
    """The likely number of rows in the list."""
    on_done: Callable[[], None] = lambda: None
    """Called when the whole list has been read."""
    done: bool = field(default=False, init=False)
    _offset: int = field(default=0, init=False)
    _in_flight: deque[int] = field(factory=deque, init=False)

    def next_calls(self, pages_in_use: int = 0) -> Sequence[Call[Page[T]]]:
        """Return the calls for the following pages, in addition to those in flight.

        This is at least one call if none is in flight, because the list may have grown.
        """
        if pages_in_use or (self._in_flight and self._in_flight[0] != self._offset):
            return ()
        start = self._in_flight[-1] + self.page_size if self._in_flight else self._offset
        pages = -(-(self.expected_rows - start) // self.page_size)
        count = min(MAX_PAGES_IN_FLIGHT - len(self._in_flight), pages) if self._offset else 0
        offsets = [start + index * self.page_size for index in range(max(count, not self._in_flight))]
        self._in_flight += offsets
        return [self.rows_call(offset, self.page_size) for offset in offsets]

    def accept(self, page: Page[T]) -> tuple[T, ...] | None:
        """Return the new rows. None if the page does not begin where the one before ended, because that one was short.

        Raises `ListingInconsistent` if two consecutive pages had no new rows.
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
        if self.done:
            self.on_done()
        return new
