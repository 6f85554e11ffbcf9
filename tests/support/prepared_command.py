"""Runs the command line many times, each time in its own process, and imports it once."""

import fcntl
import json
import os
import pty
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import IO

from attrs import define, field, frozen

from tests.support.documentation import ROOT

PIECE = 65536
MAX_SECONDS = 30.0
TICK = 0.02


@frozen
class Ended:
    """What a run has written, and its exit code."""

    code: int
    out: str
    err: str


@define
class Channel:
    """Where one of the outputs of a run goes."""

    inner: int
    """The file descriptor of the run."""
    outer: int | None = None
    """Where it can be read. None if it cannot."""
    is_file: bool = False
    written: bytes = b""

    def read(self) -> None:
        """Read what was written so far."""
        if self.outer is None:
            return
        if self.is_file:
            self.written = os.pread(self.outer, 1 << 24, 0)
            return
        while select.select([self.outer], [], [], 0)[0]:
            try:
                piece = os.read(self.outer, PIECE)
            except OSError:  # Linux: the last program has closed the terminal
                return
            if not piece:
                return
            self.written += piece


@define
class PreparedCommand:
    """A process that has imported the command line, and forks for each run."""

    _process: "subprocess.Popen[bytes]"
    _socket: socket.socket
    _replies: IO[str] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._replies = self._socket.makefile("r", encoding="ascii")

    def run(
        self,
        *arguments: object,
        env: Mapping[str, str],
        folder: object,
        out: str = "file",
        err: str = "file",
        width: int = 80,
        prepare: str = "",
        interrupt_when: Callable[[str], bool] = lambda _: False,
    ) -> Ended:
        """Run the command line to its end.

        Args:
            arguments: the words after `workflow-async`.
            env: all variables of the run.
            folder: the current folder.
            out: where stdout goes: "terminal", "file", "closed" for a pipe without a reader, or "full" for a
                disk that is full.
            err: where stderr goes. "out" for the file or the terminal of stdout.
            width: the columns of the terminals.
            prepare: a function to call before the command, as `module:name`.
            interrupt_when: returns True for the outputs so far when Ctrl-C is to be pressed.
        """
        with ExitStack() as stack:
            outputs = [stack.enter_context(_channel(kind, width)) for kind in (out, err) if kind != "out"]
            stdin = outputs[0].inner if out == "terminal" else stack.enter_context(_opened(os.devnull, os.O_RDONLY))
            request = {
                "arguments": [str(argument) for argument in arguments],
                "env": dict(env),
                "folder": str(folder),
                "prepare": prepare,
            }
            files = [stdin, outputs[0].inner, outputs[-1].inner]
            socket.send_fds(self._socket, [json.dumps(request).encode()], files)
            process = int(self._replies.readline())
            code = self._wait(process, outputs, interrupt_when)
            encoding = env.get("PYTHONIOENCODING", "utf-8")
            texts = [output.written.decode(encoding) for output in outputs]
            return Ended(code, texts[0], texts[1] if len(texts) > 1 else "")

    def _wait(self, process: int, outputs: list[Channel], interrupt_when: Callable[[str], bool]) -> int:
        """Read the outputs until the process has ended. Return its exit code."""
        is_interrupted, until = False, time.monotonic() + MAX_SECONDS
        while not select.select([self._socket], [], [], TICK)[0]:
            for output in outputs:
                output.read()
            if time.monotonic() > until:
                os.kill(process, signal.SIGKILL)
            if not is_interrupted and interrupt_when(
                b"".join(each.written for each in outputs).decode(errors="replace")
            ):
                is_interrupted = True
                os.kill(process, signal.SIGINT)
        for output in outputs:
            output.read()
        return int(self._replies.readline())

    def close(self) -> None:
        """End the process."""
        self._replies.close()
        self._socket.close()
        self._process.wait()


@contextmanager
def prepared_command() -> Iterator[PreparedCommand]:
    """Start a process that has imported the command line."""
    here, there = socket.socketpair()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.command_server", str(there.fileno())],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        pass_fds=[there.fileno()],
        start_new_session=True,
    )
    there.close()
    command = PreparedCommand(process, here)
    try:
        yield command
    finally:
        command.close()


@contextmanager
def _opened(path: str, flags: int) -> Iterator[int]:
    number = os.open(path, flags)
    try:
        yield number
    finally:
        os.close(number)


@contextmanager
def _channel(kind: str, width: int) -> Iterator[Channel]:
    """Open an output of a kind."""
    with ExitStack() as stack:

        def close_later(*numbers: int) -> None:
            for number in numbers:
                stack.callback(os.close, number)

        if kind == "full":
            yield Channel(stack.enter_context(_opened("/dev/full", os.O_WRONLY)))
        elif kind == "file":
            file = stack.enter_context(tempfile.TemporaryFile())
            yield Channel(file.fileno(), file.fileno(), is_file=True)
        elif kind == "terminal":
            outer, inner = pty.openpty()
            close_later(outer, inner)
            fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
            yield Channel(inner, outer)
        else:
            reader, writer = os.pipe()
            close_later(writer)
            os.close(reader)
            yield Channel(writer)
