"""Connects a command to a server: the server options, the client and the exit code."""

import inspect
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Annotated, Any

import anyio
import typer
from attrs import evolve, field, frozen

from workflow_async.cli.choices import choice_option
from workflow_async.cli.exit_codes import Exit, run_and_exit
from workflow_async.cli.formats import Format, FormatOption, JsonOption, WideOption, chosen_format
from workflow_async.cli.output import Output, console
from workflow_async.cli.systems import SYSTEMS, AnySystem, system_for
from workflow_async.cli.target import Target
from workflow_async.cli.verbosity import NoProgressOption, QuietOption, VerboseOption, print_log

PANEL = "Server"
"""The heading of the server options in the help."""

Json = Annotated[bool, typer.Option("--json", help="Write lines of JSON.")]
"""The option of commands that need no server."""


@frozen
class CommandContext:
    """A system with an open client, and the output of the command."""

    system: AnySystem
    output: Output
    target: Target = field(factory=Target)


def target(
    *,
    system: Annotated[
        str | None,
        choice_option(choices=SYSTEMS, help="Default: chosen by the environment variables.", rich_help_panel=PANEL),
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option(help="A server in config.toml. Default: WORKFLOW_ASYNC_PROFILE.", rich_help_panel=PANEL),
    ] = None,
    url: Annotated[
        str | None, typer.Option(help="Default: OPENCAST_URL or PRESERVICA_SERVER.", rich_help_panel=PANEL)
    ] = None,
    username: Annotated[
        str | None,
        typer.Option(help="Default: OPENCAST_USERNAME or PRESERVICA_USERNAME.", rich_help_panel=PANEL),
    ] = None,
    password_file: Annotated[
        Path | None,
        typer.Option(help="Default: OPENCAST_PASSWORD or PRESERVICA_PASSWORD, or a prompt.", rich_help_panel=PANEL),
    ] = None,
    tenant: Annotated[str | None, typer.Option(help="Default: PRESERVICA_TENANT.", rich_help_panel=PANEL)] = None,
    token_file: Annotated[
        Path | None, typer.Option(help="A file with a JSON web token. Default: OPENCAST_TOKEN.", rich_help_panel=PANEL)
    ] = None,
    digest: Annotated[
        bool,
        typer.Option("--digest", help="HTTP Digest, for system users (Opencast).", rich_help_panel=PANEL),
    ] = False,
    run_as: Annotated[
        str | None, typer.Option(help="Act as this user. Needs ROLE_SUDO (Opencast).", rich_help_panel=PANEL)
    ] = None,
    run_with_roles: Annotated[
        str | None,
        typer.Option(help="Act with these roles, joined by commas. Needs ROLE_SUDO (Opencast).", rich_help_panel=PANEL),
    ] = None,
    credentials: Annotated[
        Path | None, typer.Option(help="A credentials.properties file (Preservica).", rich_help_panel=PANEL)
    ] = None,
    allow_insecure_http: Annotated[
        bool,
        typer.Option("--allow-insecure-http", help="Send the password unencrypted over http.", rich_help_panel=PANEL),
    ] = False,
    ca_file: Annotated[
        Path | None,
        typer.Option(help="A PEM file with the authorities to trust. Default: certifi's.", rich_help_panel=PANEL),
    ] = None,
    client_cert: Annotated[
        Path | None,
        typer.Option(help="A PEM file with a client certificate and its key.", rich_help_panel=PANEL),
    ] = None,
    proxy: Annotated[
        str | None,
        typer.Option(help="http://host:port, or env for HTTPS_PROXY. Default: none.", rich_help_panel=PANEL),
    ] = None,
    request_timeout: Annotated[
        float | None,
        typer.Option(min=0.001, help="Seconds for a request with its retries. Default: 120.", rich_help_panel=PANEL),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(
            min=0.001, help="Maximum number of requests per second. Default: no limit.", rich_help_panel=PANEL
        ),
    ] = None,
) -> Target:
    """Return the target that the server options describe."""
    return Target(
        system=system,
        profile=profile,
        url=url,
        username=username,
        password_file=password_file,
        tenant=tenant,
        token_file=token_file,
        digest=digest,
        run_as=run_as,
        run_with_roles=run_with_roles,
        credentials=credentials,
        allow_insecure_http=allow_insecure_http,
        ca_file=ca_file,
        client_cert=client_cert,
        proxy=proxy,
        request_timeout=request_timeout,
        rate=rate,
    )


def output_for(
    *,
    output: FormatOption = Format.TABLE,
    wide: WideOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
    no_progress: NoProgressOption = False,
    verbose: VerboseOption = False,
) -> Output:
    """Return the output that the output options describe. Begin to print the log if it is wanted."""
    format = chosen_format(output, as_json=json, wide=wide)
    if verbose:
        print_log(console(stderr=True))
    return Output(
        json=format not in {Format.TABLE, Format.WIDE},
        format=format,
        quiet=quiet,
        out=console(wide=format is Format.WIDE),
        err=console(stderr=True, quiet=quiet or no_progress),
    )


TARGET_OPTIONS = inspect.signature(target).parameters
OUTPUT_OPTIONS = inspect.signature(output_for).parameters


def with_client(function: Callable[..., Coroutine[Any, Any, Exit]], name: str) -> Callable[..., None]:
    """Return the command `name`, which calls `function` with an open client.

    The command has the parameters of the function, the output options and the server options.
    """

    def run(chosen: Target, output: Output, **arguments: Any) -> Exit:
        return _run(chosen, output, lambda ctx: function(ctx, **arguments))

    _, *own_options = inspect.signature(function).parameters.values()
    return _command(run, own_options, name, function.__doc__)


def with_target(function: Callable[..., Exit], name: str) -> Callable[..., None]:
    """Return the command `name`, which calls `function` with the server options and the output, but no client."""
    _, _, *own_options = inspect.signature(function).parameters.values()
    return _command(function, own_options, name, function.__doc__)


def _command(
    run: Callable[..., Exit], own_options: Sequence[inspect.Parameter], name: str, help: str | None
) -> Callable[..., None]:
    def command(**arguments: Any) -> None:
        chosen = evolve(target(**{option: arguments.pop(option) for option in TARGET_OPTIONS}), command=name)
        output = {option: arguments.pop(option) for option in OUTPUT_OPTIONS}
        run_and_exit(lambda: run(chosen, output_for(**output), **arguments))

    parameters = [*own_options, *OUTPUT_OPTIONS.values(), *TARGET_OPTIONS.values()]
    vars(command)["__signature__"] = inspect.Signature(parameters)
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    command.__doc__ = help
    return command


def _run(chosen: Target, output: Output, function: Callable[[CommandContext], Coroutine[Any, Any, Exit]]) -> Exit:
    system = system_for(chosen)  # outside the event loop, so that Ctrl-C ends a password prompt

    async def run() -> Exit:
        async with system.client:
            return await function(CommandContext(system, output, chosen))

    return anyio.run(run)
