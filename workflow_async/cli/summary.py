"""What many workflows came to: outcomes and durations. Pure."""

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from attrs import frozen

from workflow_async.cli.output import Column
from workflow_async.cli.tally import Tally, WaitResult
from workflow_async.cli.timeline import Span, format_duration, total_duration


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


def summarize(tally: Tally, requests: int, spans: Callable[[Any], Sequence[Span]]) -> Summary:
    """The summary of a board whose workflows have all ended."""
    took = sorted(durations_of(tally.results.values(), spans))
    return Summary(
        tally.name,
        len(tally.results),
        tally.counts,
        statistics.median(took) if took else None,
        took[math.ceil(len(took) * 0.9) - 1] if took else None,
        took[-1] if took else None,
        requests,
    )


def durations_of(results: Iterable[WaitResult], spans: Callable[[Any], Sequence[Span]]) -> list[float]:
    """How many seconds each took that has ended; what waits for a person has not."""
    now = datetime.now(UTC)
    ended = [r.workflow for r in results if r.workflow is not None and r.workflow.phase.final]
    return [took.total_seconds() for workflow in ended if (took := total_duration(spans(workflow), now)) is not None]


def outcome_text(outcomes: dict[str, int]) -> str:
    """The outcomes in a row of words."""
    return ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items())


def _format_seconds(seconds: float | None) -> str:
    return format_duration(timedelta(seconds=seconds)) if seconds is not None else ""


SUMMARY_COLUMNS: Sequence[Column[Summary]] = (
    Column("SYSTEM", lambda summary: summary.system, 10),
    Column("WORKFLOWS", lambda summary: str(summary.workflows), 9),
    Column("MEDIAN", lambda summary: _format_seconds(summary.median), 8),
    Column("P90", lambda summary: _format_seconds(summary.p90), 8),
    Column("LONGEST", lambda summary: _format_seconds(summary.longest), 8),
    Column("REQUESTS", lambda summary: str(summary.requests), 8),
    Column("OUTCOMES", lambda summary: outcome_text(summary.outcomes)),
)
