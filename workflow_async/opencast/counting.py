"""The part of an Opencast's workflow service that counts workflows."""

from attrs import define

from workflow_async.errors import CallError, CountNotSupported
from workflow_async.opencast import calls
from workflow_async.opencast.count_calls import count_calls
from workflow_async.opencast.filters import States
from workflow_async.opencast.start_service import StartService


@define(eq=False)
class Counting(StartService):
    """The method that counts workflows."""

    async def count(
        self, *, state: States | None = None, definition_id: str | None = None, current_operation: str | None = None
    ) -> int:
        """Count the workflows that match all filters. All workflows of the tenant without a filter.

        It uses internal endpoints, which need **ROLE_ADMIN**, because the External API has no count. `definition_id`
        and `current_operation` need Opencast 6 to 11. Up to Opencast 11 the number may be up to 10 s old, as the list
        is.

        Several states cost one request each. A workflow that changes its state between two of these requests may be
        counted twice or not at all. Together with `definition_id` or `current_operation` all states cost one request.

        The filters are fewer than those of `list`, because the endpoints have no others.

        Args:
            state: in this state, or in one of these.
            definition_id: of this definition. Case is ignored.
            current_operation: with this current operation. Case is ignored.

        Raises:
            InvalidArgument: immediately, if a filter cannot be sent.
            Forbidden: this user is not an admin. `role` is the role that is needed.
            CountNotSupported: `definition_id` or `current_operation` on Opencast 12 and later, with the server's
                version.
            DecodeError: the response has no number.

        Source: GET /workflow/count, and GET /workflow/instances.json with `definition_id` or `current_operation`. See
        tests/contract/opencast.md, section 1.7.
        """
        try:
            return sum(
                [await self._transport.send(call) for call in count_calls(state, definition_id, current_operation)]
            )
        except CountNotSupported as error:
            caught = error
        caught.version = await self._version()
        raise caught

    async def _version(self) -> str | None:
        """Return the server's API version. None if it cannot be read."""
        try:
            return (await self._transport.send(calls.get_version())).default
        except CallError:
            return None
