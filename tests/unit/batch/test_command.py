"""`workflow-async run` and `workflow-async report`."""

import csv
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
from typer.testing import CliRunner, Result

from tests.cli.conftest import opencast_of, preservica_of
from tests.unit.batch.conftest import runs
from workflow_async import OpencastClient, Poll, opencast
from workflow_async.batch import AlreadyDone, Completed, StartStatus, StatusKind
from workflow_async.cli.app import app
from workflow_async.cli.batching import BatchTally, exit_code
from workflow_async.cli.display import live_view, progress_line
from workflow_async.cli.exit_codes import Exit
from workflow_async.cli.output import console
from workflow_async.cli.tally import WaitResult
from workflow_async.monitor import Replaced
from workflow_async.opencast import State, Workflow
from workflow_async.sandbox import Fault, Faults, Sandbox, Step, StepResult

Command = Callable[..., Result]
OFTEN = ("--every", 0.1, "--settle", 0.1)


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable and no file says anything of a server."""
    for name in os.environ:
        if name.startswith(("OPENCAST_", "PRESERVICA_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def fakes() -> Iterator[Sandbox]:
    with Sandbox(speed=50) as sandbox:
        yield sandbox


@pytest.fixture
def command() -> Command:
    def invoke(*arguments: object, env: dict[str, str] | None = None) -> Result:
        return CliRunner().invoke(app, [str(argument) for argument in arguments], env=env)

    return invoke


def written(*rows: Sequence[object], name: str = "batch.csv") -> Path:
    """A CSV file of these rows."""
    path = Path(name).resolve()
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return path


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def on_events(fakes: Sandbox, *definitions: str) -> Path:
    """Return a file with one start of each definition, each on a new event. The keys are the positions."""
    rows = [(n, fakes.opencast.event(), definition) for n, definition in enumerate(definitions)]
    return written(("key", "event", "definition"), *rows)


def test_a_batch_is_printed_as_a_table(command: Command, fakes: Sandbox) -> None:
    result = command("run", on_events(fakes, "noop", "noop", "noop"), *OFTEN, env=opencast_of(fakes))
    summary, heading, *rows = result.stdout.splitlines()
    assert summary == "opencast: 3 starts, 3 succeeded"
    assert heading.split() == ["OUTCOME", "ID", "STATE", "TOOK", "START"]
    assert [row.split()[0] for row in rows] == ["succeeded"] * 3
    assert result.exit_code == 0


def test_a_batch_prints_the_failed_operation(command: Command, fakes: Sandbox) -> None:
    result = command("run", on_events(fakes, "fails"), *OFTEN, env=opencast_of(fakes))
    assert result.stdout.splitlines()[-1].endswith("in encode (attempt 1 of 1, host https://worker.example.org)")


def test_the_further_columns_are_the_configuration_but_for_empty_cells(command: Command, fakes: Sandbox) -> None:
    event, other = fakes.opencast.event(), fakes.opencast.event()
    file = written(("event", "definition", "publishLive", "n"), (event, "noop", "true", "1"), (other, "noop", "", "2"))
    assert command("run", file, *OFTEN, env=opencast_of(fakes)).exit_code == 0
    sent = {run.subject: run.parameters for run in runs(fakes.opencast)}
    assert sent == {event: {"publishLive": "true", "n": "1"}, other: {"n": "2"}}


def test_a_preservica_takes_contexts_and_parameters(command: Command, fakes: Sandbox) -> None:
    file = written(
        ("context", "seedUrl"), ("42", "https://a.example.org"), ("Ingest Packages", "https://b.example.org")
    )
    result = command("run", file, "--json", *OFTEN, env=preservica_of(fakes))
    assert {line["start"] for line in lines(result.stdout)} == {"42", "Ingest Packages"}
    sent = {run.subject: run.parameters["seedUrl"] for run in runs(fakes.preservica)}
    assert sent == {"42": "https://a.example.org", "43": "https://b.example.org"}


def test_each_start_is_a_line_of_json_as_soon_as_there_is_an_outcome(command: Command, fakes: Sandbox) -> None:
    result = command("run", on_events(fakes, "noop", "fails", "no such"), "--json", *OFTEN, env=opencast_of(fakes))
    reported = {line["key"]: line for line in lines(result.stdout)}
    assert {key: line["outcome"] for key, line in reported.items()} == {"0": "succeeded", "1": "failed", "2": "refused"}
    assert reported["0"]["id"] == runs(fakes.opencast)[0].id
    assert "404" in reported["2"]["detail"]
    assert result.exit_code == 3


@pytest.mark.parametrize(
    ("definitions", "options", "expected"),
    [
        (("noop",), (), 0),
        (("noop", "fails"), (), 1),
        (("review",), ("--parked", "return"), 1),
        (("no such",), (), 3),
    ],
)
def test_the_exit_code_is_that_of_the_worst(
    command: Command, fakes: Sandbox, definitions: tuple[str, ...], options: tuple[str, ...], expected: int
) -> None:
    result = command("run", on_events(fakes, *definitions), *options, *OFTEN, env=opencast_of(fakes))
    assert result.exit_code == expected


def test_no_more_than_max_running_workflows_run_concurrently(command: Command, fakes: Sandbox) -> None:
    file = on_events(fakes, *["noop"] * 5)
    result = command("run", file, "--max-running", 1, "--low", 0, "--count-others", *OFTEN, env=opencast_of(fakes))
    assert result.exit_code == 0
    assert all(after.created >= (before.finished or 0.0) for before, after in pairwise(runs(fakes.opencast)))


def test_a_busy_event_is_handled_as_on_conflict_says(command: Command, fakes: Sandbox) -> None:
    fakes.opencast.define("held", [Step("one", 0.1, StepResult.HELD)])
    event = fakes.opencast.event()
    fakes.opencast.start(event, "held")
    file = written(("event", "definition"), (event, "noop"))
    reported = {
        choice: command("run", file, "--on-conflict", choice, "--json", *OFTEN, env=opencast_of(fakes))
        for choice in ("raise", "skip", "attach")
    }
    assert {choice: result.exit_code for choice, result in reported.items()} == {"raise": 3, "skip": 0, "attach": 3}
    assert [lines(result.stdout)[0]["outcome"] for result in reported.values()] == ["conflict", "skipped", "conflict"]


def test_the_same_row_twice_is_started_once(command: Command, fakes: Sandbox) -> None:
    event = fakes.opencast.event()
    file = written(("event", "definition"), (event, "noop"), (event, "noop"))
    result = command("run", file, "--json", *OFTEN, env=opencast_of(fakes))
    assert sorted(line["outcome"] for line in lines(result.stdout)) == ["skipped", "succeeded"]
    assert (result.exit_code, len(runs(fakes.opencast))) == (0, 1)


def test_the_same_command_again_requests_no_ended_workflow(command: Command, fakes: Sandbox) -> None:
    given = ("run", on_events(fakes, "noop", "fails"), "--journal", "b.sqlite", *OFTEN)
    codes = [command(*given, env=opencast_of(fakes)).exit_code for _ in range(2)]
    assert codes == [1, 1]
    assert len(runs(fakes.opencast)) == 2
    assert sum(exchange.method == "POST" for exchange in fakes.opencast.requests) == 2


def test_a_start_of_unknown_outcome_is_printed_first_and_exits_with_3(command: Command, fakes: Sandbox) -> None:
    fakes.opencast.faults = Faults(script=[None, Fault.SERVER_ERROR], methods=("POST",))
    file = on_events(fakes, "noop", "noop")
    result = command("run", file, "--max-running", 1, "--journal", "b.sqlite", *OFTEN, env=opencast_of(fakes))
    assert result.exit_code == 3
    assert result.stdout.splitlines()[2].split()[0] == "unknown"
    report = command("report", "b.sqlite", "--json")
    assert [line["outcome"] for line in lines(report.stdout)] == ["unknown", "succeeded"]


def test_unknown_starts_are_sent_again_with_again_unknown(command: Command, fakes: Sandbox) -> None:
    fakes.opencast.faults = Faults(script=[Fault.SERVER_ERROR], methods=("POST",))
    given = ("run", on_events(fakes, "noop", "noop"), "--max-running", 1, "--journal", "b.sqlite", "--json", *OFTEN)
    reported = [
        command(*given, *more, env=opencast_of(fakes))
        for more in ((), (), ("--again", "unknown"), ("--again", "unknown"))
    ]
    assert [result.exit_code for result in reported] == [3, 3, 0, 0]
    assert [{line["key"]: line["outcome"] for line in lines(result.stdout)}["0"] for result in reported] == [
        *("unknown", "unknown", "succeeded", "succeeded")
    ]
    assert len(runs(fakes.opencast)) == 2


def test_unknown_starts_on_a_preservica_are_sent_again_with_again_unknown(command: Command, fakes: Sandbox) -> None:
    fakes.preservica.faults = Faults(script=[Fault.SERVER_ERROR], methods=("POST",), paths=("/sdb/",))
    given = ("run", written(("context",), ("42",)), "--journal", "b.sqlite", *OFTEN)
    assert command(*given, env=preservica_of(fakes)).exit_code == 3
    assert command(*given, "--again", "unknown", env=preservica_of(fakes)).exit_code == 0
    assert len(fakes.preservica.starts) == 1


def test_again_accepts_no_other_value(command: Command, fakes: Sandbox) -> None:
    result = command("run", on_events(fakes, "noop"), "--again", "failed", env=opencast_of(fakes))
    assert (result.exit_code, fakes.opencast.requests) == (2, [])


def test_progress_goes_to_stderr(command: Command, fakes: Sandbox) -> None:
    fakes.opencast.define("slow", [Step("one", 100.0)])
    result = command("run", on_events(fakes, "slow"), "--journal", "b.sqlite", *OFTEN, env=opencast_of(fakes))
    assert result.exit_code == 0
    assert "opencast: 0 of 1 settled" in result.stderr
    assert "settled" not in result.stdout


def test_durations_are_measured_by_the_servers_clock(command: Command, fakes: Sandbox) -> None:
    fakes.opencast.define("slow", [Step("one", 100.0)])  # 2 s of real time
    given = ("run", on_events(fakes, "slow"), "--journal", "b.sqlite", *OFTEN)
    (line,) = lines(command(*given, "--json", env=opencast_of(fakes)).stdout)
    (reported,) = lines(command("report", "b.sqlite", "--json").stdout)
    assert line == reported
    assert reported["seconds"] == pytest.approx(100, abs=5)
    shown = command("show", reported["id"], env=opencast_of(fakes)).stdout
    (took,) = [line.split()[1] for line in shown.splitlines() if line.split()[:1] == ["took"]]
    assert command("report", "b.sqlite").stdout.splitlines()[2].split()[3] == took
    assert command(*given, env=opencast_of(fakes)).stdout.splitlines()[2].split()[3] == took


def test_the_failed_operation_is_printed(command: Command, fakes: Sandbox) -> None:
    fakes.opencast.define("breaks", [Step("inspect", 1.0), Step("encode", 1.0, StepResult.FAILED)])
    given = ("run", on_events(fakes, "breaks"), "--journal", "b.sqlite", *OFTEN)
    table = command(*given, env=opencast_of(fakes)).stdout
    reported = "in encode (attempt 1 of 1, host https://worker.example.org)"
    assert reported in table
    assert reported in command("report", "b.sqlite").stdout
    (row,) = lines(command("report", "b.sqlite", "--json").stdout)
    assert (row["failed_operation"], row["failed_attempt"], row["failed_host"]) == (
        "encode",
        1,
        "https://worker.example.org",
    )
    assert row["server_start"] < row["server_end"]


def test_a_row_keeps_its_keys_and_adds_the_servers_keys_after_them(command: Command, fakes: Sandbox) -> None:
    (row,) = lines(command("run", on_events(fakes, "noop"), "--json", *OFTEN, env=opencast_of(fakes)).stdout)
    always = ["key", "outcome", "id", "state", "seconds", "start", "intended_at", "started_at", "ended_at", "detail"]
    assert [*row] == [*always, "server_start", "server_end", "failed_operation", "failed_attempt", "failed_host"]


def test_only_ended_starts_are_settled() -> None:
    words = [
        (StatusKind.PLANNED, "planned"),
        (StatusKind.INTENT, "intended"),
        (StatusKind.CHANGE, "running"),
        (StatusKind.LEFT, "parked"),
    ]
    words += [(StatusKind.NOT_STARTED, "refused"), (StatusKind.UNKNOWN, "unknown"), (StatusKind.ENDED, "failed")]
    items = {str(n): StartStatus(key=str(n), kind=kind, word=word) for n, (kind, word) in enumerate(words)}
    run: Any = SimpleNamespace(items=items)
    board = BatchTally("opencast", 8, run=run)
    for n, (_, word) in enumerate(words):
        board.add_result(WaitResult(n, word))
    assert (board.settled, board.total) == (1, 8)
    counts = {"waiting": 1, "running": 1, "parked": 1, "not started": 1, "unknown": 1, "failed": 1}
    assert board.counts == {"unseen": 2, **counts}
    assert progress_line(board, 2.0).startswith("opencast: 1 of 8 settled, 0.5 a second (2 unseen, ")
    screen = console()
    with screen.capture() as drawn:
        screen.print(live_view([board], 2.0))
    assert drawn.get().splitlines()[1].split()[:3] == ["opencast", "1/8", "0.5"]


# Invalid batch files


@pytest.mark.parametrize(
    "text",
    [
        "",
        "event\ne\n",
        "event,definition,event\ne,fast,e\n",
        "event,definition\ne\n",
        "event,definition\ne,fast,more\n",
        "event,definition\n,fast\n",
        'event,definition\n"e,fast\n',
        "event,definition\n\xff,fast\n",
    ],
)
def test_an_invalid_batch_file_exits_with_2_before_any_request(command: Command, fakes: Sandbox, text: str) -> None:
    path = Path("batch.csv")
    path.write_bytes(text.encode("latin-1"))
    result = command("run", path, env=opencast_of(fakes))
    assert (result.exit_code, fakes.opencast.requests) == (2, [])
    assert "batch.csv" in result.stderr


def test_a_missing_batch_file_exits_with_2(command: Command, fakes: Sandbox) -> None:
    assert command("run", "nowhere.csv", env=opencast_of(fakes)).exit_code == 2
    assert command("report", "nowhere.sqlite").exit_code == 2


def test_a_byte_order_mark_is_not_part_of_the_first_column(command: Command, fakes: Sandbox) -> None:
    path = Path("batch.csv")
    path.write_text(f"event,definition\n{fakes.opencast.event()},noop\n", encoding="utf-8-sig")
    assert command("run", path, *OFTEN, env=opencast_of(fakes)).exit_code == 0


def test_a_preservica_has_no_conflicts(command: Command, fakes: Sandbox) -> None:
    file = written(("context",), ("42",))
    result = command("run", file, "--on-conflict", "skip", env=preservica_of(fakes))
    assert result.exit_code == 2
    assert "--on-conflict is an option for Opencast" in result.stderr


def test_a_journal_of_another_server_exits_with_2(command: Command, fakes: Sandbox) -> None:
    given = ("run", on_events(fakes, "noop"), "--journal", "b.sqlite", *OFTEN)
    assert command(*given, env=opencast_of(fakes)).exit_code == 0
    with Sandbox(speed=50) as others:
        result = command(*given, env=opencast_of(others))
    assert result.exit_code == 2
    assert "it is for opencast at" in result.stderr


# Reports


@pytest.fixture
def journal(command: Command, fakes: Sandbox) -> Path:
    """The journal of a batch with a workflow that succeeded, one that failed, and a rejected start."""
    command(
        "run", on_events(fakes, "noop", "fails", "no such"), "--journal", "b.sqlite", *OFTEN, env=opencast_of(fakes)
    )
    return Path("b.sqlite")


def test_a_report_needs_no_server_and_prints_counts_and_every_start(command: Command, journal: Path) -> None:
    result = command("report", journal)
    summary, heading, *rows = result.stdout.splitlines()
    assert summary.startswith("opencast at http://127.0.0.1:")
    assert summary.endswith(": 3 starts, 1 succeeded, 1 failed, 1 refused")
    assert heading.split() == ["OUTCOME", "ID", "STATE", "TOOK", "START"]
    assert [row.split()[0] for row in rows[:3]] == ["succeeded", "failed", "refused"]
    assert result.exit_code == 0


def test_a_report_of_an_unfinished_batch_lists_the_waiting_starts(command: Command, fakes: Sandbox) -> None:
    fakes.opencast.define("slow", [Step("one", 10_000.0)])
    definitions = ["noop"] * 12 + ["slow"] * 2
    starts = [opencast.Start(fakes.opencast.event(), name, key=str(n)) for n, name in enumerate(definitions)]
    poll = Poll(interval=0.1, ceiling=0.1)

    async def leave_after(count: int, starts: Iterable[opencast.Start]) -> None:
        fake = fakes.opencast
        async with (
            OpencastClient(fake.url, auth=fake.auth) as client,
            client.workflows.run_all(starts, max_running=1, journal="b.sqlite", poll=poll) as outcomes,
        ):
            for _ in range(count):
                await anext(outcomes)

    anyio.run(leave_after, 12, starts)
    summary, _, *rows = command("report", "b.sqlite").stdout.splitlines()
    assert ": 14 starts, " in summary
    assert "12 succeeded" in summary
    assert len(rows) == 14
    assert rows[-1].split()[0] == "planned"
    anyio.run(leave_after, 12, iter(starts))
    assert command("report", "b.sqlite").stdout.splitlines()[0].endswith(", and more may follow")


def test_a_report_is_available_as_lines_of_json(command: Command, journal: Path) -> None:
    first, *_ = lines(command("report", journal, "--json").stdout)
    assert (first["key"], first["outcome"], first["state"]) == ("0", "succeeded", "succeeded")
    assert first["seconds"] > 0
    assert first["started_at"].endswith("Z")


def test_a_report_is_available_as_csv(command: Command, journal: Path) -> None:
    rows = list(csv.DictReader(command("report", journal, "--csv").stdout.splitlines()))
    assert [row["outcome"] for row in rows] == ["succeeded", "failed", "refused"]
    assert rows[2]["id"] == rows[2]["seconds"] == ""
    assert "404" in rows[2]["detail"]


def test_a_key_that_a_spreadsheet_would_take_for_a_formula_is_escaped(command: Command, fakes: Sandbox) -> None:
    file = written(("key", "event", "definition"), ("=1+1", fakes.opencast.event(), "noop"))
    command("run", file, "--journal", "b.sqlite", *OFTEN, env=opencast_of(fakes))
    (row,) = csv.DictReader(command("report", "b.sqlite", "--csv").stdout.splitlines())
    assert row["key"] == "'=1+1"


def test_an_earlier_outcome_counts_for_the_exit_code() -> None:
    ticket: Any = None
    assert exit_code(AlreadyDone(key="k", ticket=ticket, id=1, word="succeeded")) is Exit.DONE
    assert exit_code(AlreadyDone(key="k", ticket=ticket, id=1, word="vanished")) is Exit.FAILED
    assert exit_code(AlreadyDone(key="k", ticket=ticket, id=1, word="replaced")) is Exit.SERVER
    found = Workflow(id=1, state=State.SUCCEEDED, state_text="succeeded", event_id="e")
    replaced = Replaced(id=1, workflow=None, found=found)
    assert exit_code(Completed(key="k", ticket=ticket, outcome=replaced)) is Exit.SERVER
