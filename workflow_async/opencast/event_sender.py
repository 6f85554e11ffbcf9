"""Sends the calls of a scan of workflows by their events, and adds the workflows of each event."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from http import HTTPStatus
from itertools import pairwise
from typing import Any

import anyio
from attrs import define, evolve, field, frozen

from workflow_async._core.call import Call, OnUnreadable, Page, Params, UnreadableRow
from workflow_async._listing.prefetch import Send
from workflow_async._listing.unreadable import may_be_caused_by_row
from workflow_async.errors import CallError, Forbidden, InvalidArgument, ListingNotSupported, NotFound, StatusError
from workflow_async.opencast import calls, event_calls, params, server_calls
from workflow_async.opencast.event_records import Event
from workflow_async.opencast.event_scan import EventPage, NoList, Row
from workflow_async.opencast.event_search import EventSearch
from workflow_async.opencast.list_routes import ListRoutes
from workflow_async.opencast.records import Source, Workflow

REFUSALS = frozenset({HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND})
"""Statuses of a server, or of a proxy in front of it, that does not show the workflows of an event."""


@frozen
class EventRows:
    """The workflows of one event that were found."""

    rows: tuple[Row, ...] = ()
    complete: bool = True
    """False if the event may have other workflows that match."""
    requests: int = 1


@define(eq=False)
class EventSender:
    """A `send` for a listing of workflows that can fall back on the events.

    A step of the listing that failed is sent again. The events that were answered before are then not asked again.
    """

    send_page: Send
    """Sends the call for a page of the list of workflows."""
    send: Send
    """Sends every other call."""
    search: EventSearch
    include: Params
    unreadable: OnUnreadable
    routes: ListRoutes
    at_once: int
    """The number of requests for workflows that may be in flight."""
    needs_list: str = ""
    """The argument that only the list of workflows supports."""
    _slots: asyncio.Semaphore = field(init=False)
    _probe: asyncio.Lock = field(init=False)
    """Held while it is not known whether the workflows of an event can be read, so that one request finds out."""
    _answered: dict[str, EventRows] = field(factory=dict, init=False)

    def begin(self) -> None:
        """Begin a pass. Locks belong to the event loop of the pass."""
        self._slots, self._probe = asyncio.Semaphore(self.at_once), asyncio.Lock()
        self._answered.clear()

    async def __call__(self, call: Call[Any], /) -> Any:
        """Send the call for a page of workflows or of events."""
        if call.path == event_calls.EVENTS:
            return await self._event_page(call)
        try:
            page = await self.send_page(call)
        except ListingNotSupported as error:
            caught = error
        else:
            self.routes.has_list, self.routes.no_list = True, ""
            return page
        if self.needs_list:
            await self._read_version()
            caught.argument, caught.version = self.needs_list, self.routes.version
            raise caught
        self.routes.has_list, self.routes.no_list = False, caught.seen
        return NoList()

    async def _event_page(self, call: Call[Page[Event]]) -> EventPage:
        try:
            page = await self.send(call)
        except Forbidden as error:
            refused = error
        else:
            return await self._with_rows(page)
        await self._read_version()
        raise self.routes.events_refused(refused)

    async def _with_rows(self, page: Page[Event]) -> EventPage:
        events = [event for event in page.items if isinstance(event, Event) and self.search.may_match(event)]
        found = dict(zip((event.id for event in events), await self._all_rows(events), strict=True))
        unknown = tuple(id for id, rows in found.items() if not rows.complete)
        if unknown:
            await self._read_version()
        for event in events:
            self._answered.pop(event.id, None)
        return EventPage(
            events=page,
            rows={id: rows.rows for id, rows in found.items()},
            unknown=unknown,
            requests=sum(rows.requests for rows in found.values()),
            incomplete=self.routes.incomplete,
        )

    async def _all_rows(self, events: Sequence[Event]) -> list[EventRows]:
        """Return the workflows of each event. Requests are sent concurrently. The first error cancels the others."""
        found: dict[str, EventRows] = {}
        failures: list[Exception] = []

        async def read(event: Event) -> None:
            try:
                found[event.id] = await self._rows_once(event)
            except Exception as error:  # noqa: BLE001 - raised below, outside of the task group
                failures.append(error)
                group.cancel_scope.cancel()

        async with anyio.create_task_group() as group:
            for event in events:
                group.start_soon(read, event)
        if failures:
            raise failures[0]
        return [found[event.id] for event in events]

    async def _rows_once(self, event: Event) -> EventRows:
        if event.id not in self._answered:
            self._answered[event.id] = await self._rows(event)
        return self._answered[event.id]

    async def _rows(self, event: Event) -> EventRows:
        """Return the workflows of an event, from the event or from the workflows that this client knows."""
        found = await self._instances(event) if self.routes.may_read_instances else None
        if found is None:
            return await self._known_rows(event)
        return EventRows(self._selected(event, found, "event"))

    async def _instances(self, event: Event) -> Sequence[Row] | None:
        """Return the workflows of an event. None if this user may not read them."""
        if self.routes.undecided:
            async with self._probe:
                if self.routes.undecided:
                    return await self._read_instances(event)
        return await self._read_instances(event) if self.routes.may_read_instances else None

    async def _read_instances(self, event: Event) -> Sequence[Row] | None:
        try:
            call = event_calls.rows_of_event(event.id)
        except InvalidArgument:  # the id does not fit into a path
            return None
        try:
            async with self._slots:
                rows = await self.send(call)
        except CallError as error:
            if not (isinstance(error, StatusError) and error.status in REFUSALS):
                return [self._unreadable_event(event, error)]
            self.routes.note_refusal(error)
            return None
        self.routes.note_answer()
        return rows

    def _unreadable_event(self, event: Event, error: CallError) -> UnreadableRow:
        """Return what stands for workflows that the server cannot return. Raise other errors."""
        if self.unreadable == "raise" or not may_be_caused_by_row(error):
            error.part = f"the workflows of event {event.id}"
            raise error
        fault = f"the server cannot return the workflows of event {event.id}: {error.what}"
        return UnreadableRow((fault,), {"event_identifier": event.id})

    async def _known_rows(self, event: Event) -> EventRows:
        """Return the workflows of an event that this client has started."""
        ids, found = self.routes.known.of(event.id), []
        for id in ids:
            try:
                async with self._slots:
                    workflow = await self.send(calls.get_workflow(id, self._wanted))
            except NotFound:
                self.routes.known.forget(event.id, id)
            except Forbidden:
                pass
            else:
                found.append(workflow)
        complete = not self._may_have_others(event, found)
        return EventRows(self._selected(event, found, "known"), complete, len(ids))

    def _may_have_others(self, event: Event, found: Sequence[Workflow]) -> bool:
        """Return True if the event may have workflows that match and were not found.

        An event has one active workflow at most.
        """
        state = event.processing_state
        if state is None or not self.search.only_active:
            return state is not None
        return state in self.search.states and all(workflow.phase.final for workflow in found)

    def _selected(self, event: Event, rows: Sequence[Row], source: Source) -> tuple[Row, ...]:
        """Return the rows that match, with their source, the next workflow, and the fields that were requested."""
        unreadable = [row for row in rows if isinstance(row, UnreadableRow)]
        linked = with_successors([row for row in rows if isinstance(row, Workflow)], source)
        found = (self._as_requested(workflow) for workflow in linked if self.search.matches(workflow, event))
        return (*found, *unreadable)

    def _as_requested(self, workflow: Workflow) -> Workflow:
        names = dict(self.include)
        operations = workflow.operations if "withoperations" in names else None
        configuration = workflow.configuration if "withconfiguration" in names else None
        return evolve(workflow, operations=operations, configuration=configuration)

    @property
    def _wanted(self) -> Params:
        """The fields that the filters and the caller need."""
        needed = params.including(withoperations=self.search.reads_operations)
        return tuple(dict.fromkeys((*self.include, *needed)))

    async def _read_version(self) -> None:
        """Read the server's API version for errors, once. It stays None if it cannot be read."""
        if self.routes.version is None:
            with suppress(CallError):
                self.routes.version = (await self.send(server_calls.get_version())).default


def with_successors(workflows: Sequence[Workflow], source: Source) -> tuple[Workflow, ...]:
    """Return the workflows of one event, in the order of their creation, each with its source and the next one's id."""
    later = {earlier.id: later.id for earlier, later in pairwise(workflows)}
    return tuple(evolve(workflow, source=source, superseded_by=later.get(workflow.id)) for workflow in workflows)
