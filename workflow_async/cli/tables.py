"""Defines the columns of the tables that are the same for every system."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from workflow_async.batch.workflow_details import failure_text
from workflow_async.cli.output import Column
from workflow_async.cli.tally import WaitResult
from workflow_async.cli.timeline import Bar, Span, format_duration, total_duration

BARS: Sequence[Column[Bar]] = (
    Column("OPERATION", lambda bar: bar.span.name, 24),
    Column("STATE", lambda bar: bar.span.state, 12),
    Column("TOOK", lambda bar: format_duration(bar.duration), 8),
    Column("", Bar.draw),
)
BAR_OFFSET = sum(column.width + 2 for column in BARS)
"""The characters of a line that are not available to bars."""


def result_columns(spans: Callable[[Any], Sequence[Span]], now: datetime) -> Sequence[Column[WaitResult]]:
    """Return the columns for the results of a watch."""
    return (
        Column("ID", lambda result: str(result.id), 9),
        Column("OUTCOME", lambda result: result.outcome, 10),
        Column("TOOK", lambda result: _duration(result, spans, now), 10),
        Column("", lambda result: result.error or failure_text(result.workflow)),
    )


def _duration(result: WaitResult, spans: Callable[[Any], Sequence[Span]], now: datetime) -> str:
    return format_duration(total_duration(spans(result.workflow), now)) if result.workflow is not None else ""
