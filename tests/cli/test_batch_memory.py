"""`run` forgets nothing: the journal by default, ids as they happen, Ctrl-C, dry runs, limits and repeated failures."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from tests.cli.conftest import Launch, Launched, Run, opencast_of, preservica_of
from tests.cli.test_batching import FAST_POLL, lines, write_csv, write_starts
from tests.unit.batch.conftest import runs
from workflow_async import OpencastClient
from workflow_async.batch import StartStatus, StatusKind
from workflow_async.cli.batch_log import interruption_lines, print_interruption
from workflow_async.cli.batching import run as run_command
from workflow_async.cli.command import CommandContext
from workflow_async.cli.exit_codes import UsageError
from workflow_async.cli.journal_choice import STDIN, journal_for
from workflow_async.cli.output import Output
from workflow_async.cli.systems.opencast import OpencastSystem
from workflow_async.sandbox import Fault, Faults, Sandbox, Step

# The journal


def test_the_journal_is_beside_the_file_and_the_command_can_be_repeated(run: Run, fakes: Sandbox) -> None:
    arguments = ("run", write_starts(fakes, "noop", "noop"), *FAST_POLL)
    first, second = (run(*arguments, env=opencast_of(fakes)) for _ in range(2))
    assert "Journal: " in first.stderr
    assert "Continuing the journal " in second.stderr
    assert (first.exit_code, second.exit_code, len(runs(fakes.opencast))) == (0, 0, 2)
    assert ": 2 starts, 2 succeeded" in run("report", "batch.sqlite").stdout


def test_no_journal_is_kept_if_none_is_wanted(run: Run, fakes: Sandbox) -> None:
    result = run("run", write_starts(fakes, "noop"), "--no-journal", *FAST_POLL, env=opencast_of(fakes))
    assert result.stderr.startswith("No journal: after Ctrl-C")
    assert not Path("batch.sqlite").exists()


def test_starts_from_stdin_have_no_journal(run: Run, fakes: Sandbox) -> None:
    text = f"\ufeffevent,definition\n{fakes.opencast.event()},noop\n"
    result = run("run", "-", *FAST_POLL, env=opencast_of(fakes), stdin=text)
    assert "No journal, because the starts do not come from a file" in result.stderr
    assert "1 succeeded" in result.stdout


def test_starts_from_stdin_can_have_a_journal(run: Run, fakes: Sandbox) -> None:
    text = f"event,definition\n{fakes.opencast.event()},noop\n"
    run("run", "-", "--journal", "b.sqlite", *FAST_POLL, env=opencast_of(fakes), stdin=text)
    assert ": 1 starts, 1 succeeded" in run("report", "b.sqlite").stdout


def test_a_pipe_and_a_folder_that_cannot_be_written_have_no_journal(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    os.mkfifo("pipe.csv")
    assert journal_for(Path("pipe.csv"), None, wanted=True).path is None
    (file := tmp_path / "b.csv").write_text("")
    assert journal_for(file, None, wanted=True).path == tmp_path / "b.sqlite"
    monkeypatch.setattr(os, "access", lambda *_: False)
    choice = journal_for(file, None, wanted=True)
    assert choice.path is None
    assert "the folder of" in choice.sentence
    assert "--journal" in choice.sentence


def test_the_journal_never_takes_the_place_of_the_starts() -> None:
    (file := Path("b.sqlite")).write_text("")
    assert journal_for(file, None, wanted=True).path == Path("b.sqlite.sqlite")


def test_a_journal_that_is_named_and_not_wanted_is_a_mistake(run: Run, fakes: Sandbox) -> None:
    with pytest.raises(UsageError, match="contradict"):
        journal_for(STDIN, Path("b.sqlite"), wanted=False)
    arguments = ("run", write_starts(fakes, "noop"), "--journal", "b.sqlite", "--no-journal")
    assert run(*arguments, env=opencast_of(fakes)).exit_code == 2


# Ids as they happen


def test_each_start_is_printed_as_it_happens(run: Run, fakes: Sandbox) -> None:
    result = run("run", write_starts(fakes, "noop", "noop"), *FAST_POLL, env=opencast_of(fakes))
    started = dict(re.findall(r"^started (\d+) (\S+) noop$", result.stderr, re.MULTILINE))
    assert {int(id): event for id, event in started.items()} == {each.id: each.subject for each in runs(fakes.opencast)}
    again = run("run", "batch.csv", *FAST_POLL, env=opencast_of(fakes))
    assert "started " not in again.stderr


def test_json_has_no_lines_between(run: Run, fakes: Sandbox) -> None:
    result = run("run", write_starts(fakes, "noop"), "--json", *FAST_POLL, env=opencast_of(fakes))
    assert "started " not in result.stderr
    assert len(lines(result.stdout)) == 1


# Ctrl-C


@pytest.mark.parametrize("options", [(), ("--json",), ("--no-journal",)], ids=["table", "json", "no journal"])
def test_an_interrupted_batch_names_what_goes_on_and_how_to_go_on(
    launch: Launch, fakes: Sandbox, options: tuple[str, ...]
) -> None:
    fakes.opencast.define("slow", [Step("one", 10_000.0)])
    write_starts(fakes, *["slow"] * 3)
    command = ("run", "batch.csv", "--max-running", 2, *options, *FAST_POLL)
    batch = launch(*command, env=opencast_of(fakes))
    if "--json" in options:
        wait_for_journal(2)
    else:
        read_until_started(batch, 2)
    batch.interrupt()
    code, out, err = batch.end()
    ids = sorted(each.id for each in runs(fakes.opencast))
    assert code == 130
    assert "2 workflows go on on the server: " in err
    assert all(str(id) in err for id in ids)
    if "--no-journal" in options:
        assert re.search(r"^To watch: workflow-async watch \d+ \d+$", err, re.MULTILINE)
    else:
        assert "To go on: workflow-async run batch.csv --max-running 2" in err
    if "--json" not in options:
        assert re.match(r"interrupted: 3 starts, .*, 1 not begun\n", out)
    rows = [line.split()[:2] for line in out.splitlines()[2:]]
    assert rows == ([] if "--json" in options else [[row[0], str(id)] for row, id in zip(rows, ids, strict=True)])


def read_until_started(batch: Launched, count: int) -> None:
    """Read lines of stderr until so many workflows were started."""
    while count:
        count -= batch.error_line().startswith("started ")


def wait_for_journal(count: int) -> None:
    """Return when the journal has this many started workflows."""
    report = (sys.executable, "-m", "workflow_async", "report", "batch.sqlite", "--json")
    while True:
        output = subprocess.run(report, capture_output=True, text=True, check=False).stdout
        if sum(json.loads(line)["started_at"] is not None for line in output.splitlines()) >= count:
            return


async def test_a_cancelled_batch_prints_the_table_so_far(fakes: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    fakes.opencast.define("slow", [Step("one", 10_000.0)])
    file = write_starts(fakes, "slow")
    async with (
        OpencastClient(fakes.opencast.url, auth=fakes.opencast.auth) as client,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(run_command, CommandContext(OpencastSystem(client), Output()), file)
        err = ""
        while "started " not in err:
            await anyio.sleep(0.05)
            err += capsys.readouterr().err
        tasks.cancel_scope.cancel()
    out, err = capsys.readouterr()
    assert out.startswith("interrupted: 1 starts, 1 ")
    assert "1 workflow goes on on the server: " in err


def test_an_interruption_has_no_table_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    running = StartStatus(key="a", kind=StatusKind.STARTED, word="started", id=7)
    print_interruption(Output(json=True), [running], None, ())
    out, err = capsys.readouterr()
    assert (out, err) == ("", "1 workflow goes on on the server: 7\nTo watch: workflow-async watch 7\n")


def test_an_interruption_counts_starts_that_may_have_happened() -> None:
    statuses = [
        StartStatus(key="a", kind=StatusKind.CHANGE, word="running", id=7),
        StartStatus(key="b", kind=StatusKind.INTENT, word="intended"),
        StartStatus(key="c", kind=StatusKind.ENDED, word="succeeded", id=8),
    ]
    assert interruption_lines(statuses, Path("b.sqlite"), ("workflow-async", "run", "my batch.csv")) == [
        "1 workflow goes on on the server: 7",
        "1 of the starts may have happened: see the rows that are unknown or intended",
        "To go on: workflow-async run 'my batch.csv'",
    ]
    assert interruption_lines(statuses[2:], None, ()) == []


# Failures, limits and dry runs


def test_retry_failed_starts_again_what_failed(run: Run, fakes: Sandbox) -> None:
    arguments = ("run", write_starts(fakes, "noop", "fails"), "--json", *FAST_POLL)
    run(*arguments, env=opencast_of(fakes))
    plain = run(*arguments, env=opencast_of(fakes))
    assert len(runs(fakes.opencast)) == 2
    again = run(*arguments, "--retry-failed", env=opencast_of(fakes))
    assert (plain.exit_code, again.exit_code) == (1, 1)
    assert [each.definition for each in runs(fakes.opencast)].count("fails") == 2
    first, second = ({line["key"]: line["id"] for line in lines(each.stdout)} for each in (plain, again))
    assert first["0"] == second["0"]
    assert first["1"] < second["1"]


def test_a_limit_begins_some_starts_and_the_report_counts_all(run: Run, fakes: Sandbox) -> None:
    arguments = ("run", write_starts(fakes, *["noop"] * 5), "--limit", 2, *FAST_POLL)
    assert run(*arguments, env=opencast_of(fakes)).stdout.splitlines()[0] == (
        "opencast: 5 starts, 2 succeeded, 3 not begun"
    )
    assert ": 5 starts, 2 succeeded, 3 not begun" in run("report", "batch.sqlite").stdout
    run(*arguments, env=opencast_of(fakes))
    assert len(runs(fakes.opencast)) == 4


def steps(text: str) -> list[str]:
    return [line["step"] for line in lines(text)]


def test_a_dry_run_prints_what_would_be_done_and_sends_nothing(run: Run, fakes: Sandbox) -> None:
    fakes.opencast.faults = Faults(script=[None, None, Fault.SERVER_ERROR], methods=("POST",))
    file = write_starts(fakes, "noop", "fails", "noop", "noop")
    run("run", file, "--max-running", 1, "--limit", 3, *FAST_POLL, env=opencast_of(fakes))
    sent = len(fakes.opencast.requests)
    arguments = ("run", file, "--dry-run", "--json")
    plain = run(*arguments, env=opencast_of(fakes))
    again = run(*arguments, "--again", "unknown", "--retry-failed", "--limit", 2, env=opencast_of(fakes))
    assert steps(plain.stdout) == ["done", "done", "search", "start"]
    assert steps(again.stdout) == ["done", "start again", "start again", "later"]
    assert len(fakes.opencast.requests) == sent


def test_a_dry_run_needs_no_journal_and_makes_none(run: Run, fakes: Sandbox) -> None:
    event = fakes.opencast.event()
    file = write_csv(("event", "definition"), (event, "noop"), (event, "noop"))
    result = run("run", file, "--dry-run", env=opencast_of(fakes))
    assert result.stdout.splitlines()[0] == "opencast: 2 starts, 1 start, 1 skip. No request was sent"
    assert not Path("batch.sqlite").exists()
    assert fakes.opencast.requests == []


def test_a_dry_run_finds_starts_that_cannot_be_sent(run: Run, fakes: Sandbox) -> None:
    file = write_csv(("context", "note"), ("42", "fine"), ("43", "\x01"))
    result = run("run", file, "--dry-run", "--json", env=preservica_of(fakes))
    assert steps(result.stdout) == ["start", "refuse"]


def test_a_dry_run_finds_a_key_that_belongs_to_another_start(run: Run, fakes: Sandbox) -> None:
    run("run", write_starts(fakes, "noop"), *FAST_POLL, env=opencast_of(fakes))
    result = run("run", write_starts(fakes, "noop"), "--dry-run", "--json", env=opencast_of(fakes))
    assert steps(result.stdout) == ["refuse"]


def test_a_dry_run_watches_what_still_runs(run: Run, fakes: Sandbox) -> None:
    file = write_starts(fakes, "review")
    run("run", file, "--parked", "return", *FAST_POLL, env=opencast_of(fakes))
    assert steps(run("run", file, "--dry-run", "--json", env=opencast_of(fakes)).stdout) == ["watch"]
