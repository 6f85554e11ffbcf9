"""Scans of a list by row offsets: page after page, or with overlapping ("anchored") pages. Pure.

An anchored page counts only if its first rows are known already. Otherwise the scan steps back. Every row that is in
the list from the beginning of the pass to the end is returned, provided that the rows that stay keep their order.

A page that counts is one piece of the list. The piece begins at or before the last returned row, so no row that stays
lies between the two, whenever the page was requested. A page that does not count changes nothing. The last page reaches
the end of the list.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from attrs import define, field, frozen

from workflow_async._core.call import Call, Page
from workflow_async._listing.scan import ScanState
from workflow_async.errors import ListingInconsistent

T = TypeVar("T")

RowsCall = Callable[[int, int], Call[Page[T]]]
"""Makes the call for rows, given the offset of the first and their number."""

OVERLAP = 5
"""Rows that an anchored page shares with the page before."""
ANCHOR = 3
"""Shared rows that must be known for a page to count. One would be enough if rows never changed places."""
PROGRESS_ALLOWANCE, PROGRESS_PER_PAGE = 16, 3
"""Progress limit of an anchored scan: 16 pages without new rows, plus 3 for each page that had some."""
MAX_EMPTY_PAGES = 2
"""Consecutive empty pages below the server's total after which an offset scan ends and an anchored one fails."""


@frozen
class RowRange:
    """Rows to request. The first `overlap` of them are expected to be known."""

    offset: int
    rows: int
    overlap: int = 0

    @property
    def end(self) -> int:
        """The offset after the last row."""
        return self.offset + self.rows


def row_ranges(first: RowRange, overlap: int, *, count: int, end: int | None) -> list[RowRange]:
    """Return up to `count` consecutive ranges, each overlapping the one before. None of them reaches beyond `end`."""
    ranges, current = [first], first
    while len(ranges) < count and (end is None or current.offset + current.rows < end):
        overlapping = min(overlap, current.rows - 1)
        current = RowRange(current.offset + current.rows - overlapping, first.rows, overlapping)
        ranges.append(current)
    last = ranges.pop()
    return [*ranges, last if end is None else RowRange(last.offset, min(last.rows, end - last.offset), last.overlap)]


@define
class PageWindow:
    """The number and the size of the pages to request concurrently.

    The window starts with one page. Then it allows as many pages as the server's total implies, or twice as many each
    time if there is no total. A page of unexpected length resets the window to one page. Two such pages of equal length
    set the page size, because the server then seems to prefer that length.
    """

    page_size: int
    max_pages: int
    _width: int = field(default=0, init=False)
    _short_length: int = field(default=0, init=False)
    _steady: bool = field(default=True, init=False)

    def width(self, rows_left: int | None, step: int) -> int:
        """Return the number of pages to request. `rows_left` is computed from the server's total."""
        if rows_left is None or not self._width:
            return max(1, self._width)
        width = self.max_pages if self._steady else self._width
        return max(1, min(width, -(-rows_left // step)))

    def record_page(self, requested: RowRange, count: int) -> None:
        """Adapt to a page of `count` rows.

        Each full page adds one to the width. The width therefore doubles each time that all pages of a round are full.
        """
        if count != requested.rows:
            self.shrink()
            if 1 < count == self._short_length:
                self.page_size = count
            self._short_length = count
        else:
            self._width = min(self.max_pages, self._width + 1)

    def shrink(self) -> None:
        """Return to a single page, because the list differs from what was expected."""
        self._width, self._steady = 0, False


@define
class OffsetScan(Generic[T]):
    """A scan in which each page begins where the one before ended.

    A row that moves up during the pass is missed. A row that moves down comes twice and is returned once.
    """

    rows_call: RowsCall[T]
    state: ScanState[T]
    page_window: PageWindow
    offset: int = field(init=False)
    done: bool = field(default=False, init=False)
    _total: int | None = field(default=None, init=False)
    _empty_pages: int = field(default=0, init=False)
    _in_flight: deque[RowRange] = field(factory=deque, init=False)

    def __attrs_post_init__(self) -> None:
        self.offset = self.state.place.resumed_at.offset

    def next_calls(self, pages_in_use: int = 0) -> Sequence[Call[Page[T]]]:
        """Return the calls for the following pages, within the limit.

        Pages in flight and pages being read count towards the window's width.
        """
        rows_left, page_size = self.state.rows_left, self.page_window.page_size
        rows_to_end = None if self._total is None else self._total - self.offset
        end = None if rows_left is None else self.offset + rows_left
        last = self._in_flight[-1] if self._in_flight else RowRange(self.offset, 0)
        count = self.page_window.width(rows_to_end, page_size) - len(self._in_flight) - pages_in_use
        if count <= 0 or (end is not None and last.end >= end):
            return ()
        ranges = row_ranges(RowRange(last.end, page_size), 0, count=count, end=end)
        self._in_flight += ranges
        return [self.rows_call(requested.offset, requested.rows) for requested in ranges]

    def accept(self, page: Page[T]) -> tuple[T, ...] | None:
        """Return the new rows. Raise `ListingInconsistent` if two consecutive pages had no new rows."""
        requested, count = self._in_flight.popleft(), len(page.items)
        if requested.offset != self.offset:
            self._in_flight.clear()
            return None
        self.offset, self._total = requested.offset + count, page.total
        new = self.state.accept(page.items, requested.offset)
        self._empty_pages = 0 if count else self._empty_pages + 1
        is_last = is_last_page(self.offset, requested=requested.rows, count=count, total=page.total)
        self.done = self.state.limit_reached or is_last or self._empty_pages >= MAX_EMPTY_PAGES
        if count:
            self.state.check_not_stuck()
        self.page_window.record_page(requested, count)
        return new


def is_last_page(end: int, *, requested: int, count: int, total: int | None) -> bool:
    """Return True if a page is the last one. A total lower than the number of rows received is ignored."""
    return count < requested if total is None or end > total else end == total


@define
class OverlapScan(Generic[T]):
    """A scan in which each page begins within the one before.

    If a page does not, rows have moved, and the scan steps back. A resumed scan knows only the last rows before its
    point. If they have moved too far to be found, it starts again from the first row.
    """

    rows_call: RowsCall[T]
    state: ScanState[T]
    page_window: PageWindow
    overlap: int = OVERLAP
    anchor: int = ANCHOR
    done: bool = field(default=False, init=False)
    _position: RowRange = field(init=False)
    _total: int | None = field(default=None, init=False)
    _first_known: int = field(init=False)  # the offset of the first row that is known from an earlier pass
    _allowance: int = field(init=False)  # rows that are known from an earlier pass fill pages too
    _longest: int = field(init=False)
    """Rows of the longest page so far, which the server is known to return."""
    _empty_pages: int = field(default=0, init=False)
    _in_flight: deque[RowRange] = field(factory=deque, init=False)

    def __attrs_post_init__(self) -> None:
        start, page_size = self.state.place.resumed_at, self.page_window.page_size
        overlap = min(self.overlap, start.offset, page_size - 1)
        self._position = RowRange(start.offset - overlap, page_size, overlap)
        self._first_known, self._longest = max(0, start.offset - len(start.keys)), start.longest
        self._allowance = PROGRESS_ALLOWANCE + len(start.keys)
        self.state.seen.update(start.keys)

    def next_calls(self, pages_in_use: int = 0) -> Sequence[Call[Page[T]]]:
        """Return the calls for the following overlapping pages, within the limit.

        Return none until all earlier pages have been read.
        """
        if pages_in_use or self._in_flight:
            return ()
        rows_left, page_size, position = self.state.rows_left, self.page_window.page_size, self._position
        rows_to_end = None if self._total is None else self._total - position.offset
        end = None if rows_left is None else position.offset + position.overlap + rows_left
        count = self.page_window.width(rows_to_end, max(1, page_size - self.overlap))
        ranges = row_ranges(RowRange(position.offset, page_size, position.overlap), self.overlap, count=count, end=end)
        self._in_flight = deque(ranges)
        return [self.rows_call(requested.offset, requested.rows) for requested in ranges]

    def accept(self, page: Page[T]) -> tuple[T, ...] | None:
        """Return the new rows, or None if the page does not continue the list.

        Raises `ListingInconsistent` if the scan makes too little progress.
        """
        requested, count = self._in_flight.popleft(), len(page.items)
        if requested.offset != self._position.offset:
            self._in_flight.clear()
            return None
        self._check_empty_pages(requested, page)
        self._total = page.total
        if not continues_list(requested, [self.state.is_known(item) for item in page.items[: self.anchor]]):
            self._step_back(requested)
            return None
        self._longest = max(self._longest, count)
        new = self.state.accept(page.items, requested.offset)
        self._empty_pages = 0 if new else self._empty_pages
        self.done = self.state.limit_reached or self._ends(requested, page)
        if not self.done:
            self.state.check_progress(self._allowance, PROGRESS_PER_PAGE)
            overlap = max(1, min(self.overlap, count - 1))
            self._position = RowRange(max(0, requested.offset + count - overlap), self.page_window.page_size, overlap)
            self.page_window.record_page(requested, count)
        return new

    def _step_back(self, requested: RowRange) -> None:
        self._in_flight.clear()
        self.state.steps_back += 1
        self.state.check_progress(self._allowance, PROGRESS_PER_PAGE)
        self.page_window.shrink()
        page_size = self.page_window.page_size
        offset = max(0, requested.offset - max(1, page_size - self.overlap))
        offset = offset if offset >= self._first_known else 0  # too far for the known rows
        self._position = RowRange(offset, page_size, max(1, min(self.overlap, page_size - 1)))

    def _ends(self, requested: RowRange, page: Page[T]) -> bool:
        """Return True if the page reaches the end of the list.

        It does if it is short, and the server has returned a longer page before.
        """
        count = len(page.items)
        says_more = page.total is not None and requested.offset + count < page.total
        return count < requested.rows and not says_more and (count < self._longest or count <= 1)

    def _check_empty_pages(self, requested: RowRange, page: Page[T]) -> None:
        if page.items or page.total is None or requested.offset >= page.total:
            return
        self._empty_pages += 1
        if self._empty_pages >= MAX_EMPTY_PAGES:
            raise ListingInconsistent(
                f"no rows from offset {requested.offset} on, although the server reports {page.total} rows"
            )


def continues_list(requested: RowRange, known: Sequence[bool]) -> bool:
    """Return True if a page begins the list, or with rows that are known. `known` says which of its first rows are."""
    return requested.offset == 0 or (bool(known) and all(known[: max(1, requested.overlap)]))
