"""`run`: a whole batch from a CSV file."""

import enum
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from attrs import define

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
    StatusKind,
)
from workflow_async.cli.command import CommandContext
from workflow_async.cli.csvfile import starts
from workflow_async.cli.display import progress
from workflow_async.cli.exit_codes import Exit, code_of, worst
from workflow_async.cli.reporting import ROWS, Row, counts, row
from workflow_async.cli.systems import BatchOptions
from workflow_async.cli.tally import COLUMNS, NOT_STARTED, UNSEEN, Tally, WaitResult
from workflow_async.cli.watching import Every, OnParked, WhenParked
from workflow_async.monitor import PollingFailed, Replaced

BatchFile = Annotated[
    Path,
    typer.Argument(
        metavar="CSV", help="Columns event,definition or context; key if you like; every other is a setting."
    ),
]
MaxRunning = Annotated[int, typer.Option(help="How many may run on the server at once.", min=1)]
Low = Annotated[int | None, typer.Option(help="Start no more until this few run; default: one less.", min=0)]
CountOthers = Annotated[bool, typer.Option("--count-others", help="Count everybody's workflows, not only these.")]
JournalFile = Annotated[
    Path | None, typer.Option("--journal", help="Remember all in this file: run the same again after a crash.")
]


class WhenBusy(enum.Enum):
    """What to do about an event that has an active workflow."""

    RAISE = "raise"
    SKIP = "skip"
    ATTACH = "attach"
    WAIT = "wait"


class Again(enum.Enum):
    """Which starts to send again, at the caller's own risk."""

    UNKNOWN = "unknown"


AgainOption = Annotated[
    Again | None,
    typer.Option("--again", help="Start what stays unknown once more, after a search for it: it may then run twice."),
]
OnConflict = Annotated[WhenBusy, typer.Option("--on-conflict", help="What to do about a busy event (Opencast).")]
Settle = Annotated[float, typer.Option(help="Seconds to look for a start whose fate is unknown.", min=0)]


async def run(
    session: CommandContext,
    file: BatchFile,
    *,
    max_running: MaxRunning = 4,
    low: Low = None,
    count_others: CountOthers = False,
    on_conflict: OnConflict = WhenBusy.RAISE,
    journal: JournalFile = None,
    parked: OnParked = WhenParked.WAIT,
    every: Every = 2.0,
    settle: Settle = 30.0,
    again: AgainOption = None,
) -> Exit:
    """Start all that a CSV file lists, a few at a time, and wait for their end.

    With --journal, the same command can be given again after a crash: nothing is started twice. A start of which nobody
    can tell whether it happened is told as unknown, exits with 3, and is never repeated unless --again unknown says so.
    """
    options = BatchOptions(
        max_running=max_running,
        low=low,
        count_others=count_others,
        on_conflict=on_conflict.value,
        journal=journal,
        poll=Poll(interval=every, ceiling=max(30.0, every)),
        parked=parked.value,
        settle=settle,
        start_unknown_again=again is Again.UNKNOWN,
    )
    return await _perform(session, starts(file, session.system), options)


async def _perform(session: CommandContext, wanted: Sequence[Any], options: BatchOptions) -> Exit:
    codes: list[Exit] = []
    rows: list[Row] = []
    system = session.system.name
    async with session.system.run_all(wanted, options) as outcomes:
        board = BatchTally(system, len(wanted), run=outcomes)
        if session.output.json:
            async for result in outcomes:
                codes.append(code(result))
                session.output.record(report_result(result, outcomes))
            return worst(codes)
        async with progress(session.output.err, [board]):
            async for result in outcomes:
                codes.append(code(result))
                rows.append(report_result(result, outcomes))
                board.ended(WaitResult(len(rows), rows[-1].outcome))
    rows.sort(key=lambda each: each.outcome != "unknown")
    session.output.say(f"{system}: {counts(outcomes.items.values())}")
    session.output.rows(ROWS, rows)
    return worst(codes)


def code(result: Result[Any]) -> Exit:
    """What a result means for the exit code."""
    match result:
        case Rejected() | NotStarted() | Conflicted():
            return code_of(result.error)
        case OutcomeUnknown() | Completed(outcome=PollingFailed() | Replaced()) | AlreadyDone(word="replaced"):
            return Exit.SERVER
        case Skipped():
            return Exit.DONE
        case Completed() | AlreadyDone():
            return Exit.DONE if result.succeeded else Exit.FAILED


def report_result(result: Result[Any], outcomes: Run[Any]) -> Row:
    """A result as a row: what the batch knows of its start, or what the result itself says."""
    item = outcomes.items.get(result.key)
    own = {Skipped: "skipped", Rejected: "refused"}.get(type(result))
    if item is not None and own in {None, item.word}:
        return row(item)
    start = result.ticket.subject if result.ticket is not None else ""
    detail = result.why if isinstance(result, Skipped) else str(getattr(result, "error", ""))
    unset: dict[str, Any] = dict.fromkeys(("id", "seconds", "intended_at", "started_at", "ended_at"))
    return Row(key=result.key, outcome=own or "", state="", start=start, detail=detail, **unset)


@define(eq=False, kw_only=True)
class BatchTally(Tally):
    """A board that counts where the starts of a batch stand."""

    run: Run[Any]

    @property
    def total(self) -> int:
        """How many starts there are, those of earlier runs included."""
        return max(self.expected, len(self.run.items))

    @property
    def settled(self) -> int:
        """How many starts are over for good. Another run asks again for one that was refused."""
        return sum(item.kind is StatusKind.ENDED for item in self.run.items.values())

    @property
    def counts(self) -> dict[str, int]:
        """How many starts stand where, by the words of `COLUMNS`."""
        known = Counter(_place(item.kind, item.word) for item in self.run.items.values())
        known[UNSEEN] += self.total - known.total()
        return {word: known[word] for word in COLUMNS if known[word]}


def _place(kind: StatusKind, word: str) -> str:
    if kind is StatusKind.PLANNED:
        return UNSEEN
    if kind in {StatusKind.INTENT, StatusKind.STARTED} or word == "waiting":
        return "waiting"
    return NOT_STARTED if kind is StatusKind.NOT_STARTED else word
