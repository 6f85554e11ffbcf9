"""Checks the workflows of an Opencast for the monitor."""

from collections.abc import Collection, Hashable, Iterable, Sequence
from datetime import datetime
from operator import attrgetter
from typing import ClassVar

from attrs import field, frozen

from workflow_async._listing.active_scan import ActiveScan
from workflow_async._listing.listing import Listing
from workflow_async.monitor.system_source import SystemSource
from workflow_async.opencast import calls, event_calls, params
from workflow_async.opencast.active_list import ActiveList, active_rows
from workflow_async.opencast.records import State, Workflow

PAGE_SIZE = 500
"""Rows of a page. The server sets no limit. Rows are small without operations."""
DETAILED_PAGE_SIZE = 200
"""Rows of a page with operations, which make a row about thirty times as large."""
INDEX_LAG = 10.0
"""Seconds by which the list may lag behind a GET. See tests/contract/opencast.md, section 1.4."""
MAX_EVENT_ID = 100
"""Maximum characters of an event's id in a filter. Servers refuse a URL of more than 8 KB."""
HANDLER_STATES = frozenset({State.FAILING, State.FAILED, State.STOPPED})
"""States in which an error handler may have taken over. `definition_id` is then the handler's id.

See tests/contract/opencast.md, section 8.
"""


@frozen
class OpencastSource(SystemSource):
    """The workflows of an Opencast: the list up to Opencast 11, later bulk checks by events, otherwise GETs.

    See tests/contract/opencast.md, section 1.7.
    """

    system: ClassVar[str] = "opencast"
    supports_listing: bool = True
    supports_bulk_check: bool = True
    list_lag: float = INDEX_LAG
    _lists: dict[bool, ActiveList] = field(factory=dict, init=False, repr=False)
    """The list as it was read last, with or without operations."""

    def list_active(self, *, operations: bool, rows: int = 0) -> Listing[Workflow]:
        """List the workflows that have not ended."""
        known = self._lists.get(operations) or ActiveList(operations=operations)
        self._lists.clear()
        self._lists[operations] = known
        known.memory.begin()
        size = DETAILED_PAGE_SIZE if operations else PAGE_SIZE
        return Listing(
            self._send,
            lambda found: ActiveScan(known.page, found, size, rows, known.memory.end),
            attrgetter("id"),
            unreadable="skip",  # a workflow that the list does not show is read by a GET
        )

    async def list_mark(self, rows: int) -> Hashable:
        """Return the length and the id of the last row, which has no other after it while the length is the same.

        The list has no total, and counts need ROLE_ADMIN.
        """
        page = await self._send(active_rows(max(rows - 1, 0), 2))
        return rows, tuple(workflow.id for workflow in page.items)

    async def get(self, id: int, *, operations: bool) -> Workflow:
        """Get one workflow."""
        return await self._send(calls.get_workflow(id, params.including(withoperations=operations)))

    async def find_changed(self, known: Sequence[Workflow]) -> Collection[int]:
        """Return the ids of the workflows whose event shows another state or none.

        One request by the ids of the events. Events whose id does not fit into the filter are left out of it, so their
        workflows count as changed.
        """
        event_ids = [workflow.event_id for workflow in known if _fits_filter(workflow.event_id)]
        states = await self._send(event_calls.event_states(event_ids)) if event_ids else {}
        return [workflow.id for workflow in known if states.get(workflow.event_id) is not workflow.state]

    def recalled(self, id: int, state_text: str, identity: tuple[str | None, ...]) -> Workflow:
        """Return a record with the event, which is the first part of the identity."""
        event_id = identity[0] if identity else None
        return Workflow(id=id, state=State.read(state_text), state_text=state_text, event_id=event_id or "")

    def identity(self, workflow: Workflow) -> tuple[str | None, ...]:
        """Return the event, and the definition unless an error handler may have taken over."""
        may_be_handler = workflow.state in HANDLER_STATES or (
            workflow.operations is not None
            and any(operation.error_handler_workflow == workflow.definition_id for operation in workflow.operations)
        )
        return workflow.event_id or None, None if may_be_handler else workflow.definition_id or None

    def same_identity(self, known: Workflow, found: Workflow) -> bool:
        """Compare the event and the definition. Operations can hide a definition, so they need `identity`."""
        return (
            known.event_id == found.event_id and known.definition_id == found.definition_id and known.operations is None
        )

    def is_complete(self, workflow: Workflow) -> bool:
        """Return True if the operations were requested, even if they cannot be read."""
        return workflow.operations is not None or "operations" in workflow.extra

    def duration_key(self, workflow: Workflow) -> str:
        """Return the id of the definition."""
        return workflow.definition_id

    def ended_at(self, workflow: Workflow) -> datetime | None:
        """Return the latest completion of an operation."""
        ends = [operation.completion for operation in workflow.operations or () if operation.completion is not None]
        return max(ends, default=None)

    def durations(self, workflow: Workflow) -> Iterable[tuple[str, float]]:
        """Yield the duration from the first operation to the last, and the duration of each operation that ran."""
        for operation in workflow.operations or ():
            if operation.duration is not None:
                yield f"{workflow.definition_id}/{operation.operation}", operation.duration
        if workflow.duration is not None:
            yield workflow.definition_id, workflow.duration


def _fits_filter(event: str) -> bool:
    """Return True if an event's id fits into a filter. Every id that Opencast makes does."""
    return event.isascii() and event.isprintable() and "," not in event and 0 < len(event) <= MAX_EVENT_ID
