"""A batch whose process is killed or stopped is continued by another process, which shares no file with it."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import killed_batch as killed
from tests.support.nats_server import NatsServer
from workflow_async.sandbox import Sandbox, Step
from workflow_async.sandbox.systems import FakeOpencast

PATIENCE = 30.0
STORED, SENT = 6, 8
"""Steps of a batch of one start: its intent is stored, and its start is answered."""


@pytest.fixture
def fake() -> Iterator[FakeOpencast]:
    with Sandbox("16", speed=killed.SPEED) as sandbox:
        sandbox.opencast.define("quick", [Step("one", 0.5)])
        yield sandbox.opencast


@pytest.fixture
def order(fake: FakeOpencast, nats_server: NatsServer) -> dict[str, Any]:
    """Return a batch of one start."""
    batch = {"system": "opencast", "url": fake.url, "auth": fake.auth, "starts": [[fake.event(), "quick"]]}
    journal = {"journal": uuid.uuid4().hex, "nats": nats_server.url, "lease": 0.3}
    return {**batch, **journal, "max_running": 1, "fatal": None, "signal": "SIGKILL"}


def begin(order: dict[str, Any], fatal: int | None = None, signal: str = "SIGKILL") -> "subprocess.Popen[str]":
    """Run a batch in a process, which gets the signal at step `fatal`."""
    command = [sys.executable, killed.__file__, json.dumps({**order, "fatal": fatal, "signal": signal})]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def result(process: "subprocess.Popen[str]") -> str:
    """Return what a process printed, after its end."""
    with process:
        assert process.stdout is not None
        return process.stdout.read()


def wait_until_stopped(process: "subprocess.Popen[str]") -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        id, status = os.waitpid(process.pid, os.WUNTRACED | os.WNOHANG)
        if id and os.WIFSTOPPED(status):
            return
        time.sleep(0.01)
    raise TimeoutError("the process has not stopped")


def executed(fake: FakeOpencast) -> int:
    return len(list(fake.engine.all()))


@pytest.mark.parametrize(("fatal", "expected"), [(STORED, "OutcomeUnknown"), (SENT, "Completed")])
def test_a_batch_whose_machine_is_lost_is_continued_on_another(
    order: dict[str, Any], fake: FakeOpencast, fatal: int, expected: str
) -> None:
    assert result(first := begin(order, fatal)) == ""
    assert first.returncode == -signal.SIGKILL
    assert result(begin(order)) == expected
    assert executed(fake) == (expected == "Completed")


def test_a_batch_that_is_stopped_before_its_start_never_sends_it_once_another_has_taken_over(
    order: dict[str, Any], fake: FakeOpencast
) -> None:
    stopped = begin(order, STORED + 1, "SIGSTOP")
    wait_until_stopped(stopped)
    assert result(begin(order)) == "OutcomeUnknown"
    stopped.send_signal(signal.SIGCONT)
    assert "another run uses it, so this run has ended" in result(stopped)
    assert executed(fake) == 0
