"""Draws `workflow_async/docs/terminal.svg` from real runs of the command line: `python -m tests.docs.picture`."""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from io import StringIO

from rich.console import Console
from rich.text import Text

from tests.support.documentation import PAGES, ROOT
from workflow_async.sandbox import Sandbox

PICTURE = PAGES / "terminal.svg"
COMMANDS = ("list --state running --limit 5", "show 1003")
ROWS, COLUMNS = 40, 112


def main() -> None:
    """Run the commands against a sandbox and write their output as SVG."""
    console = Console(record=True, width=COLUMNS, file=StringIO(), force_terminal=True)
    with Sandbox("11") as sandbox:
        sandbox.opencast.seed(100)
        for command in COMMANDS:
            console.print(Text(f"$ workflow-async {command}", style="bold cyan"))
            console.print(Text.from_ansi(terminal_output(command, sandbox)))
    PICTURE.write_text(console.export_svg(title="workflow-async", clear=False), encoding="utf-8")


def terminal_output(command: str, sandbox: Sandbox) -> str:
    """Run a command on a terminal of its own. Return what it writes to stdout, with its colours."""
    opencast = sandbox.opencast
    server = {"URL": opencast.url, "USERNAME": opencast.username, "PASSWORD": opencast.password}
    env = {**os.environ, "TERM": "xterm-256color", "PYTHONPATH": str(ROOT)}
    env |= {f"OPENCAST_{name}": value for name, value in server.items()}
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    program = [sys.executable, "-m", "workflow_async", *command.split()]
    with subprocess.Popen(program, stdout=theirs, stderr=subprocess.DEVNULL, env=env):
        os.close(theirs)
        return _read(ours).decode().replace("\r\n", "\n")


def _read(terminal: int) -> bytes:
    """Read until the other end is closed, which Linux reports as an `OSError`."""
    data = b""
    with os.fdopen(terminal, "rb", buffering=0) as stream:
        while True:
            try:
                piece = stream.read(65536)
            except OSError:
                return data
            if not piece:
                return data
            data += piece


if __name__ == "__main__":
    main()
