"""`list`, `definitions` and `contexts`: listings as they come."""

from datetime import UTC, datetime
from typing import Annotated, Any, cast

import typer

from workflow_async._listing.scan import Consistency
from workflow_async.cli.command import CommandContext
from workflow_async.cli.exit_codes import Exit
from workflow_async.cli.systems import PageTable

BOTH, OPENCAST, PRESERVICA = "Filters", "Filters of Opencast", "Filters of Preservica"

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
    options = {
        "state": state,
        "creator": creator,
        "event": event,
        "definition": definition,
        "text": text,
        "sort": sort,
        "type": type,
        "context": context,
        "since": _aware(since),
        "until": _aware(until),
    }
    mode = cast("Consistency", consistency)
    return await _print(session, session.system.list_workflows(options, limit=limit, consistency=mode))


async def definitions(session: CommandContext, *, tag: Tag = None, limit: Limit = None) -> Exit:
    """List the workflow definitions of an Opencast."""
    return await _print(session, session.system.list_definitions(tags=tag, limit=limit))


async def contexts(session: CommandContext, *, type: ContextType = None, definition: ContextDefinition = None) -> Exit:
    """List the workflow contexts of a Preservica."""
    return await _print(session, session.system.list_contexts(type=type, definition=definition))


async def _print(session: CommandContext, table: PageTable[Any]) -> Exit:
    await session.output.pages(table.columns, table.pages)
    return Exit.DONE


def _aware(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment
