import json
import re
import threading
from collections.abc import Iterator

import pytest

from tests.cli.conftest import Run
from tests.support.journal_files import ticket
from workflow_async.batch import NoStartFound
from workflow_async.cli import demo as module
from workflow_async.cli.demo_figures import Figures, polls_of
from workflow_async.errors import ConnectFailed, StartOutcomeUnknown
from workflow_async.sandbox import Sandbox
from workflow_async.sandbox.opencast.releases import Release
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
    assert summary["requests"] == summary["opencast"]["requests"] + summary["preservica"]["requests"]
    assert (summary["lost_answers"], summary["started_twice"]) == (0, 0)
    assert "on purpose" not in result.stderr


def test_the_demo_prints_a_table(run: Run) -> None:
    result = run("demo", "--workflows", 4)
    heading, *rows, sentence, last = result.stdout.splitlines()
    assert heading.split()[:5] == ["SYSTEM", "WORKFLOWS", "MEDIAN", "P90", "LONGEST"]
    assert [row.split()[0] for row in rows] == ["opencast", "preservica"]
    assert re.fullmatch(r"4 workflows in \d+\.\d s, \d+ requests instead of about \d+ by polling each .*", sentence)
    assert last == "No answer was lost, 0 workflows were started twice. demo --faults loses some."
    assert [line.split(":")[0] for line in result.stderr.splitlines()[:2]] == [
        "4 workflows are started on a fake Opencast and a fake Preservica in this process, and watched.",
        "Some fail on purpose. Some stay on hold (parked)",
    ]


def test_durations_are_those_of_the_viewer(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SPEED", 40.0)
    summary = json.loads(run("demo", "--workflows", 4, "--json").stdout)
    assert summary["opencast"]["longest"] == pytest.approx(80 / 40, abs=0.1)
    assert summary["elapsed"] > summary["opencast"]["longest"]


def test_lost_answers_start_nothing_twice(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOST", 0.2)
    result = run("demo", "--workflows", 30, "--faults", "--json")
    summary = json.loads(result.stdout)
    assert summary["lost_answers"] > 5
    assert summary["started_twice"] == 0
    assert summary["opencast"]["workflows"] + summary["preservica"]["workflows"] == 30
    assert result.exit_code == 0


@pytest.mark.parametrize("options", [(), ("--faults",)])
def test_the_closing_figures_are_those_of_the_servers(
    run: Run, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    served: list[Sandbox] = []

    def serve(release: Release) -> Sandbox:
        served.append(Sandbox(release))
        return served[-1]

    monkeypatch.setattr(module, "sandbox_class", lambda: serve)
    monkeypatch.setattr(module, "LOST", 0.1)
    figures = json.loads(run("demo", "--workflows", 20, "--json", *options).stdout)
    systems = served[0].opencast, served[0].preservica
    requests = [request for system in systems for request in system.requests]
    assert figures["requests"] == len(requests)
    assert figures["lost_answers"] == sum(request.fault is not None for request in requests)
    assert (sum(len(system.engine.runs) for system in systems), figures["started_twice"]) == (20, 0)
    for system, name in zip(systems, ("opencast", "preservica"), strict=True):
        assert figures[name]["workflows"] == len(system.engine.runs) == sum(figures[name]["outcomes"].values())
        assert figures[name]["requests"] == len(system.requests)


def test_faults_are_announced_and_counted(run: Run) -> None:
    result = run("demo", "--workflows", 4, "--faults")
    assert "The servers lose answers on purpose, and refuse some requests with 503." in result.stderr
    assert "0 workflows were started twice." in result.stdout


async def test_a_start_that_is_not_found_is_an_error() -> None:
    error = StartOutcomeUnknown(ConnectFailed("reset"), look_for="it", ticket=ticket("7"))

    async def start() -> None:
        raise error

    async def reconcile(_: object) -> NoStartFound:
        return NoStartFound(30.0, 3)

    with pytest.raises(StartOutcomeUnknown):
        await module._found(start(), reconcile)


@pytest.mark.parametrize(
    ("durations", "workflows", "requests"), [((), 2, 4), ((0.4,), 1, 3), ((1.0, 1.2), 3, 3 + 3 + 4 + 1)]
)
def test_polling_each_needs_a_start_and_a_look_in_every_interval(
    durations: tuple[float, ...], workflows: int, requests: int
) -> None:
    assert polls_of(durations, workflows, 0.5) == requests


def test_the_figures_say_how_many_answers_were_lost() -> None:
    figures = Figures(
        workflows=300,
        elapsed=41.2,
        requests=1248,
        lost_answers=5,
        started_twice=0,
        polling_each=2050,
        interval=0.5,
    )
    assert figures.sentences() == [
        "300 workflows in 41.2 s, 1,248 requests instead of about 2,050 by polling each every 0.5 s.",
        "5 answers were lost or refused, 0 workflows were started twice.",
    ]
