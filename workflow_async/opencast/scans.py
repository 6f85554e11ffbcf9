"""Reads Opencast's list of workflows: page by page, with overlapping pages, or by windows of event dates.

Where the server has no such list, the list of events is read instead.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from math import ceil, floor
from operator import attrgetter
from typing import Any

from workflow_async._core.call import Call, OnUnreadable, Page, Params
from workflow_async._decode.json import json_tree
from workflow_async._decode.raw import with_raw_rows
from workflow_async._listing.by_offset import RowRange
from workflow_async._listing.by_time import Window
from workflow_async._listing.listing import Listing
from workflow_async._listing.options import ListOptions, ScanFactory
from workflow_async._listing.prefetch import Send
from workflow_async._listing.resume import ListingIdentity
from workflow_async._listing.scan import Consistency
from workflow_async._listing.unreadable import read_around
from workflow_async.errors import InvalidArgument
from workflow_async.opencast import calls, filters
from workflow_async.opencast.by_events import ByEvents
from workflow_async.opencast.event_search import EventSearch
from workflow_async.opencast.literal_filter import LiteralFilter, combined, wildcard_filters
from workflow_async.opencast.monitor_source import INDEX_LAG
from workflow_async.opencast.query import WorkflowQuery
from workflow_async.opencast.records import Workflow
from workflow_async.settings import check_int, check_optional_int

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ALL_TIME = (datetime(1000, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC))
"""The first and the last date that an event may have."""
STATE_FILTERS = ("state", "state_not")
EMPTY_LIST = calls.list_workflows(
    filter=WorkflowQuery.of(event_id="no-such-event").on_the_wire(), sort="", include=(), size=1
)
"""A list request without rows. It shows whether the server can list workflows at all."""
NOT_SENT: Mapping[Consistency, tuple[str, ...]] = {
    "fast": (),
    "anchored": STATE_FILTERS,
    "partitioned": (*STATE_FILTERS, "event_created"),
}
"""Filters that are not sent. States can change during the listing. Each window has its own dates."""


def workflow_listing(
    send: Send,
    server_key: str,
    options: ListOptions,
    query: WorkflowQuery,
    *,
    sort: filters.EventSort | None = None,
    include: Params = (),
    limit: int | None = None,
    offset: int = 0,
    unreadable: OnUnreadable = "raise",
    literal: bool = False,
    by_events: ByEvents,
    resume: str | None = None,
    keep_raw: bool = False,
) -> Listing[Workflow]:
    """Return the listing, which falls back on the events.

    Raises:
        InvalidArgument: an argument cannot be sent, or does not go together with the consistency.
    """
    check_optional_int("limit", limit, least=1)
    check_int("offset", offset, least=0)
    _check_exact(options, sort, offset)
    order = filters.workflow_sort(sort) if sort is not None else ""
    identity = ListingIdentity(
        system="opencast",
        server=server_key,
        consistency=options.consistency,
        terms=(*query.on_the_wire().split(","), f"sort={order}", f"literal={literal}"),
    )
    filter = query.on_the_wire(without=NOT_SENT[options.consistency])
    scans = ScanFactory(
        window_call=partial(_page_call, filter, order, include, keep_raw),
        period=_window(query.created or ALL_TIME),
        bounded=query.created is not None,
    )
    # rows that move between the parts of a page may be missed, which only `fast` allows
    reads_around = unreadable == "skip" and not options.exact
    send_page = read_around(send, partial(scans.window_call, None), _row_range, EMPTY_LIST) if reads_around else send
    wildcards = wildcard_filters(query.texts) if literal else {}
    literal_filter = LiteralFilter(send_page, send, wildcards) if wildcards else None
    passes = combined(
        query.matches if options.exact and query.filters_states else None,
        None if literal_filter is None else literal_filter.passes,
    )
    only_list = {"offset": offset, "resume": resume is not None, "keep_raw": keep_raw}
    send_any, start = by_events.bind(
        literal_filter or send_page,
        scans.bind(options),
        EventSearch(query, literal=literal),
        options,
        sort=sort,
        only_list=next((name for name, given in only_list.items() if given), ""),
        include=include,
        unreadable=unreadable,
    )
    return Listing(
        send_any,
        start,
        attrgetter("id"),
        limit=limit,
        predicate=passes and (lambda workflow: workflow.source != "list" or passes(workflow)),
        consistency=options.consistency,
        lag=INDEX_LAG,
        unreadable=unreadable,
        identity=identity,
        resume=identity.start(resume, offset),
    )


def _check_exact(options: ListOptions, sort: filters.EventSort | None, offset: int) -> None:
    """Raise `InvalidArgument` for an argument that an exact listing cannot support."""
    if options.exact and offset:
        raise InvalidArgument("offset", f"must be 0 with consistency={options.consistency!r}: rows move")
    if options.consistency == "partitioned" and sort is not None:
        raise InvalidArgument("sort", "must be None with consistency='partitioned': its rows come in no order")


def _page_call(
    filter: str,
    sort: str,
    include: Params,
    keep_raw: bool,  # noqa: FBT001 - given by `partial`
    window: Window | None,
    offset: int,
    rows: int,
) -> Call[Page[Workflow]]:
    """Return the call for rows of the list, or of a window of the list."""
    windowed = filter if window is None else f"{filter},{_dates(window)}".lstrip(",")
    call = calls.list_workflows(filter=windowed, sort=sort, include=include, size=rows, offset=offset)
    return with_raw_rows(call, json_tree) if keep_raw else call


def _row_range(call: Call[Any]) -> RowRange:
    """Return the rows that a call for a page requests."""
    params = dict(call.params)
    return RowRange(int(params["offset"]), int(params["limit"]))


def describe_rows(call: Call[Any]) -> str:
    """Return the rows that a call for a page requests, such as `rows 300 to 399`. "" for other calls.

    Rows count from 0.
    """
    if call.path != calls.WORKFLOWS:
        return ""
    rows = _row_range(call)
    return f"rows {rows.offset} to {rows.end - 1}" if rows.rows > 1 else f"row {rows.offset}"


def _window(dates: tuple[datetime, datetime]) -> Window:
    """Return the smallest window of whole seconds that contains both dates."""
    first, last = ((date - EPOCH).total_seconds() for date in dates)
    return Window(floor(first), ceil(last))


def _dates(window: Window) -> str:
    dates = EPOCH + timedelta(seconds=window.first), EPOCH + timedelta(seconds=window.last)
    return filters.term("event_created", filters.period("event_created", dates))
