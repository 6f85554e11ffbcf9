"""Every block of Python in the README runs, against the sandbox."""

import ast
import inspect
import re
import types
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import workflow_async
from workflow_async import OpencastClient, PreservicaClient
from workflow_async.sandbox import Sandbox, Step

ROOT = Path(__file__).parent.parent.parent
BLOCKS = re.findall(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
EXAMPLE = "f41e4417-b841-4d20-a466-f98ddfbe4c2a"


@pytest.fixture
def sandbox() -> Any:
    with Sandbox("11", speed=20) as served:
        served.opencast.define("fast", [Step("defaults", 1.0), Step("publish", 1.0)], tags=("archive",))
        served.opencast.event(identifier=EXAMPLE)
        yield served


@pytest.fixture
async def names(sandbox: Sandbox, tmp_path: Path) -> AsyncIterator[dict[str, Any]]:
    """The names the blocks take for granted."""
    there = sandbox.preservica
    async with (
        OpencastClient(sandbox.opencast.url, auth=sandbox.opencast.auth) as oc,
        PreservicaClient(there.url, username=there.username, password=there.password, tenant=there.tenant) as pv,
    ):
        yield {
            "oc": oc,
            "pv": pv,
            "event_id": sandbox.opencast.event(),
            "other_event_id": sandbox.opencast.event(),
            "journal": tmp_path / "batch.sqlite",
            "workflow_id": sandbox.opencast.start(sandbox.opencast.event(), "publish"),
            "ingest_id": there.seed(1, contexts=["42"])[0],
        }


def test_there_are_blocks_to_run() -> None:
    assert len(BLOCKS) >= 9


@pytest.mark.parametrize("block", BLOCKS, ids=[block.strip().splitlines()[0] for block in BLOCKS])
async def test_a_block_of_the_readme_runs(block: str, sandbox: Sandbox, names: dict[str, Any]) -> None:
    here = f'"{sandbox.opencast.url}", auth={sandbox.opencast.auth!r}'
    text = block.replace('"https://oc.example.org", auth=("user", "secret")', here)
    text = text.replace("asyncio.run(main())", "await main()")
    code = compile(text, "README.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    running = types.FunctionType(code, names)()
    if inspect.iscoroutine(running):
        await running


def test_the_readme_has_its_example_within_thirty_lines() -> None:
    head = (ROOT / "README.md").read_text().splitlines()[:30]
    assert "```python" in head
    assert "asyncio.run(main())" in head


def test_every_promise_names_tests_that_are_there() -> None:
    promises = [line for line in (ROOT / "README.md").read_text().splitlines() if "::test_" in line]
    assert len(promises) >= 15
    for file, name in re.findall(r"`([\w/]+\.py)::(\w+)`", "\n".join(promises)):
        assert f"def {name}(" in (ROOT / "tests" / file).read_text(), f"{file} has no {name}"


def test_the_changelogs_newest_version_is_the_packages() -> None:
    versions = re.findall(r"^## \[(\d+\.\d+\.\d+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert versions[0] == workflow_async.__version__


def test_the_readme_names_the_commands_that_the_gate_runs() -> None:
    assert ".venv/bin/pip install -q -e '.[dev]' && .venv/bin/pytest" in (ROOT / "README.md").read_text()
    assert "'.[dev]'" in (ROOT / ".ci" / "run").read_text()


def test_every_ratio_the_readme_quotes_is_in_the_table_of_results() -> None:
    costs = (ROOT / "README.md").read_text().partition("## What it costs")[2].partition("\n## ")[0]
    quoted = set(re.findall(r"\b[0-9.]+x", "\n".join(line for line in costs.splitlines() if line.startswith("|"))))
    measured = set(re.findall(r"\b[0-9.]+x", (ROOT / "benchmarks" / "RESULTS.md").read_text()))
    assert len(quoted) >= 10
    assert quoted <= measured
