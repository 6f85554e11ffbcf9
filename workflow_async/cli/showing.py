"""The command `show`: prints one workflow."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from workflow_async._records.tree import Tree
from workflow_async.batch.workflow_details import failure_text
from workflow_async.cli.command import CommandContext
from workflow_async.cli.display import timeline
from workflow_async.cli.exit_codes import Exit, worst_code
from workflow_async.cli.failures import ErrorsOption, print_errors
from workflow_async.cli.id_args import unique_ids
from workflow_async.cli.output import Output
from workflow_async.cli.records import tree
from workflow_async.cli.tables import timeline_columns
from workflow_async.cli.tally import Tally
from workflow_async.cli.timeline import Span, format_duration, total_duration
from workflow_async.cli.watcher import ConsoleWatcher
from workflow_async.phase import Workflow

Id = Annotated[str, typer.Argument(metavar="ID")]

FollowOption = Annotated[
    bool, typer.Option("--follow", "-f", help="Draw the timeline until the workflow ends, then print it.")
]
NOT_IN_FACTS = frozenset({"id", "state", "operations"})


async def show(ctx: CommandContext, id: Id, *, follow: FollowOption = False, errors: ErrorsOption = False) -> Exit:
    """Show one workflow, with its operations on a timeline.

    With --follow, exits with 1 if the workflow did not succeed.
    """
    find_errors = ctx.system.error_finder() if errors else None
    code = await _follow(ctx, id) if follow else Exit.DONE
    with ctx.output.spinner("loading"):
        workflow = await ctx.system.get(id)
    if ctx.output.json:
        ctx.output.record(workflow)
    else:
        _print_workflow(ctx.output, workflow, ctx.system.spans(workflow), datetime.now(UTC))
    await print_errors(ctx.output, find_errors, [workflow])
    return code


async def _follow(ctx: CommandContext, id: str) -> Exit:
    """Draw the timeline of a workflow until it ends or cannot be observed. Return the exit code."""
    tally = Tally(ctx.system.name, 1)
    async with timeline(ctx.output.err, tally, ctx.system.spans):
        await ConsoleWatcher(ctx.system, tally).watch_ids(unique_ids([id]))
    return worst_code(result.code for result in tally.results.values())


def facts(record: Tree, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the values in a record's tree as pairs of a dotted name and a text. Empty values are left out."""
    members: Any = record.items() if isinstance(record, dict) else enumerate(record)
    for name, value in members:
        if isinstance(value, dict | list):
            yield from facts(value, f"{prefix}{name}.")
        elif value not in (None, ""):
            yield f"{prefix}{name}", str(value)


def _print_workflow(output: Output, workflow: Workflow, spans: Sequence[Span], now: datetime) -> None:
    output.message(f"Workflow {workflow.id} is {workflow.phase.value} {failure_text(workflow)}".rstrip(), "bold")
    shown = {name: value for name, value in tree(workflow).items() if name not in NOT_IN_FACTS}
    output.facts(list(facts({**shown, "took": format_duration(total_duration(spans, now))})))
    columns, rows = timeline_columns(spans, output.table_width, now)
    output.print_rows(columns, rows)
