"""`list`, `definitions` and `contexts`: listings as they come."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, cast

import typer

from workflow_async import OpencastClient
from workflow_async._listing.scan import Consistency
from workflow_async.cli.command import CommandContext
from workflow_async.cli.exit_codes import Exit, UsageError
from workflow_async.cli.tables import CONTEXTS, DEFINITIONS, OPENCAST_WORKFLOWS, PRESERVICA_WORKFLOWS
from workflow_async.preservica import WorkflowType

BOTH, OPENCAST, PRESERVICA = "Filters", "Filters of Opencast", "Filters of Preservica"

OPENCAST_FILTERS = {
    "state": "state",
    "event": "event_id",
    "definition": "definition_id",
    "creator": "event_creator",
    "text": "text_filter",
    "sort": "sort",
}
PRESERVICA_FILTERS = {name: name for name in ("state", "type", "context", "creator", "since", "until")}

Limit = Annotated[int | None, typer.Option(help="Rows at most.", min=1, rich_help_panel=BOTH)]
ConsistencyOption = Annotated[
    str,
    typer.Option(
        help="fast, or, to lose nothing while the list changes, anchored or partitioned.", rich_help_panel=BOTH
    ),
]
States = Annotated[
    list[str] | None,
    typer.Option("--state", help="A state in the system's own words; may be given again.", rich_help_panel=BOTH),
]
Creator = Annotated[
    str | None, typer.Option(help="Who started it; the event's creator in Opencast.", rich_help_panel=BOTH)
]
Event = Annotated[str | None, typer.Option(help="An event's id.", rich_help_panel=OPENCAST)]
DefinitionId = Annotated[str | None, typer.Option(help="A workflow definition's id.", rich_help_panel=OPENCAST)]
Text = Annotated[str | None, typer.Option(help="Any part of its fields and the event's.", rich_help_panel=OPENCAST)]
Sort = Annotated[str | None, typer.Option(help="Such as event_created:desc.", rich_help_panel=OPENCAST)]
Type = Annotated[
    str | None, typer.Option(help="Ingest, Access, Transformation or DataManagement.", rich_help_panel=PRESERVICA)
]
ContextId = Annotated[str | None, typer.Option(help="A workflow context's id.", rich_help_panel=PRESERVICA)]
Moment = Annotated[datetime | None, typer.Option(help="When it was started; UTC.", rich_help_panel=PRESERVICA)]
ContextDefinition = Annotated[
    str | None, typer.Option(help="A definition's id, such as com.preservica.core.workflow.ingest.")
]
ContextType = Annotated[str | None, typer.Option(help="Ingest, Access, Transformation or DataManagement.")]
Tag = Annotated[list[str] | None, typer.Option(help="A tag that it must have; may be given again.")]


async def list_workflows(
    session: CommandContext,
    *,
    limit: Limit = None,
    state: States = None,
    creator: Creator = None,
    event: Event = None,
    definition: DefinitionId = None,
    text: Text = None,
    sort: Sort = None,
    type: Type = None,
    context: ContextId = None,
    since: Moment = None,
    until: Moment = None,
    consistency: ConsistencyOption = "fast",
) -> Exit:
    """List workflows as their pages come.

    Opencast 12 and later has no such list: use `watch` and `show` with the ids that your starts returned.
    """
    given = {"state": state, "creator": creator, "event": event, "definition": definition, "text": text, "sort": sort}
    more = {"type": type, "context": context, "since": _aware(since), "until": _aware(until)}
    client, output = session.client, session.output
    mode = cast("Consistency", consistency)
    if isinstance(client, OpencastClient):
        listing = client.workflows.list(
            limit=limit, consistency=mode, **filters({**given, **more}, OPENCAST_FILTERS, "Opencast")
        )
        await output.pages(OPENCAST_WORKFLOWS, listing.pages())
    else:
        workflows = client.workflows.list(
            limit=limit, consistency=mode, **filters({**given, **more}, PRESERVICA_FILTERS, "Preservica")
        )
        await output.pages(PRESERVICA_WORKFLOWS, workflows.pages())
    return Exit.DONE


async def definitions(session: CommandContext, *, tag: Tag = None, limit: Limit = None) -> Exit:
    """List the workflow definitions of an Opencast."""
    if not isinstance(session.client, OpencastClient):
        raise UsageError("workflow definitions are Opencast's; a Preservica has contexts")
    listing = session.client.definitions.list(tag=tag or None, limit=limit)
    await session.output.pages(DEFINITIONS, listing.pages())
    return Exit.DONE


async def contexts(session: CommandContext, *, type: ContextType = None, definition: ContextDefinition = None) -> Exit:
    """List the workflow contexts of a Preservica."""
    if isinstance(session.client, OpencastClient):
        raise UsageError("workflow contexts are Preservica's; an Opencast has definitions")
    listing = session.client.contexts.list(definition_id=definition, type=cast("WorkflowType | None", type))
    await session.output.pages(CONTEXTS, listing.pages())
    return Exit.DONE


def filters(given: Mapping[str, Any], known: Mapping[str, str], system: str) -> dict[str, Any]:
    """The filters that were given, as the client calls them; raises `UsageError` for one the system does not have."""
    wanted = {name: value for name, value in given.items() if value not in (None, [])}
    foreign = wanted.keys() - known.keys()
    if foreign:
        raise UsageError(f"{system} cannot filter by {', '.join(f'--{name}' for name in sorted(foreign))}")
    return {known[name]: value for name, value in wanted.items()}


def _aware(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment
