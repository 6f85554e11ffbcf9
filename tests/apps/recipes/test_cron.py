"""A cron job carries a watch on from round to round and loses no end, wherever it is killed."""

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.apps.conftest import LONG_TIME, TIMEOUT
from tests.apps.recipes import cron
from workflow_async.monitor import WatchSpec
from workflow_async.sandbox import ManualClock, Sandbox


@pytest.fixture
def file(tmp_path: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a file for the watch of a new process, whose environment names the sandbox."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return tmp_path / "publish.watch"


@pytest.fixture
def ids(sandbox: Sandbox) -> list[str]:
    """Return three running workflows."""
    return [str(sandbox.opencast.start(sandbox.opencast.event(), "publish")) for _ in range(3)]


def printed(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_job_in_processes_of_its_own_reports_each_end_once(
    sandbox: Sandbox, clock: ManualClock, environment: dict[str, str], tmp_path: Path, ids: list[str]
) -> None:
    def run(*arguments: str) -> list[dict[str, Any]]:
        command = [sys.executable, cron.__file__, str(tmp_path / "publish.watch"), *arguments]
        variables = {**os.environ, **environment}
        done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=TIMEOUT, check=True)
        return [json.loads(line) for line in done.stdout.splitlines()]

    assert [event["now"] for event in run(*ids)] == ["waiting"] * 3
    clock.advance(LONG_TIME)
    assert [event["now"] for event in run()] == ["succeeded"] * 3


@pytest.mark.parametrize("fails", ["fsync", "rename"])
def test_a_job_that_is_killed_after_its_report_reports_the_same_keys_again(
    fails: str,
    file: Path,
    ids: list[str],
    clock: ManualClock,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cron.main(file, ids)
    before = file.read_bytes()
    clock.advance(LONG_TIME)
    capsys.readouterr()

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os if fails == "fsync" else Path, fails, fail)
        with pytest.raises(KeyboardInterrupt):
            cron.main(file, [])
    first = printed(capsys)
    assert file.read_bytes() == before
    cron.main(file, [])
    again = printed(capsys)
    assert {event["key"] for event in again} == {event["key"] for event in first}
    assert len(first) == len(again) == 3
    assert WatchSpec.from_bytes(file.read_bytes()).finished


def test_a_run_ends_at_once_while_another_is_at_work(
    sandbox: Sandbox, file: Path, ids: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    cron.main(file, ids)
    capsys.readouterr()
    sandbox.opencast.requests.clear()
    with file.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        cron.main(file, [])
    assert printed(capsys) == []
    assert sandbox.opencast.requests == []
