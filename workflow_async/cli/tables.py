"""The columns in which people see records. Pure."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from workflow_async.batch.workflow_details import failure_text
from workflow_async.cli.output import Column
from workflow_async.cli.tally import WaitResult
from workflow_async.cli.timeline import Bar, Span, stretch, words

BARS: Sequence[Column[Bar]] = (
    Column("OPERATION", lambda bar: bar.span.name, 24),
    Column("STATE", lambda bar: bar.span.state, 12),
    Column("TOOK", lambda bar: words(bar.lasted), 8),
    Column("", Bar.draw),
)
BESIDE_BARS = sum(column.width + 2 for column in BARS)
"""Characters of a line that the bars do not get."""


def endings(spans: Callable[[Any], Sequence[Span]], now: datetime) -> Sequence[Column[WaitResult]]:
    """The columns of what a watch ended with."""
    return (
        Column("ID", lambda ending: str(ending.id), 9),
        Column("OUTCOME", lambda ending: ending.outcome, 10),
        Column("TOOK", lambda ending: _took(ending, spans, now), 10),
        Column("", lambda ending: ending.error or failure_text(ending.workflow)),
    )


def _took(ending: WaitResult, spans: Callable[[Any], Sequence[Span]], now: datetime) -> str:
    return words(stretch(spans(ending.workflow), now)) if ending.workflow is not None else ""
