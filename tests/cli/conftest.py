"""Fixtures: a sandbox, and the command line in this process or in its own process."""

import logging
import os
import signal
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pytest
from attrs import define, field
from typer.testing import CliRunner, Result

from tests.support.nats_server import NatsServer
from workflow_async.cli.app import app
from workflow_async.cli.verbosity import LOGGER
from workflow_async.sandbox import Sandbox

PREFIXES = ("OPENCAST_", "PRESERVICA_", "WORKFLOW_ASYNC_PROFILE", "NATS_URL")
Run = Callable[..., Result]
Launch = Callable[..., "Launched"]


@define
class Launched:
    """A command line process in its own process group."""

    process: "subprocess.Popen[str]"
    _lines: list[str] = field(factory=list, init=False)

    def line(self) -> str:
        """Wait for the next line on stdout and return it."""
        return _stream(self.process.stdout).readline()

    def error_line(self) -> str:
        """Wait for the next line on stderr and return it."""
        return _stream(self.process.stderr).readline()

    def terminate(self) -> None:
        """Send SIGTERM, as a supervisor does."""
        self.process.terminate()

    def interrupt(self) -> None:
        """Send SIGINT, as Ctrl-C does."""
        self.process.send_signal(signal.SIGINT)

    def end(self) -> tuple[int, str, str]:
        """Wait for the end. Return the exit code and the remaining output."""
        out, err = self.process.communicate()
        return self.process.returncode, out, err

    @property
    def group_is_gone(self) -> bool:
        """True if no process of its group is left."""
        try:
            os.killpg(self.process.pid, 0)
        except ProcessLookupError:
            return True
        return False


@pytest.fixture(autouse=True)
def no_server_configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Remove every variable and file that names a server."""
    for name in os.environ:
        if name.startswith(PREFIXES):
            monkeypatch.delenv(name)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def log_as_before() -> Iterator[None]:
    """Remove what `--verbose` adds to the logger."""
    log = logging.getLogger(LOGGER)
    level, handlers = log.level, [*log.handlers]
    yield
    log.setLevel(level)
    log.handlers[:] = handlers


@pytest.fixture
def fakes() -> Iterator[Sandbox]:
    with Sandbox(speed=50) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox_11() -> Iterator[Sandbox]:
    """Return a sandbox with an Opencast that lists workflows."""
    with Sandbox("11") as sandbox:
        yield sandbox


def opencast_of(sandbox: Sandbox) -> dict[str, str]:
    """Return the environment variables for a sandbox's Opencast."""
    fake = sandbox.opencast
    return {"OPENCAST_URL": fake.url, "OPENCAST_USERNAME": fake.username, "OPENCAST_PASSWORD": fake.password}


def preservica_of(sandbox: Sandbox) -> dict[str, str]:
    """Return the environment variables for a sandbox's Preservica."""
    fake = sandbox.preservica
    return {
        "PRESERVICA_SERVER": fake.url,
        "PRESERVICA_USERNAME": fake.username,
        "PRESERVICA_PASSWORD": fake.password,
        "PRESERVICA_TENANT": fake.tenant,
    }


@pytest.fixture
def shared(nats_server: NatsServer, fakes: Sandbox, request: pytest.FixtureRequest) -> tuple[str, ...]:
    """Return the options for a distribution of one test, whose workers use a sandbox's Opencast."""
    return ("--nats", nats_server.url, "--name", f"cli-{zlib.crc32(request.node.nodeid.encode())}")


@pytest.fixture
def run() -> Run:
    """Run the command line in this process."""

    def invoke(*arguments: object, env: dict[str, str] | None = None, stdin: str | None = None) -> Result:
        return CliRunner().invoke(app, [str(argument) for argument in arguments], env=env, input=stdin)

    return invoke


@pytest.fixture
def launch() -> Iterator[Launch]:
    """Start the command line in its own process."""
    launched: list[Launched] = []

    def start(*arguments: object, env: dict[str, str] | None = None) -> Launched:
        command = [sys.executable, "-m", "workflow_async", *(str(argument) for argument in arguments)]
        pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        environment = {**os.environ, **(env or {})}
        launched.append(
            Launched(subprocess.Popen(command, text=True, env=environment, start_new_session=True, **pipes))
        )
        return launched[-1]

    yield start
    for left in launched:
        left.process.kill()
        left.process.communicate()


def _stream(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream
