"""The wheel as a stranger gets it: built, checked, installed in an empty environment, and used there."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

pytestmark = [pytest.mark.package, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]


def run(*command: object, cwd: Path | None = None, path: Path | None = None) -> str:
    """Run a command and return its output. Show the output if the command fails. `path` is searched first."""
    environment = os.environ if path is None else {**os.environ, "PATH": f"{path}{os.pathsep}{os.environ['PATH']}"}
    words = [str(part) for part in command]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=cwd, env=environment)
    assert done.returncode == 0, f"{command}\n{done.stdout[-5000:]}\n{done.stderr[-5000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the wheel and the sdist of a clean copy of the sources."""
    copy, folder = tmp_path_factory.mktemp("sources"), tmp_path_factory.mktemp("built")
    run("git", "clone", "-q", ROOT, copy)
    run(sys.executable, "-m", "build", "--outdir", folder, copy)
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (found,) = built.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Path:
    """Return the folder of programs of an environment with nothing but the wheel and its extras `cli` and `sandbox`."""
    environment = tmp_path_factory.mktemp("empty")
    run(sys.executable, "-m", "venv", environment)
    run(environment / "bin/pip", "install", "-q", f"{wheel}[cli,sandbox]")
    return environment / "bin"


def test_an_index_would_take_both_files(built: Path) -> None:
    assert "PASSED" in run(sys.executable, "-m", "twine", "check", "--strict", *sorted(built.iterdir()))


def test_the_wheel_carries_the_licence_and_the_type_marker_and_no_docs_or_tests(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert any(name.endswith("dist-info/licenses/workflow_async/LICENSE") for name in names)
    assert "workflow_async/py.typed" in names
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/", "workflow_async/docs/"))]


def test_the_sdist_carries_the_licence_and_the_tests(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"workflow_async/LICENSE", "README.md", "CHANGELOG.md", "tests/conftest.py"} <= names


def test_the_version_is_the_one_of_the_package(empty: Path, wheel: Path) -> None:
    version = run(empty / "python", "-c", "import workflow_async; print(workflow_async.__version__)").strip()
    assert wheel.name.startswith(f"workflow_async-{version}-")
    assert version in run(empty / "workflow-async", "--version")


def test_the_demo_runs_from_the_wheel(empty: Path, tmp_path: Path) -> None:
    out = run(empty / "workflow-async", "demo", cwd=tmp_path)
    assert "OUTCOMES" in out
    assert "succeeded" in out


def test_every_public_name_is_typed(empty: Path, tmp_path: Path) -> None:
    run(empty / "pip", "install", "-q", "pytest", "aiosqlite", "aiohttp", "pyright")
    command = empty / "pyright", "--ignoreexternal", "--verifytypes", "workflow_async"
    assert "Type completeness score: 100%" in run(*command, cwd=tmp_path, path=empty)
