"""Runs the command line in a pseudo-terminal of a given width."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Mapping

from attrs import frozen

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
    *arguments: object, env: Mapping[str, str], width: int, until: Callable[[str], bool] = lambda _: False
) -> Seen:
    """Run the command line to its end, or until a text was drawn. Then send Ctrl-C."""
    terminal, inner = pty.openpty()
    fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    command = [sys.executable, "-m", "workflow_async", *map(str, arguments)]
    environment = {**os.environ, **env, "TERM": "xterm", "PYTHONIOENCODING": "utf-8"}
    process = subprocess.Popen(
        command, stdin=inner, stdout=inner, stderr=inner, env=environment, start_new_session=True
    )
    os.close(inner)
    drawn, interrupted = b"", False
    try:
        while chunk := _read(terminal):
            drawn += chunk
            if not interrupted and until(CONTROL_SEQUENCE.sub("", drawn.decode("utf-8", "replace"))):
                interrupted = True
                process.send_signal(2)
        return Seen(process.wait(), drawn.decode("utf-8", "replace"))
    finally:
        process.kill()
        process.wait()
        os.close(terminal)


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux: the last program has closed it
        return b""
