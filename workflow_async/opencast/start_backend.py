"""How starts of an Opencast are prepared, sent once, recognized afterwards and counted."""

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
"""Seconds a list is looked at before it is believed that something is not in it: its index lags up to 10."""
PAGE_SIZE = 100
ACTIVE_STATES = (State.INSTANTIATED, State.RUNNING, State.FAILING)


@frozen
class Start:
    """One start of a batch; `key` tells it from others: a digest of the rest if None."""

    event_id: str
    definition_id: str
    configuration: Mapping[str, ParameterValue] | None = field(default=None, hash=False)
    key: str | None = None


@define(eq=False)
class OpencastStarts:
    """Where starts of one Opencast go to."""

    _sender: StartSender
    system: str = "opencast"
    _can_list: bool = True
    """Whether workflows may be listable."""
    _may_read_events: bool = True
    """Whether the workflows of an event can be told before a start."""

    @property
    def server(self) -> str:
        """Its base URL."""
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
        """A start as a ticket; raises `InvalidArgument` for what cannot be sent."""
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
        self, start: str | Ticket, definition: str, configuration: Mapping[str, ParameterValue] | None
    ) -> Ticket:
        """The ticket that is given, or one of the rest; raises `InvalidArgument` for both."""
        if not isinstance(start, Ticket):
            return self.make_ticket(start, definition, configuration)
        if definition or configuration is not None:
            raise InvalidArgument("ticket", "says all there is to say: give no definition or configuration besides")
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
        """Send the start, once, and return the new workflow's id."""
        return (await self.send(ticket)).id

    @property
    def guard_lag(self) -> float:
        """Seconds in which the server may accept a second start on the same event: its guard reads the list's index."""
        return INDEX_LAG if self._can_list else 0.0

    def lock_key(self, ticket: Ticket) -> str:
        """Return the event: it can have one active workflow at a time."""
        return self.check(ticket).event_id

    def match_key(self, ticket: Ticket) -> str:
        """Return event and definition, all that an Opencast tells of a workflow's start."""
        start = self.check(ticket)
        return json.dumps([start.event_id, start.definition_id])

    async def refreshed(self, ticket: Ticket) -> Ticket:
        """Check the server, and return the ticket as of now with the highest id among the event's workflows.

        Where this user may not read an event's workflows, the event itself is the check, and there is no baseline.

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
        """Search for what a ticket started. A list, which lags, is searched for 12 s at least."""
        start = self.check(ticket)

        async def look() -> StartFound[Workflow] | Ambiguous[Workflow] | None:
            return await self._check(ticket, start, other_starts)

        return await search(
            look, self._sender.transport.clock, lambda: max(wait, INDEX_LAG) if self._can_list else wait, outage
        )

    async def active(self, ticket: Ticket, *, same_definition: bool) -> Workflow | None:
        """Return the event's active workflow, or None if there is none or this user may not read it.

        Args:
            ticket: the start.
            same_definition: return it only if it is of the same definition.

        Raises:
            CallError: the server could not be asked.
        """
        start = self.check(ticket)
        for workflow in await self._visible_workflows(start.event_id) or ():
            if not workflow.phase.final and (not same_definition or workflow.definition_id == start.definition_id):
                return workflow
        return None

    async def count_running(self, own: Collection[tuple[Ticket, int | None]]) -> int:
        """How many workflows run, by the list, or by the events that are processed; ours count once."""
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
        self, ticket: Ticket, start: OpencastStart, rivals: OtherStarts
    ) -> StartFound[Workflow] | Ambiguous[Workflow] | None:
        try:
            found = await self._workflows_of_event(start.event_id)
        except (Forbidden, NotFound) as error:
            return await self._check_event(start.event_id, error)
        return find_start(ticket, start, found, rivals)

    async def _check_event(self, event: str, error: CallError) -> Ambiguous[Workflow] | None:
        """What the event itself says, where its workflows may not be seen: whether it ever had any."""
        events = await self._sender.read(calls.events_by_id([event]))
        state = events[0].processing_state if events else None
        if events and state is None:
            return None
        seen = "it is not shown" if state is None else f"its latest workflow is {state.value}"
        return Ambiguous((), f"the workflows of event {event} may not be seen ({error.what}); {seen}")

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
        """Return an event as it is listed, or None if it is not listed or this user may not read it."""
        try:
            found = await self._sender.read(calls.events_by_id([event]))
        except (Forbidden, NotFound):
            return None
        return found[0] if found else None

    async def _baseline_lag(self, event: str, baseline: int) -> float:
        """Return by how much a baseline from the list may be late: not at all if the event never had a workflow.

        The list of events has an index of its own, which does not lag.
        """
        shown = await self._find_event(event) if baseline == 0 else None
        return 0.0 if shown is not None and shown.processing_state is None else INDEX_LAG

    async def _workflows_of_event(self, event: str) -> tuple[Workflow, ...]:
        """The workflows of one event: from the list up to Opencast 11, later for administrators only."""
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
