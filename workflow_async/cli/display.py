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

from workflow_async.cli.output import faint, grid, say
from workflow_async.cli.tally import COLUMNS, UNSEEN, Tally
from workflow_async.cli.timeline import words

MAX_SLOWEST = 3
"""Workflows that are named as the slowest."""
LIVE_EVERY, LINE_EVERY = 0.2, 1.0
"""Seconds between two pictures, and between two lines."""


class ProgressView(Protocol):
    """Something that shows how the boards stand."""

    async def show(self) -> None:
        """Show it again and again, until cancelled."""


@define
class LineLog:
    """A line for each board, every second, if it differs from the one before."""

    console: Console
    boards: Sequence[Tally]
    _began: float = field(factory=time.monotonic, init=False)
    _shown: dict[str, dict[str, int]] = field(factory=dict, init=False)

    async def show(self) -> None:
        """Show it again and again, until cancelled."""
        while True:
            await anyio.sleep(LINE_EVERY)
            self.tell()

    def tell(self) -> None:
        """Print the lines that are new."""
        for board in self.boards:
            counts = board.counts
            if self._shown.get(board.name) != counts:
                self._shown[board.name] = counts
                say(self.console, sentence(board, time.monotonic() - self._began))


@define
class LiveTable:
    """A table with a bar for each board."""

    console: Console
    boards: Sequence[Tally]
    _began: float = field(factory=time.monotonic, init=False)

    async def show(self) -> None:
        """Show it again and again, until cancelled; then take it away."""
        with Live(console=self.console, auto_refresh=False, transient=True) as live:
            while True:
                live.update(picture(self.boards, time.monotonic() - self._began), refresh=True)
                await anyio.sleep(LIVE_EVERY)


@asynccontextmanager
async def progress(console: Console, boards: Sequence[Tally]) -> AsyncIterator[None]:
    """Show how the boards stand for as long as the block takes."""
    face: ProgressView = LiveTable(console, boards) if console.is_terminal else LineLog(console, boards)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(face.show)
        yield
        tasks.cancel_scope.cancel()


def sentence(board: Tally, seconds: float) -> str:
    """How a board stands after so many seconds, in one line."""
    counts = ", ".join(f"{count} {word}" for word, count in board.counts.items())
    settled = board.settled
    return f"{board.name}: {settled} of {board.total} settled, {settled / seconds:.1f} a second ({counts})"


def picture(boards: Sequence[Tally], seconds: float) -> Group:
    """How the boards stand after so many seconds: a table, and below it who is slowest."""
    return Group(table(boards, seconds), *(_laggards(board) for board in boards if board.going))


def _laggards(board: Tally) -> RenderableType:
    """What has not changed for longest, and when all should be over."""
    slow = ", ".join(
        f"{w.id} {w.step or w.state_text} {words(timedelta(seconds=since))}" for w, since in board.slowest(MAX_SLOWEST)
    )
    left = board.eta()
    eta = "" if left is None else f", over in about {words(timedelta(seconds=left))}"
    return faint(f"{board.name}: slowest {slow}{eta}")


def table(boards: Sequence[Tally], seconds: float) -> RenderableType:
    """How the boards stand after so many seconds, as a table."""
    counted = [board.counts for board in boards]
    present = [word for word in COLUMNS if word != UNSEEN and any(word in counts for counts in counted)]
    rows: list[list[str | RenderableType]] = []
    for board, counts in zip(boards, counted, strict=True):
        settled = board.settled
        bar = ProgressBar(total=max(1, board.total), completed=settled, width=24)
        rate = f"{settled / seconds:.1f}" if settled else ""
        numbers = [str(counts.get(word, "")) for word in present]
        rows.append([board.name, f"{settled}/{board.total}", rate, bar, *numbers])
    return grid(["", "settled", "a second", "", *present], rows)
