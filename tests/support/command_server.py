"""A process that has imported every command. For each request it forks, and the fork runs a command.

The fork has its own outputs and session, and ends as the interpreter does.
"""

import fcntl
import gc
import importlib
import io
import json
import os
import signal
import socket
import sys
import termios
from typing import Any, cast

from typer.testing import CliRunner

from workflow_async.cli.app import COMMANDS, app, load_command, main

MAX_REQUEST = 65536


def serve(requests: socket.socket) -> None:
    """Fork for each request until the other end is closed. A fork returns, in order to run its command."""
    while True:
        text, files, _, _ = socket.recv_fds(requests, MAX_REQUEST, 3)
        if not text:
            os._exit(0)
        child = os.fork()
        if child == 0:
            requests.close()
            _become(files, **json.loads(text))
            return
        for file in files:
            os.close(file)
        requests.sendall(f"{child}\n".encode())
        _, status = os.waitpid(child, 0)
        requests.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())


def _become(files: list[int], *, arguments: list[str], env: dict[str, str], folder: str, prepare: str) -> None:
    """Make this process what a shell would have started."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    if os.isatty(0):
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(folder)
    sys.argv = ["workflow-async", *arguments]
    encoding = env.get("PYTHONIOENCODING", "utf-8")
    sys.stdin = sys.__stdin__ = _stream(0, "r", encoding, "strict")  # type: ignore[misc]
    sys.stdout = sys.__stdout__ = _stream(1, "w", encoding, "strict")  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = _stream(2, "w", encoding, "backslashreplace")  # type: ignore[misc]
    if prepare:
        module, _, name = prepare.partition(":")
        getattr(importlib.import_module(module), name)()


def _stream(number: int, mode: str, encoding: str, errors: str) -> io.TextIOWrapper:
    """Open a standard stream as the interpreter does."""
    stream: Any = open(number, mode, encoding=encoding, errors=errors, closefd=False)  # noqa: SIM115 - for good
    if number == 2:
        stream.reconfigure(line_buffering=True)
    return cast("io.TextIOWrapper", stream)


def import_all() -> None:
    """Import what the commands import, also when they run."""
    for name in COMMANDS:
        load_command(name)
    importlib.import_module("workflow_async.sandbox")
    nowhere = ["--url", "http://127.0.0.1:1", "--username", "u", "--request-timeout", "0.01"]
    secrets = {"OPENCAST_PASSWORD": "x", "PRESERVICA_PASSWORD": "x", "PRESERVICA_TENANT": "T"}
    for system in ("opencast", "preservica"):
        CliRunner().invoke(app, ["list", "--system", system, *nowhere], env=secrets)


if __name__ == "__main__":
    import_all()
    gc.freeze()
    serve(socket.socket(fileno=int(sys.argv[1])))
    main()
