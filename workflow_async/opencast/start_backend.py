"""Prepares, sends, finds and counts the starts of an Opencast."""

import json
import uuid
from collections.abc import Collection, Mapping

from attrs import define, evolve, field, frozen

from workflow_async._core.call import ParameterValue, Params
from workflow_async._listing.listing import Listing
from workflow_async.batch import Ambiguous, ReconcileResult, StartFound, Ticket
from workflow_async.batch.reconcile import NO_OTHER_STARTS, OtherStarts, search
from workflow_async.batch.start_records import OpencastStart
from workflow_async.batch.start_sender import StartSender
from workflow_async.batch.tickets import checked_start, digest
from workflow_async.errors import (
    CallError,
    DecodeError,
    Forbidden,
    InvalidArgument,
    ListingNotSupported,
    NotFound,
    StartOutcomeUnknown,
)
from workflow_async.opencast import calls, filters
from workflow_async.opencast.evidence import find_start
from workflow_async.opencast.query import WorkflowQuery
from workflow_async.opencast.records import Event, State, Workflow
from workflow_async.settings import check_optional_int

INDEX_LAG = 12.0
"""Seconds after which the list shows every workflow. Its index lags up to 10 s behind the database."""
PAGE_SIZE = 100
ACTIVE_STATES = (State.INSTANTIATED, State.RUNNING, State.FAILING)


@frozen
class Start:
    """One start of a batch. `key` identifies the start, and is a digest of the other values if None."""

    event_id: str
    definition_id: str
    configuration: Mapping[str, ParameterValue] | None = field(default=None, hash=False)
    key: str | None = None


@define(eq=False)
class OpencastStarts:
    """Sends, finds and counts the starts of one Opencast."""

    _sender: StartSender
    system: str = "opencast"
    _can_list: bool = True
    """False once the server has shown that it has no list of workflows."""
    _may_read_events: bool = True
    """False once this user was denied the workflows of an event."""

    @property
    def server(self) -> str:
        """The base URL."""
        return self._sender.server

    def make_ticket(
        self,
        event_id: str,
        definition_id: str,
        configuration: Mapping[str, ParameterValue] | None = None,
        *,
        key: str | None = None,
        baseline: int | None = None,
    ) -> Ticket:
        """Return a start as a ticket. Raises `InvalidArgument` for values that cannot be sent."""
        check_optional_int("baseline", baseline, least=0)
        start = OpencastStart(event_id=event_id, definition_id=definition_id, configuration=configuration)
        return Ticket(
            server=self.server,
            arguments=start,
            correlation_id=str(uuid.uuid4()),
            prepared_at=self._sender.now(),
            key=digest(start) if key is None else key,
            baseline=baseline,
        )

    def from_arguments(
        self, start: str | Ticket, definition_id: str, configuration: Mapping[str, ParameterValue] | None
    ) -> Ticket:
        """Return the given ticket, or make one from the arguments. Raises `InvalidArgument` if both are given."""
        if not isinstance(start, Ticket):
            return self.make_ticket(start, definition_id, configuration)
        if definition_id or configuration is not None:
            raise InvalidArgument("ticket", "cannot be combined with definition_id or configuration")
        return start

    def ticket(self, start: Start | Ticket) -> Ticket:
        """Return a start as a ticket. Raises `InvalidArgument` for values that cannot be sent."""
        if isinstance(start, Start):
            return self.make_ticket(start.event_id, start.definition_id, start.configuration, key=start.key)
        self.check(start)
        return start

    def check(self, ticket: object) -> OpencastStart:
        """Return what a ticket sends. Raises `InvalidArgument` unless it is a ticket of this server."""
        return checked_start(ticket, OpencastStart, self.server)

    async def send(self, ticket: Ticket, include: Params = (), *, timeout: float | None = None) -> Workflow:
        """Send the start once. Raises what `workflows.start` raises."""
        start = self.check(ticket)
        call = calls.start_workflow(start.event_id, start.definition_id, start.configuration, include)
        return await self._sender.send_start(call, timeout, lambda error: _unknown(ticket, start, error))

    async def send_for_id(self, ticket: Ticket) -> int:
        """Send the start once, and return the new workflow's id."""
        return (await self.send(ticket)).id

    @property
    def guard_lag(self) -> float:
        """Seconds after a start in which the server may accept a second start on the same event.

        The server checks for an active workflow in the index of the list, which lags.
        """
        return INDEX_LAG if self._can_list else 0.0

    def lock_key(self, ticket: Ticket) -> str:
        """Return the event, which can have one active workflow at a time."""
        return self.check(ticket).event_id

    def match_key(self, ticket: Ticket) -> str:
        """Return event and definition. Opencast records nothing else about a workflow's start."""
        start = self.check(ticket)
        return json.dumps([start.event_id, start.definition_id])

    async def refreshed(self, ticket: Ticket) -> Ticket:
        """Check the server, and return the ticket with the current time and the highest id of the event's workflows.

        If this user may not read the event's workflows, the check reads the event, and the ticket has no baseline.

        Raises:
            CallError: the check failed, so a start must not be sent now.
        """
        event = self.lock_key(ticket)
        found = await self._visible_workflows(event)
        if found is None:
            await self._find_event(event)
            return evolve(ticket, baseline=None, baseline_lag=0.0, prepared_at=self._sender.now())
        baseline = max((workflow.id for workflow in found), default=0)
        lag = await self._baseline_lag(event, baseline) if self._can_list else 0.0
        return evolve(ticket, baseline=baseline, baseline_lag=lag, prepared_at=self._sender.now())

    async def reconcile(
        self, ticket: Ticket, *, wait: float, outage: float | None = None, other_starts: OtherStarts = NO_OTHER_STARTS
    ) -> ReconcileResult[Workflow]:
        """Search for the workflow of a ticket.

        If the server has a list, the search takes at least 12 s, because the list lags.
        """
        start = self.check(ticket)

        async def check() -> StartFound[Workflow] | Ambiguous[Workflow] | None:
            return await self._check(ticket, start, other_starts)

        return await search(
            check, self._sender.transport.clock, lambda: max(wait, INDEX_LAG) if self._can_list else wait, outage
        )

    async def active(self, ticket: Ticket, *, same_definition: bool) -> Workflow | None:
        """Return the event's active workflow, or None if there is none or this user may not read the workflows.

        Args:
            ticket: the start.
            same_definition: return only a workflow of the same definition.

        Raises:
            CallError: the request failed.
        """
        start = self.check(ticket)
        for workflow in await self._visible_workflows(start.event_id) or ():
            if not workflow.phase.final and (not same_definition or workflow.definition_id == start.definition_id):
                return workflow
        return None

    async def count_running(self, own: Collection[tuple[Ticket, int | None]]) -> int:
        """Return how many workflows run, from the list or from the events in processing.

        Each start in `own` counts once.
        """
        if self._can_list:
            try:
                listed = {workflow.id async for workflow in self._listing({"state": ACTIVE_STATES})}
            except ListingNotSupported:
                self._can_list = False
            else:
                known = {id for _, id in own if id is not None}
                return len(listed | known) + sum(id is None for _, id in own)
        processed = Listing(self._sender.read, calls.list_processing(size=PAGE_SIZE), lambda event: event.id)
        return len({event.id async for event in processed} | {self.lock_key(ticket) for ticket, _ in own})

    async def _check(
        self, ticket: Ticket, start: OpencastStart, other_starts: OtherStarts
    ) -> StartFound[Workflow] | Ambiguous[Workflow] | None:
        try:
            found = await self._workflows_of_event(start.event_id)
        except (Forbidden, NotFound) as error:
            return await self._check_event(start.event_id, error)
        return find_start(ticket, start, found, other_starts)

    async def _check_event(self, event: str, error: CallError) -> Ambiguous[Workflow] | None:
        """Return what the event itself shows if its workflows are hidden. None if it never had a workflow."""
        events = await self._sender.read(calls.events_by_id([event]))
        state = events[0].processing_state if events else None
        if events and state is None:
            return None
        shown = "the event is not listed" if state is None else f"its latest workflow is {state.value}"
        return Ambiguous((), f"this user may not read the workflows of event {event} ({error.what}), and {shown}")

    async def _visible_workflows(self, event: str) -> tuple[Workflow, ...] | None:
        """Return the workflows of an event, or None if this user may not read them."""
        if self._may_read_events:
            try:
                return await self._workflows_of_event(event)
            except Forbidden:
                self._may_read_events = False
            except NotFound:
                pass
        return None

    async def _find_event(self, event: str) -> Event | None:
        """Return an event from the list of events, or None if this user does not see it there."""
        try:
            found = await self._sender.read(calls.events_by_id([event]))
        except (Forbidden, NotFound):
            return None
        return found[0] if found else None

    async def _baseline_lag(self, event: str, baseline: int) -> float:
        """Return by how many seconds a baseline from the list may lag. 0 if the event never had a workflow.

        The list of events has another index, which does not lag.
        """
        found = await self._find_event(event) if baseline == 0 else None
        return 0.0 if found is not None and found.processing_state is None else INDEX_LAG

    async def _workflows_of_event(self, event: str) -> tuple[Workflow, ...]:
        """Return the workflows of one event.

        Up to Opencast 11 they come from the list. From 12 on only administrators may read them.
        """
        if self._can_list:
            try:
                return tuple([workflow async for workflow in self._listing({"event_id": event})])
            except ListingNotSupported:
                self._can_list = False
        return await self._sender.read(calls.workflows_of_event(event))

    def _listing(self, filter: filters.WorkflowFilters) -> Listing[Workflow]:
        first = calls.list_workflows(
            filter=WorkflowQuery.of(**filter).on_the_wire(),
            sort="",
            include=calls.including(withoperations="event_id" in filter),
            size=PAGE_SIZE,
        )
        return Listing(self._sender.read, first, lambda workflow: workflow.id)


def _unknown(ticket: Ticket, start: OpencastStart, error: CallError) -> StartOutcomeUnknown:
    return StartOutcomeUnknown(
        error,
        look_for=f"a workflow {start.definition_id!r} on event {start.event_id}",
        workflow_id=error.located if isinstance(error, DecodeError) else None,
        ticket=ticket,
    )
