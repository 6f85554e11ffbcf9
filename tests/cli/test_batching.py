"""The commands `run` and `report`."""

import csv
import json
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from tests.cli.conftest import Run, opencast_of, preservica_of
from tests.unit.batch.conftest import runs
from workflow_async import OpencastClient, Poll, opencast
from workflow_async.batch import AlreadyDone, Completed, StartStatus, StatusKind
from workflow_async.cli.batch_tally import BatchTally
from workflow_async.cli.batching import exit_code
from workflow_async.cli.display import live_view, progress_line
from workflow_async.cli.exit_codes import Exit
from workflow_async.cli.output import console
from workflow_async.cli.tally import WaitResult
from workflow_async.monitor import Replaced
from workflow_async.opencast import State, Workflow
from workflow_async.sandbox import Fault, Faults, Sandbox, Step, StepResult

FAST_POLL = ("--every", 0.1, "--settle", 0.1)


def write_csv(*rows: Sequence[object], name: str = "batch.csv") -> Path:
    """Write rows to a CSV file."""
    path = Path(name).resolve()
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return path


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def write_starts(fakes: Sandbox, *definitions: str) -> Path:
    """Write a CSV file with one start for each definition, each on its own event. The key is the row number."""
    rows = [(n, fakes.opencast.event(), definition) for n, definition in enumerate(definitions)]
    return write_csv(("key", "event", "definition"), *rows)


def test_a_batch_prints_a_table(run: Run, fakes: Sandbox) -> None:
    result = run("run", write_starts(fakes, "noop", "noop", "noop"), *FAST_POLL, env=opencast_of(fakes))
    summary, heading, *rows = result.stdout.splitlines()
    assert summary == "opencast: 3 starts, 3 succeeded"
    assert heading.split() == ["OUTCOME", "ID", "STATE", "TOOK", "START"]
    assert [row.split()[0] for row in rows] == ["succeeded"] * 3
    assert result.exit_code == 0


def test_the_table_of_a_batch_names_the_failed_operation(run: Run, fakes: Sandbox) -> None:
    result = run("run", write_starts(fakes, "fails"), *FAST_POLL, env=opencast_of(fakes))
    assert result.stdout.splitlines()[-1].endswith("in encode (attempt 1 of 1, host https://worker.example.org)")


def test_other_columns_are_the_configuration_without_empty_cells(run: Run, fakes: Sandbox) -> None:
    event, other = fakes.opencast.event(), fakes.opencast.event()
    file = write_csv(
        ("event", "definition", "publishLive", "n"), (event, "noop", "true", "1"), (other, "noop", "", "2")
    )
    assert run("run", file, *FAST_POLL, env=opencast_of(fakes)).exit_code == 0
    sent = {each.subject: each.parameters for each in runs(fakes.opencast)}
    assert sent == {event: {"publishLive": "true", "n": "1"}, other: {"n": "2"}}


def test_a_batch_on_preservica_has_contexts_and_parameters(run: Run, fakes: Sandbox) -> None:
    file = write_csv(
        ("context", "seedUrl"), ("42", "https://a.example.org"), ("Ingest Packages", "https://b.example.org")
    )
    result = run("run", file, "--json", *FAST_POLL, env=preservica_of(fakes))
    assert {line["start"] for line in lines(result.stdout)} == {"42", "Ingest Packages"}
    sent = {each.subject: each.parameters["seedUrl"] for each in runs(fakes.preservica)}
    assert sent == {"42": "https://a.example.org", "43": "https://b.example.org"}


def test_each_start_is_a_line_of_json(run: Run, fakes: Sandbox) -> None:
    result = run("run", write_starts(fakes, "noop", "fails", "no such"), "--json", *FAST_POLL, env=opencast_of(fakes))
    by_key = {line["key"]: line for line in lines(result.stdout)}
    assert {key: line["outcome"] for key, line in by_key.items()} == {"0": "succeeded", "1": "failed", "2": "refused"}
    assert [by_key["0"]["id"]] == [each.id for each in runs(fakes.opencast) if each.definition == "noop"]
    assert "404" in by_key["2"]["detail"]
    assert result.exit_code == 5


@pytest.mark.parametrize(
    ("definitions", "options", "expected"),
    [
        (("noop",), (), 0),
        (("noop", "fails"), (), 1),
        (("review",), ("--parked", "return"), 1),
        (("no such",), (), 5),
    ],
)
def test_the_exit_code_of_a_batch_is_the_worst(
    run: Run, fakes: Sandbox, definitions: tuple[str, ...], options: tuple[str, ...], expected: int
) -> None:
    result = run("run", write_starts(fakes, *definitions), *options, *FAST_POLL, env=opencast_of(fakes))
    assert result.exit_code == expected


def test_no_more_than_max_running_run_at_the_same_time(run: Run, fakes: Sandbox) -> None:
    file = write_starts(fakes, *["noop"] * 5)
    result = run("run", file, "--max-running", 1, "--low", 0, "--count-others", *FAST_POLL, env=opencast_of(fakes))
    assert result.exit_code == 0
    assert all(after.created >= (before.finished or 0.0) for before, after in pairwise(runs(fakes.opencast)))


def test_a_start_conflict_is_handled_as_on_conflict_says(run: Run, fakes: Sandbox) -> None:
    fakes.opencast.define("held", [Step("one", 0.1, StepResult.HELD)])
    event = fakes.opencast.event()
    fakes.opencast.start(event, "held")
    file = write_csv(("event", "definition"), (event, "noop"))
    results = {
        mode: run("run", file, "--on-conflict", mode, "--json", *FAST_POLL, env=opencast_of(fakes))
        for mode in ("raise", "skip", "attach")
    }
    assert {mode: result.exit_code for mode, result in results.items()} == {"raise": 5, "skip": 0, "attach": 5}
    assert [lines(result.stdout)[0]["outcome"] for result in results.values()] == ["conflict", "skipped", "conflict"]


def test_a_repeated_row_is_started_once(run: Run, fakes: Sandbox) -> None:
    event = fakes.opencast.event()
    file = write_csv(("event", "definition"), (event, "noop"), (event, "noop"))
    result = run("run", file, "--json", *FAST_POLL, env=opencast_of(fakes))
    assert sorted(line["outcome"] for line in lines(result.stdout)) == ["skipped", "succeeded"]
    assert (result.exit_code, len(runs(fakes.opencast))) == (0, 1)


def test_a_second_run_sends_no_start_that_has_ended(run: Run, fakes: Sandbox) -> None:
    arguments = ("run", write_starts(fakes, "noop", "fails"), "--journal", "b.sqlite", *FAST_POLL)
    codes = [run(*arguments, env=opencast_of(fakes)).exit_code for _ in range(2)]
    assert codes == [1, 1]
    assert len(runs(fakes.opencast)) == 2
    assert sum(exchange.method == "POST" for exchange in fakes.opencast.requests) == 2


def test_an_unknown_start_is_the_first_row_and_exits_with_3(run: Run, fakes: Sandbox) -> None:
    fakes.opencast.faults = Faults(script=[None, Fault.SERVER_ERROR], methods=("POST",))
    file = write_starts(fakes, "noop", "noop")
    result = run("run", file, "--max-running", 1, "--journal", "b.sqlite", *FAST_POLL, env=opencast_of(fakes))
    assert result.exit_code == 3
    assert result.stdout.splitlines()[2].split()[0] == "unknown"
    report = run("report", "b.sqlite", "--json")
    assert [line["outcome"] for line in lines(report.stdout)] == ["unknown", "succeeded"]


def test_again_unknown_repeats_starts_that_stay_unknown(run: Run, fakes: Sandbox) -> None:
    fakes.opencast.faults = Faults(script=[Fault.SERVER_ERROR], methods=("POST",))
    arguments = (
        "run",
        write_starts(fakes, "noop", "noop"),
        "--max-running",
        1,
        "--journal",
        "b.sqlite",
        "--json",
        *FAST_POLL,
    )
    results = [
        run(*arguments, *more, env=opencast_of(fakes))
        for more in ((), (), ("--again", "unknown"), ("--again", "unknown"))
    ]
    assert [result.exit_code for result in results] == [3, 3, 0, 0]
    assert [{line["key"]: line["outcome"] for line in lines(result.stdout)}["0"] for result in results] == [
        *("unknown", "unknown", "succeeded", "succeeded")
    ]
    assert len(runs(fakes.opencast)) == 2


def test_again_unknown_repeats_starts_on_preservica(run: Run, fakes: Sandbox) -> None:
    fakes.preservica.faults = Faults(script=[Fault.SERVER_ERROR], methods=("POST",), paths=("/sdb/",))
    arguments = ("run", write_csv(("context",), ("42",)), "--journal", "b.sqlite", *FAST_POLL)
    assert run(*arguments, env=preservica_of(fakes)).exit_code == 3
    assert run(*arguments, "--again", "unknown", env=preservica_of(fakes)).exit_code == 0
    assert len(fakes.preservica.starts) == 1


def test_again_accepts_only_unknown(run: Run, fakes: Sandbox) -> None:
    result = run("run", write_starts(fakes, "noop"), "--again", "failed", env=opencast_of(fakes))
    assert (result.exit_code, fakes.opencast.requests) == (2, [])


def test_progress_goes_to_stderr(run: Run, fakes: Sandbox) -> None:
    fakes.opencast.define("slow", [Step("one", 100.0)])
    result = run("run", write_starts(fakes, "slow"), "--journal", "b.sqlite", *FAST_POLL, env=opencast_of(fakes))
    assert result.exit_code == 0
    assert "opencast: 0 of 1 settled" in result.stderr
    assert "settled" not in result.stdout


def test_durations_are_by_the_clock_of_the_server(run: Run, fakes: Sandbox) -> None:
    fakes.opencast.define("slow", [Step("one", 100.0)])  # 2 seconds of real time
    arguments = ("run", write_starts(fakes, "slow"), "--journal", "b.sqlite", *FAST_POLL)
    (printed,) = lines(run(*arguments, "--json", env=opencast_of(fakes)).stdout)
    (reported,) = lines(run("report", "b.sqlite", "--json").stdout)
    assert printed == reported
    assert printed["seconds"] == pytest.approx(100, abs=5)
    shown = run("show", printed["id"], env=opencast_of(fakes)).stdout
    (took,) = [line.split()[1] for line in shown.splitlines() if line.split()[:1] == ["took"]]
    assert run("report", "b.sqlite").stdout.splitlines()[2].split()[3] == took
    assert run(*arguments, env=opencast_of(fakes)).stdout.splitlines()[2].split()[3] == took


def test_a_report_names_the_failed_operation(run: Run, fakes: Sandbox) -> None:
    fakes.opencast.define("breaks", [Step("inspect", 1.0), Step("encode", 1.0, StepResult.FAILED)])
    arguments = ("run", write_starts(fakes, "breaks"), "--journal", "b.sqlite", *FAST_POLL)
    table = run(*arguments, env=opencast_of(fakes)).stdout
    detail = "in encode (attempt 1 of 1, host https://worker.example.org)"
    assert detail in table
    assert detail in run("report", "b.sqlite").stdout
    (row,) = lines(run("report", "b.sqlite", "--json").stdout)
    assert (row["failed_operation"], row["failed_attempt"], row["failed_host"]) == (
        "encode",
        1,
        "https://worker.example.org",
    )
    assert row["server_start"] < row["server_end"]


def test_a_row_has_its_keys_in_a_fixed_order(run: Run, fakes: Sandbox) -> None:
    (row,) = lines(run("run", write_starts(fakes, "noop"), "--json", *FAST_POLL, env=opencast_of(fakes)).stdout)
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
    tally = BatchTally("opencast", 8, run=run)
    tally.add_result(WaitResult(0, "refused"))
    tally.add_result(WaitResult(6, "failed"))
    assert (tally.settled, tally.total) == (1, 8)
    counts = {"waiting": 1, "running": 1, "parked": 1, "not started": 1, "unknown": 1, "failed": 1}
    assert tally.counts == {"unseen": 2, **counts}
    assert progress_line(tally, 2.0).startswith("opencast: 1 of 8 settled, 0.5 a second (2 unseen, ")
    screen = console()
    with screen.capture() as drawn:
        screen.print(live_view([tally], 2.0))
    assert drawn.get().splitlines()[1].split()[:3] == ["opencast", "1/8", "0.5"]


# Invalid files and options


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
def test_an_invalid_file_exits_with_2_before_any_request(run: Run, fakes: Sandbox, text: str) -> None:
    path = Path("batch.csv")
    path.write_bytes(text.encode("latin-1"))
    result = run("run", path, env=opencast_of(fakes))
    assert (result.exit_code, fakes.opencast.requests) == (2, [])
    assert "batch.csv" in result.stderr


def test_a_missing_file_exits_with_2(run: Run, fakes: Sandbox) -> None:
    assert run("run", "nowhere.csv", env=opencast_of(fakes)).exit_code == 2
    assert run("report", "nowhere.sqlite").exit_code == 2


def test_a_byte_order_mark_is_ignored(run: Run, fakes: Sandbox) -> None:
    path = Path("batch.csv")
    path.write_text(f"event,definition\n{fakes.opencast.event()},noop\n", encoding="utf-8-sig")
    assert run("run", path, *FAST_POLL, env=opencast_of(fakes)).exit_code == 0


def test_on_conflict_is_rejected_for_preservica(run: Run, fakes: Sandbox) -> None:
    file = write_csv(("context",), ("42",))
    result = run("run", file, "--on-conflict", "skip", env=preservica_of(fakes))
    assert result.exit_code == 2
    assert "--on-conflict is an option for Opencast" in result.stderr


def test_a_journal_of_another_server_exits_with_2(run: Run, fakes: Sandbox) -> None:
    arguments = ("run", write_starts(fakes, "noop"), "--journal", "b.sqlite", *FAST_POLL)
    assert run(*arguments, env=opencast_of(fakes)).exit_code == 0
    with Sandbox(speed=50) as others:
        result = run(*arguments, env=opencast_of(others))
    assert result.exit_code == 2
    assert "it is for opencast at" in result.stderr


# Reports


@pytest.fixture
def journal(run: Run, fakes: Sandbox) -> Path:
    """Return the journal of a batch with a successful, a failed and a rejected start."""
    run(
        "run",
        write_starts(fakes, "noop", "fails", "no such"),
        "--journal",
        "b.sqlite",
        *FAST_POLL,
        env=opencast_of(fakes),
    )
    return Path("b.sqlite")


def test_a_report_has_counts_and_every_start_and_needs_no_server(run: Run, journal: Path) -> None:
    result = run("report", journal)
    summary, heading, *rows = result.stdout.splitlines()
    assert summary.startswith("opencast at http://127.0.0.1:")
    assert summary.endswith(": 3 starts, 1 succeeded, 1 failed, 1 refused")
    assert heading.split() == ["OUTCOME", "ID", "STATE", "TOOK", "START"]
    assert [row.split()[0] for row in rows[:3]] == ["succeeded", "failed", "refused"]
    assert result.exit_code == 0


def test_a_report_of_an_unfinished_batch_has_the_planned_starts(run: Run, fakes: Sandbox) -> None:
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
    summary, _, *rows = run("report", "b.sqlite").stdout.splitlines()
    assert ": 14 starts, " in summary
    assert "12 succeeded" in summary
    assert len(rows) == 14
    assert rows[-1].split()[0] == "planned"
    anyio.run(leave_after, 12, iter(starts))
    assert run("report", "b.sqlite").stdout.splitlines()[0].endswith(", and more may follow")


def test_a_report_can_be_lines_of_json(run: Run, journal: Path) -> None:
    first, *_ = lines(run("report", journal, "--json").stdout)
    assert (first["key"], first["outcome"], first["state"]) == ("0", "succeeded", "succeeded")
    assert first["seconds"] > 0
    assert first["started_at"].endswith("Z")


def test_a_report_can_be_csv(run: Run, journal: Path) -> None:
    rows = list(csv.DictReader(run("report", journal, "--csv").stdout.splitlines()))
    assert [row["outcome"] for row in rows] == ["succeeded", "failed", "refused"]
    assert rows[2]["id"] == rows[2]["seconds"] == ""
    assert "404" in rows[2]["detail"]


def test_a_key_that_looks_like_a_formula_is_quoted_in_csv(run: Run, fakes: Sandbox) -> None:
    file = write_csv(("key", "event", "definition"), ("=1+1", fakes.opencast.event(), "noop"))
    run("run", file, "--journal", "b.sqlite", *FAST_POLL, env=opencast_of(fakes))
    (row,) = csv.DictReader(run("report", "b.sqlite", "--csv").stdout.splitlines())
    assert row["key"] == "'=1+1"


def test_the_outcome_of_an_earlier_run_counts_for_the_exit_code() -> None:
    ticket: Any = None
    assert exit_code(AlreadyDone(key="k", ticket=ticket, id=1, word="succeeded")) is Exit.DONE
    assert exit_code(AlreadyDone(key="k", ticket=ticket, id=1, word="vanished")) is Exit.FAILED
    assert exit_code(AlreadyDone(key="k", ticket=ticket, id=1, word="replaced")) is Exit.SERVER
    found = Workflow(id=1, state=State.SUCCEEDED, state_text="succeeded", event_id="e")
    replaced = Replaced(id=1, workflow=None, found=found)
    assert exit_code(Completed(key="k", ticket=ticket, outcome=replaced)) is Exit.SERVER
