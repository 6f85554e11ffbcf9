"""Process monitors of a Preservica: how a logical process comes along, and what it says."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from attrs import frozen

from workflow_async._core.call import OnUnreadable
from workflow_async._core.transport import Transport
from workflow_async._listing.listing import Listing
from workflow_async.preservica import filters, process_calls
from workflow_async.preservica.records import Message, Monitor
from workflow_async.settings import optional_number, whole_number


@frozen
class Monitors:
    """`client.monitors`; see `PreservicaClient`."""

    _transport: Transport

    def list(
        self,
        *,
        status: filters.MonitorStatus | Iterable[filters.MonitorStatus] | None = None,
        category: filters.MonitorCategory | Iterable[filters.MonitorCategory] | None = None,
        subcategory: str | None = None,
        name: str | None = None,
        started_from: datetime | None = None,
        limit: int | None = None,
        unreadable: OnUnreadable = "raise",
    ) -> Listing[Monitor]:
        """List the monitors that are not abandoned, page by page as they are asked for.

        Filters add up. A process that has just been started may not have its monitor yet.

        Args:
            status: of this status, or one of these.
            category: of this category, or one of these.
            subcategory: such as `OPEX`.
            name: such as the whole `opex/<batch>` of an OPEX ingest.
            started_from: started then or later; aware.
            limit: rows at most; None is all of them.
            unreadable: what to do about rows without a readable id: "raise" one `DecodeError` for all of them
                after the other rows, or "skip" them. `report.unreadable` of the listing holds them in both cases.

        Raises:
            InvalidArgument: at once, for a word the server does not know.

        Source: GET /api/processmonitor/monitors; contract: preservica.md 2.2.
        """
        optional_number("limit", limit, least=1)
        params = filters.given_params(
            status=None if status is None else filters.comma_list("status", filters.MONITOR_STATUSES, status),
            category=None if category is None else filters.comma_list("category", filters.MONITOR_CATEGORIES, category),
            subcategory=None if subcategory is None else filters.checked_text("subcategory", subcategory),
            name=None if name is None else filters.checked_filled("name", name),
            startedFrom=filters.format_instant("started_from", started_from),
        )
        call = process_calls.list_monitors(params, limit=limit)
        return Listing(self._transport.send, call, lambda monitor: monitor.id, unreadable=unreadable)

    def messages(
        self,
        monitor_id: str,
        *,
        status: filters.MessageStatus | Iterable[filters.MessageStatus] | None = None,
        limit: int | None = None,
        page_size: int = 1000,
        unreadable: OnUnreadable = "raise",
    ) -> Listing[Message]:
        """List what a process has said, page by page as it is asked for.

        Args:
            monitor_id: the monitor; see `Workflow.monitor_id`.
            status: of this status, or one of these.
            limit: rows at most; None is all of them.
            page_size: rows a request asks for; above 1000 servers get into trouble.
            unreadable: what to do about rows without a readable id: "raise" one `DecodeError` for all of them
                after the other rows, or "skip" them. `report.unreadable` of the listing holds them in both cases.

        Raises:
            InvalidArgument: at once, for a word the server does not know.

        Source: GET /api/processmonitor/messages; contract: preservica.md 2.2.
        """
        optional_number("limit", limit, least=1)
        whole_number("page_size", page_size, least=1)
        params = filters.given_params(
            monitor=filters.checked_text("monitor_id", monitor_id),
            status=None if status is None else filters.comma_list("status", filters.MESSAGE_STATUSES, status),
        )
        call = process_calls.list_messages(params, size=page_size, limit=limit)
        return Listing(self._transport.send, call, lambda message: message.id, unreadable=unreadable)

    async def timeseries(self, monitor_id: str) -> tuple[Any, ...]:
        """Get how a process came along, as the server tells it: nobody has written down what an item looks like.

        Raises:
            NotFound: no such monitor.

        Source: GET /api/processmonitor/monitors/{id}/timeseries; contract: preservica.md 2.2.
        """
        return await self._transport.send(process_calls.get_timeseries(monitor_id))
