"""Defines the commands of `workflow-async` and loads each one when it is called."""

import importlib
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from workflow_async import __version__
from workflow_async.cli.overview import example_text, group_of, paragraphs, position_of

HELP_OPTIONS = {"help_option_names": ["-h", "--help"]}

COMMANDS = {
    "demo": ("demo:demo", "Start workflows on a sandbox of both systems, watch them, and print a summary."),
    "sandbox": ("serve:sandbox", "Serve a fake Opencast and a fake Preservica until Ctrl-C."),
    "report": (
        "reporting:report",
        "Show the counts and the starts of a batch, starts with an unknown outcome first.",
    ),
    "list": ("listing:list_workflows", "List workflows page by page."),
    "show": ("showing:show", "Show one workflow, with its operations on a timeline."),
    "start": ("starting:start", "Start a workflow: EVENT DEFINITION on Opencast, CONTEXT on Preservica."),
    "run": ("batching:run", "Start the workflows in a CSV file, a few at a time, and wait until they end."),
    "watch": (
        "watching:watch",
        "Wait until workflows end, and show their progress. Select them by ids or by a filter.",
    ),
    "worker": (
        "worker:worker",
        "Watch a share of the workflows that `shards --add` has put into NATS, until all have ended.",
    ),
    "shards": (
        "shards:shards",
        "Show the shards of a distribution: who has each, how many workflows are left, and when it was saved.",
    ),
    "stop": (
        "changing:stop",
        "Stop workflows. Preservica ends them some time after it accepts the command.",
    ),
    "pause": ("changing:pause", "Pause workflows (Opencast). The operation that is running continues to its end."),
    "resume": ("changing:resume", "Resume paused workflows (Opencast)."),
    "answer": (
        "changing:answer",
        "Answer workflows on hold after an error: retry the operation, or let it stay failed (Opencast).",
    ),
    "retry": ("changing:retry", "Retry failed or suspended workflows (Preservica)."),
    "delete": ("changing:delete", "Delete workflows that have ended, with their jobs (Opencast)."),
    "count": ("counting:count", "Count workflows. Opencast requires an administrator."),
    "events": ("listing:events", "List the events of Opencast, with the state of their latest workflow."),
    "check": (
        "checking:check",
        "Check whether the server can be used: its version, your roles, its clock and its certificate.",
    ),
    "profiles": ("profiles:profiles", "List the profiles in config.toml, without secrets."),
    "definitions": ("listing:definitions", "List the workflow definitions of Opencast."),
    "contexts": ("listing:contexts", "List the workflow contexts of Preservica."),
    "processes": ("processes:processes", "List the ingest processes of Preservica."),
    "activate": ("processes:activate", "Switch ingest processes of Preservica on."),
    "deactivate": ("processes:deactivate", "Switch ingest processes of Preservica off."),
    "monitors": ("processes:monitors", "List the process monitors of Preservica, with the progress of each process."),
}
"""The function and the first line of the help of each command."""


@contextmanager
def writing() -> Iterator[None]:
    """Exit with the code of an output that cannot be written. Typer would exit with 1, and so would rich."""
    try:
        yield
    except (OSError, SystemExit) as error:
        cause = error.__context__ if isinstance(error, SystemExit) else error
        if not isinstance(cause, OSError):
            raise
        from workflow_async.cli.exit_codes import exit_for

        raise typer.Exit(exit_for(cause)) from error


class PlainFlags:
    """A command whose help shows no type for a flag, and no Python type for a repeatable option."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters, the option `--help` included."""
        parameters: list[Any] = super().get_params(ctx)  # type: ignore[misc]
        for parameter in parameters:
            if getattr(parameter, "is_flag", False):
                parameter.metavar = ""
            elif getattr(parameter, "multiple", False):
                parameter.metavar = parameter.metavar or "TEXT"
        return parameters


class PlainCommand(PlainFlags, TyperCommand):
    """A command of `workflow-async`."""


class LazyCommands(PlainFlags, TyperGroup):
    """A command group that imports a command when it is called. `--help` imports none of them."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        """Parse the arguments. `--help` and `--version` print here."""
        with writing():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        """Run the command. The help of a command is printed here too."""
        with writing():
            return super().invoke(ctx)

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the commands in the order of the help."""
        return sorted(super().list_commands(ctx), key=position_of)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[Any, Any, list[str]]:
        """Return the command that the arguments name, and the remaining arguments."""
        name, _, rest = super().resolve_command(ctx, args)
        return name, name and load_command(name), rest


def load_command(name: str) -> Any:
    """Import a command. A coroutine function also gets the options of the server."""
    module, _, attribute = COMMANDS[name][0].partition(":")
    function = getattr(importlib.import_module(f"workflow_async.cli.{module}"), attribute)
    if inspect.iscoroutinefunction(function):
        from workflow_async.cli.command import with_client

        function = with_client(function, name)
    single = typer.Typer(add_completion=False)
    single.command(name, cls=PlainCommand, context_settings=HELP_OPTIONS, epilog=example_text(name))(function)
    command = typer.main.get_command(single)
    command.help = paragraphs(command.help or "")
    return command


app: typer.Typer = typer.Typer(
    name="workflow-async",
    no_args_is_help=True,
    cls=LazyCommands,
    context_settings=HELP_OPTIONS,
    pretty_exceptions_enable=False,
)


def _version(*, wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


Version = Annotated[bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)]


@app.callback()
def workflow_async(*, version: Version = False) -> None:
    """Workflows of Opencast and Preservica.

    Credentials come from environment variables, from a file, or from a prompt.

    Opencast: OPENCAST_URL, OPENCAST_USERNAME, OPENCAST_PASSWORD.

    Preservica: PRESERVICA_SERVER, PRESERVICA_USERNAME, PRESERVICA_PASSWORD, PRESERVICA_TENANT.

    Exit codes: 0 done, 1 a workflow did not succeed, 2 usage, 3 try again later, 4 refused, 5 not possible,
    130 interrupted, 141 the reader of the output has closed it.
    """


def _add_commands() -> None:
    for name, (_, line) in COMMANDS.items():
        app.command(name, help=line, rich_help_panel=group_of(name))(lambda: None)


_add_commands()


def main() -> None:
    """Run the command that the arguments name."""
    app(prog_name="workflow-async")
