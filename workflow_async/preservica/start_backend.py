"""Prepares, sends, finds and counts the starts of a Preservica."""

import uuid
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from datetime import datetime, timedelta

from attrs import define, evolve, field, frozen

from workflow_async._core.call import ParameterValue, parse_id
from workflow_async._listing.listing import Listing
from workflow_async.batch import Ambiguous, ReconcileResult, Ticket
from workflow_async.batch.backend import ActiveSearch
from workflow_async.batch.reconcile import NO_OTHER_STARTS, OTHER_START_MAY_OWN_IT, OtherStarts, StartFound, search
from workflow_async.batch.start_records import PreservicaStart
from workflow_async.batch.start_sender import StartSender
from workflow_async.batch.tickets import checked_start, digest
from workflow_async.errors import CallError, DecodeError, Forbidden, InvalidArgument, NotFound, StartOutcomeUnknown
from workflow_async.preservica import calls, filters
from workflow_async.preservica.query import WorkflowQuery
from workflow_async.preservica.records import Context, Started, State, Workflow

MAX_CLOCK_SKEW = timedelta(minutes=5)
"""How far the server's clock and this machine's clock may differ."""
PAGE_SIZE = 100
ACTIVE_STATES = (State.ACTIVE, State.PENDING)


@frozen
class Start:
    """One start of a batch. `key` identifies the start, and is a digest of the other values if None."""

    context: Context | int | str
    """What to start: a `Context`, its id (a number), or its name."""
    parameters: Mapping[str, ParameterValue] | None = field(default=None, hash=False)
    key: str | None = None


@define(eq=False)
class PreservicaStarts:
    """Sends, finds and counts the starts of one Preservica."""

    _sender: StartSender
    system: str = "preservica"
    guard_lag: float = 0.0
    """Starts on a Preservica never conflict."""

    @property
    def server(self) -> str:
        """The base URL."""
        return self._sender.server

    def make_ticket(
        self,
        context: Context | int | str,
        parameters: Mapping[str, ParameterValue] | None = None,
        *,
        correlation_id: str | None = None,
        key: str | None = None,
    ) -> Ticket:
        """Return a start as a ticket. Raises `InvalidArgument` for values that cannot be sent."""
        id, name = context_reference(context)
        start = PreservicaStart(context_id=id, context_name=name, parameters=parameters)
        return Ticket(
            server=self.server,
            arguments=start,
            correlation_id=str(uuid.uuid4()) if correlation_id is None else correlation_id,
            prepared_at=self._sender.now(),
            key=digest(start) if key is None else key,
        )

    def from_arguments(
        self,
        start: Context | int | str | Ticket,
        parameters: Mapping[str, ParameterValue] | None,
        correlation_id: str | None,
    ) -> Ticket:
        """Return the given ticket, or make one from the arguments. Raises `InvalidArgument` if both are given."""
        if not isinstance(start, Ticket):
            return self.make_ticket(start, parameters, correlation_id=correlation_id)
        if parameters is not None or correlation_id is not None:
            raise InvalidArgument("ticket", "cannot be combined with parameters or correlation_id")
        return start

    def ticket(self, start: Start | Ticket) -> Ticket:
        """Return a start as a ticket. Raises `InvalidArgument` for values that cannot be sent."""
        if isinstance(start, Start):
            return self.make_ticket(start.context, start.parameters, key=start.key)
        self.check(start)
        return start

    def check(self, ticket: object) -> PreservicaStart:
        """Return what a ticket sends. Raises `InvalidArgument` unless it is a ticket of this server."""
        return checked_start(ticket, PreservicaStart, self.server)

    async def send(
        self, ticket: Ticket, *, timeout: float | None = None, may_send: Callable[[], bool] | None = None
    ) -> Started:
        """Send the start once. Raises what `workflows.start` raises."""
        start = self.check(ticket)
        call = calls.start_workflow(start.context_id, start.context_name, start.parameters, ticket.correlation_id)
        return await self._sender.send_start(call, timeout, lambda error: _unknown(ticket, start, error), may_send)

    async def send_for_id(self, ticket: Ticket, may_send: Callable[[], bool] | None = None) -> int:
        """Send the start once, and return the new workflow's id."""
        started = await self.send(ticket, may_send=may_send)
        if started.id is None:
            error = DecodeError("the answer to the start has no Id @ /")
            raise _unknown(ticket, self.check(ticket), error)
        return started.id

    async def learn_guard_lag(self) -> float:
        """Return `guard_lag`."""
        return self.guard_lag

    def lock_key(self, ticket: Ticket) -> None:
        """Return None, because any number of workflows of a context can run concurrently."""

    def match_key(self, ticket: Ticket) -> str:
        """Return the correlation id."""
        return ticket.correlation_id

    async def refreshed(self, ticket: Ticket) -> Ticket:
        """Check the server by reading one row of the list, and return the ticket with the current time.

        A 403 or a 404 is a successful check, because the server has responded.

        Raises:
            CallError: the check failed, so a start must not be sent now.
        """
        with suppress(Forbidden, NotFound):
            await self._count_running()
        return evolve(ticket, prepared_at=self._sender.now())

    async def reconcile(
        self, ticket: Ticket, *, wait: float, outage: float | None = None, other_starts: OtherStarts = NO_OTHER_STARTS
    ) -> ReconcileResult[Workflow]:
        """Search for the correlation id among the context's workflows, from 5 minutes before the ticket."""
        start = self.check(ticket)

        async def check() -> StartFound[Workflow] | Ambiguous[Workflow] | None:
            return await self._check(ticket, start, other_starts)

        return await search(check, self._sender.transport.clock, lambda: wait, outage)

    async def active(self, ticket: Ticket, *, same_definition: bool) -> ActiveSearch[Workflow]:
        """Return no workflow, because starts on a Preservica never conflict."""
        return ActiveSearch(None, "starts on a Preservica never conflict")

    async def count_running(self, own: Collection[tuple[Ticket, int | None]]) -> int:
        """Return how many workflows are active or pending. Starts in `own` whose id is unknown count in addition."""
        return await self._count_running() + sum(id is None for _, id in own)

    async def count_active(self) -> int:
        """Return how many workflows are active or pending, by the server's total."""
        query = WorkflowQuery.of(state=ACTIVE_STATES).on_the_wire()
        return await self._sender.read(calls.count_workflows(query))

    async def _count_running(self) -> int:
        query = WorkflowQuery.of(state=ACTIVE_STATES).on_the_wire()
        page = await self._sender.read(calls.list_workflows(query, size=1))
        return len(page.items) if page.total is None else page.total

    async def _check(
        self, ticket: Ticket, start: PreservicaStart, other_starts: OtherStarts
    ) -> StartFound[Workflow] | Ambiguous[Workflow] | None:
        correlation_id = ticket.correlation_id
        without_id, with_id = [], []
        async for workflow in self._since(start, ticket.prepared_at):
            if other_starts.own(workflow.id):
                continue
            if workflow.correlation_id == correlation_id:
                with_id.append(workflow)
            elif workflow.correlation_id is None and _may_be_of(start, workflow):
                without_id.append(workflow)
        if len(with_id) == 1 and other_starts.may_own_same():
            return Ambiguous(tuple(with_id), OTHER_START_MAY_OWN_IT)
        if len(with_id) == 1:
            return StartFound(with_id[0], f"it has the correlation id {correlation_id}")
        if with_id:
            return Ambiguous(tuple(with_id), f"{len(with_id)} workflows have the correlation id {correlation_id}")
        return (
            Ambiguous(tuple(without_id), "the server reports no correlation id for these workflows")
            if without_id
            else None
        )

    def _since(self, start: PreservicaStart, prepared_at: datetime) -> Listing[Workflow]:
        """Return the workflows of a start's context, or of all contexts if the context's id is unknown.

        The list has no filter by the name of a context.
        """
        id = start.context_id
        known = id if id is not None and filters.is_digits(id) else None
        query = WorkflowQuery.of(context=known, since=prepared_at - MAX_CLOCK_SKEW)
        first = query.on_the_wire(newest_first=True)
        return Listing(self._sender.read, calls.list_workflows(first, size=PAGE_SIZE), lambda workflow: workflow.id)


def context_reference(context: Context | int | str) -> tuple[str | None, str | None]:
    """Return the id and the name of a context, with None for an unknown value."""
    if isinstance(context, Context):
        return context.id, context.name or None
    if isinstance(context, str) and not filters.is_digits(context):
        return None, context
    return str(parse_id("context", context)), None


def _unknown(ticket: Ticket, start: PreservicaStart, error: CallError) -> StartOutcomeUnknown:
    name = start.context_name
    place = f"context {start.context_id}" if name is None else f"context {name!r}"
    correlation_id = ticket.correlation_id
    look_for = f"the correlation id {correlation_id!r} among the workflows of {place}"
    return StartOutcomeUnknown(error, look_for=look_for, correlation_id=correlation_id, ticket=ticket)


def _may_be_of(start: PreservicaStart, workflow: Workflow) -> bool:
    """Return True if a workflow without a correlation id may be of the start's context."""
    pairs = [(start.context_id, workflow.context_id), (start.context_name, workflow.context_name)]
    return all(wanted is None or found is None or wanted == found for wanted, found in pairs)
