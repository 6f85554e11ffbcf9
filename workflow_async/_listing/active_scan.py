"""One pass over the list of active workflows, whose length is known from the last one. Pure."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from attrs import define, field

from workflow_async._core.call import Call, Page
from workflow_async._listing.by_offset import is_last_page
from workflow_async._listing.scan import ScanState

T = TypeVar("T")

MAX_AHEAD = 64
"""Pages that are asked for ahead, at most: four turns of 16 connections, which last no longer than a call may."""


@define
class ActiveScan(Generic[T]):
    """One page, and when that has come, as many at once as are there: as the server says, or else as there were.

    A list that cannot be had, or a server that is down, costs one request.
    """

    page: Callable[[int, int], Call[Page[T]]]
    """The call for the rows from an offset on, so many of them."""
    found: ScanState[T]
    size: int
    rows: int
    """In the list, most likely."""
    done: bool = field(default=False, init=False)
    _offset: int = field(default=0, init=False)
    _asked: deque[int] = field(factory=deque, init=False)

    def next_calls(self, held: int = 0) -> Sequence[Call[Page[T]]]:
        """The pages that follow, besides those on their way; one if none is: there may be more than there were."""
        if held or (self._asked and self._asked[0] != self._offset):
            return ()
        begin = self._asked[-1] + self.size if self._asked else self._offset
        pages = -(-(self.rows - begin) // self.size)
        count = min(MAX_AHEAD - len(self._asked), pages) if self._offset else 0
        offsets = [begin + place * self.size for place in range(max(count, not self._asked))]
        self._asked += offsets
        return [self.page(offset, self.size) for offset in offsets]

    def accept(self, page: Page[T]) -> tuple[T, ...] | None:
        """What is new; None for a page that does not begin where the one before ended, as it was shorter than asked.

        Raises `ListingInconsistent` when two pages in a row bring nothing new.
        """
        if self._asked.popleft() != self._offset:
            self._asked.clear()
            return None
        fresh, count = self.found.accept(page.items), len(page.items)
        self._offset += count
        self.done = is_last_page(self._offset, asked=self.size, count=count, total=page.total)
        if count or not self.done:
            self.found.check_not_stuck()
        self.rows = self.rows if page.total is None else page.total
        self.size = count or self.size
        return fresh
