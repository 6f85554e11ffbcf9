"""The options of a listing, and the scan that they select. Pure."""

from collections.abc import Callable
from functools import partial
from typing import Generic, TypeVar, get_args

from attrs import frozen

from workflow_async._listing.by_offset import OffsetScan, OverlapScan, PageWindow
from workflow_async._listing.by_time import TimeWindowScan, Window, WindowCall
from workflow_async._listing.scan import Consistency, Scan, ScanState
from workflow_async.errors import InvalidArgument
from workflow_async.settings import check_int

T = TypeVar("T")


@frozen(kw_only=True)
class ListOptions:
    """The options of a listing: its consistency, the rows per page, and the pages requested concurrently.

    Raises `InvalidArgument` if an option has no valid value.
    """

    consistency: Consistency
    page_size: int
    ahead: int

    def __attrs_post_init__(self) -> None:
        if self.consistency not in get_args(Consistency):
            raise InvalidArgument("consistency", f"must be one of {', '.join(get_args(Consistency))}")
        check_int("page_size", self.page_size, least=2 if self.consistency == "anchored" else 1)
        check_int("ahead", self.ahead, least=1)

    @property
    def exact(self) -> bool:
        """True if every row that stays in the list must be returned."""
        return self.consistency != "fast"


@frozen(kw_only=True)
class ScanFactory(Generic[T]):
    """A factory of scans for a list whose server returns all rows or those of a time window."""

    window_call: WindowCall[T]
    period: Window
    bounded: bool
    """True if rows outside the period are not wanted."""

    def bind(self, options: ListOptions) -> Callable[[ScanState[T]], Scan[T]]:
        """Return a function that starts a pass with these options."""
        return partial(self._start, options)

    def _start(self, options: ListOptions, state: ScanState[T]) -> Scan[T]:
        if options.consistency == "partitioned":
            return TimeWindowScan(self.window_call, state, options.page_size, options.ahead, self.period, self.bounded)
        rows_call, page_window = partial(self.window_call, None), PageWindow(options.page_size, options.ahead)
        if options.exact:
            return OverlapScan(rows_call, state, page_window)
        return OffsetScan(rows_call, state, page_window)
