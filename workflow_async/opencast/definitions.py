"""Lists and gets the workflow definitions of an Opencast."""

from collections.abc import Iterable
from functools import partial

from attrs import evolve, frozen

from workflow_async._core.call import OnUnreadable, Params
from workflow_async._core.transport import Transport
from workflow_async._decode.json import json_tree
from workflow_async._decode.raw import with_raw, with_raw_rows
from workflow_async._listing.listing import Listing
from workflow_async.opencast import definition_calls, filters, params
from workflow_async.opencast.definition_order import DefinitionOrder
from workflow_async.opencast.definition_records import Definition
from workflow_async.settings import check_int, check_optional_int


@frozen
class Definitions:
    """The workflow definitions of an Opencast, as `client.definitions`."""

    _transport: Transport

    def list(
        self,
        *,
        tag: filters.Texts | None = None,
        sort: filters.DefinitionSort | Iterable[filters.DefinitionSort] | None = None,
        limit: int | None = None,
        offset: int = 0,
        with_operations: bool = False,
        with_configuration_panel: bool = False,
        with_configuration_panel_json: bool = False,
        unreadable: OnUnreadable = "raise",
        keep_raw: bool = False,
    ) -> Listing[Definition]:
        """List the definitions that this user may start. By title in any case of letters, unless sorted otherwise.

        Args:
            tag: one tag, or several tags that a definition must all have.
            sort: one key with its direction, or several keys, the most significant first. In a sort by `title` or
                `identifier` capital letters come before small ones. The server would combine several keys in an
                arbitrary order, so all definitions are read and sorted here. `displayorder` must then be the last key,
                because the response does not show it.
            limit: the maximum number of rows. All rows if None.
            offset: the number of rows to skip at the beginning.
            with_operations: fill `operations`.
            with_configuration_panel: fill `configuration_panel` (HTML).
            with_configuration_panel_json: fill `configuration_panel_json`. Opencast 14 and later. `options` reads
                either panel, so request both.
            unreadable: what to do about rows without a readable id. "raise" raises one `DecodeError` for all of them
                after the other rows. "skip" leaves them out. `report.unreadable` of the listing holds them in both
                cases.
            keep_raw: fill `raw` of each record with the object that the server sent.

        Raises:
            InvalidArgument: immediately, if an argument does not fit into the server's grammar.

        Source: GET /api/workflow-definitions. Needs ROLE_API_WORKFLOW_DEFINITION_VIEW. See tests/contract/opencast.md,
        section 3.
        """
        check_optional_int("limit", limit, least=1)
        check_int("offset", offset, least=0)
        order = DefinitionOrder.of(sort)
        call = definition_calls.list_definitions(
            filter=filters.definition_filter(tag) if tag is not None else "",
            sort=order.sent,
            include=_including(
                operations=with_operations, panel=with_configuration_panel, panel_json=with_configuration_panel_json
            ),
            limit=None if order.others else limit,
            offset=0 if order.others else offset,
        )
        call = with_raw_rows(call, json_tree) if keep_raw else call
        if order.others:
            call = evolve(call, read=partial(order.read_page, call.read, offset))
        return Listing(self._transport.send, call, lambda definition: definition.id, limit=limit, unreadable=unreadable)

    async def get(
        self,
        definition_id: str,
        *,
        with_operations: bool = False,
        with_configuration_panel: bool = False,
        with_configuration_panel_json: bool = False,
        keep_raw: bool = False,
    ) -> Definition:
        """Get one definition.

        Args:
            definition_id: the definition.
            with_operations: fill `operations`.
            with_configuration_panel: fill `configuration_panel` (HTML).
            with_configuration_panel_json: fill `configuration_panel_json`. Opencast 14 and later. `options` reads
                either panel, so request both.
            keep_raw: fill `raw` with the object that the server sent.

        Raises:
            NotFound: there is no such definition, or this user may not start it.

        Source: GET /api/workflow-definitions/{id}. See tests/contract/opencast.md, section 3.2.
        """
        include = _including(
            operations=with_operations, panel=with_configuration_panel, panel_json=with_configuration_panel_json
        )
        call = definition_calls.get_definition(definition_id, include)
        return await self._transport.send(with_raw(call, json_tree) if keep_raw else call)


def _including(*, operations: bool, panel: bool, panel_json: bool) -> Params:
    return params.including(
        withoperations=operations, withconfigurationpanel=panel, withconfigurationpaneljson=panel_json
    )
