"""How starts of an Opencast are prepared, sent once, recognized afterwards and counted."""

import uuid
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from attrs import define, evolve, field, frozen

from workflow_async._call import Params, Value, texts
from workflow_async._lists.listing import Listing
from workflow_async._retry import may_have_happened
from workflow_async._transport import Transport
from workflow_async.batch import Ambiguous, Started, Ticket, Verdict
from workflow_async.batch.tickets import digest
from workflow_async.batch.verdicts import observe
from workflow_async.errors import (
    CallError,
    DecodeError,
    Forbidden,
    InvalidArgument,
    ListingNotSupported,
    StartOutcomeUnknown,
)
from workflow_async.opencast import calls, filters
from workflow_async.opencast.records import State, Workflow

LATE = 12.0
"""Seconds a list is looked at before it is believed that something is not in it: its index lags up to 10."""
SKEW = timedelta(minutes=5)
"""By how much the server's clock may be off."""
PAGE = 100
RUNNING = (State.INSTANTIATED, State.RUNNING, State.FAILING)


@frozen
class Start:
    """One start of a batch; `key` tells it from others: a digest of the rest if None."""

    event: str
    definition: str
    configuration: Mapping[str, Value] | None = field(default=None, hash=False)
    key: str | None = None


@define(eq=False)
class Starts:
    """Where starts of one Opencast go to."""

    transport: Transport
    system: str = "opencast"
    _lists: bool = True
    """Whether workflows may be listable."""
    _tells: bool = True
    """Whether the workflows of an event can be told before a start."""

    @property
    def server(self) -> str:
        """Its base URL."""
        return self.transport.origin.base

    def prepared(
        self,
        event: str,
        definition: str,
        configuration: Mapping[str, Value] | None = None,
        *,
        key: str | None = None,
        baseline: int | None = None,
    ) -> Ticket:
        """A start as a ticket; raises `InvalidArgument` for what cannot be sent."""
        settings = None if configuration is None else texts("configuration", configuration)
        calls.start_workflow(event, definition, settings)
        arguments = {"event": event, "definition": definition, "configuration": settings}
        return Ticket(
            system=self.system,
            server=self.server,
            arguments=arguments,
            correlation_id=str(uuid.uuid4()),
            prepared_at=self._now(),
            key=digest(self.system, arguments) if key is None else key,
            baseline=baseline,
        )

    def given(self, start: str | Ticket, definition: str, configuration: Mapping[str, Value] | None) -> Ticket:
        """The ticket that is given, or one of the rest; raises `InvalidArgument` for both."""
        if not isinstance(start, Ticket):
            return self.prepared(start, definition, configuration)
        if definition or configuration is not None:
            raise InvalidArgument("ticket", "says all there is to say: give no definition or configuration besides")
        return start

    def ticket(self, start: Any) -> Ticket:
        """A start as a ticket; raises `InvalidArgument` for what cannot be sent."""
        if isinstance(start, Start):
            return self.prepared(start.event, start.definition, start.configuration, key=start.key)
        self.check(start)
        return start  # type: ignore[no-any-return]  # it has been checked

    def check(self, ticket: object) -> None:
        """Raise `InvalidArgument` for what is no ticket of this server."""
        if not isinstance(ticket, Ticket):
            raise InvalidArgument("ticket", "must be made by prepare_start")
        if (ticket.system, ticket.server) != (self.system, self.server):
            raise InvalidArgument(
                "ticket", f"is for {ticket.system} at {ticket.server}, not {self.system} {self.server}"
            )

    async def send(self, ticket: Ticket, include: Params = (), *, timeout: float | None = None) -> Workflow:
        """Send the start, once; raises as `workflows.start`.

        A start that is cut off early is not repeated, so each has the whole of `Timeouts.call`, or `timeout` seconds.
        """
        self.check(ticket)
        event, definition = _subject(ticket)
        call = calls.start_workflow(event, definition, _configuration(ticket), include)
        try:
            return await self.transport.send(call, timeout=timeout or self.transport.timeouts.call)
        except CallError as error:
            if not may_have_happened(error):
                raise
            unknown = StartOutcomeUnknown(
                error,
                look_for=f"a workflow {definition!r} on event {event}",
                workflow_id=error.located if isinstance(error, DecodeError) else None,
                ticket=ticket,
            )
        raise unknown

    async def begin(self, ticket: Ticket) -> int:
        """Send the start, once, and return the new workflow's id."""
        return (await self.send(ticket)).id

    async def renewed(self, ticket: Ticket) -> Ticket:
        """The ticket as of now, with the highest id among the event's workflows, where that can be told."""
        baseline = None
        if self._tells:
            try:
                baseline = max((workflow.id for workflow in await self._of_event(_subject(ticket)[0])), default=0)
            except Forbidden:
                self._tells = False
            except CallError:
                pass
        return evolve(ticket, baseline=baseline, prepared_at=self._now())

    async def reconcile(self, ticket: Ticket, *, wait: float) -> Verdict[Workflow]:
        """Look for what a ticket started; a list, which lags, is looked at for 12 s at least."""
        self.check(ticket)

        async def look() -> Started[Workflow] | Ambiguous[Workflow] | None:
            return await self._look(ticket)

        return await observe(look, self.transport.clock, lambda: max(wait, LATE) if self._lists else wait)

    async def active(self, ticket: Ticket, *, alike: bool) -> Workflow | None:
        """The event's active workflow, if it can be told; `alike`: only if it is of the same definition."""
        event, definition = _subject(ticket)
        going = [workflow for workflow in await self._of_event(event) if not workflow.phase.final]
        return next((workflow for workflow in going if not alike or workflow.definition == definition), None)

    async def occupied(self, ours: Collection[tuple[Ticket, int | None]]) -> int:
        """How many workflows run, by the list, or by the events that are processed; ours count once."""
        if self._lists:
            try:
                listed = {workflow.id async for workflow in self._listing({"state": RUNNING})}
            except ListingNotSupported:
                self._lists = False
            else:
                known = {id for _, id in ours if id is not None}
                return len(listed | known) + sum(id is None for _, id in ours)
        processed = Listing(self.transport.send, calls.list_processing(size=PAGE), lambda event: event.id)
        return len({event.id async for event in processed} | {_subject(ticket)[0] for ticket, _ in ours})

    async def _look(self, ticket: Ticket) -> Started[Workflow] | Ambiguous[Workflow] | None:
        event, definition = _subject(ticket)
        try:
            found = await self._of_event(event)
        except Forbidden as error:
            return await self._glance(event, error)
        later = [workflow for workflow in found if _is_later(ticket, workflow) is not False]
        same = [workflow for workflow in later if workflow.definition == definition]
        if len(same) == 1 and _is_later(ticket, same[0]):
            since = f"above {ticket.baseline}" if ticket.baseline is not None else "begun since"
            return Started(same[0], f"the only workflow {definition!r} on event {event} {since}")
        if same:
            return Ambiguous(tuple(same), f"{len(same)} workflows {definition!r} on event {event} may be it")
        return Ambiguous(tuple(later), "of another definition, such as an error handler's") if later else None

    async def _glance(self, event: str, error: Forbidden) -> Ambiguous[Workflow] | None:
        """What the event itself says, where its workflows may not be seen: whether it ever had any."""
        events = await self.transport.send(calls.events_by_id([event]))
        state = events[0].processing_state if events else None
        if events and state is None:
            return None
        seen = "it is not shown" if state is None else f"its latest workflow is {state.value}"
        return Ambiguous((), f"the workflows of event {event} may not be seen ({error.what}); {seen}")

    async def _of_event(self, event: str) -> tuple[Workflow, ...]:
        """The workflows of one event: from the list up to Opencast 11, later for administrators only."""
        if self._lists:
            try:
                return tuple([workflow async for workflow in self._listing({"event_identifier": event})])
            except ListingNotSupported:
                self._lists = False
        return await self.transport.send(calls.workflows_of_event(event))

    def _listing(self, filter: filters.WorkflowFilters) -> Listing[Workflow]:
        first = calls.list_workflows(
            filter=filters.workflow_filter(filter),
            sort="",
            include=calls.including(withoperations="event_identifier" in filter),
            size=PAGE,
        )
        return Listing(self.transport.send, first, lambda workflow: workflow.id)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self.transport.clock.wall(), UTC)


def _subject(ticket: Ticket) -> tuple[str, str]:
    return str(ticket.arguments["event"]), str(ticket.arguments["definition"])


def _configuration(ticket: Ticket) -> Mapping[str, str] | None:
    settings = ticket.arguments["configuration"]
    return settings if isinstance(settings, Mapping) else None


def _is_later(ticket: Ticket, workflow: Workflow) -> bool | None:
    """Whether a workflow came after the ticket was made; None if nobody can say."""
    if ticket.baseline is not None:
        return workflow.id > ticket.baseline
    began = _began(workflow)
    if began is None or ticket.prepared_at - SKEW <= began < ticket.prepared_at:
        return None
    return began >= ticket.prepared_at


def _began(workflow: Workflow) -> datetime | None:
    """When a workflow was made, or its first operation began, where the record says so."""
    if workflow.created is not None:
        return workflow.created
    return min((ran.start for ran in workflow.operations or () if ran.start is not None), default=None)
