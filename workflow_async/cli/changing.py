"""The commands that change workflows: `stop`, `pause`, `resume`, `answer`, `retry` and `delete`."""

from typing import Annotated

import typer

from workflow_async.cli.choices import choice_option
from workflow_async.cli.command import CommandContext
from workflow_async.cli.confirming import yes_option
from workflow_async.cli.exit_codes import Exit
from workflow_async.cli.id_args import Ids, unique_ids
from workflow_async.cli.systems.changes import change_each

FAIL = "fail"
ANSWERS = ("retry", FAIL)

StopYes = Annotated[bool, yes_option("Stop these workflows? A running operation continues to its end.")]
DeleteYes = Annotated[bool, yes_option("Delete these workflows with their jobs?")]
FailYes = Annotated[
    bool,
    yes_option("Let the operation of these workflows stay failed?", only_if=lambda ctx: ctx.params["answer"] == FAIL),
]
Answer = Annotated[str, typer.Argument(metavar="|".join(ANSWERS), callback=choice_option(choices=ANSWERS).callback)]


async def stop(ctx: CommandContext, ids: Ids, *, _yes: StopYes = False) -> Exit:
    """Stop workflows. Preservica ends them some time after it accepts the command."""
    return await _change(ctx, "stop", ids)


async def pause(ctx: CommandContext, ids: Ids) -> Exit:
    """Pause workflows (Opencast). The operation that is running continues to its end."""
    return await _change(ctx, "pause", ids)


async def resume(ctx: CommandContext, ids: Ids) -> Exit:
    """Resume paused workflows (Opencast)."""
    return await _change(ctx, "resume", ids)


async def answer(ctx: CommandContext, answer: Answer, ids: Ids, *, _yes: FailYes = False) -> Exit:
    """Answer workflows on hold after an error: retry the operation, or let it stay failed (Opencast).

    It needs ROLE_UI_EVENTS_DETAILS_WORKFLOWS_EDIT.
    """
    return await _change(ctx, f"answer {answer}", ids)


async def retry(ctx: CommandContext, ids: Ids) -> Exit:
    """Retry failed or suspended workflows (Preservica)."""
    return await _change(ctx, "retry", ids)


async def delete(ctx: CommandContext, ids: Ids, *, _yes: DeleteYes = False) -> Exit:
    """Delete workflows that have ended, with their jobs (Opencast)."""
    return await _change(ctx, "delete", ids)


async def _change(ctx: CommandContext, name: str, ids: list[str] | None) -> Exit:
    change = ctx.system.change(name)
    workflow_ids = unique_ids(ids or ())  # typer passes None if stdin holds no id
    if not workflow_ids:
        return Exit.DONE
    return await change_each(change, workflow_ids, ctx.output, name)
