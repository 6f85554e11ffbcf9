"""A notebook runs on the sandbox, and both type checkers accept six kinds of program."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.apps import notebook
from tests.apps.conftest import HERE
from workflow_async.sandbox import Sandbox

PROGRAMS = (
    "fastapi_app.py",
    "wsgi_app.py",
    "script.py",
    "test_of_a_user.py",
    "recipes/step_functions.py",
    "notebook.py",
)
"""A service, one with synchronous code, a script, a test, a function for Lambda and a notebook."""


async def test_a_notebook_shows_how_long_each_definition_takes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with Sandbox("11") as sandbox:
        fake = sandbox.opencast
        fake.seed(60, age=1000.0, definitions=["fast", "noop"])
        for name, value in {"URL": fake.url, "USERNAME": fake.username, "PASSWORD": fake.password}.items():
            monkeypatch.setenv(f"OPENCAST_{name}", value)
        await notebook.main()
    fast, noop = capsys.readouterr().out.splitlines()
    assert fast.split()[0] == "fast"
    assert noop.split()[0] == "noop"
    assert fast.split()[1] > noop.split()[1]


@pytest.mark.package
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "checker", [("mypy", "--strict"), ("pyright", "--pythonpath", sys.executable)], ids=["mypy", "pyright"]
)
def test_a_type_checker_accepts_every_program(checker: tuple[str, ...]) -> None:
    files = [str(HERE / name) for name in PROGRAMS]
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", *checker, *files]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
