"""The command `watch`: waits for workflows and shows their progress."""

import enum
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import Annotated, Any

import anyio
import typer
from attrs import evolve, frozen

from workflow_async import Poll
from workflow_async.cli.command import CommandContext
from workflow_async.cli.display import outages, progress, timeline
from workflow_async.cli.exit_codes import Exit, SilentError, code_of, print_error, worst_code
from workflow_async.cli.failures import ErrorsOption, print_errors
from workflow_async.cli.id_args import OptionalIds, unique_ids
from workflow_async.cli.outages import silence_of
from workflow_async.cli.systems.system import ErrorFinder
from workflow_async.cli.tables import result_columns
from workflow_async.cli.tally import Tally
from workflow_async.cli.watcher import ConsoleWatcher
from workflow_async.errors import WorkflowAsyncError

TimeoutOption = Annotated[float | None, typer.Option(help="Maximum seconds to wait. Default: no limit.", min=0.001)]
EveryOption = Annotated[
    float, typer.Option(help="Seconds between the first checks. The interval grows while nothing changes.", min=0.1)
]


class WhenParked(enum.Enum):
    """The values of `--parked`."""

    WAIT = "wait"
    RETURN = "return"
    RAISE = "raise"


ParkedOption = Annotated[WhenParked, typer.Option("--parked", help="What to do if a workflow waits for a person.")]
FilterOption = Annotated[
    list[str] | None,
    typer.Option("--filter", metavar="NAME=VALUE", help="A filter of `workflows.watch`, instead of ids."),
]


@frozen
class WaitSettings:
    """The options of `watch` and `start --wait`."""

    timeout: float | None
    parked: WhenParked
    every: float
    find_errors: ErrorFinder[Any] | None = None
    """Gets the errors of the workflows that did not succeed. None if they are not wanted."""


async def watch(
    ctx: CommandContext,
    ids: OptionalIds = None,
    filter: FilterOption = None,
    timeout: TimeoutOption = None,
    parked: ParkedOption = WhenParked.WAIT,
    every: EveryOption = 2.0,
    *,
    errors: ErrorsOption = False,
) -> Exit:
    """Wait until workflows end, and show their progress. Select them by ids or by a filter.

    Exits with 1 if a workflow did not succeed, and with 3 if one had not ended at the timeout or could not be observed.
    With --filter, workflows that appear later are watched too, until --timeout or Ctrl-C.
    """
    if bool(ids) == bool(filter):
        raise typer.BadParameter("give either ids or a --filter")
    criteria = dict(parse_filter(word) for word in filter or ())
    find_errors = ctx.system.error_finder() if errors else None
    return await run_watch(ctx, unique_ids(ids or ()), WaitSettings(timeout, parked, every, find_errors), criteria)


async def run_watch(
    ctx: CommandContext, ids: Sequence[int], settings: WaitSettings, filter: Mapping[str, str] | None = None
) -> Exit:
    """Watch workflows, print the results, and return the exit code."""
    poll = Poll(interval=settings.every, ceiling=max(30.0, settings.every))
    tally = Tally(ctx.system.name, len(ids), silence=silence_of(ctx.system.client), patience=poll.outage)
    tally.deadline = None if settings.timeout is None else tally.clock() + settings.timeout
    watcher = ConsoleWatcher(ctx.system, tally, timeout=settings.timeout, parked=settings.parked.value, poll=poll)
    if ctx.output.json:
        async with outages(ctx.output.err, [tally]):
            await evolve(watcher, report=ctx.output.record).watch(ids, filter)
    else:
        try:
            async with view_of(ctx, tally, is_single=len(ids) == 1 and not filter):
                await watcher.watch(ids, filter)
        except anyio.get_cancelled_exc_class():
            if tally.results:
                _print_results(ctx, tally)
            raise
        _print_results(ctx, tally)
    unsuccessful = [each.workflow for each in tally.results.values() if each.code is not Exit.DONE and each.workflow]
    await print_errors(ctx.output, settings.find_errors, unsuccessful)
    if not tally.results and (failure := nothing_seen(tally)) is not None:
        print_error(failure)
        return code_of(failure)
    return worst_code(result.code for result in tally.results.values())


def _print_results(ctx: CommandContext, tally: Tally) -> None:
    ctx.output.rows(result_columns(ctx.system.spans, datetime.now(UTC)), tally.results.values())


def nothing_seen(tally: Tally) -> WorkflowAsyncError | SilentError | None:
    """Return why a watch has seen nothing. None if its server has answered."""
    silence = tally.silence()
    if silence is not None:
        return SilentError(f"nothing was seen, {silence}")
    if tally.list_error() is None and not tally.requests():
        return SilentError("nothing was seen, no request was answered before the timeout")
    return tally.list_error()


def view_of(ctx: CommandContext, tally: Tally, *, is_single: bool) -> AbstractAsyncContextManager[None]:
    """Return what shows the progress of a watch: the timeline of a single workflow, or the board of several."""
    if is_single:
        return timeline(ctx.output.err, tally, ctx.system.spans)
    return progress(ctx.output.err, [tally])


def parse_filter(text: str) -> tuple[str, str]:
    """Return the name and the value of a NAME=VALUE filter."""
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise typer.BadParameter(f"{text!r} is not NAME=VALUE, such as state=running")
    return name, value
