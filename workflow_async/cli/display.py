"""Live progress on stderr: a table that moves on a terminal, plain lines elsewhere."""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Protocol

import anyio
from attrs import define, field
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from workflow_async.cli.board import COLUMNS, UNSEEN, Board
from workflow_async.cli.timeline import words

SLOWEST = 3
"""Workflows that are named as the slowest."""
LIVE_EVERY, LINE_EVERY = 0.2, 1.0
"""Seconds between two pictures, and between two lines."""


class Face(Protocol):
    """Something that shows how the boards stand."""

    async def show(self) -> None:
        """Show it again and again, until cancelled."""


@define
class Lines:
    """A line for each board, every second, if it differs from the one before."""

    console: Console
    boards: Sequence[Board]
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
                self.console.print(sentence(board, time.monotonic() - self._began))


@define
class Picture:
    """A table with a bar for each board."""

    console: Console
    boards: Sequence[Board]
    _began: float = field(factory=time.monotonic, init=False)

    async def show(self) -> None:
        """Show it again and again, until cancelled; then take it away."""
        with Live(console=self.console, auto_refresh=False, transient=True) as live:
            while True:
                live.update(picture(self.boards, time.monotonic() - self._began), refresh=True)
                await anyio.sleep(LIVE_EVERY)


@asynccontextmanager
async def progress(console: Console, boards: Sequence[Board]) -> AsyncIterator[None]:
    """Show how the boards stand for as long as the block takes."""
    face: Face = Picture(console, boards) if console.is_terminal else Lines(console, boards)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(face.show)
        yield
        tasks.cancel_scope.cancel()


def sentence(board: Board, seconds: float) -> str:
    """How a board stands after so many seconds, in one line."""
    counts = ", ".join(f"{count} {word}" for word, count in board.counts.items())
    settled = len(board.endings)
    return f"{board.name}: {settled} of {board.total} settled, {settled / seconds:.1f} a second ({counts})"


def picture(boards: Sequence[Board], seconds: float) -> Group:
    """How the boards stand after so many seconds: a table, and below it who is slowest."""
    return Group(table(boards, seconds), *(_laggards(board) for board in boards if board.going))


def _laggards(board: Board) -> Text:
    """What has not changed for longest, and when all should be over."""
    slow = ", ".join(
        f"{w.id} {w.step or w.state_text} {words(timedelta(seconds=since))}" for w, since in board.slowest(SLOWEST)
    )
    left = board.eta()
    eta = "" if left is None else f", over in about {words(timedelta(seconds=left))}"
    return Text(f"{board.name}: slowest {slow}{eta}", style="dim", no_wrap=True, overflow="ellipsis")


def table(boards: Sequence[Board], seconds: float) -> Table:
    """How the boards stand after so many seconds, as a table."""
    counted = [board.counts for board in boards]
    present = [word for word in COLUMNS if word != UNSEEN and any(word in counts for counts in counted)]
    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("", "settled", "a second", "", *present):
        drawn.add_column(heading, justify="right" if heading else "left")
    for board, counts in zip(boards, counted, strict=True):
        settled = len(board.endings)
        bar = ProgressBar(total=max(1, board.total), completed=settled, width=24)
        rate = f"{settled / seconds:.1f}" if settled else ""
        drawn.add_row(board.name, f"{settled}/{board.total}", rate, bar, *(str(counts.get(w, "")) for w in present))
    return drawn
