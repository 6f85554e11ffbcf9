"""The command `start`: starts a workflow, and waits for it if asked to."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated

import anyio
import typer

from workflow_async.cli.command import CommandContext
from workflow_async.cli.completion import complete_subject
from workflow_async.cli.exit_codes import Exit, UsageError, print_error
from workflow_async.cli.systems.system import StartedWorkflow
from workflow_async.cli.watching import EveryOption, ParkedOption, TimeoutOption, WaitSettings, WhenParked, run_watch
from workflow_async.errors import CallError, NotFound, StartOutcomeUnknown, StatusError

Subject = Annotated[
    list[str],
    typer.Argument(
        metavar="EVENT DEFINITION|CONTEXT",
        help="Opencast: two ids. Preservica: an id or a name.",
        autocompletion=complete_subject,
    ),
]
Settings = Annotated[
    list[str] | None, typer.Option("--param", "-p", metavar="KEY=VALUE", help="A setting. Repeatable.")
]
Wait = Annotated[bool, typer.Option("--wait", help="Wait for the workflow, as `watch` does.")]


async def start(
    ctx: CommandContext,
    arguments: Subject,
    *,
    param: Settings = None,
    wait: Wait = False,
    timeout: TimeoutOption = None,
    parked: ParkedOption = WhenParked.WAIT,
    every: EveryOption = 2.0,
) -> Exit:
    """Start a workflow: EVENT DEFINITION on Opencast, CONTEXT on Preservica.

    The start is sent once. It is not retried, whatever happens.
    """
    settings = parse_settings(param or ())
    started = await _start(ctx, arguments, settings)
    ctx.output.result(started.record, started.message)
    if not wait or started.id is None:
        return Exit.DONE
    return await run_watch(ctx, [started.id], WaitSettings(timeout, parked, every))


async def _start(ctx: CommandContext, arguments: Sequence[str], settings: Mapping[str, str]) -> StartedWorkflow:
    """Start a workflow. Say so if Ctrl-C leaves unknown whether it was started."""
    try:
        with ctx.output.spinner("starting"):
            return await ctx.system.start(arguments, settings)
    except (NotFound, StartOutcomeUnknown) as error:
        if not isinstance(error, StartOutcomeUnknown) or isinstance(error.cause, StatusError):
            await _check_url(ctx)
        raise
    except anyio.get_cancelled_exc_class():
        print_error(UsageError("interrupted: the workflow may have started, so look for it before you start it again"))
        raise


async def _check_url(ctx: CommandContext) -> None:
    """Raise the error that says so if there is no such API at the URL. Then nothing was started."""
    try:
        await ctx.system.checks()[0].run()
    except CallError as error:
        if error.absent:
            raise


def parse_settings(params: Iterable[str]) -> dict[str, str]:
    """Return the settings in KEY=VALUE texts. Raise `UsageError` for another form or a repeated key."""
    found: dict[str, str] = {}
    for param in params:
        key, equals, value = param.partition("=")
        if not key or not equals or key in found:
            raise UsageError(f"-p {param}: " + ("given twice" if key in found else "must be KEY=VALUE"))
        found[key] = value
    return found
