"""The command `run`: starts the workflows that a CSV file lists."""

import enum
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import anyio
import typer
from attrs import evolve

from workflow_async import Poll
from workflow_async.batch import (
    AlreadyDone,
    Completed,
    Conflicted,
    NotStarted,
    OutcomeUnknown,
    Rejected,
    Result,
    Run,
    Skipped,
)
from workflow_async.cli.batch_log import StartedLog, print_interruption
from workflow_async.cli.batch_tally import BatchTally, BatchWatch
from workflow_async.cli.command import CommandContext
from workflow_async.cli.csvfile import read_starts
from workflow_async.cli.display import is_live, outages, progress
from workflow_async.cli.dry_run import print_plan
from workflow_async.cli.exit_codes import Exit, code_of, worst_code
from workflow_async.cli.failures import ErrorsOption, print_errors
from workflow_async.cli.journal_choice import journal_for
from workflow_async.cli.messages import error_text
from workflow_async.cli.outages import silence_of
from workflow_async.cli.output import print_message
from workflow_async.cli.reporting import ROWS, Row, count_text, row_of
from workflow_async.cli.systems import BatchOptions
from workflow_async.cli.watching import EveryOption, ParkedOption, WhenParked
from workflow_async.monitor import PollingFailed, Replaced, Watch
from workflow_async.phase import Workflow

CsvFile = Annotated[
    Path,
    typer.Argument(
        metavar="CSV",
        help="Columns: event and definition, or context. Optional: key. Any other is a setting. - reads stdin.",
    ),
]
MaxRunning = Annotated[int, typer.Option(help="Maximum number of workflows that run at the same time.", min=1)]
Low = Annotated[
    int | None,
    typer.Option(help="Start the next ones when this number still run. Default: --max-running minus 1.", min=0),
]
CountOthers = Annotated[
    bool, typer.Option("--count-others", help="Count all running workflows, not only those of this batch.")
]
JournalFile = Annotated[
    Path | None,
    typer.Option("--journal", help="Record the batch in this file. Default: beside the CSV file, ending in .sqlite."),
]
NoJournal = Annotated[bool, typer.Option("--no-journal", help="Record the batch nowhere.")]
RetryFailed = Annotated[
    bool, typer.Option("--retry-failed", help="Start again what failed in an earlier run of the journal.")
]
Limit = Annotated[int | None, typer.Option("--limit", help="Start at most this many now.", min=1)]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would be done. Send no request.")]


class WhenBusy(enum.Enum):
    """The values of `--on-conflict`: what to do if an event has an active workflow."""

    RAISE = "raise"
    SKIP = "skip"
    ATTACH = "attach"
    WAIT = "wait"


class Resend(enum.Enum):
    """The values of `--again`: the starts to send a second time."""

    UNKNOWN = "unknown"


ResendOption = Annotated[
    Resend | None,
    typer.Option("--again", help="Start again what is still unknown after a search. It may then run twice."),
]
OnConflict = Annotated[
    WhenBusy, typer.Option("--on-conflict", help="What to do if an event has an active workflow (Opencast).")
]
Settle = Annotated[float, typer.Option(help="Seconds to search for a start whose outcome is unknown.", min=0)]


async def run(
    ctx: CommandContext,
    file: CsvFile,
    *,
    max_running: MaxRunning = 4,
    low: Low = None,
    count_others: CountOthers = False,
    on_conflict: OnConflict = WhenBusy.RAISE,
    journal: JournalFile = None,
    no_journal: NoJournal = False,
    retry_failed: RetryFailed = False,
    limit: Limit = None,
    dry_run: DryRun = False,
    parked: ParkedOption = WhenParked.WAIT,
    every: EveryOption = 2.0,
    settle: Settle = 30.0,
    again: ResendOption = None,
    errors: ErrorsOption = False,
) -> Exit:
    """Start the workflows in a CSV file, a few at a time, and wait until they end.

    The journal remembers what was started, so the same command can be run again after a crash or Ctrl-C, and no
    workflow is started twice. A start whose outcome is unknown makes the exit code 3. It is not repeated unless --again
    unknown is given.
    """
    choice = journal_for(file, journal, wanted=not no_journal)
    options = BatchOptions(
        max_running=max_running,
        low=low,
        count_others=count_others,
        on_conflict=on_conflict.value,
        journal=choice.path,
        poll=Poll(interval=every, ceiling=max(30.0, every)),
        parked=parked.value,
        settle=settle,
        start_unknown_again=again is Resend.UNKNOWN,
        retry_failed=retry_failed,
        limit=limit,
    )
    starts = read_starts(file, ctx.system)
    if dry_run:
        return await print_plan(ctx.system, ctx.output, starts, options)
    find_errors = ctx.system.error_finder() if errors else None
    print_message(ctx.output.err, choice.sentence)
    code, unsuccessful = await _run_batch(ctx, starts, options)
    await print_errors(ctx.output, find_errors, unsuccessful)
    return code


async def _run_batch(
    ctx: CommandContext, starts: Sequence[Any], options: BatchOptions
) -> tuple[Exit, Sequence[Workflow]]:
    """Run a batch and print a row for each start. Return the exit code, and the workflows that did not succeed."""
    async with ctx.system.run_all(starts, options) as outcomes:
        tally = _tally(ctx, outcomes, len(starts), options)
        watch = ctx.system.watch((), poll=options.poll)
        try:
            results = await (_json_results(ctx, tally) if ctx.output.json else _shown_results(ctx, tally, watch))
        except anyio.get_cancelled_exc_class():
            command = ("workflow-async", *sys.argv[1:])
            print_interruption(ctx.output, outcomes.items.values(), options.journal, command)
            raise
    unsuccessful = [workflow for result in results for workflow in unsuccessful_workflow(result)]
    return worst_code(map(exit_code, results)), unsuccessful


def _tally(ctx: CommandContext, run: Run[Any], starts: int, options: BatchOptions) -> BatchTally:
    system = ctx.system
    tally = BatchTally(system.name, starts, run=run, limit=options.limit, silence=silence_of(system.client))
    tally.patience = options.poll.outage
    tally.kind = system.kind
    tally.requests = lambda: system.client.stats().requests
    return tally


async def _json_results(ctx: CommandContext, tally: BatchTally) -> Sequence[Result[Any]]:
    """Print a line of JSON for each result, and return the results."""
    results = []
    async with outages(ctx.output.err, [tally]):
        async for result in tally.run:
            results.append(result)
            ctx.output.record(result_row(result, tally.run))
    return results


async def _shown_results(ctx: CommandContext, tally: BatchTally, watch: Watch[Any]) -> Sequence[Result[Any]]:
    """Show the progress, then a row for each result. Return the results."""
    outcomes = tally.run
    results: list[Result[Any]] = []
    rows: list[Row] = []
    log = StartedLog(ctx.output.err, outcomes)
    async with progress(ctx.output.err, [tally]), anyio.create_task_group() as tasks:
        tasks.start_soon(log.show)
        if is_live(ctx.output.err):
            tasks.start_soon(BatchWatch(tally, watch).follow)
        async for result in outcomes:
            results.append(result)
            rows.append(result_row(result, outcomes))
            tally.receive(result, rows[-1])
        tasks.cancel_scope.cancel()
    log.print_new()
    rows.sort(key=lambda row: row.outcome != "unknown")
    ctx.output.message(f"{ctx.system.name}: {count_text(outcomes.items.values())}")
    ctx.output.rows(ROWS, rows)
    return results


def unsuccessful_workflow(result: Result[Workflow]) -> Sequence[Workflow]:
    """Return the workflow of a result if it was watched and did not succeed. Empty otherwise."""
    workflow = result.workflow if isinstance(result, Completed) and not result.succeeded else None
    return () if workflow is None else (workflow,)


def exit_code(result: Result[Any]) -> Exit:
    """Return the exit code for the result of one start."""
    match result:
        case Rejected() | NotStarted() | Conflicted():
            return code_of(result.error)
        case OutcomeUnknown() | Completed(outcome=PollingFailed() | Replaced()) | AlreadyDone(word="replaced"):
            return Exit.SERVER
        case Skipped():
            return Exit.DONE
        case Completed() | AlreadyDone():
            return Exit.DONE if result.succeeded else Exit.FAILED


def result_row(result: Result[Any], outcomes: Run[Any]) -> Row:
    """Return a result as a row. The batch's entry is used unless the result contradicts it."""
    status = outcomes.items.get(result.key)
    outcome = {Skipped: "skipped", Rejected: "refused"}.get(type(result))
    refusal = result.error if isinstance(result, Rejected | NotStarted | Conflicted) else None
    if status is not None and outcome in {None, status.word}:
        row = row_of(status)
        return row if refusal is None else evolve(row, detail=error_text(refusal))
    start = result.ticket.subject if result.ticket is not None else ""
    detail = result.why if isinstance(result, Skipped) else error_text(refusal) if refusal is not None else ""
    unset: dict[str, Any] = dict.fromkeys(("id", "seconds", "intended_at", "started_at", "ended_at"))
    return Row(key=result.key, outcome=outcome or "", state="", start=start, detail=detail, **unset)
