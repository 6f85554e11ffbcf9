"""The part of an Opencast's workflow service that counts workflows, and limits how many run."""

from attrs import Factory, define, field

from workflow_async import batch
from workflow_async._listing.options import ListOptions
from workflow_async._listing.scan import MAX_AHEAD
from workflow_async.batch.gate import new_gate
from workflow_async.errors import CallError, CountNotSupported
from workflow_async.opencast import server_calls
from workflow_async.opencast.by_events import ByEvents
from workflow_async.opencast.count_calls import count_calls
from workflow_async.opencast.filters import States, WorkflowFilters
from workflow_async.opencast.list_routes import ListRoutes
from workflow_async.opencast.query import WorkflowQuery
from workflow_async.opencast.scans import workflow_listing
from workflow_async.opencast.start_service import StartService
from workflow_async.settings import Poll

PAGE_SIZE = 100


@define(eq=False)
class Counting(StartService):
    """The methods that count workflows and limit how many run."""

    _by_events: ByEvents = field(
        init=False,
        default=Factory(lambda self: ByEvents(self._transport.send, ListRoutes(self._starts.known)), takes_self=True),
    )

    async def count(
        self, *, state: States | None = None, definition_id: str | None = None, current_operation: str | None = None
    ) -> int:
        """Count the workflows that match all filters. All workflows of the tenant without a filter.

        It uses internal endpoints, which need **ROLE_ADMIN**, because the External API has no count. Up to Opencast 11
        the number may be up to 10 s old, as the list is.

        From Opencast 12 on no endpoint counts by `definition_id` or `current_operation`. The workflows are then listed,
        with one request for each event. A filter of active states makes that cheap. See `list`.

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
            ListingIncomplete: on Opencast 12 and later, if workflows that may match cannot be found. See `list`.
            CountNotSupported: a future server has no count, with the server's version.
            DecodeError: the response has no number.

        Source: GET /workflow/count. With `definition_id` or `current_operation` GET /workflow/instances.json, or what
        `list` uses. See tests/contract/opencast.md, section 1.7.
        """
        try:
            return sum(
                [await self._transport.send(call) for call in count_calls(state, definition_id, current_operation)]
            )
        except CountNotSupported as error:
            caught = error
        if not caught.filters:
            caught.version = await self._version()
            raise caught
        return await self._count_listed(_query(state, definition_id, current_operation))

    async def _count_listed(self, query: WorkflowQuery) -> int:
        """Return the number of workflows that are listed by events."""
        listing = workflow_listing(
            self._transport.send,
            self._poller.source.server_key,
            ListOptions(consistency="fast", page_size=PAGE_SIZE, ahead=MAX_AHEAD),
            query,
            by_events=self._by_events,
        )
        return len([workflow async for workflow in listing])

    def gate(
        self, *, max_running: int, low: int | None = None, count_others: bool = True, poll: Poll = Poll()
    ) -> batch.Gate:
        """Limit how many workflows run: `gate = oc.workflows.gate(max_running=10)`, `async with gate.slot(): …`.

        A slot takes its places when the block is entered and frees them when the block is left, also by an exception.
        Start the workflow in the block. Wait there for its end if the slot should be held until then. Otherwise the
        workflow counts by the server's number only. Slots are given in the order in which they are entered, and a
        cancelled wait leaves the queue. Use one gate for all starts that share a limit.

        The server's number counts the workflows of all users that are instantiated, running or failing. It is read
        before each slot, and every `poll.interval` while a slot waits. Each slot counts in addition for 5 seconds,
        up to Opencast 11 for 12 seconds, because the number may not include its workflow yet. Near the limit a slot can
        therefore wait this much longer than needed. Workflows of other users can start between a count
        and a start. While the number cannot be read because of an outage, nothing is let through, for at most
        `poll.outage` seconds.

        Args:
            max_running: the number of places. A running workflow takes one, and a slot takes its weight.
            low: after a slot did not fit, the next one is let through when at most `low` places are taken.
                `max_running - 1` if None.
            count_others: count the workflows on the server. False counts the slots of this gate only, without a
                request.
            poll: how often to count, and how long to wait in an outage.

        Raises:
            InvalidArgument: immediately, for values that make no sense.
            Forbidden: while a slot is entered, if this user is not an admin. `role` is the role that is needed. Use
                `count_others=False` without it.
            CountNotSupported: while a slot is entered, if the server cannot count.
            CallError: while a slot is entered, if the count failed for longer than `poll.outage`.

        Source: GET /workflow/count, one request for each of the three states, and GET /api/version once. See
        tests/contract/opencast.md, section 1.7.
        """
        counting = self._starts.count_active if count_others else None
        return new_gate(max_running, low, counting, lambda: self._starts.guard_lag, self._transport.clock, poll)

    async def _version(self) -> str | None:
        """Return the server's API version. None if it cannot be read."""
        try:
            return (await self._transport.send(server_calls.get_version())).default
        except CallError:
            return None


def _query(state: States | None, definition_id: str | None, current_operation: str | None) -> WorkflowQuery:
    filter: WorkflowFilters = {} if state is None else {"state": state}
    if definition_id is not None:
        filter["definition_id"] = definition_id
    if current_operation is not None:
        filter["current_operation"] = current_operation
    return WorkflowQuery.of(**filter)
