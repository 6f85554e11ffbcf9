"""`stop`: end workflows that run."""

import sys
from collections.abc import Sequence
from typing import Annotated

import anyio
import typer

from workflow_async import OpencastClient
from workflow_async.cli.command import CommandContext
from workflow_async.cli.exit_codes import Exit, code_of, print_error, worst
from workflow_async.cli.id_args import Ids, numbers
from workflow_async.cli.output import Output
from workflow_async.errors import WorkflowAsyncError
from workflow_async.preservica import PreservicaClient


def confirmed(context: typer.Context, *, yes: bool) -> bool:
    """Go on, or end here: asks the person at the terminal before there is an event loop."""
    if yes or context.resilient_parsing or not sys.stdin.isatty():
        return yes
    try:
        agreed = typer.confirm("Stop them? An operation that executes goes on to its end.", err=True)
    except typer.Abort:
        raise typer.Exit(Exit.INTERRUPTED) from None
    if not agreed:
        typer.echo("Nothing was stopped.", err=True)
        raise typer.Exit(Exit.USAGE)
    return True


Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.", callback=confirmed)]


async def stop(session: CommandContext, ids: Ids, *, _yes: Yes = False) -> Exit:
    """Stop workflows on an Opencast; ask a Preservica to end them, which it does a little later."""
    client, wanted = session.client, numbers(ids)
    with session.output.waiting("stopping"):
        if isinstance(client, OpencastClient):
            return await _on_opencast(client, wanted, session.output)
        return await _on_preservica(client, wanted, session.output)


async def _on_opencast(client: OpencastClient, ids: Sequence[int], output: Output) -> Exit:
    codes: list[Exit] = []

    async def stop_one(id: int) -> None:
        try:
            workflow = await client.workflows.stop(id)
        except WorkflowAsyncError as error:
            print_error(error)
            codes.append(code_of(error))
        else:
            output.told(workflow, f"Workflow {id} is {workflow.state_text}")

    async with anyio.create_task_group() as tasks:
        for id in ids:
            tasks.start_soon(stop_one, id)
    return worst(codes)


async def _on_preservica(client: PreservicaClient, ids: Sequence[int], output: Output) -> Exit:
    await client.workflows.terminate(*ids)
    for id in ids:
        output.told({"id": id, "asked": "terminate"}, f"Workflow {id} was asked to end")
    return Exit.DONE
