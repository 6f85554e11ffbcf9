"""Configured processes of a Preservica: sources that are ingested by themselves."""

from attrs import frozen

from workflow_async._core.call import OnUnreadable
from workflow_async._core.transport import Transport
from workflow_async._listing.listing import Listing
from workflow_async.preservica import filters, process_calls
from workflow_async.preservica.records import Process


@frozen
class Processes:
    """`client.processes`; see `PreservicaClient`."""

    _transport: Transport

    def list(self, *, type: filters.Texts | None = None, unreadable: OnUnreadable = "raise") -> Listing[Process]:
        """List the processes, all in one request.

        Args:
            type: those of this type, or of one of these, such as `OPEX`, `S3` or `SFTP`.
            unreadable: what to do about rows without a readable id: "raise" one `DecodeError` for all of them
                after the other rows, or "skip" them. `report.unreadable` of the listing holds them in both cases.

        Source: GET /api/process/ingest/configs; contract: preservica.md 2.1.
        """
        types = () if type is None else filters.checked_texts("type", type)
        call = process_calls.list_processes(types)
        return Listing(self._transport.send, call, lambda process: process.id, unreadable=unreadable)

    async def activate(self, process_id: str) -> bool:
        """Switch a process on; returns whether it is on now, as the server says.

        Raises:
            NotFound: no such process.

        Source: PUT /api/process/ingest/configs/{id}/active; contract: preservica.md 2.1.
        """
        return await self._transport.send(process_calls.switch_process(process_id, active=True))

    async def deactivate(self, process_id: str) -> bool:
        """Switch a process off; returns whether it is (still) on, as the server says.

        Raises:
            NotFound: no such process.

        Source: PUT /api/process/ingest/configs/{id}/active; contract: preservica.md 2.1.
        """
        return await self._transport.send(process_calls.switch_process(process_id, active=False))
