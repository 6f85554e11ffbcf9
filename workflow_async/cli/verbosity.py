"""The option `--verbose`: prints the log of the library on stderr."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated

import typer
from rich.console import Console

from workflow_async.cli.formats import PANEL
from workflow_async.cli.output import print_message

LOGGER = "workflow_async"
STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "event"}
"""The attributes of a log record that are not fields of an event."""

VerboseOption = Annotated[
    bool, typer.Option("--verbose", "-v", help="Print each request and each check on stderr.", rich_help_panel=PANEL)
]
QuietOption = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print only tables, records and errors.", rich_help_panel=PANEL)
]
NoProgressOption = Annotated[
    bool, typer.Option("--no-progress", help="Print no progress and no spinner.", rich_help_panel=PANEL)
]


class LogLines(logging.Handler):
    """Prints a line for each log record, above a live table if there is one."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self.console = console

    def emit(self, record: logging.LogRecord) -> None:
        """Print a log record with the fields of its event."""
        fields = {name: value for name, value in vars(record).items() if name not in STANDARD}
        words = " ".join(f"{name}={value}" for name, value in fields.items() if value not in (None, ""))
        time = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S.%f")[:-3]
        print_message(self.console, f"{time} {record.levelname.lower()} {record.getMessage()} {words}", "dim")


def print_log(console: Console) -> None:
    """Print the log of the library on a console from now on."""
    log = logging.getLogger(LOGGER)
    log.setLevel(logging.DEBUG)
    log.addHandler(LogLines(console))


@contextmanager
def warnings_on(console: Console) -> Iterator[None]:
    """Print warnings and errors of the log on a console while the block runs, unless `--verbose` prints the log."""
    log, lines = logging.getLogger(LOGGER), LogLines(console)
    lines.setLevel(logging.WARNING)
    if any(isinstance(each, LogLines) for each in log.handlers):
        yield
        return
    log.addHandler(lines)
    try:
        yield
    finally:
        log.removeHandler(lines)
