"""The commands `list`, `events`, `definitions` and `contexts`."""

from datetime import datetime
from typing import Annotated, Any, cast

import typer

from workflow_async._listing.scan import Consistency
from workflow_async.cli.command import CommandContext
from workflow_async.cli.completion import complete_definition
from workflow_async.cli.exit_codes import Exit
from workflow_async.cli.formats import ColumnsOption, column_names
from workflow_async.cli.instants import instant_option
from workflow_async.cli.systems import PageTable

COMMON, OPENCAST, PRESERVICA = "Filters", "Filters of Opencast", "Filters of Preservica"

Limit = Annotated[int | None, typer.Option(help="Maximum number of rows.", min=1, rich_help_panel=COMMON)]
ConsistencyOption = Annotated[
    str,
    typer.Option(
        help="fast, or anchored or partitioned to miss no row while the list changes.", rich_help_panel=COMMON
    ),
]
States = Annotated[
    list[str] | None,
    typer.Option("--state", help="A state, in the system's own spelling. Repeatable.", rich_help_panel=COMMON),
]
Creator = Annotated[
    str | None,
    typer.Option(help="The user who started it. In Opencast, the creator of the event.", rich_help_panel=COMMON),
]
Event = Annotated[str | None, typer.Option(help="An event id.", rich_help_panel=OPENCAST)]
DefinitionId = Annotated[
    str | None,
    typer.Option(help="A workflow definition id.", autocompletion=complete_definition, rich_help_panel=OPENCAST),
]
Text = Annotated[
    str | None, typer.Option(help="A text in any field of the workflow or its event.", rich_help_panel=OPENCAST)
]
Sort = Annotated[str | None, typer.Option(help="A sort key, such as event_created:desc.", rich_help_panel=OPENCAST)]
Type = Annotated[
    str | None, typer.Option(help="Ingest, Access, Transformation or DataManagement.", rich_help_panel=PRESERVICA)
]
ContextId = Annotated[str | None, typer.Option(help="A workflow context id.", rich_help_panel=PRESERVICA)]
Since = Annotated[
    datetime | None,
    instant_option(help="Started at this time (UTC) or later: 2026-03-04, or 2h ago.", rich_help_panel=PRESERVICA),
]
Until = Annotated[
    datetime | None, instant_option(help="Started at this time (UTC) or earlier.", rich_help_panel=PRESERVICA)
]
EventIds = Annotated[list[str] | None, typer.Option("--id", help="The id of an event. Repeatable.")]
EventStatus = Annotated[
    str | None, typer.Option(help="Such as processing, processed, processing_failure, paused or scheduled.")
]
Series = Annotated[str | None, typer.Option(help="The id of a series.")]
Presenters = Annotated[list[str] | None, typer.Option("--presenter", help="A whole name. Repeatable.")]
EventText = Annotated[str | None, typer.Option(help="A word in any field of the event.")]
EventSort = Annotated[str | None, typer.Option("--sort", help="A key and its direction, such as start:desc.")]
ContextDefinition = Annotated[
    str | None, typer.Option(help="A definition id, such as com.preservica.core.workflow.ingest.")
]
ContextType = Annotated[str | None, typer.Option(help="Ingest, Access, Transformation or DataManagement.")]
Tag = Annotated[list[str] | None, typer.Option(help="A tag of the definition. Repeatable.")]


async def list_workflows(
    ctx: CommandContext,
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
    since: Since = None,
    until: Until = None,
    consistency: ConsistencyOption = "fast",
    columns: ColumnsOption = None,
) -> Exit:
    """List workflows page by page.

    Opencast 12 and later has no list of workflows. They are then found by their events, with a request for each event.
    That needs ROLE_ADMIN, and `--state running`, `--event` or `--limit` make it cheap.
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
        "since": since,
        "until": until,
    }
    mode = cast("Consistency", consistency)
    return await _print(ctx, ctx.system.list_workflows(options, limit=limit, consistency=mode), columns)


async def events(
    ctx: CommandContext,
    *,
    id: EventIds = None,
    status: EventStatus = None,
    series: Series = None,
    presenter: Presenters = None,
    text: EventText = None,
    sort: EventSort = None,
    limit: Limit = None,
    columns: ColumnsOption = None,
) -> Exit:
    """List the events of Opencast, with the state of their latest workflow."""
    options = {"id": id, "status": status, "series": series, "presenter": presenter, "text": text, "sort": sort}
    return await _print(ctx, ctx.system.list_events(options, limit=limit), columns)


async def definitions(
    ctx: CommandContext, *, tag: Tag = None, limit: Limit = None, columns: ColumnsOption = None
) -> Exit:
    """List the workflow definitions of Opencast."""
    return await _print(ctx, ctx.system.list_definitions(tags=tag, limit=limit), columns)


async def contexts(
    ctx: CommandContext,
    *,
    type: ContextType = None,
    definition: ContextDefinition = None,
    columns: ColumnsOption = None,
) -> Exit:
    """List the workflow contexts of Preservica."""
    return await _print(ctx, ctx.system.list_contexts(type=type, definition=definition), columns)


async def _print(ctx: CommandContext, table: PageTable[Any], columns: str | None) -> Exit:
    await ctx.output.pages(table.columns, table.pages, column_names(columns))
    ctx.output.note(table.note())
    return Exit.DONE
