"""Lists the events of an Opencast that are being processed."""

from operator import attrgetter

from attrs import frozen

from workflow_async._core.call import Call, OnUnreadable, Page
from workflow_async._core.transport import Transport
from workflow_async._listing.by_offset import OffsetScan, PageWindow
from workflow_async._listing.listing import Listing
from workflow_async._listing.scan import MAX_AHEAD
from workflow_async.opencast import calls
from workflow_async.opencast.records import Event
from workflow_async.settings import check_int, check_optional_int


@frozen
class Events:
    """The events of an Opencast that are being processed, as `client.events`."""

    _transport: Transport

    def processing(
        self,
        *,
        limit: int | None = None,
        page_size: int = 100,
        ahead: int = MAX_AHEAD,
        unreadable: OnUnreadable = "raise",
    ) -> Listing[Event]:
        """List the events whose latest workflow is running. Works on every Opencast, including 12 and later.

        The rows show which events are busy, but not by which workflow. See `workflows.for_event`. Needs
        ROLE_API_EVENTS_VIEW. The server's index may lag, and events move while pages are read. An event on two pages is
        returned once. An event that moves up can be missed.

        Args:
            limit: the maximum number of rows. All rows if None.
            page_size: the number of rows that a request asks for.
            ahead: the maximum number of pages that are requested concurrently and held. See `workflows.list`.
            unreadable: what to do about rows without a readable id. "raise" raises one `DecodeError` for all of them
                after the other rows. "skip" leaves them out. `report.unreadable` of the listing holds them in both
                cases.

        Source: GET /api/events with status EVENTS.EVENTS.STATUS.PROCESSING. See tests/contract/opencast.md, section
        1.7.
        """
        check_optional_int("limit", limit, least=1)
        check_int("page_size", page_size, least=1)
        check_int("ahead", ahead, least=1)
        return Listing(
            self._transport.send,
            lambda found: OffsetScan(_rows, found, PageWindow(page_size, ahead)),
            attrgetter("id"),
            limit=limit,
            unreadable=unreadable,
        )


def _rows(offset: int, rows: int) -> Call[Page[Event]]:
    return calls.list_processing(size=rows, offset=offset)
