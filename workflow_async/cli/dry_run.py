"""The option `--dry-run`: what `run` would do with each start, by the journal and without a request."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from attrs import frozen

from workflow_async.batch import StartStatus, StatusKind, Ticket, read_journal
from workflow_async.batch.run import DUPLICATE_KEY
from workflow_async.cli.columns import Column
from workflow_async.cli.exit_codes import Exit
from workflow_async.cli.output import Output
from workflow_async.cli.systems import BatchOptions, System
from workflow_async.errors import InvalidArgument

S = TypeVar("S")
SENDS = frozenset({"start", "start again"})
"""Steps that start a workflow."""


@frozen
class PlannedStep:
    """What a run would do with one start."""

    key: str
    step: str
    """`start`, `start again`, `search`, `watch`, `done`, `skip`, `refuse` or `later`."""
    id: int | None
    start: str
    detail: str = ""


STEPS: Sequence[Column[PlannedStep]] = (
    Column("STEP", lambda planned: planned.step, 12),
    Column("ID", lambda planned: "" if planned.id is None else str(planned.id), 9),
    Column("START", lambda planned: planned.start),
    Column("", lambda planned: planned.detail, below=True),
)


async def print_plan(system: System[Any, S], output: Output, starts: Iterable[S], options: BatchOptions) -> Exit:
    """Print what a run would do with each start."""
    journal = options.journal
    known = (await read_journal(journal)).items if journal is not None and journal.exists() else {}
    steps = planned_steps(system, starts, known, options)
    if output.json:
        for each in steps:
            output.record(each)
    else:
        output.message(f"{system.name}: {steps_text(steps)}")
        output.rows(STEPS, steps)
    return Exit.DONE


def planned_steps(
    system: System[Any, S], starts: Iterable[S], known: Mapping[str, StartStatus], options: BatchOptions
) -> Sequence[PlannedStep]:
    """Return what a run would do with each start. `known` is the status of each start in the journal, by key."""
    steps: list[PlannedStep] = []
    seen: set[str] = set()
    left = options.limit
    for number, start in enumerate(starts, 1):
        try:
            ticket = system.ticket(start)
        except InvalidArgument as error:
            steps.append(PlannedStep(f"#{number}", "refuse", None, "", str(error)))
            continue
        planned = _planned(ticket, known.get(ticket.key), options)
        if ticket.key in seen:
            planned = PlannedStep(ticket.key, "skip", None, ticket.subject, DUPLICATE_KEY)
        elif planned.step in SENDS and left == 0:
            planned = PlannedStep(ticket.key, "later", None, ticket.subject, "beyond --limit")
        elif planned.step in SENDS and left is not None:
            left -= 1
        seen.add(ticket.key)
        steps.append(planned)
    return steps


def steps_text(steps: Iterable[PlannedStep]) -> str:
    """Return the number of starts for each step, as text."""
    counter = Counter(planned.step for planned in steps)
    counts = "".join(f", {count} {step}" for step, count in counter.items())
    return f"{counter.total()} starts{counts}. No request was sent"


def _planned(ticket: Ticket, status: StartStatus | None, options: BatchOptions) -> PlannedStep:
    """Return what a run would do with a start that is the first with its key."""
    if status is None:
        return PlannedStep(ticket.key, "start", None, ticket.subject)
    if status.ticket is not None and status.ticket.arguments != ticket.arguments:
        return PlannedStep(ticket.key, "refuse", None, ticket.subject, "the key belongs to another start")
    return PlannedStep(ticket.key, _step(status, options), status.id, ticket.subject, status.word)


def _step(status: StartStatus, options: BatchOptions) -> str:
    match status.kind:
        case StatusKind.PLANNED | StatusKind.NOT_STARTED:
            return "start"
        case StatusKind.INTENT | StatusKind.UNKNOWN:
            return "start again" if options.start_unknown_again else "search"
        case StatusKind.ENDED:
            return "start again" if options.retry_failed and status.word == "failed" else "done"
        case _:
            return "watch"
