"""Opencast's list of workflows, read straight on, anchored, or by windows of the events' dates."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from math import ceil, floor
from operator import attrgetter
from typing import Any

from workflow_async._core.call import Call, OnUnreadable, Page, Params
from workflow_async._listing.by_offset import RowRange
from workflow_async._listing.by_time import Window
from workflow_async._listing.listing import Listing
from workflow_async._listing.options import ListOptions, ScanFactory
from workflow_async._listing.prefetch import Send
from workflow_async._listing.scan import Consistency
from workflow_async._listing.unreadable import read_around
from workflow_async.errors import InvalidArgument
from workflow_async.opencast import calls, filters
from workflow_async.opencast.literal import LiteralFilter, both_tests, wildcard_filters
from workflow_async.opencast.monitor_source import INDEX_LAG
from workflow_async.opencast.query import WorkflowQuery
from workflow_async.opencast.records import Workflow
from workflow_async.settings import optional_number, whole_number

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EVER = (datetime(1000, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC))
"""The dates an event may have."""
STATES = ("state", "state_not")
NO_ROW = calls.list_workflows(
    filter=WorkflowQuery.of(event_id="no-such-event").on_the_wire(), sort="", include=(), size=1
)
"""A list without rows: tells whether the server can list at all."""
LEFT_OUT: Mapping[Consistency, tuple[str, ...]] = {
    "fast": (),
    "anchored": STATES,
    "partitioned": (*STATES, "event_created"),
}
"""Filters that are not sent: the state, which changes meanwhile, and dates, where each window has its own."""


def workflow_listing(
    send: Send,
    manner: ListOptions,
    query: WorkflowQuery,
    *,
    sort: filters.EventSort | None,
    include: Params,
    limit: int | None,
    offset: int,
    unreadable: OnUnreadable = "raise",
    literal: bool = False,
) -> Listing[Workflow]:
    """The listing; raises `InvalidArgument` for what cannot be sent, or does not go with what must not get lost."""
    optional_number("limit", limit, least=1)
    whole_number("offset", offset, least=0)
    _check(manner, sort, offset)
    asked = query.on_the_wire(without=LEFT_OUT[manner.consistency])
    cuts = ScanFactory(
        call_for=partial(_by_time, asked, filters.workflow_sort(sort) if sort is not None else "", include),
        span=_window(query.created or EVER),
        bounded=query.created is not None,
        offset=offset,
    )
    # the parts of a page that moves meanwhile may miss rows, which only `fast` allows
    in_parts = unreadable == "skip" and not manner.exact
    pages = read_around(send, partial(cuts.call_for, None), _rows, NO_ROW) if in_parts else send
    compared = LiteralFilter(pages, send, patterns) if literal and (patterns := wildcard_filters(query.texts)) else None
    return Listing(
        pages if compared is None else compared,
        cuts.read(manner),
        attrgetter("id"),
        limit=limit,
        wanted=both_tests(
            query.matches if manner.exact and query.filters_states else None,
            None if compared is None else compared.passes,
        ),
        consistency=manner.consistency,
        lag=INDEX_LAG,
        unreadable=unreadable,
    )


def _check(manner: ListOptions, sort: filters.EventSort | None, offset: int) -> None:
    """Raise `InvalidArgument` for what cannot be kept up while rows move."""
    if manner.exact and offset:
        raise InvalidArgument("offset", f"must be 0 with consistency={manner.consistency!r}: rows move")
    if manner.consistency == "partitioned" and sort is not None:
        raise InvalidArgument("sort", "must be None with consistency='partitioned': its rows come in no order")


def _by_time(
    asked: str, sort: str, include: Params, window: Window | None, offset: int, rows: int
) -> Call[Page[Workflow]]:
    """Rows of the list, or of a window of it."""
    filter = asked if window is None else f"{asked},{_dates(window)}".lstrip(",")
    return calls.list_workflows(filter=filter, sort=sort, include=include, size=rows, offset=offset)


def _rows(call: Call[Any]) -> RowRange:
    """Return the rows that a call for a page asks for."""
    asked = dict(call.params)
    return RowRange(int(asked["offset"]), int(asked["limit"]))


def in_words(call: Call[Any]) -> str:
    """Return the rows that a call for a page asks for, such as `rows 300 to 399`, from 0. "" for other calls."""
    if call.path != calls.WORKFLOWS:
        return ""
    span = _rows(call)
    return f"rows {span.offset} to {span.end - 1}" if span.rows > 1 else f"row {span.offset}"


def _window(dates: tuple[datetime, datetime]) -> Window:
    """Whole seconds that hold these dates."""
    first, last = ((date - EPOCH).total_seconds() for date in dates)
    return Window(floor(first), ceil(last))


def _dates(window: Window) -> str:
    dates = EPOCH + timedelta(seconds=window.first), EPOCH + timedelta(seconds=window.last)
    return filters.term("event_created", filters.period("event_created", dates))
