"""The commands `processes`, `activate`, `deactivate` and `monitors` for the ingest processes of Preservica."""

from datetime import datetime
from typing import Annotated

import typer

from workflow_async.cli.command import CommandContext
from workflow_async.cli.exit_codes import Exit, UsageError, print_error, worst_code
from workflow_async.cli.formats import ColumnsOption, column_names
from workflow_async.cli.instants import instant_option

ProcessIds = Annotated[list[str], typer.Argument(metavar="ID", help="Ids of processes, as `processes` prints them.")]
Types = Annotated[list[str] | None, typer.Option("--type", help="A type, such as OPEX, S3 or SFTP. Repeatable.")]
Statuses = Annotated[
    list[str] | None,
    typer.Option("--status", help="Pending, Running, Succeeded, Failed, Suspended or Recoverable. Repeatable."),
]
Categories = Annotated[
    list[str] | None, typer.Option("--category", help="Ingest, Export, DataManagement or Automated. Repeatable.")
]
Subcategory = Annotated[str | None, typer.Option(help="A subcategory, such as OPEX.")]
Name = Annotated[str | None, typer.Option(help="The full name, such as opex/<batch> for an OPEX ingest.")]
Since = Annotated[datetime | None, instant_option(help="Started at this time (UTC) or later: 2026-03-04, or 2h ago.")]
Limit = Annotated[int | None, typer.Option(help="Maximum number of rows.", min=1)]


async def processes(ctx: CommandContext, *, type: Types = None, columns: ColumnsOption = None) -> Exit:
    """List the ingest processes of Preservica."""
    table = ctx.system.list_processes(types=type)
    await ctx.output.pages(table.columns, table.pages, column_names(columns))
    return Exit.DONE


async def activate(ctx: CommandContext, ids: ProcessIds) -> Exit:
    """Switch ingest processes of Preservica on."""
    return await _switch(ctx, ids, active=True)


async def deactivate(ctx: CommandContext, ids: ProcessIds) -> Exit:
    """Switch ingest processes of Preservica off."""
    return await _switch(ctx, ids, active=False)


async def monitors(
    ctx: CommandContext,
    *,
    status: Statuses = None,
    category: Categories = None,
    subcategory: Subcategory = None,
    name: Name = None,
    since: Since = None,
    limit: Limit = None,
    columns: ColumnsOption = None,
) -> Exit:
    """List the process monitors of Preservica, with the progress of each process."""
    options = {
        "status": status,
        "category": category,
        "subcategory": subcategory,
        "name": name,
        "since": since,
    }
    table = ctx.system.list_monitors(options, limit=limit)
    await ctx.output.pages(table.columns, table.pages, column_names(columns))
    return Exit.DONE


async def _switch(ctx: CommandContext, ids: list[str], *, active: bool) -> Exit:
    """Switch the processes one after the other. The first error ends the command."""
    codes: list[Exit] = []
    for id in dict.fromkeys(ids):
        with ctx.output.spinner("switching"):
            is_active = await ctx.system.switch_process(id, active=active)
        ctx.output.result({"id": id, "active": is_active}, f"Process {id} is {_word(active=is_active)}")
        if is_active is not active:
            print_error(UsageError(f"the server has not switched process {id} {_word(active=active)}"))
            codes.append(Exit.SERVER)
    return worst_code(codes)


def _word(*, active: bool) -> str:
    return "on" if active else "off"
