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

SLACK, PATIENCE = 64, 48
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
    last: Hashable = None
    """The row that should be the only one, where it is asked whether there are any behind it."""


WindowCall = Callable[[Window | None, int, int], Call[Page[T]]]
"""The call for rows of a window: from an offset on, so many of them."""


@define
class TimeWindowScan(Generic[T]):
    """All of the list if it fits into one answer, else window by window."""

    call_for: WindowCall[T]
    found: ScanState[T]
    size: int
    ahead: int
    span: Window
    """What the windows cover together."""
    bounded: bool = False
    """Whether rows beyond the span are not wanted; otherwise, the list begins with all there is."""
    done: bool = field(default=False, init=False)
    _pending: list[WindowRequest] = field(init=False)
    """The last is asked for first."""
    _asked: deque[WindowRequest] = field(factory=deque, init=False)
    _longest: int = field(default=0, init=False)
    """Rows of the longest answer so far: the server gives so many."""
    _whole: int = field(default=0, init=False)
    """Rows of the list, where the server says."""
    _uncovered: int = field(default=0, init=False)
    _cap: int | None = field(default=None, init=False)
    """Rows that the server gives at most. None until an answer has shown it."""

    def __attrs_post_init__(self) -> None:
        self._pending = [WindowRequest(self.span if self.bounded else None, self.size)]

    def next_calls(self, held: int = 0) -> Sequence[Call[Page[T]]]:
        """The windows that are still to be asked for, the earliest first, when those before have been read."""
        if held or self._asked:
            return ()
        asks = [self._pending.pop() for _ in range(min(self.ahead, len(self._pending)))]
        self._asked = deque(asks)
        return [self.call_for(ask.window, ask.offset, ask.rows) for ask in asks]

    def accept(self, page: Page[T]) -> tuple[T, ...]:
        """What is new; raises `ListingInconsistent` where windows cannot be had whole, or do not cover the list."""
        ask = self._asked.popleft()
        fresh = self.found.accept(page.items)
        self.found.check_progress(SLACK, PATIENCE)
        self._pending += reversed(self._following(ask, [self.found.key(item) for item in page.items], page.total))
        self._longest = max(self._longest, len(page.items))
        self.done = self.found.full or not (self._pending or self._asked)
        return fresh

    def _following(self, ask: WindowRequest, keys: Sequence[Hashable], total: int | None) -> Sequence[WindowRequest]:
        """What an answer leaves to be asked for."""
        count = len(keys)
        if ask.window == self.span and total is not None and total < self._whole:
            return self._again(total)
        if ask.last is not None:
            return () if keys == [ask.last] else self._parts(WindowRequest(ask.window, self.size), self.size)
        verdict = is_complete(asked=ask.rows, count=count, total=total, longest=self._longest)
        if verdict is None:
            return (evolve(ask, rows=2, offset=count - 1, last=keys[-1]),)
        if verdict:
            return ()
        if ask.window is None:
            self._whole = total or 0
        if count < ask.rows:
            self._cap = count
            if not self._halved(ask):
                raise ListingInconsistent(f"the server gives {count} of {total} rows of one instant at once")
        if self._takes_more(ask):
            return (evolve(ask, rows=2 * ask.rows),)
        return self._parts(ask, 2 * ask.rows)

    def _takes_more(self, ask: WindowRequest) -> bool:
        """Return True if the window is short and the server may give twice as many rows at once."""
        short = ask.window is not None and ask.window.last - ask.window.first <= SHORT_WINDOW
        return short and (self._cap is None or 2 * ask.rows <= self._cap)

    def _parts(self, ask: WindowRequest, rows: int) -> Sequence[WindowRequest]:
        """The same window in smaller ones, or, where that is not possible, with so much room."""
        return self._halved(ask) or (evolve(ask, rows=rows),)

    def _halved(self, ask: WindowRequest) -> Sequence[WindowRequest]:
        windows = (self.span,) if ask.window is None else ask.window.halves()
        return [WindowRequest(window, self.size) for window in windows]

    def _again(self, total: int) -> Sequence[WindowRequest]:
        """The windows miss some of the list; unless it has shrunk just now, they always will."""
        self._uncovered += 1
        if self._uncovered >= MAX_UNCOVERED:
            raise ListingInconsistent(f"{total} of {self._whole} rows have a date to partition them by")
        return (WindowRequest(None, self.size),)


def is_complete(*, asked: int, count: int, total: int | None, longest: int) -> bool | None:
    """Whether an answer holds all there is; None where it is short, and that may be all the server ever gives."""
    if total is not None:
        return count >= total
    if count >= asked:
        return False
    return True if count < longest or not count else None
