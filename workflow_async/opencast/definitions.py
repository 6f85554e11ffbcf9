"""Lists and gets the workflow definitions of an Opencast."""

from attrs import frozen

from workflow_async._core.call import OnUnreadable, Params
from workflow_async._core.transport import Transport
from workflow_async._listing.listing import Listing
from workflow_async.opencast import calls, filters
from workflow_async.opencast.records import Definition
from workflow_async.settings import check_optional_int


@frozen
class Definitions:
    """The workflow definitions of an Opencast, as `client.definitions`."""

    _transport: Transport

    def list(
        self,
        *,
        tag: filters.Texts | None = None,
        sort: filters.DefinitionSort | None = None,
        limit: int | None = None,
        with_operations: bool = False,
        with_configuration_panel: bool = False,
        with_configuration_panel_json: bool = False,
        unreadable: OnUnreadable = "raise",
    ) -> Listing[Definition]:
        """List the definitions that this user may start. By title unless sorted otherwise.

        Args:
            tag: one tag, or several tags that a definition must all have.
            sort: one key with its direction.
            limit: the maximum number of rows. All rows if None.
            with_operations: fill `operations`.
            with_configuration_panel: fill `configuration_panel` (HTML).
            with_configuration_panel_json: fill `configuration_panel_json`. Opencast 14 and later. `options` reads
                either panel, so request both.
            unreadable: what to do about rows without a readable id. "raise" raises one `DecodeError` for all of them
                after the other rows. "skip" leaves them out. `report.unreadable` of the listing holds them in both
                cases.

        Raises:
            InvalidArgument: immediately, if an argument does not fit into the server's grammar.

        Source: GET /api/workflow-definitions. Needs ROLE_API_WORKFLOW_DEFINITION_VIEW. See tests/contract/opencast.md,
        section 3.
        """
        check_optional_int("limit", limit, least=1)
        call = calls.list_definitions(
            filter=filters.definition_filter(tag) if tag is not None else "",
            sort=filters.definition_sort(sort) if sort is not None else "",
            include=_including(
                operations=with_operations, panel=with_configuration_panel, panel_json=with_configuration_panel_json
            ),
            limit=limit,
        )
        return Listing(self._transport.send, call, lambda definition: definition.id, unreadable=unreadable)

    async def get(
        self,
        definition_id: str,
        *,
        with_operations: bool = False,
        with_configuration_panel: bool = False,
        with_configuration_panel_json: bool = False,
    ) -> Definition:
        """Get one definition.

        Args:
            definition_id: the definition.
            with_operations: fill `operations`.
            with_configuration_panel: fill `configuration_panel` (HTML).
            with_configuration_panel_json: fill `configuration_panel_json`. Opencast 14 and later. `options` reads
                either panel, so request both.

        Raises:
            NotFound: there is no such definition, or this user may not start it.

        Source: GET /api/workflow-definitions/{id}. See tests/contract/opencast.md, section 3.2.
        """
        include = _including(
            operations=with_operations, panel=with_configuration_panel, panel_json=with_configuration_panel_json
        )
        return await self._transport.send(calls.get_definition(definition_id, include))


def _including(*, operations: bool, panel: bool, panel_json: bool) -> Params:
    return calls.including(
        withoperations=operations, withconfigurationpanel=panel, withconfigurationpaneljson=panel_json
    )
