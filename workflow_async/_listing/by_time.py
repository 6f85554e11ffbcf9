"""A scan of a list by time windows, each requested in one piece. Pure.

A window whose rows all come in one result is done. A window with more rows is halved. A short window is requested again
with a higher limit, because halving cannot separate rows of the same instant. There are no offsets.

The windows cover the period, and a row keeps its instant. Every row that is in the list from the beginning of the pass
to the end is therefore in the one result that completes its window, even if rows move during the pass. If the server
reports no total and may return fewer rows than requested, a second result must confirm that a window is complete.
"""

from collections import deque
from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

from attrs import define, evolve, field, frozen

from workflow_async._core.call import Call, Page
from workflow_async._listing.scan import ScanState
from workflow_async.errors import ListingInconsistent

T = TypeVar("T")

PROGRESS_ALLOWANCE, PROGRESS_PER_PAGE = 64, 48
"""Progress limit: 64 results without new rows, plus 48 for each result that had some.

A window is halved up to 48 times, and each time one of the halves may be empty.
"""
SHORT_WINDOW = 2**16
"""Length of a window, in seconds or milliseconds, up to which more rows are requested instead of halving it."""
MAX_UNCOVERED = 3
"""Times that the windows together may hold fewer rows than the list before the scan fails."""


@frozen
class Window:
    """A period from one instant to another, both included, in whole seconds or milliseconds since 1970."""

    first: int
    last: int

    def halves(self) -> "tuple[Window, ...]":
        """Return two windows that share an instant, or () if the window is too short.

        They share it because a server may exclude one end of a window.
        """
        middle = (self.first + self.last) // 2
        return (Window(self.first, middle), Window(middle, self.last)) if self.last - self.first > 1 else ()


@frozen
class WindowRequest:
    """A request for `rows` rows of a window, starting at an offset. Without a window it is for the whole list."""

    window: Window | None
    rows: int
    offset: int = 0
    expected_row: Hashable = None
    """The only row that the result should hold, if the request checks that no row follows it."""


WindowCall = Callable[[Window | None, int, int], Call[Page[T]]]
"""Makes the call for rows of a window, given the offset of the first and their number."""


@define
class TimeWindowScan(Generic[T]):
    """A scan that requests the whole list if it fits into one result, and otherwise window by window."""

    window_call: WindowCall[T]
    state: ScanState[T]
    page_size: int
    ahead: int
    period: Window
    """The window that all windows cover together."""
    bounded: bool = False
    """True if rows outside the period are not wanted. Otherwise, the first request is for the whole list."""
    done: bool = field(default=False, init=False)
    _pending: list[WindowRequest] = field(init=False)
    """Requests to send. The last one is sent first."""
    _in_flight: deque[WindowRequest] = field(factory=deque, init=False)
    _longest: int = field(default=0, init=False)
    """Rows of the longest result so far, which the server is known to return."""
    _total: int = field(default=0, init=False)
    """Rows of the list, according to the server. 0 if it reports no total."""
    _uncovered: int = field(default=0, init=False)
    _cap: int | None = field(default=None, init=False)
    """The most rows that the server returns. None until a result has shown it."""

    def __attrs_post_init__(self) -> None:
        self._pending = [WindowRequest(self.period if self.bounded else None, self.page_size)]

    def next_calls(self, pages_in_use: int = 0) -> Sequence[Call[Page[T]]]:
        """Return the calls for the pending windows, the earliest first. Return () until earlier results are read."""
        if pages_in_use or self._in_flight:
            return ()
        requests = [self._pending.pop() for _ in range(min(self.ahead, len(self._pending)))]
        self._in_flight = deque(requests)
        return [self.window_call(request.window, request.offset, request.rows) for request in requests]

    def accept(self, page: Page[T]) -> tuple[T, ...]:
        """Return the new rows.

        Raises `ListingInconsistent` if a window cannot be read completely, or if the windows do not cover the list.
        """
        request = self._in_flight.popleft()
        new = self.state.accept(page.items)
        self.state.check_progress(PROGRESS_ALLOWANCE, PROGRESS_PER_PAGE)
        self._pending += reversed(
            self._next_requests(request, [self.state.key(item) for item in page.items], page.total)
        )
        self._longest = max(self._longest, len(page.items))
        self.done = self.state.limit_reached or not (self._pending or self._in_flight)
        return new

    def _next_requests(
        self, request: WindowRequest, keys: Sequence[Hashable], total: int | None
    ) -> Sequence[WindowRequest]:
        """Return the requests that follow from a result."""
        count = len(keys)
        if request.window == self.period and total is not None and total < self._total:
            return self._restart(total)
        if request.expected_row is not None:
            whole_window = WindowRequest(request.window, self.page_size)
            return () if keys == [request.expected_row] else self._split_or_enlarge(whole_window, self.page_size)
        complete = is_complete(requested=request.rows, count=count, total=total, longest=self._longest)
        if complete is None:
            return (evolve(request, rows=2, offset=count - 1, expected_row=keys[-1]),)
        if complete:
            return ()
        if request.window is None:
            self._total = total or 0
        if count < request.rows:
            self._cap = count
            if not self._split(request):
                raise ListingInconsistent(
                    f"the server returns only {count} of {total} rows of one instant: use another consistency"
                )
        if self._may_enlarge(request):
            return (evolve(request, rows=2 * request.rows),)
        return self._split_or_enlarge(request, 2 * request.rows)

    def _may_enlarge(self, request: WindowRequest) -> bool:
        """Return True if the window is short and the server may return twice as many rows."""
        is_short = request.window is not None and request.window.last - request.window.first <= SHORT_WINDOW
        return is_short and (self._cap is None or 2 * request.rows <= self._cap)

    def _split_or_enlarge(self, request: WindowRequest, rows: int) -> Sequence[WindowRequest]:
        """Return requests for the window's halves, or one for `rows` rows if the window is too short to be halved."""
        return self._split(request) or (evolve(request, rows=rows),)

    def _split(self, request: WindowRequest) -> Sequence[WindowRequest]:
        windows = (self.period,) if request.window is None else request.window.halves()
        return [WindowRequest(window, self.page_size) for window in windows]

    def _restart(self, total: int) -> Sequence[WindowRequest]:
        """Return a request for the whole list, because the windows missed some of it.

        Raises `ListingInconsistent` the third time. The list may have shrunk once, but not every time.
        """
        self._uncovered += 1
        if self._uncovered >= MAX_UNCOVERED:
            raise ListingInconsistent(
                f"only {total} of {self._total} rows have a date to partition them by: use another consistency"
            )
        return (WindowRequest(None, self.page_size),)


def is_complete(*, requested: int, count: int, total: int | None, longest: int) -> bool | None:
    """Return True if a result holds all rows. None if it is short, and the server may never return more."""
    if total is not None:
        return count >= total
    if count >= requested:
        return False
    return True if count < longest or not count else None
