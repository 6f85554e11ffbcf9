"""Scans that are made of known calls or of other scans. Pure."""

from collections import deque
from collections.abc import Sequence
from typing import Generic, TypeVar

from attrs import define, field

from workflow_async._core.call import Call, Page
from workflow_async._listing.scan import ScanState

T = TypeVar("T")


@define
class BatchScan(Generic[T]):
    """A scan of calls that are all known before. Each call returns all rows of its own batch."""

    calls: deque[Call[Page[T]]]
    state: ScanState[T]
    max_in_flight: int
    done: bool = field(default=False, init=False)
    _in_flight: int = field(default=0, init=False)

    def next_calls(self, pages_in_use: int = 0) -> Sequence[Call[Page[T]]]:
        """Return the next calls, within the limit."""
        count = min(len(self.calls), max(0, self.max_in_flight - self._in_flight - pages_in_use))
        self._in_flight += count
        return [self.calls.popleft() for _ in range(count)]

    def accept(self, page: Page[T]) -> tuple[T, ...]:
        """Return the new rows."""
        self._in_flight -= 1
        new = self.state.accept(page.items)
        self.done = self.state.limit_reached or not (self._in_flight or self.calls)
        return new
