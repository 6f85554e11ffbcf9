"""Runs the command line on a terminal of its own."""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping

from tests.support.documentation import ROOT


def terminal_output(
    command: str, variables: Mapping[str, str], *, columns: int = 80, rows: int = 40, with_stderr: bool = False
) -> str:
    """Run a command on a terminal of its own. Return what it writes to stdout, with its colours.

    With `with_stderr`, the terminal also gets stderr, where progress is drawn.
    """
    env = {**os.environ, "TERM": "xterm-256color", "PYTHONPATH": str(ROOT), **variables}
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    program = [sys.executable, "-m", "workflow_async", *command.split()]
    stderr = theirs if with_stderr else subprocess.DEVNULL
    with subprocess.Popen(program, stdin=subprocess.DEVNULL, stdout=theirs, stderr=stderr, env=env):
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
