"""Lists the process monitors of a Preservica, their messages and their progress."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from attrs import frozen

from workflow_async._core.call import OnUnreadable
from workflow_async._core.transport import Transport
from workflow_async._listing.listing import Listing
from workflow_async.preservica import filters, process_calls
from workflow_async.preservica.process_wait import ProcessWait, WhenProcessParked
from workflow_async.preservica.records import Message, Monitor
from workflow_async.settings import Poll, check_int, check_optional_int


@frozen
class Monitors:
    """The process monitors of a Preservica, as `client.monitors`."""

    _transport: Transport

    def list(
        self,
        *,
        status: filters.MonitorStatus | Iterable[filters.MonitorStatus] | None = None,
        category: filters.MonitorCategory | Iterable[filters.MonitorCategory] | None = None,
        subcategory: str | None = None,
        name: str | None = None,
        since: datetime | None = None,
        limit: int | None = None,
        unreadable: OnUnreadable = "raise",
    ) -> Listing[Monitor]:
        """List the monitors that are not abandoned, page by page.

        Different filters are ANDed. A process that has just been started may not have its monitor yet.

        Args:
            status: monitors with this status, or with one of these.
            category: monitors of this category, or of one of these.
            subcategory: such as `OPEX`.
            name: the full name, such as `opex/<batch>` for an OPEX ingest.
            since: started then or later. Must be aware.
            limit: the maximum number of rows. All rows if None.
            unreadable: what to do about rows without a readable id. "raise" raises one `DecodeError` for all of them
                after the other rows. "skip" leaves them out. `report.unreadable` of the listing holds them in both
                cases.

        Raises:
            InvalidArgument: immediately, for a word that the server does not know.

        Source: GET /api/processmonitor/monitors. See tests/contract/preservica.md, section 2.2.
        """
        check_optional_int("limit", limit, least=1)
        params = filters.given_params(
            status=None if status is None else filters.comma_list("status", filters.MONITOR_STATUSES, status),
            category=None if category is None else filters.comma_list("category", filters.MONITOR_CATEGORIES, category),
            subcategory=None if subcategory is None else filters.checked_text("subcategory", subcategory),
            name=None if name is None else filters.checked_filled("name", name),
            startedFrom=filters.format_instant("since", since),
        )
        call = process_calls.list_monitors(params, limit=limit)
        return Listing(self._transport.send, call, lambda monitor: monitor.id, unreadable=unreadable)

    async def wait(
        self,
        name: str,
        *,
        since: datetime | None = None,
        timeout: float | None = None,
        poll: Poll = Poll(),
        parked: WhenProcessParked = "wait",
    ) -> Monitor:
        """Wait until a process has ended, and return its monitor. `Monitor.phase` says how the process ended.

        Each check reads the monitors of this name, because the ids of monitors may change. If several have it, the one
        that was started last counts. The monitor of a new process may appear some time after its start.

        Args:
            name: the full name, such as `opex/<batch>` for an OPEX ingest.
            since: count only processes that were started then or later. Must be aware.
            timeout: seconds. None waits without a limit.
            poll: how often to check the process. A monitor may be missing for `poll.outage` seconds.
            parked: what to do when the process needs a person (`Suspended` or `Recoverable`): go on waiting, or return
                the record.

        Raises:
            ProcessWaitTimeout: the timeout passed. The error holds the last record.
            ProcessNotFound: no monitor has had this name for `poll.outage` seconds.
            CallError: a check was refused, or checks failed for `poll.outage` seconds in a row.
            InvalidArgument: an argument cannot be sent.

        Source: GET /api/processmonitor/monitors. See tests/contract/preservica.md, sections 2.2 and 6.
        """
        params = filters.given_params(
            name=filters.checked_filled("name", name),
            startedFrom=filters.format_instant("since", since),
        )
        call = process_calls.list_monitors(params, limit=None)
        return await ProcessWait(self._transport, name, call, timeout, poll, parked).run()

    def messages(
        self,
        monitor_id: str,
        *,
        status: filters.MessageStatus | Iterable[filters.MessageStatus] | None = None,
        limit: int | None = None,
        page_size: int = 1000,
        unreadable: OnUnreadable = "raise",
    ) -> Listing[Message]:
        """List the messages of a process, page by page.

        Args:
            monitor_id: the monitor. See `Workflow.monitor_id`.
            status: messages with this status, or with one of these.
            limit: the maximum number of rows. All rows if None.
            page_size: the number of rows that a request asks for. Servers have problems with more than 1000.
            unreadable: what to do about rows without a readable id. "raise" raises one `DecodeError` for all of them
                after the other rows. "skip" leaves them out. `report.unreadable` of the listing holds them in both
                cases.

        Raises:
            InvalidArgument: immediately, for a word that the server does not know.

        Source: GET /api/processmonitor/messages. See tests/contract/preservica.md, section 2.2.
        """
        check_optional_int("limit", limit, least=1)
        check_int("page_size", page_size, least=1)
        params = filters.given_params(
            monitor=filters.checked_text("monitor_id", monitor_id),
            status=None if status is None else filters.comma_list("status", filters.MESSAGE_STATUSES, status),
        )
        call = process_calls.list_messages(params, size=page_size, limit=limit)
        return Listing(self._transport.send, call, lambda message: message.id, unreadable=unreadable)

    async def timeseries(self, monitor_id: str) -> tuple[Any, ...]:
        """Get the progress of a process over time. The items are as the server sends them, which is not documented.

        Raises:
            NotFound: there is no such monitor.

        Source: GET /api/processmonitor/monitors/{id}/timeseries. See tests/contract/preservica.md, section 2.2.
        """
        return await self._transport.send(process_calls.get_timeseries(monitor_id))
