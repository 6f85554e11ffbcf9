"""Lists and switches the ingest processes of a Preservica."""

from attrs import frozen

from workflow_async._core.call import OnUnreadable
from workflow_async._core.transport import Transport
from workflow_async._listing.listing import Listing
from workflow_async.preservica import filters, process_calls
from workflow_async.preservica.records import Process
from workflow_async.settings import check_optional_int


@frozen
class Processes:
    """The configured ingest processes of a Preservica, as `client.processes`."""

    _transport: Transport

    def list(
        self, *, type: filters.Texts | None = None, limit: int | None = None, unreadable: OnUnreadable = "raise"
    ) -> Listing[Process]:
        """List the processes in one request.

        Args:
            type: processes of this type, or of one of these types, such as `OPEX`, `S3` or `SFTP`.
            limit: the maximum number of rows. All rows if None. The response holds all of them.
            unreadable: what to do about rows without a readable id. "raise" raises one `DecodeError` for all of them
                after the other rows. "skip" leaves them out. `report.unreadable` of the listing holds them in both
                cases.

        Source: GET /api/process/ingest/configs. See tests/contract/preservica.md, section 2.1.
        """
        check_optional_int("limit", limit, least=1)
        types = () if type is None else filters.checked_texts("type", type)
        call = process_calls.list_processes(types)
        return Listing(self._transport.send, call, lambda process: process.id, limit=limit, unreadable=unreadable)

    async def activate(self, process_id: str) -> bool:
        """Switch a process on. Return True if it is on now, according to the server.

        Raises:
            NotFound: there is no such process.

        Source: PUT /api/process/ingest/configs/{id}/active. See tests/contract/preservica.md, section 2.1.
        """
        return await self._transport.send(process_calls.switch_process(process_id, active=True))

    async def deactivate(self, process_id: str) -> bool:
        """Switch a process off. Return True if it is still on, according to the server.

        Raises:
            NotFound: there is no such process.

        Source: PUT /api/process/ingest/configs/{id}/active. See tests/contract/preservica.md, section 2.1.
        """
        return await self._transport.send(process_calls.switch_process(process_id, active=False))
