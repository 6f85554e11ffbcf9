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
def told(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> signal.Signals:
    """A signal that comes as soon as the sandbox has nothing to do but serve."""
    number: signal.Signals = request.param

    def tell(seconds: float) -> None:
        os.kill(os.getpid(), number)
        time.sleep(seconds)  # until the signal interrupts it

    monkeypatch.setattr(module, "sleep", tell)
    return number


def test_the_sandbox_tells_people_what_to_export(run: Run, told: signal.Signals) -> None:
    before = signal.getsignal(told)
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
    assert signal.getsignal(told) is before


def test_a_port_that_is_taken_is_3(run: Run, fakes: Sandbox) -> None:
    port = int(fakes.opencast.url.rpartition(":")[2])
    result = run("sandbox", "--port", port, "--json")
    assert (result.exit_code, result.stdout) == (3, "")


def test_preservicas_port_is_the_next(run: Run, told: signal.Signals, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {}

    class Recording(Sandbox):
        def __init__(self, *arguments: object, **settings: object) -> None:
            asked.update(settings)
            super().__init__()

    monkeypatch.setattr(module, "sandbox_class", lambda: Recording)
    assert run("sandbox", "--port", 8080, "--workflows", 0).exit_code == 0
    assert (asked["opencast_port"], asked["preservica_port"]) == (8080, 8081)


def test_faults_are_laid_on_both_systems(run: Run, told: signal.Signals, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Sandbox] = []

    class Recording(Sandbox):
        def __init__(self, *arguments: object, **settings: object) -> None:
            super().__init__()
            made.append(self)

    monkeypatch.setattr(module, "sandbox_class", lambda: Recording)
    faults = ("--fault", "boot,seconds=30", "--fault", "503,rate=0.1")
    assert run("sandbox", "--port", 0, "--workflows", 0, *faults).exit_code == 0
    wrong = (Boot(30), Faults(rates={CannedResponse(503): 0.1}))
    assert (made[0].opencast.faults, made[0].preservica.faults) == (wrong, wrong)


def test_a_fault_that_does_not_read_is_2_and_says_why(run: Run) -> None:
    result = run("sandbox", "--port", 0, "--fault", "nonsense")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "'nonsense' is not one of" in result.stderr


def test_scripts_get_one_line_of_json(run: Run, told: signal.Signals) -> None:
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


def test_without_its_extra_the_sandbox_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(name="uvicorn")

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(UsageError, match="pip install"):
        module.sandbox_class()
    assert module.releases() == ()


def test_what_is_missing_besides_the_extra_is_not_blamed_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(name="attrs")

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ModuleNotFoundError):
        module.sandbox_class()
    with pytest.raises(ModuleNotFoundError):
        module.releases()
