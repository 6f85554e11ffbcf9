import json
import threading
from collections.abc import Iterator

import pytest

from tests.cli.conftest import Run
from workflow_async.cli import demo as module
from workflow_async.settings import Poll


@pytest.fixture(autouse=True)
def short_demo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Shorten the demonstration. Check that it leaves no thread."""
    monkeypatch.setattr(module, "SPEED", 200.0)
    monkeypatch.setattr(module, "START_SPREAD", 0.2)
    monkeypatch.setattr(module, "DEMO_POLL", Poll(interval=0.1, ceiling=0.1))
    yield
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("workflow-sandbox")]


def test_the_demo_summarizes_both_systems_as_json(run: Run) -> None:
    result = run("demo", "--workflows", 49, "--json")
    summary = json.loads(result.stdout)
    assert result.exit_code == 0
    assert summary["elapsed"] > 0
    assert summary["opencast"]["outcomes"] == {"parked": 2, "succeeded": 18, "failed": 4}
    assert sum(summary["preservica"]["outcomes"].values()) == summary["preservica"]["workflows"] == 25
    assert summary["opencast"]["median"] <= summary["opencast"]["p90"] <= summary["opencast"]["longest"]
    assert summary["preservica"]["requests"] > 50


def test_the_demo_prints_a_table(run: Run) -> None:
    heading, *rows, last = run("demo", "--workflows", 4).stdout.splitlines()
    assert heading.split()[:5] == ["SYSTEM", "WORKFLOWS", "MEDIAN", "P90", "LONGEST"]
    assert [row.split()[0] for row in rows] == ["opencast", "preservica"]
    assert last.startswith("4 workflows in ")
