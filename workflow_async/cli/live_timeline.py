"""Draws one workflow while it runs: the timeline of `show`, which grows."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import anyio
from attrs import define
from rich.console import Console, Group, RenderableType
from rich.live import Live

from workflow_async.batch.workflow_details import failure_text
from workflow_async.cli.output import dim_text, plain_text, table_of
from workflow_async.cli.styles import workflow_style
from workflow_async.cli.tables import timeline_columns
from workflow_async.cli.tally import Tally
from workflow_async.cli.timeline import Span, format_duration, total_duration
from workflow_async.phase import Workflow

FRAME_INTERVAL = 0.2
"""Seconds between two updates of the timeline."""


@define
class LiveTimeline:
    """Draws the operations of the one workflow of a tally, and below them what is known about its end."""

    console: Console
    tally: Tally
    spans: Callable[[Any], Sequence[Span]]
    notes: Callable[[], Sequence[str]]
    """Lines below the timeline."""

    async def show(self) -> None:
        """Draw the timeline every `FRAME_INTERVAL` seconds until cancelled. Then remove it."""
        with Live(console=self.console, auto_refresh=False, transient=True) as live:
            while True:
                live.update(self.frame(datetime.now(UTC)), refresh=True)
                await anyio.sleep(FRAME_INTERVAL)

    def frame(self, now: datetime) -> RenderableType:
        """Return the timeline at an instant."""
        timelines = [
            timeline_view(workflow, self.spans(workflow), self.console.width, now)
            for workflow in self.tally.records.values()
        ]
        waiting = [] if timelines else [plain_text(f"{self.tally.name}: no answer yet")]
        return Group(*timelines, *waiting, *map(dim_text, self.notes()))


def timeline_view(workflow: Workflow, spans: Sequence[Span], width: int, now: datetime) -> RenderableType:
    """Return the state of a workflow, how long it has run, and its operations."""
    columns, rows = timeline_columns(spans, width, now)
    took = format_duration(total_duration(spans, now))
    heading = f"Workflow {workflow.id} is {workflow.phase.value} {failure_text(workflow)}".rstrip()
    table = table_of([column for column in columns if not column.below], rows, width)
    return Group(plain_text(f"{heading}, {took}" if took else heading, workflow_style(workflow)), table)
