"""Reads Preservica's list of workflows: page by page, with overlapping pages, or by windows of start times."""

from datetime import UTC, datetime, timedelta
from functools import partial
from operator import attrgetter

from workflow_async._core.call import Call, OnUnreadable, Page, Params
from workflow_async._decode.raw import cut_elements, with_raw_rows
from workflow_async._listing.by_time import Window
from workflow_async._listing.listing import Listing
from workflow_async._listing.options import ListOptions, ScanFactory
from workflow_async._listing.prefetch import Send
from workflow_async._listing.resume import ListingIdentity
from workflow_async.errors import InvalidArgument
from workflow_async.preservica import calls, filters
from workflow_async.preservica.query import WorkflowQuery
from workflow_async.preservica.records import Workflow
from workflow_async.settings import check_int, check_optional_int

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ALL_TIME = (EPOCH, datetime(2200, 1, 1, tzinfo=UTC))
"""The first and the last time at which a workflow may have been started."""
MILLISECOND = timedelta(milliseconds=1)


def workflow_listing(
    send: Send,
    server_key: str,
    options: ListOptions,
    query: WorkflowQuery,
    *,
    newest_first: bool,
    include: Params = (),
    limit: int | None,
    offset: int = 0,
    unreadable: OnUnreadable = "raise",
    resume: str | None = None,
    keep_raw: bool = False,
) -> Listing[Workflow]:
    """Return the listing. Raise `InvalidArgument` if an argument cannot be sent."""
    check_optional_int("limit", limit, least=1)
    check_int("offset", offset, least=0)
    if options.exact and offset:
        raise InvalidArgument("offset", f"must be 0 with consistency={options.consistency!r}: rows move")
    params = (*query.on_the_wire(newest_first=newest_first, without=("state",) if options.exact else ()), *include)
    identity = ListingIdentity(
        system="preservica",
        server=server_key,
        consistency=options.consistency,
        terms=tuple(_term(*param) for param in query.on_the_wire(newest_first=newest_first)),
    )
    scans = ScanFactory(
        window_call=partial(_page_call, params, keep_raw),
        period=_window(query.since or ALL_TIME[0], query.until or ALL_TIME[1]),
        bounded=query.since is not None or query.until is not None,
    )
    return Listing(
        send,
        scans.bind(options),
        attrgetter("id"),
        limit=limit,
        predicate=query.matches if options.exact and query.filters_states else None,
        consistency=options.consistency,
        unreadable=unreadable,
        identity=identity,
        resume=identity.start(resume, offset),
    )


def _term(name: str, value: str) -> str:
    """Return a parameter as a text, the same for the same values in another order."""
    return f"{name}={','.join(sorted(value.split(',')))}"


def _page_call(
    query: Params,
    keep_raw: bool,  # noqa: FBT001 - given by `partial`
    window: Window | None,
    offset: int,
    rows: int,
) -> Call[Page[Workflow]]:
    """Return the call for rows of the list, or of a window of the list."""
    params = query if window is None else _within(query, window)
    call = calls.list_workflows(params, size=rows, start=offset)
    return with_raw_rows(call, partial(cut_elements, name="WorkflowInstance")) if keep_raw else call


def _within(query: Params, window: Window) -> Params:
    first, last = (EPOCH + milliseconds * MILLISECOND for milliseconds in (window.first, window.last))
    since, until = filters.period(first, last)
    others = tuple((name, value) for name, value in query if name not in {"from", "to"})
    return (*others, *filters.given_params(**{"from": since, "to": until}))


def _window(since: datetime, until: datetime) -> Window:
    """Return the smallest window of whole milliseconds that contains both times."""
    return Window((since - EPOCH) // MILLISECOND, -((EPOCH - until) // MILLISECOND))
