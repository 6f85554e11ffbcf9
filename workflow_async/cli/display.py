"""Live progress on stderr: a table that moves on a terminal, plain lines elsewhere."""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Protocol

import anyio
from attrs import define, field
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar

from workflow_async.cli.output import dim_text, grid, print_message
from workflow_async.cli.tally import COLUMNS, UNSEEN, Tally
from workflow_async.cli.timeline import format_duration
from workflow_async.phase import Workflow

MAX_SLOWEST = 3
"""Workflows that are named as the slowest."""
LIVE_INTERVAL, LINE_INTERVAL = 0.2, 1.0
"""Seconds between two pictures, and between two lines."""


class ProgressView(Protocol):
    """Something that shows how the tallies stand."""

    async def show(self) -> None:
        """Show it again and again, until cancelled."""


@define
class LineLog:
    """A line for each tally, every second, if it differs from the one before."""

    console: Console
    tallies: Sequence[Tally]
    _started_at: float = field(factory=time.monotonic, init=False)
    _shown: dict[str, dict[str, int]] = field(factory=dict, init=False)

    async def show(self) -> None:
        """Show it again and again, until cancelled."""
        while True:
            await anyio.sleep(LINE_INTERVAL)
            self.print_changes()

    def print_changes(self) -> None:
        """Print the lines that are new."""
        for tally in self.tallies:
            counts = tally.counts
            if self._shown.get(tally.name) != counts:
                self._shown[tally.name] = counts
                print_message(self.console, progress_line(tally, time.monotonic() - self._started_at))


@define
class LiveTable:
    """A table with a bar for each tally."""

    console: Console
    tallies: Sequence[Tally]
    _started_at: float = field(factory=time.monotonic, init=False)

    async def show(self) -> None:
        """Show it again and again, until cancelled; then take it away."""
        with Live(console=self.console, auto_refresh=False, transient=True) as live:
            while True:
                live.update(live_view(self.tallies, time.monotonic() - self._started_at), refresh=True)
                await anyio.sleep(LIVE_INTERVAL)


@asynccontextmanager
async def progress(console: Console, tallies: Sequence[Tally]) -> AsyncIterator[None]:
    """Show how the tallies stand for as long as the block takes."""
    view: ProgressView = LiveTable(console, tallies) if console.is_terminal else LineLog(console, tallies)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(view.show)
        yield
        tasks.cancel_scope.cancel()


def progress_line(tally: Tally, seconds: float) -> str:
    """How a tally stands after so many seconds, in one line."""
    counts = ", ".join(f"{count} {word}" for word, count in tally.counts.items())
    settled = tally.settled
    return f"{tally.name}: {settled} of {tally.total} settled, {settled / seconds:.1f} a second ({counts})"


def live_view(tallies: Sequence[Tally], seconds: float) -> Group:
    """How the tallies stand after so many seconds: a table, and below it who is slowest."""
    return Group(progress_table(tallies, seconds), *(_slowest(tally) for tally in tallies if tally.active))


def _slowest(tally: Tally) -> RenderableType:
    """The workflows whose last change is longest ago, and the expected remaining time."""
    slowest = ", ".join(_age(workflow, seconds) for workflow, seconds in tally.slowest(MAX_SLOWEST))
    eta = tally.eta()
    ending = "" if eta is None else f", over in about {format_duration(timedelta(seconds=eta))}"
    return dim_text(f"{tally.name}: slowest {slowest}{ending}")


def _age(workflow: Workflow, seconds: float) -> str:
    return f"{workflow.id} {workflow.step or workflow.state_text} {format_duration(timedelta(seconds=seconds))}"


def progress_table(tallies: Sequence[Tally], seconds: float) -> RenderableType:
    """How the tallies stand after so many seconds, as a table."""
    counts_of_all = [tally.counts for tally in tallies]
    present = [word for word in COLUMNS if word != UNSEEN and any(word in counts for counts in counts_of_all)]
    rows: list[list[str | RenderableType]] = []
    for tally, counts in zip(tallies, counts_of_all, strict=True):
        settled = tally.settled
        bar = ProgressBar(total=max(1, tally.total), completed=settled, width=24)
        rate = f"{settled / seconds:.1f}" if settled else ""
        numbers = [str(counts.get(word, "")) for word in present]
        rows.append([tally.name, f"{settled}/{tally.total}", rate, bar, *numbers])
    return grid(["", "settled", "a second", "", *present], rows)
