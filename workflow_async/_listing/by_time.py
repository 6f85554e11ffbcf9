"""A scan of a list by windows of time, each asked for in one piece. Pure.

A window whose rows all come in one answer is done. A window that holds more is halved. A short one is asked for again
with room for more, as halving cannot tell rows of one instant apart. There are no offsets. The windows cover the time
and a row stays at its own, so every row that is there from beginning to end is in the one answer that finishes its
window, wherever rows move meanwhile. If the server tells no total and may give fewer rows than asked for, a second
answer must tell that a window was whole.
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
"""Answers that bring nothing: so many are endured, and so many more for each that brings something. A window is halved
up to 48 times, and each time one of the halves may be empty."""
SHORT_WINDOW = 2**16
"""Length of a window, in seconds or milliseconds, up to which more rows are asked for instead of halving it."""
MAX_UNCOVERED = 3
"""Times that the windows together hold fewer rows than the list, before a scan gives up."""


@frozen
class Window:
    """From one instant to another, both included; whole seconds or milliseconds since 1970."""

    first: int
    last: int

    def halves(self) -> "tuple[Window, ...]":
        """Two that share an instant, in case the server does not include both ends; nothing if it is too short."""
        middle = (self.first + self.last) // 2
        return (Window(self.first, middle), Window(middle, self.last)) if self.last - self.first > 1 else ()


@frozen
class WindowRequest:
    """So many rows of a window, or, without one, of the whole list, from an offset on."""

    window: Window | None
    rows: int
    offset: int = 0
    expected_row: Hashable = None
    """The row that should be the only one, where it is asked whether there are any behind it."""


WindowCall = Callable[[Window | None, int, int], Call[Page[T]]]
"""The call for rows of a window: from an offset on, so many of them."""


@define
class TimeWindowScan(Generic[T]):
    """All of the list if it fits into one answer, else window by window."""

    window_call: WindowCall[T]
    state: ScanState[T]
    page_size: int
    ahead: int
    period: Window
    """What the windows cover together."""
    bounded: bool = False
    """Whether rows beyond the span are not wanted; otherwise, the list begins with all there is."""
    done: bool = field(default=False, init=False)
    _pending: list[WindowRequest] = field(init=False)
    """The last is asked for first."""
    _in_flight: deque[WindowRequest] = field(factory=deque, init=False)
    _longest: int = field(default=0, init=False)
    """Rows of the longest answer so far: the server gives so many."""
    _total: int = field(default=0, init=False)
    """Rows of the list, where the server says."""
    _uncovered: int = field(default=0, init=False)
    _cap: int | None = field(default=None, init=False)
    """Rows that the server gives at most. None until an answer has shown it."""

    def __attrs_post_init__(self) -> None:
        self._pending = [WindowRequest(self.period if self.bounded else None, self.page_size)]

    def next_calls(self, pages_in_use: int = 0) -> Sequence[Call[Page[T]]]:
        """The windows that are still to be asked for, the earliest first, when those before have been read."""
        if pages_in_use or self._in_flight:
            return ()
        requests = [self._pending.pop() for _ in range(min(self.ahead, len(self._pending)))]
        self._in_flight = deque(requests)
        return [self.window_call(request.window, request.offset, request.rows) for request in requests]

    def accept(self, page: Page[T]) -> tuple[T, ...]:
        """What is new; raises `ListingInconsistent` where windows cannot be had whole, or do not cover the list."""
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
        """What an answer leaves to be asked for."""
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
                raise ListingInconsistent(f"the server gives {count} of {total} rows of one instant at once")
        if self._may_enlarge(request):
            return (evolve(request, rows=2 * request.rows),)
        return self._split_or_enlarge(request, 2 * request.rows)

    def _may_enlarge(self, request: WindowRequest) -> bool:
        """Return True if the window is short and the server may give twice as many rows at once."""
        is_short = request.window is not None and request.window.last - request.window.first <= SHORT_WINDOW
        return is_short and (self._cap is None or 2 * request.rows <= self._cap)

    def _split_or_enlarge(self, request: WindowRequest, rows: int) -> Sequence[WindowRequest]:
        """The same window in smaller ones, or, where that is not possible, with so much room."""
        return self._split(request) or (evolve(request, rows=rows),)

    def _split(self, request: WindowRequest) -> Sequence[WindowRequest]:
        windows = (self.period,) if request.window is None else request.window.halves()
        return [WindowRequest(window, self.page_size) for window in windows]

    def _restart(self, total: int) -> Sequence[WindowRequest]:
        """The windows miss some of the list; unless it has shrunk just now, they always will."""
        self._uncovered += 1
        if self._uncovered >= MAX_UNCOVERED:
            raise ListingInconsistent(f"{total} of {self._total} rows have a date to partition them by")
        return (WindowRequest(None, self.page_size),)


def is_complete(*, requested: int, count: int, total: int | None, longest: int) -> bool | None:
    """Whether an answer holds all there is; None where it is short, and that may be all the server ever gives."""
    if total is not None:
        return count >= total
    if count >= requested:
        return False
    return True if count < longest or not count else None
