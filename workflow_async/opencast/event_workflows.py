"""Reads workflows and events for starts, in the ways that the server and the user's roles allow."""

from attrs import define, field

from workflow_async._listing.listing import Listing
from workflow_async.batch.start_sender import StartSender
from workflow_async.errors import Forbidden, ListingNotSupported, NotFound
from workflow_async.opencast import calls, event_calls, filters, params, server_calls
from workflow_async.opencast.event_query import EventQuery
from workflow_async.opencast.event_records import Event
from workflow_async.opencast.known_workflows import KnownWorkflows
from workflow_async.opencast.query import WorkflowQuery
from workflow_async.opencast.records import State, Workflow

PAGE_SIZE = 100
PROCESSING = EventQuery.of(status="processing").on_the_wire()
ACTIVE_STATES = (State.INSTANTIATED, State.RUNNING, State.FAILING)


@define(eq=False)
class EventWorkflows:
    """The workflows of events. It remembers which requests this server and this user do not support."""

    _sender: StartSender
    can_list: bool = True
    """False once the server has shown that it has no list of workflows."""
    refusal: str = ""
    """Why the workflows of an event could not be read the last time that they could not."""
    _knows_release: bool = False
    _may_read_events: bool = True
    """False once this user was denied the workflows of an event."""
    known: KnownWorkflows = field(factory=KnownWorkflows)
    """The workflows that this client has started."""

    async def learn_release(self) -> None:
        """Find out from the server's version whether it has a list of workflows. Later calls send nothing."""
        if not self._knows_release:
            version = await self._sender.read(server_calls.get_version())
            self.can_list = self.can_list and version.lists_workflows
            self._knows_release = True

    async def of_event(self, event_id: str) -> tuple[Workflow, ...]:
        """Return the workflows of one event.

        Up to Opencast 11 they come from the list. From 12 on only administrators may read them.

        Raises:
            Forbidden, NotFound: this user may not read them.
        """
        if self.can_list:
            try:
                return tuple([workflow async for workflow in self._listing({"event_id": event_id})])
            except ListingNotSupported:
                self.can_list = False
        return await self._sender.read(event_calls.workflows_of_event(event_id))

    async def visible(self, event_id: str) -> tuple[Workflow, ...] | None:
        """Return the workflows of an event, or None if this user may not read them."""
        if self._may_read_events:
            try:
                return await self.of_event(event_id)
            except Forbidden as error:
                self.refusal = error.what
                self._may_read_events = False
            except NotFound as error:
                self.refusal = error.what
        return None

    async def started_and_active(self, event_id: str) -> list[Workflow]:
        """Return the latest workflow that this client has started on an event, if it is active and can be read."""
        known = self.known.of(event_id)
        if not known:
            return []
        try:
            workflow = await self._sender.read(calls.get_workflow(known[-1]))
        except (Forbidden, NotFound):
            return []
        return [workflow] if workflow.event_id == event_id and not workflow.phase.final else []

    async def find_event(self, event_id: str) -> Event | None:
        """Return an event from the list of events, or None if this user does not see the event there."""
        try:
            found = await self._sender.read(event_calls.events_by_id([event_id]))
        except (Forbidden, NotFound):
            return None
        return found[0] if found else None

    async def running_ids(self) -> set[int] | None:
        """Return the ids of all running workflows, or None if the server has no list of workflows."""
        if self.can_list:
            try:
                return {workflow.id async for workflow in self._listing({"state": ACTIVE_STATES})}
            except ListingNotSupported:
                self.can_list = False
        return None

    async def events_in_processing(self) -> set[str]:
        """Return the ids of all events that have a running workflow."""
        events = Listing(
            self._sender.read, event_calls.list_events(filter=PROCESSING, size=PAGE_SIZE), lambda event: event.id
        )
        return {event.id async for event in events}

    def _listing(self, filter: filters.WorkflowFilters) -> Listing[Workflow]:
        first = calls.list_workflows(
            filter=WorkflowQuery.of(**filter).on_the_wire(),
            sort="",
            include=params.including(withoperations="event_id" in filter),
            size=PAGE_SIZE,
        )
        return Listing(self._sender.read, first, lambda workflow: workflow.id)
