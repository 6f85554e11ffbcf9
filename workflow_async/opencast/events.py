"""Events of an Opencast, as far as they tell of workflows."""

from operator import attrgetter

from attrs import frozen

from workflow_async._core.call import Call, OnUnreadable, Page
from workflow_async._core.transport import Transport
from workflow_async._listing.by_offset import OffsetScan, PageWindow
from workflow_async._listing.listing import Listing
from workflow_async._listing.scan import MAX_AHEAD
from workflow_async.opencast import calls
from workflow_async.opencast.records import Event
from workflow_async.settings import optional_number, whole_number


@frozen
class Events:
    """`client.events`; see `OpencastClient`."""

    _transport: Transport

    def processing(
        self,
        *,
        limit: int | None = None,
        page_size: int = 100,
        ahead: int = MAX_AHEAD,
        unreadable: OnUnreadable = "raise",
    ) -> Listing[Event]:
        """Events whose latest workflow is running: discovery on every Opencast, 12 and later included.

        Says which events are busy, not by which workflow: see `workflows.for_event`. Needs ROLE_API_EVENTS_VIEW. The
        index behind it may lag, and events move while it is paged: one that comes twice is given once, and one that
        moves up can be missed.

        Args:
            limit: rows at most; None is all of them.
            page_size: rows a request asks for.
            ahead: pages that are asked for at once, and held, at most; see `workflows.list`.
            unreadable: what to do about rows without a readable id: "raise" one `DecodeError` for all of them
                after the other rows, or "skip" them. `report.unreadable` of the listing holds them in both cases.

        Source: GET /api/events, status EVENTS.EVENTS.STATUS.PROCESSING; contract: opencast.md 1.7.
        """
        optional_number("limit", limit, least=1)
        whole_number("page_size", page_size, least=1)
        whole_number("ahead", ahead, least=1)
        return Listing(
            self._transport.send,
            lambda found: OffsetScan(_rows, found, PageWindow(page_size, ahead)),
            attrgetter("id"),
            limit=limit,
            unreadable=unreadable,
        )


def _rows(offset: int, rows: int) -> Call[Page[Event]]:
    return calls.list_processing(size=rows, offset=offset)
