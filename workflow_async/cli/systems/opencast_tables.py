"""The filters and the tables of Opencast for the command line."""

from collections.abc import AsyncIterator, Sequence
from typing import Self

from attrs import define, field

from workflow_async import Page
from workflow_async.cli.columns import Column
from workflow_async.cli.styles import workflow_style
from workflow_async.cli.timeline import format_instant
from workflow_async.opencast import Definition, Event, Incident, Workflow
from workflow_async.opencast.event_query import STATUS_PREFIX

FILTERS = {
    "state": "state",
    "event": "event_id",
    "definition": "definition_id",
    "creator": "event_creator",
    "text": "text_filter",
    "sort": "sort",
}
"""The client's name of each filter option."""
COUNT_FILTERS = {"state": "state", "definition": "definition_id", "operation": "current_operation"}
"""The client's name of each filter option of `count`."""
MISSING = {
    "event": "workflows of deleted events, and active ones that the index of events does not show yet",
    "known": "workflows that this command has not started",
}
"""What a list of workflows can miss, by the source of its rows. Only a server without a list has these sources."""
WORKFLOWS: Sequence["Column[Workflow]"] = (
    Column("ID", lambda workflow: str(workflow.id), 9),
    Column("STATE", lambda workflow: workflow.state_text, 12, style=workflow_style),
    Column("EVENT", lambda workflow: workflow.event_id, 36, narrow=10),
    Column("DEFINITION", lambda workflow: workflow.definition_id, 20, narrow=18),
    Column("TITLE", lambda workflow: workflow.title),
    Column("CREATED", lambda workflow: format_instant(workflow.created), 20, from_width=100),
    Column("CREATOR", lambda workflow: workflow.creator or "", 12, from_width=140),
    Column("SOURCE", lambda workflow: workflow.source or "", 6, from_width=160),
)
EVENT_FILTERS = {
    "id": "identifier",
    "status": "status",
    "series": "series_id",
    "presenter": "presenter",
    "text": "text_filter",
    "sort": "sort",
}
"""The client's name of each filter option of `events`."""
EVENTS: Sequence["Column[Event]"] = (
    Column("ID", lambda event: event.id, 36),
    Column("STATUS", lambda event: event.status.removeprefix(STATUS_PREFIX).lower(), 20, narrow=12),
    Column("START", lambda event: format_instant(event.start), 20, from_width=100),
    Column("TITLE", lambda event: event.title),
    Column("SERIES", lambda event: event.series_title or event.series, 24, from_width=120),
)
DEFINITIONS: Sequence["Column[Definition]"] = (
    Column("ID", lambda definition: definition.id, 24),
    Column("TITLE", lambda definition: definition.title),
    Column("TAGS", lambda definition: ", ".join(definition.tags)),
)
ERRORS: Sequence["Column[Incident]"] = (
    Column("WORKFLOW", lambda error: str(error.workflow_id), 9),
    Column("TIME", lambda error: format_instant(error.timestamp), 20),
    Column("SEVERITY", lambda error: error.severity_text, 9),
    Column("HOST", lambda error: error.host),
    Column("ERROR", lambda error: error.message, below=True),
)
NO_PROCESSES = "Opencast has no ingest processes: they are Preservica's"


@define
class SourcedPages:
    """The pages of a list of workflows. Remembers where the rows came from."""

    _pages: AsyncIterator[Page[Workflow]]
    _sources: set[str] = field(factory=set, init=False)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Page[Workflow]:
        page = await anext(self._pages)
        self._sources.update(workflow.source for workflow in page.items if workflow.source is not None)
        return page

    def note(self) -> str:
        """Return what the list can miss, if rows came from elsewhere because the server has no list of workflows."""
        found = sorted(self._sources & MISSING.keys())
        if not found:
            return ""
        missing = " and ".join(MISSING[source] for source in found)
        where = f"found by their events (source {' and '.join(found)})"
        return f"This server has no list of workflows: {where}. These can be missing: {missing}."
