"""Summarizes the outcomes and durations of many workflows."""

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from attrs import frozen

from workflow_async.cli.columns import Column
from workflow_async.cli.tally import Tally, WaitResult
from workflow_async.cli.timeline import Span, format_seconds, total_duration


@frozen
class Summary:
    """The outcomes and durations of the workflows of one system. Durations are in seconds, by the server's clock."""

    system: str
    workflows: int
    outcomes: dict[str, int]
    median: float | None
    p90: float | None
    longest: float | None
    requests: int


def summarize(tally: Tally, requests: int, spans: Callable[[Any], Sequence[Span]]) -> Summary:
    """Return the summary of a tally whose workflows have all ended or are parked."""
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
    """Return the durations in seconds of the workflows that have ended. A parked workflow has not."""
    now = datetime.now(UTC)
    ended = [r.workflow for r in results if r.workflow is not None and r.workflow.phase.final]
    return [took.total_seconds() for workflow in ended if (took := total_duration(spans(workflow), now)) is not None]


def outcome_text(outcomes: dict[str, int]) -> str:
    """Return the count of each outcome as text."""
    return ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items())


SUMMARY_COLUMNS: Sequence[Column[Summary]] = (
    Column("SYSTEM", lambda summary: summary.system, 10),
    Column("WORKFLOWS", lambda summary: str(summary.workflows), 9),
    Column("MEDIAN", lambda summary: format_seconds(summary.median), 8),
    Column("P90", lambda summary: format_seconds(summary.p90), 8),
    Column("LONGEST", lambda summary: format_seconds(summary.longest), 8),
    Column("REQUESTS", lambda summary: str(summary.requests), 8),
    Column("OUTCOMES", lambda summary: outcome_text(summary.outcomes), below=True),
)
