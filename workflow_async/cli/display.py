"""Shows progress on stderr: a live table on a terminal, lines elsewhere."""

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol

import anyio
from attrs import define, field
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar

from workflow_async.cli.board import board_lines, notes
from workflow_async.cli.live_timeline import LiveTimeline
from workflow_async.cli.output import grid, plain_text, print_message
from workflow_async.cli.tally import COLUMNS, UNSEEN, Tally
from workflow_async.cli.timeline import Span

NARROW_WIDTH = 80
"""The characters of a terminal of the usual width."""
LIVE_INTERVAL, LINE_INTERVAL = 0.2, 1.0
"""Seconds between two updates of the live table, and between two lines."""

SOON = 10.0
"""Seconds of an outage after which the second line about it is printed at the earliest."""


class ProgressView(Protocol):
    """A way to show the progress of some tallies."""

    async def show(self) -> None:
        """Show the progress until cancelled."""


@define
class OutageLog:
    """Prints a line when a server stops answering, more while it lasts, and one when it answers again."""

    console: Console
    tallies: Sequence[Tally]
    _told: dict[str, float] = field(factory=dict, init=False)
    """The seconds without an answer in the last line of each tally."""

    async def show(self) -> None:
        """Print lines every `LINE_INTERVAL` seconds until cancelled."""
        while True:
            await anyio.sleep(LINE_INTERVAL)
            self.print_changes()

    def print_changes(self) -> None:
        """Print a line for each tally whose server has stopped or begun to answer, or is silent twice as long."""
        for tally in self.tallies:
            silence, text, told = tally.silence(), tally.silence_text(), self._told.get(tally.name)
            if silence is None and told is not None:
                del self._told[tally.name]
                print_message(self.console, f"{tally.name}: the server answers again")
            elif silence is not None and text and (told is None or silence.seconds >= max(2 * told, SOON)):
                self._told[tally.name] = silence.seconds
                print_message(self.console, f"{tally.name}: {text}")


@define
class LineLog:
    """Prints a line for a tally each time its counts have changed."""

    console: Console
    tallies: Sequence[Tally]
    _started_at: float = field(factory=time.monotonic, init=False)
    _shown: dict[str, dict[str, int]] = field(factory=dict, init=False)
    _outages: OutageLog = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._outages = OutageLog(self.console, self.tallies)

    async def show(self) -> None:
        """Print lines every `LINE_INTERVAL` seconds until cancelled."""
        while True:
            await anyio.sleep(LINE_INTERVAL)
            self.print_changes()

    def print_changes(self) -> None:
        """Print a line for each tally whose counts have changed since its last line, and lines about outages."""
        self._outages.print_changes()
        for tally in self.tallies:
            counts = tally.counts
            if self._shown.get(tally.name) != counts:
                self._shown[tally.name] = counts
                print_message(self.console, progress_line(tally, time.monotonic() - self._started_at))


@define
class LiveTable:
    """Draws a table with a progress bar for each tally."""

    console: Console
    tallies: Sequence[Tally]
    _started_at: float = field(factory=time.monotonic, init=False)

    async def show(self) -> None:
        """Draw the table every `LIVE_INTERVAL` seconds until cancelled. Then remove it."""
        with Live(console=self.console, auto_refresh=False, transient=True) as live:
            while True:
                view = live_view(self.tallies, time.monotonic() - self._started_at, self.console.width)
                live.update(view, refresh=True)
                await anyio.sleep(LIVE_INTERVAL)


def progress(console: Console, tallies: Sequence[Tally]) -> AbstractAsyncContextManager[None]:
    """Show progress on the console while the block runs."""
    return _shown(LiveTable(console, tallies) if is_live(console) else LineLog(console, tallies))


def outages(console: Console, tallies: Sequence[Tally]) -> AbstractAsyncContextManager[None]:
    """Print lines about outages, and no progress, on the console while the block runs."""
    return _shown(OutageLog(console, tallies))


def timeline(
    console: Console, tally: Tally, spans: Callable[[Any], Sequence[Span]]
) -> AbstractAsyncContextManager[None]:
    """Draw the operations of the one workflow of a tally on the console while the block runs."""
    if not is_live(console):
        return _shown(LineLog(console, [tally]))
    return _shown(LiveTimeline(console, tally, spans, lambda: [*notes(tally), *_outage_texts([tally])]))


def is_live(console: Console) -> bool:
    """Return True if a live table can be drawn on the console."""
    return console.is_terminal and not console.is_dumb_terminal and not console.quiet


@asynccontextmanager
async def _shown(view: ProgressView) -> AsyncIterator[None]:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(view.show)
        yield
        tasks.cancel_scope.cancel()


def progress_line(tally: Tally, seconds: float) -> str:
    """Return the progress of a tally after `seconds` as one line."""
    counts = ", ".join(f"{count} {word}" for word, count in tally.counts.items())
    rate = len(tally.workflow_ends) / seconds
    return f"{tally.name}: {tally.settled} of {tally.total} settled, {rate:.1f} a second ({counts})"


def live_view(tallies: Sequence[Tally], seconds: float, width: int = NARROW_WIDTH) -> Group:
    """Return the progress table, and below it the lines of the board and a line for each outage."""
    board = [line for tally in tallies for line in board_lines(tally, width)]
    return Group(progress_table(tallies, seconds), *board, *map(plain_text, _outage_texts(tallies)))


def _outage_texts(tallies: Sequence[Tally]) -> list[str]:
    return [f"{tally.name}: {text}" for tally in tallies if (text := tally.silence_text())]


def progress_table(tallies: Sequence[Tally], seconds: float) -> RenderableType:
    """Return the progress of the tallies after `seconds` as a table."""
    counts_of_all = [tally.counts for tally in tallies]
    present = [word for word in COLUMNS if word != UNSEEN and any(word in counts for counts in counts_of_all)]
    rows: list[list[str | RenderableType]] = []
    for tally, counts in zip(tallies, counts_of_all, strict=True):
        settled = tally.settled
        bar = ProgressBar(total=max(1, tally.total), completed=settled, width=24)
        rate = f"{len(tally.workflow_ends) / seconds:.1f}" if tally.workflow_ends else ""
        numbers = [str(counts.get(word, "")) for word in present]
        rows.append([tally.name, f"{settled}/{tally.total}", rate, bar, *numbers])
    return grid(["", "settled", "a second", "", *present], rows)
