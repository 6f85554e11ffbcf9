"""The lines of the live table about many workflows: where they are, how fast they end, and how the last ones ended."""

from collections import Counter
from collections.abc import Iterator, Sequence

from attrs import frozen
from rich.console import RenderableType

from workflow_async.batch.workflow_details import failure_text
from workflow_async.cli.columns import Column
from workflow_async.cli.output import dim_text, plain_text, table_of
from workflow_async.cli.styles import word_style
from workflow_async.cli.tally import Tally, WaitResult
from workflow_async.cli.timeline import format_seconds

MAX_DEFINITIONS, MAX_ENDS = 6, 3
"""The number of definitions and of ends to show."""
MAX_MINUTES = 30
"""The minutes of the sparkline."""
MINUTE = 60.0
SPARKS = "".join(chr(code) for code in range(0x2581, 0x2589))
"""The characters of a sparkline, from one eighth of a block to a full one."""


@frozen
class DefinitionLine:
    """The active workflows of one definition, counted by their operation."""

    name: str
    active: int
    operations: str


@frozen
class EndLine:
    """A workflow that has ended, and the seconds since then."""

    seconds: float
    result: WaitResult


DEFINITION_COLUMNS: Sequence[Column[DefinitionLine]] = (
    Column("", lambda line: line.name, 24, narrow=20),
    Column("", lambda line: f"{line.active:>4}", 4),
    Column("", lambda line: line.operations),
)
END_COLUMNS: Sequence[Column[EndLine]] = (
    Column("", lambda line: str(line.result.id or ""), 9),
    Column("", lambda line: line.result.outcome, 12, style=lambda line: word_style(line.result.outcome)),
    Column("", lambda line: f"{format_seconds(line.seconds)} ago", 12),
    Column("", lambda line: line.result.error or failure_text(line.result.workflow)),
)


def board_lines(tally: Tally, width: int) -> Iterator[RenderableType]:
    """Yield what is drawn below the counts of a tally."""
    lines = definition_lines(tally)
    if lines:
        yield table_of(DEFINITION_COLUMNS, lines[:MAX_DEFINITIONS], width, with_header=False)
    if len(lines) > MAX_DEFINITIONS:
        rest = sum(line.active for line in lines[MAX_DEFINITIONS:])
        yield dim_text(f"and {rest} of {len(lines) - MAX_DEFINITIONS} other definitions")
    yield from (plain_text(note, "dim") for note in notes(tally))
    ends = [EndLine(tally.clock() - at, result) for at, result in reversed(tally.ends[-MAX_ENDS:])]
    if ends:
        yield table_of(END_COLUMNS, ends, width, with_header=False)


def definition_lines(tally: Tally) -> list[DefinitionLine]:
    """Return a line for each definition with active workflows, the one with the most of them first."""
    steps: dict[str, Counter[str]] = {}
    for id in tally.active:
        workflow = tally.records[id]
        steps.setdefault(tally.kind(workflow), Counter())[workflow.step or workflow.state_text] += 1
    lines = [DefinitionLine(name, counts.total(), _counts_text(counts)) for name, counts in steps.items()]
    return sorted(lines, key=lambda line: (-line.active, line.name))


def notes(tally: Tally) -> list[str]:
    """Return a line about the pace of a tally, and one about the expected end if it is known."""
    eta = tally.eta()
    pace = ", ".join(pace_texts(tally))
    if eta is None:
        return [pace]
    return [pace, f"{tally.name}: the end is expected in about {format_seconds(eta.seconds)}, {eta.basis}"]


def pace_texts(tally: Tally) -> Iterator[str]:
    """Yield the elapsed time, the ends in each minute, and the time since the last check."""
    checked_at, now = tally.last_check(), tally.clock()
    yield f"{tally.name}: elapsed {format_seconds(now - tally.began_at)}"
    if tally.workflow_ends:
        counts = ends_by_minute([at - tally.began_at for at in tally.workflow_ends], now - tally.began_at)
        yield f"ends a minute {sparkline(counts[-MAX_MINUTES:])} {counts[-1]} now"
    if checked_at is not None:
        yield f"last check {format_seconds(now - checked_at)} ago"


def ends_by_minute(ends: Sequence[float], elapsed: float) -> list[int]:
    """Return the number of ends in each minute. Both arguments are in seconds since the beginning."""
    counts = Counter(int(at // MINUTE) for at in ends)
    return [counts[minute] for minute in range(int(elapsed // MINUTE) + 1)]


def sparkline(counts: Sequence[int]) -> str:
    """Return a character for each count, as high as its share of the highest."""
    highest = max(counts, default=0) or 1
    return "".join(SPARKS[round(count / highest * (len(SPARKS) - 1))] for count in counts)


def _counts_text(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {step}" for step, count in counts.most_common())
