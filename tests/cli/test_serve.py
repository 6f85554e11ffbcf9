import importlib
import json
import os
import signal
import time

import pytest

from tests.cli.conftest import Run
from workflow_async.cli import serve as module
from workflow_async.cli.exit_codes import UsageError
from workflow_async.sandbox import Boot, CannedResponse, Faults, Sandbox
from workflow_async.sandbox.opencast.releases import RELEASES


@pytest.fixture(params=[signal.SIGINT, signal.SIGTERM])
def stop_signal(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> signal.Signals:
    """Return a signal that arrives when the sandbox is serving."""
    number: signal.Signals = request.param

    def send_signal(seconds: float) -> None:
        os.kill(os.getpid(), number)
        time.sleep(seconds)  # until the signal interrupts it

    monkeypatch.setattr(module, "sleep", send_signal)
    return number


def test_the_sandbox_prints_variables_to_export(run: Run, stop_signal: signal.Signals) -> None:
    before = signal.getsignal(stop_signal)
    result = run("sandbox", "--port", 0, "--workflows", 3)
    assert result.exit_code == 0
    assert [line.partition("=")[0] for line in result.stdout.splitlines()] == [
        "export OPENCAST_URL",
        "export OPENCAST_USERNAME",
        "export OPENCAST_PASSWORD",
        "export PRESERVICA_SERVER",
        "export PRESERVICA_USERNAME",
        "export PRESERVICA_PASSWORD",
        "export PRESERVICA_TENANT",
    ]
    assert signal.getsignal(stop_signal) is before


def test_the_sandbox_prints_commands_to_try_with_its_ids(
    run: Run, stop_signal: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = run("sandbox", "--port", 0, "--workflows", 3).stderr.splitlines()
    assert "  workflow-async show 1000" in shown
    assert f"  workflow-async start {module.EVENT} fast --wait" in shown
    assert shown[-1] == "Serving until Ctrl-C"
    assert "show" not in run("sandbox", "--port", 0, "--workflows", 0).stderr


def test_a_port_in_use_exits_with_3(run: Run, fakes: Sandbox) -> None:
    port = int(fakes.opencast.url.rpartition(":")[2])
    result = run("sandbox", "--port", port, "--json")
    assert (result.exit_code, result.stdout) == (3, "")


def test_preservica_gets_the_next_port(run: Run, stop_signal: signal.Signals, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {}

    class Recording(Sandbox):
        def __init__(self, *arguments: object, **settings: object) -> None:
            given.update(settings)
            super().__init__()

    monkeypatch.setattr(module, "sandbox_class", lambda: Recording)
    assert run("sandbox", "--port", 8080, "--workflows", 0).exit_code == 0
    assert (given["opencast_port"], given["preservica_port"]) == (8080, 8081)


def test_faults_apply_to_both_systems(run: Run, stop_signal: signal.Signals, monkeypatch: pytest.MonkeyPatch) -> None:
    sandboxes: list[Sandbox] = []

    class Recording(Sandbox):
        def __init__(self, *arguments: object, **settings: object) -> None:
            super().__init__()
            sandboxes.append(self)

    monkeypatch.setattr(module, "sandbox_class", lambda: Recording)
    faults = ("--fault", "boot,seconds=30", "--fault", "503,rate=0.1")
    assert run("sandbox", "--port", 0, "--workflows", 0, *faults).exit_code == 0
    faults_set = (Boot(30), Faults(rates={CannedResponse(503): 0.1}))
    assert (sandboxes[0].opencast.faults, sandboxes[0].preservica.faults) == (faults_set, faults_set)


def test_an_invalid_fault_exits_with_2_and_says_why(run: Run) -> None:
    result = run("sandbox", "--port", 0, "--fault", "nonsense")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "'nonsense' is not one of" in result.stderr


def test_the_sandbox_prints_one_line_of_json(run: Run, stop_signal: signal.Signals) -> None:
    result = run("sandbox", "--port", 0, "--workflows", 0, "--json")
    (line,) = result.stdout.splitlines()
    assert json.loads(line)["preservica"]["tenant"] == "SANDBOX"
    assert result.exit_code == 0


def test_the_releases_to_choose_from_are_those_of_the_sandbox(run: Run) -> None:
    assert module.releases() == tuple(RELEASES)
    assert f"<{'|'.join(RELEASES)}>" in run("sandbox", "--help", env={"COLUMNS": "200"}).stdout
    result = run("sandbox", "--opencast-version", "12")
    assert result.exit_code == 2
    assert all(repr(release) in result.stderr for release in RELEASES)


def test_without_its_extra_the_sandbox_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(name="uvicorn")

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(UsageError, match="pip install"):
        module.sandbox_class()
    assert module.releases() == ()


def test_another_missing_module_than_the_extra_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(name="attrs")

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ModuleNotFoundError):
        module.sandbox_class()
    with pytest.raises(ModuleNotFoundError):
        module.releases()
