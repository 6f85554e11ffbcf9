"""Lists workflows by their events where the server has no list of workflows."""

from collections import deque
from collections.abc import Callable
from functools import partial
from operator import attrgetter

from attrs import define

from workflow_async._core.call import Call, OnUnreadable, Page, Params
from workflow_async._listing.by_offset import OffsetScan, OverlapScan, PageWindow
from workflow_async._listing.options import ListOptions
from workflow_async._listing.prefetch import Send
from workflow_async._listing.scan import Scan, ScanState
from workflow_async.opencast import event_calls
from workflow_async.opencast.event_query import EventListSort, event_sort
from workflow_async.opencast.event_records import Event
from workflow_async.opencast.event_scan import EventScan, FallbackScan
from workflow_async.opencast.event_search import SORTS, EventSearch
from workflow_async.opencast.event_sender import EventSender
from workflow_async.opencast.filters import EventSort
from workflow_async.opencast.list_routes import ListRoutes
from workflow_async.opencast.records import Workflow

EVENTS_PER_PAGE = 20
"""Events of a page if each of them takes a request. `first()` then costs 22 requests at most."""
DEFAULT_SORT: EventListSort = "start:asc"
"""The order of the list of workflows: by the event's date, oldest first."""

Start = Callable[[ScanState[Workflow]], Scan[Workflow]]


@define(eq=False)
class ByEvents:
    """Makes a listing of workflows fall back on the events."""

    send: Send
    routes: ListRoutes

    def bind(
        self,
        send_page: Send,
        start: Start,
        search: EventSearch,
        options: ListOptions,
        *,
        sort: EventSort | None = None,
        only_list: str = "",
        include: Params,
        unreadable: OnUnreadable,
    ) -> tuple[Send, Start]:
        """Return the `send` and the scan of a listing that reads the list, or the events if there is no list.

        Args:
            send_page: sends the call for a page of the list.
            start: starts a scan of the list.
            search: the filters.
            options: the options of the listing.
            sort: the sort of the listing.
            only_list: an argument that was given and that only the list supports, "" if there is none.
            include: the fields to request.
            unreadable: what to do about rows that cannot be read.
        """
        order = None if sort is None else SORTS.get(_lower(sort))
        needs_list = only_list or _needs_list(options, sort_is_possible=sort is None or order is not None)
        at_once = options.ahead
        sender = EventSender(send_page, self.send, search, include, unreadable, self.routes, at_once, needs_list)

        def begin(state: ScanState[Workflow]) -> Scan[Workflow]:
            sender.begin()
            scans = (self._scan(filter, event_sort(order or DEFAULT_SORT), options) for filter in search.filters())
            by_events = EventScan(deque(scans), state)
            if self.routes.skips_list and not needs_list:
                return by_events
            return FallbackScan(start(state), by_events)

        return sender, begin

    def _scan(self, filter: str, sort: str, options: ListOptions) -> Scan[Event]:
        """Return the scan of a list of events."""
        page_size = min(options.page_size, EVENTS_PER_PAGE) if self.routes.may_read_instances else options.page_size
        state, page_window = ScanState[Event](attrgetter("id")), PageWindow(page_size, options.ahead)
        rows_call = partial(_rows_call, filter, sort)
        return (OverlapScan if options.exact else OffsetScan)(rows_call, state, page_window)


def _rows_call(filter: str, sort: str, offset: int, rows: int) -> Call[Page[Event]]:
    return event_calls.list_events(filter=filter, sort=sort, size=rows, offset=offset)


def _needs_list(options: ListOptions, *, sort_is_possible: bool) -> str:
    """Return the option that only the list of workflows supports, "" if there is none."""
    if options.consistency == "partitioned":
        return "consistency='partitioned'"
    return "" if sort_is_possible else "sort"


def _lower(sort: EventSort) -> EventSort:
    name, _, direction = sort.partition(":")
    lower: EventSort = f"{name}:{direction.lower()}"  # type: ignore[assignment]
    return lower
