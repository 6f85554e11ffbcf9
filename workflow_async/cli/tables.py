"""Defines the columns of the tables that are the same for every system."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from workflow_async.batch.workflow_details import failure_text
from workflow_async.cli.columns import Column, choose_columns
from workflow_async.cli.styles import word_style
from workflow_async.cli.tally import WaitResult
from workflow_async.cli.timeline import Bar, Span, axis_text, bars, format_duration, time_axis, total_duration

GAP = 2
"""The blank characters between two columns."""
BARS: Sequence[Column[Bar]] = (
    Column("OPERATION", lambda bar: bar.span.name, 24, narrow=20),
    Column("STATE", lambda bar: bar.span.state, 12, style=lambda bar: word_style(bar.span.state)),
    Column("TOOK", lambda bar: format_duration(bar.duration), 8, narrow=7),
    Column("QUEUED", lambda bar: format_duration(bar.span.queued), 8, from_width=100),
)
MAX_BAR = 80
"""The maximum length of a bar in cells."""


def timeline_columns(spans: Sequence[Span], width: int | None, now: datetime) -> tuple[list[Column[Bar]], list[Bar]]:
    """Return the columns and the rows of a timeline for the width of a terminal. None for no limit.

    The heading of the last column is the axis. The reason of a failure stands below the row or in a column of its own.
    """
    columns = choose_columns(BARS, bars(spans, MAX_BAR, now), (), width)
    taken = sum(column.width + GAP for column in columns)
    cells = MAX_BAR if width is None else min(MAX_BAR, max(1, width - taken))
    rows = bars(spans, cells, now)
    axis = axis_text(*time_axis(spans, now), cells) if any(bar.filled for bar in rows) else ""
    drawn = Column[Bar](axis, Bar.draw, cells, style=_bar_style)
    return [*columns, drawn, Column("", lambda bar: bar.span.reason, below=True)], rows


def _bar_style(bar: Bar) -> str:
    """Return the style of a failed bar. Other bars have the colour of the terminal."""
    return word_style(bar.span.state) if bar.span.reason else ""


def result_columns(spans: Callable[[Any], Sequence[Span]], now: datetime) -> Sequence[Column[WaitResult]]:
    """Return the columns for the results of a watch."""
    return (
        Column("ID", lambda result: str(result.id), 9),
        Column("OUTCOME", lambda result: result.outcome, 12, style=lambda result: word_style(result.outcome)),
        Column("TOOK", lambda result: _duration(result, spans, now), 10),
        Column("", lambda result: result.error or failure_text(result.workflow), below=True),
    )


def _duration(result: WaitResult, spans: Callable[[Any], Sequence[Span]], now: datetime) -> str:
    return format_duration(total_duration(spans(result.workflow), now)) if result.workflow is not None else ""
