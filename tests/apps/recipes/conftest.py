"""Fixtures: a sandbox whose time passes quickly, and programs in the environment of an engine."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from attrs import define, field

from tests.support.engine_environment import Process, kill, programs_of
from workflow_async.sandbox import Sandbox, Step

HERE = Path(__file__).parent


@pytest.fixture
def quick_sandbox() -> Iterator[Sandbox]:
    """Run a sandbox in which a workflow ends after 4 seconds."""
    with Sandbox("16", speed=5) as served:
        served.opencast.define("publish", [Step("encode", 10), Step("distribute", 10)])
        yield served


@define
class Engine:
    """Runs programs of an environment in a folder, with variables that name the sandbox."""

    programs: Path
    folder: Path
    variables: dict[str, str]
    started: list[Process] = field(factory=list, init=False)

    def start(self, program: str, *arguments: str) -> Process:
        """Start a program in a session of its own."""
        command = [str(self.programs / program), *arguments]
        variables = {**os.environ, "PYTHONPATH": str(HERE), **self.variables}
        with (
            self._file(len(self.started), "out").open("w") as out,
            self._file(len(self.started), "err").open("w") as err,
        ):
            process = subprocess.Popen(
                command, env=variables, cwd=self.folder, stdout=out, stderr=err, text=True, start_new_session=True
            )
        self.started.append(process)
        return process

    def output(self, process: Process, timeout: float = 120.0) -> str:
        """Wait for the end of a program. Return what it printed."""
        number = self.started.index(process)
        code = process.wait(timeout)
        assert code == 0, self._file(number, "err").read_text()
        return self._file(number, "out").read_text()

    def _file(self, number: int, suffix: str) -> Path:
        return self.folder / f"program{number}.{suffix}"


@pytest.fixture
def engine(request: pytest.FixtureRequest, quick_sandbox: Sandbox, tmp_path: Path) -> Iterator[Callable[..., Engine]]:
    """Return a function that makes the environment of an engine, from its requirements."""
    fake, made = quick_sandbox.opencast, list[Engine]()
    variables = {"OPENCAST_URL": fake.url, "OPENCAST_USERNAME": fake.username, "OPENCAST_PASSWORD": fake.password}
    cache = request.config.cache
    assert cache is not None

    def make(*requirements: str) -> Engine:
        made.append(Engine(programs_of(cache.mkdir("recipes"), *requirements), tmp_path, dict(variables)))
        return made[-1]

    yield make
    for process in [process for each in made for process in each.started]:
        kill(process)


def starts(sandbox: Sandbox) -> int:
    """Return how many starts the Opencast of the sandbox has received."""
    return sum(request.method == "POST" for request in sandbox.opencast.requests)
