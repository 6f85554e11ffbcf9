"""The application: its commands and their names."""

from typing import Annotated

import typer

from workflow_async import __version__
from workflow_async.cli.batching import run
from workflow_async.cli.command import connected
from workflow_async.cli.demo import demo
from workflow_async.cli.listing import contexts, definitions, list_workflows
from workflow_async.cli.reporting import report
from workflow_async.cli.serve import sandbox
from workflow_async.cli.showing import show
from workflow_async.cli.starting import start
from workflow_async.cli.stopping import stop
from workflow_async.cli.watching import watch

app = typer.Typer(name="workflow-async", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


def _version(*, wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


Version = Annotated[bool, typer.Option("--version", help="Say the version.", callback=_version, is_eager=True)]


@app.callback()
def workflow_async(*, version: Version = False) -> None:
    """Workflows of Opencast and Preservica.

    Credentials come from the environment (OPENCAST_URL, OPENCAST_USERNAME, OPENCAST_PASSWORD; PRESERVICA_SERVER,
    PRESERVICA_USERNAME, PRESERVICA_PASSWORD, PRESERVICA_TENANT), a file, or a prompt.

    Exit codes: 0 done, 1 a workflow did not succeed, 2 usage, 3 server or network, 130 interrupted.
    """


for command in (demo, sandbox, report):
    app.command()(command)
app.command("list")(connected(list_workflows))
for talk in (show, start, run, watch, stop, definitions, contexts):
    app.command(talk.__name__)(connected(talk))


def main() -> None:
    """Run the command that the arguments name."""
    app()
