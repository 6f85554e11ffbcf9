"""Workflow contexts of a Preservica: what can be started."""

from attrs import frozen

from workflow_async._core.call import OnUnreadable
from workflow_async._core.transport import Transport
from workflow_async._listing.listing import Listing
from workflow_async.preservica import calls, filters
from workflow_async.preservica.records import Context


@frozen
class Contexts:
    """`client.contexts`; see `PreservicaClient`."""

    _transport: Transport

    def list(
        self,
        *,
        definition_id: str | None = None,
        type: filters.WorkflowType | None = None,
        unreadable: OnUnreadable = "raise",
    ) -> Listing[Context]:
        """List the active contexts, all in one request.

        Args:
            definition_id: those of this definition, such as `com.preservica.core.workflow.ingest`.
            type: those of this type; with a definition, those of both.
            unreadable: what to do about rows without a readable id: "raise" one `DecodeError` for all of them
                after the other rows, or "skip" them. `report.unreadable` of the listing holds them in both cases.

        Raises:
            InvalidArgument: at once, for a blank definition or a type there is none of.

        Source: GET /sdb/rest/workflow/contexts; contract: preservica.md 1.1.
        """
        params = filters.given_params(
            workflowDefinitionId=None
            if definition_id is None
            else filters.checked_filled("definition_id", definition_id),
            type=None if type is None else filters.one_of("type", filters.TYPES, type),
        )
        call = calls.list_contexts(params)
        return Listing(self._transport.send, call, lambda context: context.id, unreadable=unreadable)
