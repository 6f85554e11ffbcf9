"""How a list is to be read, and the scan that reads it so. Pure."""

from collections.abc import Callable
from functools import partial
from typing import Generic, TypeVar, get_args

from attrs import frozen

from workflow_async._listing.by_offset import OffsetScan, OverlapScan, PageWindow
from workflow_async._listing.by_time import TimeWindowScan, Window, WindowCall
from workflow_async._listing.scan import Consistency, Scan, ScanState
from workflow_async.errors import InvalidArgument
from workflow_async.settings import whole_number

T = TypeVar("T")


@frozen(kw_only=True)
class ListOptions:
    """How to read a list: what must not get lost, rows of a page, pages at once.

    Raises `InvalidArgument` for nonsense.
    """

    consistency: Consistency
    page_size: int
    ahead: int

    def __attrs_post_init__(self) -> None:
        if self.consistency not in get_args(Consistency):
            raise InvalidArgument("consistency", f"must be of {', '.join(get_args(Consistency))}")
        whole_number("page_size", self.page_size, least=2 if self.consistency == "anchored" else 1)
        whole_number("ahead", self.ahead, least=1)

    @property
    def exact(self) -> bool:
        """Whether every row that stays is to be given."""
        return self.consistency != "fast"


@frozen(kw_only=True)
class ScanFactory(Generic[T]):
    """A list of which a server gives rows, all or those of a window of time."""

    window_call: WindowCall[T]
    period: Window
    bounded: bool
    """Whether rows beyond the span are not wanted."""
    offset: int = 0

    def bind(self, options: ListOptions) -> Callable[[ScanState[T]], Scan[T]]:
        """What begins a pass over it."""
        return partial(self._start, options)

    def _start(self, options: ListOptions, state: ScanState[T]) -> Scan[T]:
        if options.consistency == "partitioned":
            return TimeWindowScan(self.window_call, state, options.page_size, options.ahead, self.period, self.bounded)
        rows_call, page_window = partial(self.window_call, None), PageWindow(options.page_size, options.ahead)
        return (
            OverlapScan(rows_call, state, page_window)
            if options.exact
            else OffsetScan(rows_call, state, page_window, self.offset)
        )
