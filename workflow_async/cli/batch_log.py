"""Prints what a batch starts while it runs, and what is left when it is interrupted."""

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import anyio
from attrs import define, field
from rich.console import Console

from workflow_async.batch import Run, StartStatus, StatusKind
from workflow_async.cli.output import Output, print_message
from workflow_async.cli.reporting import ROWS, count_text, row_of, unknown_first

INTERVAL = 0.1
"""Seconds between two looks for new workflows."""
GOING_ON = frozenset({StatusKind.STARTED, StatusKind.CHANGE, StatusKind.LEFT})
MAYBE_STARTED = frozenset({StatusKind.INTENT, StatusKind.UNKNOWN})


@define
class StartedLog:
    """Prints a line for each workflow that a batch starts, as it happens."""

    console: Console
    run: Run[Any]
    _known: dict[str, int] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._known = {status.key: status.id for status in self.run.items.values() if status.id is not None}

    async def show(self) -> None:
        """Print lines until cancelled."""
        while True:
            await anyio.sleep(INTERVAL)
            self.print_new()

    def print_new(self) -> None:
        """Print the workflows that were started since the last call."""
        for status in self.run.items.values():
            if status.id is not None and self._known.get(status.key) != status.id:
                self._known[status.key] = status.id
                subject = status.ticket.subject if status.ticket is not None else status.key
                print_message(self.console, f"started {status.id} {subject}", "dim")


def print_interruption(
    output: Output, statuses: Iterable[StartStatus], journal: Path | None, command: Sequence[str]
) -> None:
    """Print the starts that have begun, the workflows that go on, and the command that continues.

    Args:
        output: the output of the command.
        statuses: the status of each start.
        journal: the journal. None if there is none.
        command: the words of the command that was interrupted.
    """
    ordered = unknown_first(statuses)
    begun = [status for status in ordered if status.kind is not StatusKind.PLANNED]
    if not output.json:
        output.message(f"interrupted: {count_text(ordered)}")
        if begun:
            output.rows(ROWS, [row_of(status) for status in begun])
    for line in interruption_lines(begun, journal, command):
        print_message(output.err, line)


def interruption_lines(begun: Iterable[StartStatus], journal: Path | None, command: Sequence[str]) -> Sequence[str]:
    """Return what an interrupted batch leaves on the server, and how to go on."""
    statuses = list(begun)
    ids = [str(status.id) for status in statuses if status.kind in GOING_ON and status.id is not None]
    unknown = sum(status.kind in MAYBE_STARTED for status in statuses)
    lines = []
    if ids:
        noun = "workflow goes" if len(ids) == 1 else "workflows go"
        lines.append(f"{len(ids)} {noun} on on the server: {', '.join(ids)}")
    if unknown:
        lines.append(f"{unknown} of the starts may have happened: see the rows that are unknown or intended")
    if journal is not None:
        lines.append(f"To go on: {shlex.join(command)}")
    elif ids:
        lines.append(f"To watch: {shlex.join(('workflow-async', 'watch', *ids))}")
    return lines
