"""The command `stop`: stops workflows."""

import sys
from typing import Annotated

import typer

from workflow_async.cli.command import CommandContext
from workflow_async.cli.exit_codes import Exit
from workflow_async.cli.id_args import Ids, unique_ids


def confirm(context: typer.Context, *, yes: bool) -> bool:
    """Ask for confirmation if stdin is a terminal. Exit if it is declined."""
    if yes or context.resilient_parsing or not sys.stdin.isatty():
        return yes
    try:
        agreed = typer.confirm("Stop these workflows? A running operation continues to its end.", err=True)
    except typer.Abort:
        raise typer.Exit(Exit.INTERRUPTED) from None
    if not agreed:
        typer.echo("Nothing was stopped.", err=True)
        raise typer.Exit(Exit.USAGE)
    return True


Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.", callback=confirm)]


async def stop(ctx: CommandContext, ids: Ids, *, _yes: Yes = False) -> Exit:
    """Stop workflows. Preservica ends them some time after it accepts the command."""
    workflow_ids = unique_ids(ids or ())  # typer passes None if stdin holds no id
    if not workflow_ids:
        return Exit.DONE
    with ctx.output.spinner("stopping"):
        return await ctx.system.stop(workflow_ids, ctx.output)
