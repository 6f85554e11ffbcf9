"""How the monitor looks at a Preservica."""

from collections.abc import Collection, Iterable, Sequence
from operator import attrgetter

from attrs import frozen

from workflow_async._call import Call, Page
from workflow_async._lists.listing import Listing
from workflow_async._transport import Transport
from workflow_async.monitor.sweep import Sweep
from workflow_async.preservica import calls, filters
from workflow_async.preservica.records import State, Workflow

PAGE = 100
ACTIVE = (State.ACTIVE, State.PENDING, State.SUSPENDED, State.UNKNOWN)


@frozen
class PreservicaSource:
    """The list of active workflows, else gets (contract: preservica.md 1.2)."""

    _transport: Transport
    lists: bool = True
    glances: bool = False
    lag: float = 0.0

    def active(self, *, operations: bool, rows: int = 0) -> Listing[Workflow]:
        """The workflows that have not ended, oldest first, so that new ones join at the end."""
        query = filters.workflow_query(state=ACTIVE, newest_first=False)

        def page(offset: int, size: int) -> Call[Page[Workflow]]:
            return calls.list_workflows(query, size=size, start=offset)

        return Listing(
            self._transport.send,
            lambda found: Sweep(page, found, PAGE, rows),
            attrgetter("id"),
            unreadable="skip",  # a workflow that the list does not show is asked for by its id
        )

    async def get(self, id: int, *, operations: bool) -> Workflow:
        """One workflow, with its errors."""
        return await self._transport.send(calls.get_workflow(id))

    async def suspects(self, known: Sequence[Workflow]) -> Collection[int]:
        """All of them: there is no way to glance at many but the list."""
        return [workflow.id for workflow in known]

    def whole(self, workflow: Workflow) -> bool:
        """A get holds all there is."""
        return True

    def kind(self, workflow: Workflow) -> str:
        """Its context."""
        return workflow.context_name or workflow.context_id or workflow.definition_id or ""

    def durations(self, workflow: Workflow) -> Iterable[tuple[str, float]]:
        """Of the workflow; how long its steps took, no record says."""
        if workflow.started is not None and workflow.finished is not None:
            yield self.kind(workflow), (workflow.finished - workflow.started).total_seconds()
