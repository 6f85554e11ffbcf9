import io

import anyio
import pytest
from rich.console import Console

from workflow_async.cli import display
from workflow_async.cli.display import LineLog, progress
from workflow_async.cli.tally import Tally, WaitResult


class FakeTerminal(io.StringIO):
    """A terminal with an event for the time when it shows `1/2`."""

    def __init__(self) -> None:
        super().__init__()
        self.shown = anyio.Event()

    def write(self, text: str) -> int:
        if "1/2" in text:
            self.shown.set()
        return super().write(text)


async def test_a_terminal_shows_a_live_table_and_removes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(display, "LIVE_INTERVAL", 0.001)
    screen, tally = FakeTerminal(), Tally("opencast", 2)
    console = Console(file=screen, force_terminal=True, width=100, _environ={"TERM": "xterm"})
    async with progress(console, [tally]):
        tally.add_result(WaitResult(1, "succeeded"))
        await screen.shown.wait()
    hidden, shown = screen.getvalue().find("\x1b[?25l"), screen.getvalue().rfind("\x1b[?25h")
    assert 0 <= hidden < shown


async def test_a_line_is_printed_only_after_a_change(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(display, "LINE_INTERVAL", 0.001)
    file, tally = FakeTerminal(), Tally("opencast", 2)
    tally.add_result(WaitResult(1, "succeeded"))
    console = Console(file=file, width=200)
    lines = LineLog(console, [tally])
    lines.print_changes()
    lines.print_changes()
    assert file.getvalue().count("opencast: 1 of 2 settled") == 1
    tally.add_result(WaitResult(2, "failed"))
    lines.print_changes()
    assert "2 of 2 settled" in file.getvalue().splitlines()[1]


async def test_lines_are_printed_until_the_block_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(display, "LINE_INTERVAL", 0.001)
    file, tally = io.StringIO(), Tally("opencast", 2)
    async with progress(Console(file=file, width=200), [tally]):
        while "0 of 2 settled" not in file.getvalue():
            await anyio.lowlevel.checkpoint()
