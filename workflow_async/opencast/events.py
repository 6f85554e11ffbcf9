"""Lists the events of an Opencast."""

from collections import deque
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Unpack

from attrs import frozen

from workflow_async._core.call import Call, OnUnreadable, Page
from workflow_async._core.transport import Transport
from workflow_async._listing.by_offset import OffsetScan, PageWindow
from workflow_async._listing.listing import Listing
from workflow_async._listing.resume import ResumePoint
from workflow_async._listing.scan import MAX_AHEAD, Scan, ScanState
from workflow_async._listing.sequence import BatchScan
from workflow_async.errors import InvalidArgument
from workflow_async.opencast import event_calls
from workflow_async.opencast.event_query import EventFilters, EventListSort, EventQuery, event_sort
from workflow_async.opencast.event_records import Event
from workflow_async.settings import check_int, check_optional_int


@frozen
class Events:
    """The events of an Opencast, as `client.events`."""

    _transport: Transport

    def list(
        self,
        *,
        sort: EventListSort | None = None,
        limit: int | None = None,
        offset: int = 0,
        page_size: int = 100,
        ahead: int = MAX_AHEAD,
        unreadable: OnUnreadable = "raise",
        **filter: Unpack[EventFilters],
    ) -> Listing[Event]:
        """List events, page by page. Works on every Opencast, and needs ROLE_API_EVENTS_VIEW.

        An event shows the state of its latest workflow, but not its id. See `workflows.list` and `workflows.for_event`.
        Only events that the user may read are listed.

        The server returns no total. Its index may lag, and events move while pages are read. An event on two pages is
        returned once. An event that moves up can be missed. Without `sort` the server's order is arbitrary.

        The server takes about 7,500 bytes of filters, which is about 150 ids. More values of `identifier` are sent in
        several requests, each for all events of its ids. They come in the order of these requests.

        Args:
            sort: one key with its direction. Several keys are refused, because up to Opencast 16 their order is
                arbitrary.
            limit: the maximum number of rows. All rows if None.
            offset: the number of rows to skip at the beginning.
            page_size: the number of rows that a request asks for.
            ahead: the maximum number of pages that are requested concurrently and held. See `workflows.list`.
            unreadable: what to do about rows without a readable id. "raise" raises one `DecodeError` for all of them
                after the other rows. "skip" leaves them out. `report.unreadable` of the listing holds them in both
                cases.
            **filter: see `EventFilters`.

        Raises:
            InvalidArgument: immediately, if a filter does not fit into the server's grammar, or for `offset` or `sort`
                with more ids than one request takes.
            Forbidden: while iterating, if this user has not the role. `role` names the role.
            ListingInconsistent: while iterating, if continuing would not end.

        Source: GET /api/events. See tests/contract/opencast.md, section 1.8.
        """
        check_optional_int("limit", limit, least=1)
        check_int("offset", offset, least=0)
        check_int("page_size", page_size, least=1)
        check_int("ahead", ahead, least=1)
        query, order = EventQuery.of(**filter), event_sort(sort)
        batches = query.batches()
        if len(batches) > 1 and (offset or order):
            argument = "offset" if offset else "sort"
            raise InvalidArgument(argument, f"must not be given with ids for {len(batches)} requests: list fewer ids")

        def start(state: ScanState[Event]) -> Scan[Event]:
            if len(batches) > 1:
                return BatchScan(deque(_batch_call(query, ids) for ids in batches), state, ahead)
            filter = query.on_the_wire(*batches)
            return OffsetScan(_rows_call(filter, order), state, PageWindow(page_size, ahead))

        return Listing(
            self._transport.send,
            start,
            attrgetter("id"),
            limit=limit,
            unreadable=unreadable,
            resume=ResumePoint(offset=offset),
        )


def _batch_call(query: EventQuery, ids: Sequence[str]) -> Call[Page[Event]]:
    """Return the call for all events with these ids. There are at most as many as ids."""
    return event_calls.list_events(filter=query.on_the_wire(ids), size=len(ids))


def _rows_call(filter: str, sort: str) -> Callable[[int, int], Call[Page[Event]]]:
    return lambda offset, rows: event_calls.list_events(filter=filter, sort=sort, size=rows, offset=offset)
