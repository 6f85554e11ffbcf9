"""Lists the workflow contexts of a Preservica."""

from functools import partial

from attrs import frozen

from workflow_async._core.call import OnUnreadable
from workflow_async._core.transport import Transport
from workflow_async._decode.raw import cut_elements, with_raw_rows
from workflow_async._listing.listing import Listing
from workflow_async.preservica import calls, filters
from workflow_async.preservica.records import Context
from workflow_async.settings import check_optional_int


@frozen
class Contexts:
    """The workflow contexts of a Preservica, from which workflows are started, as `client.contexts`."""

    _transport: Transport

    def list(
        self,
        *,
        definition_id: str | None = None,
        type: filters.WorkflowType | None = None,
        limit: int | None = None,
        unreadable: OnUnreadable = "raise",
        keep_raw: bool = False,
    ) -> Listing[Context]:
        """List the active contexts in one request.

        Args:
            definition_id: contexts of this definition, such as `com.preservica.core.workflow.ingest`.
            type: contexts of this type. With a definition, contexts of both.
            limit: the maximum number of rows. All rows if None. The response holds all of them.
            unreadable: what to do about rows without a readable id. "raise" raises one `DecodeError` for all of them
                after the other rows. "skip" leaves them out. `report.unreadable` of the listing holds them in both
                cases.
            keep_raw: fill `raw` of each record with the element that the server sent.

        Raises:
            InvalidArgument: immediately, for a blank definition, an unknown type, or a limit below 1.

        Source: GET /sdb/rest/workflow/contexts. See tests/contract/preservica.md, section 1.1.
        """
        check_optional_int("limit", limit, least=1)
        params = filters.given_params(
            workflowDefinitionId=None
            if definition_id is None
            else filters.checked_filled("definition_id", definition_id),
            type=None if type is None else filters.one_of("type", filters.TYPES, type),
        )
        call = calls.list_contexts(params)
        call = with_raw_rows(call, partial(cut_elements, name="WorkflowContext")) if keep_raw else call
        return Listing(self._transport.send, call, lambda context: context.id, limit=limit, unreadable=unreadable)
