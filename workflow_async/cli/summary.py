"""What many workflows came to: outcomes and durations. Pure."""

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from attrs import frozen

from workflow_async.cli.output import Column
from workflow_async.cli.tally import Tally, WaitResult
from workflow_async.cli.timeline import Span, stretch, words


@frozen
class Summary:
    """What the workflows of one system came to; seconds by the server's own account."""

    system: str
    workflows: int
    outcomes: dict[str, int]
    median: float | None
    p90: float | None
    longest: float | None
    requests: int


def summary(board: Tally, requests: int, spans: Callable[[Any], Sequence[Span]]) -> Summary:
    """The summary of a board whose workflows have all ended."""
    took = sorted(durations(board.endings.values(), spans))
    return Summary(
        board.name,
        len(board.endings),
        board.counts,
        statistics.median(took) if took else None,
        took[math.ceil(len(took) * 0.9) - 1] if took else None,
        took[-1] if took else None,
        requests,
    )


def durations(endings: Iterable[WaitResult], spans: Callable[[Any], Sequence[Span]]) -> list[float]:
    """How many seconds each took that has ended; what waits for a person has not."""
    now = datetime.now(UTC)
    ended = [e.workflow for e in endings if e.workflow is not None and e.workflow.phase.final]
    return [took.total_seconds() for workflow in ended if (took := stretch(spans(workflow), now)) is not None]


def outcomes(outcomes: dict[str, int]) -> str:
    """The outcomes in a row of words."""
    return ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items())


def _words(seconds: float | None) -> str:
    return words(timedelta(seconds=seconds)) if seconds is not None else ""


SUMMARIES: Sequence[Column[Summary]] = (
    Column("SYSTEM", lambda summary: summary.system, 10),
    Column("WORKFLOWS", lambda summary: str(summary.workflows), 9),
    Column("MEDIAN", lambda summary: _words(summary.median), 8),
    Column("P90", lambda summary: _words(summary.p90), 8),
    Column("LONGEST", lambda summary: _words(summary.longest), 8),
    Column("REQUESTS", lambda summary: str(summary.requests), 8),
    Column("OUTCOMES", lambda summary: outcomes(summary.outcomes)),
)
