"""What all commands that talk to a server have in common: the options of the target, the client, the exit code."""

import inspect
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any

import anyio
import typer
from attrs import frozen

from workflow_async.cli.choices import choice_option
from workflow_async.cli.exit_codes import Exit, run_and_exit
from workflow_async.cli.output import Output
from workflow_async.cli.systems import SYSTEMS, AnySystem, system_for
from workflow_async.cli.target import Target

SERVER = "Server"
"""The heading of the target's options in the help."""

Json = Annotated[bool, typer.Option("--json", help="Lines of JSON, for scripts.")]


@frozen
class CommandContext:
    """The system with an open client, and the output of the command."""

    system: AnySystem
    output: Output


def target(
    *,
    system: Annotated[
        str | None,
        choice_option(choices=SYSTEMS, help="Default: what the environment says.", rich_help_panel=SERVER),
    ] = None,
    url: Annotated[
        str | None, typer.Option(help="Default: OPENCAST_URL or PRESERVICA_SERVER.", rich_help_panel=SERVER)
    ] = None,
    username: Annotated[
        str | None, typer.Option(help="Default: OPENCAST_USERNAME or PRESERVICA_USERNAME.", rich_help_panel=SERVER)
    ] = None,
    password_file: Annotated[
        Path | None,
        typer.Option(help="Default: OPENCAST_PASSWORD or PRESERVICA_PASSWORD, or a prompt.", rich_help_panel=SERVER),
    ] = None,
    credentials: Annotated[
        Path | None, typer.Option(help="Preservica's credentials.properties.", rich_help_panel=SERVER)
    ] = None,
    allow_insecure_http: Annotated[
        bool, typer.Option("--allow-insecure-http", help="Send passwords in clear.", rich_help_panel=SERVER)
    ] = False,
) -> Target:
    """The target that these options name."""
    return Target(
        system=system,
        url=url,
        username=username,
        password_file=password_file,
        credentials=credentials,
        allow_insecure_http=allow_insecure_http,
    )


TARGET = inspect.signature(target).parameters


def connected(work: Callable[..., Coroutine[Any, Any, Exit]]) -> Callable[..., None]:
    """A command from a coroutine function: with the options of the target beside its own, given an open client."""

    def command(*, json: Json = False, **given: Any) -> None:
        named = target(**{name: given.pop(name) for name in TARGET})
        run_and_exit(lambda: _run(named, Output(json=json), lambda session: work(session, **given)))

    _, *own = inspect.signature(work).parameters.values()
    shown = [*own, *TARGET.values(), inspect.signature(command).parameters["json"]]
    vars(command)["__signature__"] = inspect.Signature(shown)
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in shown}
    command.__doc__ = work.__doc__
    return command


def _run(named: Target, output: Output, work: Callable[[CommandContext], Coroutine[Any, Any, Exit]]) -> Exit:
    system = system_for(named)  # outside the event loop, where Ctrl-C ends a password prompt

    async def converse() -> Exit:
        async with system.client:
            return await work(CommandContext(system, output))

    return anyio.run(converse)
