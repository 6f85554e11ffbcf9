"""Prepares, sends, finds and counts the starts of an Opencast."""

import json
import uuid
from collections.abc import Callable, Collection, Mapping

from attrs import Factory, define, evolve, field, frozen

from workflow_async._core.call import ParameterValue, Params
from workflow_async.batch import Ambiguous, ReconcileResult, StartFound, Ticket
from workflow_async.batch.backend import ActiveSearch
from workflow_async.batch.reconcile import NO_OTHER_STARTS, OtherStarts, search
from workflow_async.batch.start_records import OpencastStart
from workflow_async.batch.start_sender import StartSender
from workflow_async.batch.tickets import checked_start, digest
from workflow_async.errors import (
    CallError,
    DecodeError,
    Forbidden,
    InvalidArgument,
    NotFound,
    StartOutcomeUnknown,
)
from workflow_async.opencast import calls, definition_calls, event_calls, params
from workflow_async.opencast.count_calls import count_calls
from workflow_async.opencast.event_workflows import ACTIVE_STATES, EventWorkflows
from workflow_async.opencast.evidence import find_start
from workflow_async.opencast.known_workflows import KnownWorkflows
from workflow_async.opencast.records import Workflow
from workflow_async.settings import check_optional_int

INDEX_LAG = 12.0
"""Seconds after which the list shows every workflow. Its index lags up to 10 s behind the database."""

PANELS = params.including(withconfigurationpanel=True, withconfigurationpaneljson=True)


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
    known: KnownWorkflows = field(factory=KnownWorkflows, init=False)
    """The workflows of the starts that were sent or found."""
    _workflows: EventWorkflows = field(
        init=False, default=Factory(lambda self: EventWorkflows(self._sender, known=self.known), takes_self=True)
    )

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

    async def check_options(self, ticket: Ticket) -> None:
        """Read the definition of a start, and check the configuration. Send nothing if there is no configuration.

        Raises:
            InvalidArgument: see `Definition.check`.
            CallError: the definition cannot be read.
        """
        start = self.check(ticket)
        if start.configuration:
            call = definition_calls.get_definition(start.definition_id, PANELS)
            (await self._sender.transport.send(call)).check(start.configuration)

    async def send(
        self,
        ticket: Ticket,
        include: Params = (),
        *,
        timeout: float | None = None,
        may_send: Callable[[], bool] | None = None,
    ) -> Workflow:
        """Send the start once. Raises what `workflows.start` raises."""
        start = self.check(ticket)
        call = calls.start_workflow(start.event_id, start.definition_id, start.configuration, include)
        workflow = await self._sender.send_start(call, timeout, lambda error: _unknown(ticket, start, error), may_send)
        self.known.note(workflow.event_id, workflow.id)
        return workflow

    async def send_for_id(self, ticket: Ticket, may_send: Callable[[], bool] | None = None) -> int:
        """Send the start once, and return the new workflow's id."""
        return (await self.send(ticket, may_send=may_send)).id

    @property
    def guard_lag(self) -> float:
        """Seconds after a start in which the server may accept a second start on the same event.

        The server checks for an active workflow in the index of the list, which lags.
        """
        return INDEX_LAG if self._workflows.can_list else 0.0

    async def learn_guard_lag(self) -> float:
        """Read the server's version unless it is known, and return `guard_lag`. From Opencast 12 on there is no lag."""
        if self._workflows.can_list:
            await self._workflows.learn_release()
        return self.guard_lag

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
        found = await self._workflows.visible(event)
        if found is None:
            await self._workflows.find_event(event)
            return evolve(ticket, baseline=None, baseline_lag=0.0, prepared_at=self._sender.now())
        baseline = max((workflow.id for workflow in found), default=0)
        lag = await self._baseline_lag(event, baseline) if self._workflows.can_list else 0.0
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

        found = await search(
            check,
            self._sender.transport.clock,
            lambda: max(wait, INDEX_LAG) if self._workflows.can_list else wait,
            outage,
        )
        if isinstance(found, StartFound):
            self.known.note(found.workflow.event_id, found.workflow.id)
        return found

    async def active(self, ticket: Ticket, *, same_definition: bool) -> ActiveSearch[Workflow]:
        """Search for the event's active workflow, among those that this user may read and the latest of this client.

        Args:
            ticket: the start.
            same_definition: return only a workflow of the same definition.

        Raises:
            CallError: the request failed.
        """
        start = self.check(ticket)
        visible = await self._workflows.visible(start.event_id)
        active = [workflow for workflow in visible or () if not workflow.phase.final]
        active = active or await self._workflows.started_and_active(start.event_id)
        for workflow in active:
            if not same_definition or workflow.definition_id == start.definition_id:
                return ActiveSearch(workflow)
        if active:
            tried = f"workflow {active[0].id} is active, but of the definition {active[0].definition_id!r}"
        elif visible is None:
            reason = self._workflows.refusal
            tried = f"the event's workflows cannot be read ({reason}), and this client has started no active one"
        else:
            lag = ", or the list does not show it yet, because it lags up to 10 s" if self._workflows.can_list else ""
            tried = f"none of the event's workflows is active: the other one has ended{lag}"
        return ActiveSearch(None, tried)

    async def count_running(self, own: Collection[tuple[Ticket, int | None]]) -> int:
        """Return how many workflows run, from the list or from the events in processing.

        Each start in `own` counts once.
        """
        listed = await self._workflows.running_ids()
        if listed is None:
            return len(await self._workflows.events_in_processing() | {self.lock_key(ticket) for ticket, _ in own})
        known = {id for _, id in own if id is not None}
        return len(listed | known) + sum(id is None for _, id in own)

    async def count_active(self) -> int:
        """Return how many workflows are instantiated, running or failing, by the server's number."""
        count = sum([await self._sender.read(call) for call in count_calls(ACTIVE_STATES, None, None)])
        await self._workflows.learn_release()  # `guard_lag` depends on it
        return count

    async def _check(
        self, ticket: Ticket, start: OpencastStart, other_starts: OtherStarts
    ) -> StartFound[Workflow] | Ambiguous[Workflow] | None:
        try:
            found = await self._workflows.of_event(start.event_id)
        except (Forbidden, NotFound) as error:
            return await self._check_event(start.event_id, error)
        return find_start(ticket, start, found, other_starts)

    async def _check_event(self, event: str, error: CallError) -> Ambiguous[Workflow] | None:
        """Return what the event itself shows if its workflows are hidden. None if it never had a workflow."""
        events = await self._sender.read(event_calls.events_by_id([event]))
        state = events[0].processing_state if events else None
        if events and state is None:
            return None
        shown = "the event is not listed" if state is None else f"its latest workflow is {state.value}"
        return Ambiguous((), f"this user may not read the workflows of event {event} ({error.what}), and {shown}")

    async def _baseline_lag(self, event: str, baseline: int) -> float:
        """Return by how many seconds a baseline from the list may lag. 0 if the event never had a workflow.

        The list of events has another index, which does not lag.
        """
        found = await self._workflows.find_event(event) if baseline == 0 else None
        return 0.0 if found is not None and found.processing_state is None else INDEX_LAG


def _unknown(ticket: Ticket, start: OpencastStart, error: CallError) -> StartOutcomeUnknown:
    return StartOutcomeUnknown(
        error,
        look_for=f"a workflow {start.definition_id!r} on event {start.event_id}",
        workflow_id=error.located if isinstance(error, DecodeError) else None,
        ticket=ticket,
    )
