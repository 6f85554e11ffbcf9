"""Runs the command line in a pseudo-terminal of a given size."""

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Mapping

from attrs import frozen

from tests.support.documentation import ROOT

CONTROL_SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")


@frozen
class Seen:
    """What a terminal showed."""

    code: int
    drawn: str
    """Everything that was written, with its control sequences."""

    @property
    def text(self) -> str:
        """Everything that was written, without control sequences."""
        return CONTROL_SEQUENCE.sub("", self.drawn)


def run_in_terminal(
    *arguments: object,
    env: Mapping[str, str],
    width: int,
    height: int = 24,
    with_stderr: bool = True,
    until: Callable[[str], bool] = lambda _: False,
) -> Seen:
    """Run the command line to its end, or until a text was drawn. Then send Ctrl-C.

    Without `with_stderr`, the terminal does not show stderr, where progress is drawn.
    """
    terminal, inner = pty.openpty()
    fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "workflow_async", *map(str, arguments)],
        stdin=inner,
        stdout=inner,
        stderr=inner if with_stderr else subprocess.DEVNULL,
        env={**os.environ, "TERM": "xterm-256color", "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8", **env},
        start_new_session=True,
    )
    os.close(inner)
    drawn, interrupted = b"", False
    try:
        while chunk := _read(terminal):
            drawn += chunk
            if not interrupted and until(CONTROL_SEQUENCE.sub("", drawn.decode("utf-8", "replace"))):
                interrupted = True
                process.send_signal(signal.SIGINT)
        return Seen(process.wait(), drawn.decode("utf-8", "replace"))
    finally:
        process.kill()
        process.wait()
        os.close(terminal)


def terminal_output(
    command: str, variables: Mapping[str, str], *, columns: int = 80, rows: int = 40, with_stderr: bool = False
) -> str:
    """Run a command in a terminal. Return what it writes to stdout, and to stderr if asked for, with its colours."""
    words = command.split()
    seen = run_in_terminal(*words, env=variables, width=columns, height=rows, with_stderr=with_stderr)
    return seen.drawn.replace("\r\n", "\n")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux: the last program has closed it
        return b""
