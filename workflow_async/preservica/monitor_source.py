"""How the monitor checks the workflows of a Preservica."""

from collections.abc import Collection, Iterable, Sequence
from operator import attrgetter
from typing import ClassVar

from attrs import frozen

from workflow_async._core.call import Call, Page
from workflow_async._listing.active_scan import ActiveScan
from workflow_async._listing.listing import Listing
from workflow_async.monitor.system_source import SystemSource
from workflow_async.preservica import calls
from workflow_async.preservica.query import WorkflowQuery
from workflow_async.preservica.records import State, Workflow

PAGE_SIZE = 100
ACTIVE = (State.ACTIVE, State.PENDING, State.SUSPENDED, State.UNKNOWN)


@frozen
class PreservicaSource(SystemSource):
    """The list of active workflows, else gets (contract: preservica.md 1.2)."""

    system: ClassVar[str] = "preservica"
    supports_listing: bool = True
    supports_bulk_check: bool = False
    list_lag: float = 0.0

    def list_active(self, *, operations: bool, rows: int = 0) -> Listing[Workflow]:
        """The workflows that have not ended, oldest first, so that new ones join at the end."""
        query = WorkflowQuery.of(state=ACTIVE).on_the_wire()

        def page(offset: int, size: int) -> Call[Page[Workflow]]:
            return calls.list_workflows(query, size=size, start=offset)

        return Listing(
            self._send,
            lambda found: ActiveScan(page, found, PAGE_SIZE, rows),
            attrgetter("id"),
            unreadable="skip",  # a workflow that the list does not show is asked for by its id
        )

    async def get(self, id: int, *, operations: bool) -> Workflow:
        """One workflow, with its errors."""
        return await self._send(calls.get_workflow(id))

    async def find_changed(self, known: Sequence[Workflow]) -> Collection[int]:
        """All of them: there is no way to glance at many but the list."""
        return [workflow.id for workflow in known]

    def is_complete(self, workflow: Workflow) -> bool:
        """A get holds all there is."""
        return True

    def identity(self, workflow: Workflow) -> tuple[str | None, ...]:
        """Its context, its definition and its correlation id, as far as the record names them."""
        return workflow.context_id or None, workflow.definition_id or None, workflow.correlation_id or None

    def duration_key(self, workflow: Workflow) -> str:
        """Its context."""
        return workflow.context_name or workflow.context_id or workflow.definition_id or ""

    def durations(self, workflow: Workflow) -> Iterable[tuple[str, float]]:
        """Of the workflow; how long its steps took, no record says."""
        if workflow.started is not None and workflow.finished is not None:
            yield self.duration_key(workflow), (workflow.finished - workflow.started).total_seconds()
