"""Scans of a list that is asked for by rows: page after page, straight on or anchored. Pure.

An anchored page begins with rows that are known already, or it does not count and the scan steps back. Thereby, as long
as what stays in the list keeps its order, every row that is there from beginning to end is given: whatever page counts
is one piece of the list that begins at or before the last row given, so nothing that stays lies between, whenever it
was asked for; a page that does not count changes nothing; and the last page reaches the end of the list.
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
"""The call for the rows from an offset on, so many of them."""

OVERLAP = 5
"""Rows that an anchored page has in common with the one before."""
ANCHOR = 3
"""How many of these must be known for the page to count; where rows never change places, one would do."""
SLACK, PATIENCE = 16, 3
"""Pages that bring nothing an anchored scan endures: so many, and so many more for each that brings something."""
MAX_EMPTY_PAGES = 2
"""Empty pages in a row below the total that the server tells: then a scan straight on ends, an anchored one fails."""


@frozen
class RowRange:
    """Rows to ask for, and how many of the first are expected to be known."""

    offset: int
    rows: int
    overlap: int = 0

    @property
    def end(self) -> int:
        """The offset behind it."""
        return self.offset + self.rows


def row_ranges(first: RowRange, overlap: int, *, count: int, end: int | None) -> list[RowRange]:
    """So many spans in a row, each overlapping the one before; none reaches beyond `end`."""
    found, at = [first], first
    while len(found) < count and (end is None or at.offset + at.rows < end):
        shared = min(overlap, at.rows - 1)
        at = RowRange(at.offset + at.rows - shared, first.rows, shared)
        found.append(at)
    last = found.pop()
    return [*found, last if end is None else RowRange(last.offset, min(last.rows, end - last.offset), last.overlap)]


@define
class PageWindow:
    """How many pages to ask for at once, and how long they are.

    One alone, then as many as are known to be there, or twice as many each time where nobody knows; one alone again
    after a page that was not as long as asked for. Two of these alike tell the length that the server likes.
    """

    rows: int
    most: int
    _wide: int = field(default=0, init=False)
    _short: int = field(default=0, init=False)
    _even: bool = field(default=True, init=False)

    def width(self, rows_left: int | None, step: int) -> int:
        """Pages to ask for; `rows_left` is what the server says there is."""
        if rows_left is None or not self._wide:
            return max(1, self._wide)
        wide = self.most if self._even else self._wide
        return max(1, min(wide, -(-rows_left // step)))

    def record_page(self, span: RowRange, count: int) -> None:
        """A page of so many rows has come; one more at once for each that is whole is twice as many each time."""
        if count != span.rows:
            self.shrink()
            if 1 < count == self._short:
                self.rows = count
            self._short = count
        else:
            self._wide = min(self.most, self._wide + 1)

    def shrink(self) -> None:
        """The list is not as it was thought to be."""
        self._wide, self._even = 0, False


@define
class OffsetScan(Generic[T]):
    """Each page begins where the one before ended: what moves up meanwhile is missed, what moves down comes twice."""

    rows: RowsCall[T]
    found: ScanState[T]
    pace: PageWindow
    offset: int = 0
    done: bool = field(default=False, init=False)
    _total: int | None = field(default=None, init=False)
    _empty_pages: int = field(default=0, init=False)
    _asked: deque[RowRange] = field(factory=deque, init=False)

    def next_calls(self, held: int = 0) -> Sequence[Call[Page[T]]]:
        """The pages that follow, within the limit: as many as may be, less those on their way and those being read."""
        left, size = self.found.left, self.pace.rows
        there = None if self._total is None else self._total - self.offset
        end = None if left is None else self.offset + left
        last = self._asked[-1] if self._asked else RowRange(self.offset, 0)
        count = self.pace.width(there, size) - len(self._asked) - held
        if count <= 0 or (end is not None and last.end >= end):
            return ()
        planned = row_ranges(RowRange(last.end, size), 0, count=count, end=end)
        self._asked += planned
        return [self.rows(span.offset, span.rows) for span in planned]

    def accept(self, page: Page[T]) -> tuple[T, ...] | None:
        """What is new; raises `ListingInconsistent` when two pages in a row bring nothing."""
        span, count = self._asked.popleft(), len(page.items)
        if span.offset != self.offset:
            self._asked.clear()
            return None
        self.offset, self._total = span.offset + count, page.total
        fresh = self.found.accept(page.items)
        self._empty_pages = 0 if count else self._empty_pages + 1
        ended = is_last_page(self.offset, asked=span.rows, count=count, total=page.total)
        self.done = self.found.full or ended or self._empty_pages >= MAX_EMPTY_PAGES
        if count:
            self.found.check_not_stuck()
        self.pace.record_page(span, count)
        return fresh


def is_last_page(reached: int, *, asked: int, count: int, total: int | None) -> bool:
    """Whether a page was the last one; a total that is less than what came says nothing."""
    return count < asked if total is None or reached > total else reached == total


@define
class OverlapScan(Generic[T]):
    """Each page begins within the one before; one that does not was moved, and the scan steps back."""

    rows: RowsCall[T]
    found: ScanState[T]
    pace: PageWindow
    overlap: int = OVERLAP
    anchor: int = ANCHOR
    done: bool = field(default=False, init=False)
    _at: RowRange = field(init=False)
    _total: int | None = field(default=None, init=False)
    _longest: int = field(default=0, init=False)
    """Rows of the longest page so far: the server gives so many."""
    _empty_pages: int = field(default=0, init=False)
    _asked: deque[RowRange] = field(factory=deque, init=False)

    def __attrs_post_init__(self) -> None:
        self._at = RowRange(0, self.pace.rows)

    def next_calls(self, held: int = 0) -> Sequence[Call[Page[T]]]:
        """The pages that follow, each overlapping the one before, within the limit; when all before have been read."""
        if held or self._asked:
            return ()
        left, size, at = self.found.left, self.pace.rows, self._at
        there = None if self._total is None else self._total - at.offset
        end = None if left is None else at.offset + at.overlap + left
        count = self.pace.width(there, max(1, size - self.overlap))
        planned = row_ranges(RowRange(at.offset, size, at.overlap), self.overlap, count=count, end=end)
        self._asked = deque(planned)
        return [self.rows(span.offset, span.rows) for span in planned]

    def accept(self, page: Page[T]) -> tuple[T, ...] | None:
        """What is new, if the page joins on; raises `ListingInconsistent` when that comes to nothing for too long."""
        span, count = self._asked.popleft(), len(page.items)
        if span.offset != self._at.offset:
            self._asked.clear()
            return None
        self._check_empty_pages(span, page)
        self._total = page.total
        if not joins(span, [self.found.is_known(item) for item in page.items[: self.anchor]]):
            self._step_back(span)
            return None
        self._longest = max(self._longest, count)
        fresh = self.found.accept(page.items)
        self._empty_pages = 0 if fresh else self._empty_pages
        self.done = self.found.full or self._ends(span, page)
        if not self.done:
            self.found.check_progress(SLACK, PATIENCE)
            shared = max(1, min(self.overlap, count - 1))
            self._at = RowRange(max(0, span.offset + count - shared), self.pace.rows, shared)
            self.pace.record_page(span, count)
        return fresh

    def _step_back(self, span: RowRange) -> None:
        self._asked.clear()
        self.found.steps_back += 1
        self.found.check_progress(SLACK, PATIENCE)
        self.pace.shrink()
        back = max(1, self.pace.rows - self.overlap)
        self._at = RowRange(max(0, span.offset - back), self.pace.rows, max(1, min(self.overlap, self.pace.rows - 1)))

    def _ends(self, span: RowRange, page: Page[T]) -> bool:
        """Whether the page reaches the end of the list: it is short, and not because the server likes it so."""
        count = len(page.items)
        says_more = page.total is not None and span.offset + count < page.total
        return count < span.rows and not says_more and (count < self._longest or count <= 1)

    def _check_empty_pages(self, span: RowRange, page: Page[T]) -> None:
        if page.items or page.total is None or span.offset >= page.total:
            return
        self._empty_pages += 1
        if self._empty_pages >= MAX_EMPTY_PAGES:
            raise ListingInconsistent(f"no rows from {span.offset} on, of {page.total} that the server says there are")


def joins(span: RowRange, known: Sequence[bool]) -> bool:
    """Whether a page joins on to what is known: it begins the list, or with rows that have come; `known` says which."""
    return span.offset == 0 or (bool(known) and all(known[: max(1, span.overlap)]))
