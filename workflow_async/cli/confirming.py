"""The option `--yes` of commands that ask before they change something."""

import sys
from collections.abc import Callable
from typing import Any

import typer

from workflow_async.cli.exit_codes import Exit


def yes_option(question: str, *, only_if: Callable[[typer.Context], bool] = lambda _: True) -> Any:
    """Return the option `--yes` of a command that asks `question` first.

    Without a terminal nobody can answer, so the command is refused unless `--yes` is given.

    Args:
        question: what to ask.
        only_if: returns False for arguments that need no confirmation.
    """

    def confirm(context: typer.Context, *, yes: bool) -> bool:
        if yes or context.resilient_parsing or not only_if(context):
            return yes
        if not sys.stdin.isatty():
            raise typer.BadParameter("stdin is not a terminal, so you cannot be asked. Give --yes to go on.")
        try:
            agreed = typer.confirm(question, err=True)
        except typer.Abort:
            raise typer.Exit(Exit.INTERRUPTED) from None
        if not agreed:
            typer.echo("Nothing was changed.", err=True)
            raise typer.Exit(Exit.USAGE)
        return True

    return typer.Option("--yes", "-y", help="Do not ask for confirmation.", callback=confirm)
