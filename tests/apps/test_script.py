"""A plain script in its own process starts a workflow and waits for it."""

import os
import subprocess
import sys

import pytest

from tests.apps.conftest import HERE, TIMEOUT
from workflow_async.sandbox import Sandbox, Step, StepResult


def run(environment: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(HERE / "script.py"), *arguments]
    variables = {**os.environ, **environment}
    return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=TIMEOUT, check=False)


def fast_sandbox(result: StepResult) -> Sandbox:
    """Return a sandbox in which a workflow of one step ends immediately."""
    sandbox = Sandbox("16", speed=1000)
    sandbox.opencast.define("publish", [Step("encode", 1.0, result)])
    return sandbox


def variables(sandbox: Sandbox) -> dict[str, str]:
    fake = sandbox.opencast
    return {"OPENCAST_URL": fake.url, "OPENCAST_USERNAME": fake.username, "OPENCAST_PASSWORD": fake.password}


@pytest.mark.parametrize(
    ("result", "code", "end"), [(StepResult.DONE, 0, "succeeded"), (StepResult.FAILED, 1, "failed")]
)
def test_a_script_starts_a_workflow_and_prints_its_end(result: StepResult, code: int, end: str) -> None:
    with fast_sandbox(result) as sandbox:
        ran = run(variables(sandbox), sandbox.opencast.event(), "publish")
    first, last = ran.stdout.splitlines()
    assert (ran.returncode, ran.stderr) == (code, "")
    assert last == f"{first.split()[0]} {end}"


def test_a_script_prints_an_error_in_one_line() -> None:
    with fast_sandbox(StepResult.DONE) as sandbox:
        ran = run(variables(sandbox), "nowhere", "publish")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith("script.py: ")
    assert "404 StartNotFound" in ran.stderr
    assert len(ran.stderr.splitlines()) == 1
