"""Draws the pictures of the documentation from real runs: `python -m tests.docs.picture`."""

from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Any

import anyio
from rich.console import Console
from rich.text import Text

from tests.support.documentation import PAGES
from tests.support.terminal import terminal_output
from workflow_async import OpencastClient, Poll
from workflow_async.cli.display import live_view
from workflow_async.cli.systems.opencast import OpencastSystem
from workflow_async.cli.tally import Tally
from workflow_async.cli.watcher import ConsoleWatcher
from workflow_async.sandbox import Sandbox

COMMANDS = ("list --limit 5", "show 1003", "show {failed}")
DEFINITIONS = ("publish",) * 4 + ("fast", "fast", "fails", "review")
COLUMNS = 112
WORKFLOWS, SPEED, SECONDS = 80, 5.0, 100.0
"""The board is drawn when this number of workflows was started within this time, on a sandbox of this speed."""


def main() -> None:
    """Run the commands against a sandbox and write their output as SVG."""
    terminal = console()
    with Sandbox("11") as sandbox:
        sandbox.opencast.seed(100)
        (failed,) = sandbox.opencast.seed(1, definitions=["fails"], age=1000)
        for command in COMMANDS:
            words = command.format(failed=failed)
            terminal.print(Text(f"$ workflow-async {words}", style="bold cyan"))
            terminal.print(Text.from_ansi(terminal_output(words, variables(sandbox), columns=COLUMNS)))
    write(terminal, PAGES / "terminal.svg")
    terminal = console()
    terminal.print(Text("$ workflow-async watch 1000 1001 1002 ...", style="bold cyan"))
    anyio.run(draw_board, terminal)
    write(terminal, PAGES / "board.svg")


async def draw_board(terminal: Console) -> None:
    """Watch workflows that are started one after the other for some seconds. Draw the board as it stands then."""
    async with Sandbox("16", speed=SPEED) as sandbox, OpencastClient(**access(sandbox)) as client:
        system = OpencastSystem(client)
        tally = Tally(system.name, WORKFLOWS)
        watcher = ConsoleWatcher(system, tally, poll=Poll(interval=0.5, ceiling=1.0))
        async with anyio.create_task_group() as tasks:
            for number in range(WORKFLOWS):
                id = sandbox.opencast.start(sandbox.opencast.event(), DEFINITIONS[number % len(DEFINITIONS)])
                tasks.start_soon(watcher.watch_one, id)
                await anyio.sleep(SECONDS / WORKFLOWS)
                tally.last_check()
            terminal.print(live_view([tally], SECONDS, terminal.width))
            tasks.cancel_scope.cancel()


def access(sandbox: Sandbox) -> dict[str, Any]:
    """Return the arguments of a client of a sandbox's Opencast."""
    return {"url": sandbox.opencast.url, "auth": sandbox.opencast.auth}


def console() -> Console:
    """Return a console that records what is drawn on it."""
    return Console(record=True, width=COLUMNS, file=StringIO(), force_terminal=True, color_system="truecolor")


def variables(sandbox: Sandbox) -> Mapping[str, str]:
    """Return the environment variables for a sandbox's Opencast."""
    fake = sandbox.opencast
    return {"OPENCAST_URL": fake.url, "OPENCAST_USERNAME": fake.username, "OPENCAST_PASSWORD": fake.password}


def write(terminal: Console, path: Path) -> None:
    """Write what was drawn as SVG."""
    path.write_text(terminal.export_svg(title="workflow-async", clear=False), encoding="utf-8")


if __name__ == "__main__":
    main()
