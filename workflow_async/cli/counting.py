"""The command `count`: counts workflows."""

from typing import Annotated

import typer

from workflow_async.cli.command import CommandContext
from workflow_async.cli.exit_codes import Exit
from workflow_async.cli.listing import (
    OPENCAST,
    PRESERVICA,
    ContextId,
    DefinitionId,
    Since,
    States,
    Type,
    Until,
)

Operation = Annotated[str | None, typer.Option(help="The current operation.", rich_help_panel=OPENCAST)]
Creator = Annotated[str | None, typer.Option(help="The user who started it.", rich_help_panel=PRESERVICA)]


async def count(
    ctx: CommandContext,
    *,
    state: States = None,
    definition: DefinitionId = None,
    operation: Operation = None,
    creator: Creator = None,
    type: Type = None,
    context: ContextId = None,
    since: Since = None,
    until: Until = None,
) -> Exit:
    """Count workflows. Opencast requires an administrator."""
    options = {
        "state": state,
        "definition": definition,
        "operation": operation,
        "creator": creator,
        "type": type,
        "context": context,
        "since": since,
        "until": until,
    }
    with ctx.output.spinner("counting"):
        number = await ctx.system.count(options)
    ctx.output.result({"count": number}, str(number))
    return Exit.DONE
