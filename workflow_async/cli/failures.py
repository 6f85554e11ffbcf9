"""The option `--errors`: prints what the server has recorded about the failures of workflows."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from workflow_async.cli.output import Output
from workflow_async.cli.systems.system import ErrorFinder
from workflow_async.phase import Workflow

ErrorsOption = Annotated[
    bool, typer.Option("--errors", help="Also show the errors of workflows that did not succeed (Opencast).")
]


async def print_errors(output: Output, find_errors: ErrorFinder[Any] | None, workflows: Sequence[Workflow]) -> None:
    """Print the errors of workflows. Do nothing if there is no function that gets them, or no workflow."""
    if find_errors is None or not workflows:
        return
    with output.spinner("loading the errors"):
        table = await find_errors(workflows)
    if output.json:
        for error in table.errors:
            output.record(error)
    elif table.errors:
        output.rows(table.columns, table.errors)
    else:
        output.message("The server has recorded no errors.")
