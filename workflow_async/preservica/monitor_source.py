"""Checks the workflows of a Preservica for the monitor."""

from collections.abc import Collection, Hashable, Iterable, Sequence
from datetime import datetime
from operator import attrgetter
from typing import ClassVar

from attrs import field, frozen

from workflow_async._listing.active_scan import ActiveScan
from workflow_async._listing.listing import Listing
from workflow_async.monitor.system_source import SystemSource
from workflow_async.preservica import calls
from workflow_async.preservica.active_list import ActiveList
from workflow_async.preservica.records import State, Workflow

PAGE_SIZE = 100


@frozen
class PreservicaSource(SystemSource):
    """The workflows of a Preservica: the list of active workflows, otherwise GETs.

    See tests/contract/preservica.md, section 1.2.
    """

    system: ClassVar[str] = "preservica"
    supports_listing: bool = True
    supports_bulk_check: bool = False
    list_lag: float = 0.0
    _list: ActiveList = field(factory=ActiveList, init=False, repr=False)

    def list_active(self, *, operations: bool, rows: int = 0) -> Listing[Workflow]:
        """List the workflows that have not ended, oldest first, so that new ones are added at the end."""
        known = self._list
        known.memory.begin()
        return Listing(
            self._send,
            lambda found: ActiveScan(known.page, found, PAGE_SIZE, rows, known.memory.end),
            attrgetter("id"),
            unreadable="skip",  # a workflow that the list does not show is read by a GET
        )

    async def list_mark(self, rows: int) -> Hashable:
        """Return the number of workflows that have not ended, and the id of the newest."""
        return await self._send(self._list.mark)

    async def get(self, id: int, *, operations: bool) -> Workflow:
        """Get one workflow with its errors."""
        return await self._send(calls.get_workflow(id))

    async def find_changed(self, known: Sequence[Workflow]) -> Collection[int]:
        """Return the ids of all workflows. There is no bulk check besides the list."""
        return [workflow.id for workflow in known]

    def recalled(self, id: int, state_text: str, identity: tuple[str | None, ...]) -> Workflow:
        """Return a record with its state."""
        return Workflow(id=id, state=State.named(state_text) or State.UNKNOWN, state_text=state_text)

    def is_complete(self, workflow: Workflow) -> bool:
        """Return True, because every GET returns the complete record."""
        return True

    def identity(self, workflow: Workflow) -> tuple[str | None, ...]:
        """Return the context, the definition and the correlation id, as far as the record has them."""
        return workflow.context_id or None, workflow.definition_id or None, workflow.correlation_id or None

    def same_identity(self, known: Workflow, found: Workflow) -> bool:
        """Compare the context, the definition and the correlation id."""
        return (
            known.correlation_id == found.correlation_id
            and known.context_id == found.context_id
            and known.definition_id == found.definition_id
        )

    def duration_key(self, workflow: Workflow) -> str:
        """Return the context, or else the definition."""
        return workflow.context_name or workflow.context_id or workflow.definition_id or ""

    def ended_at(self, workflow: Workflow) -> datetime | None:
        """Return when the workflow finished."""
        return workflow.finished

    def durations(self, workflow: Workflow) -> Iterable[tuple[str, float]]:
        """Yield the duration of the workflow. Records do not show how long its steps took."""
        if workflow.duration is not None:
            yield self.duration_key(workflow), workflow.duration
