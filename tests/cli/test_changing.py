"""The commands that change workflows, and what they ask before."""

import errno
import io
import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
import typer

from tests.cli.conftest import Run, opencast_of, preservica_of
from workflow_async.cli import changing
from workflow_async.cli.confirming import yes_option
from workflow_async.cli.output import Output
from workflow_async.cli.systems.changes import ChangeResult, change_each
from workflow_async.errors import PartialFailure
from workflow_async.preservica.workflows import Workflows
from workflow_async.sandbox import Sandbox


def on_hold(fakes: Sandbox) -> int:
    """Return the id of an Opencast workflow whose failed operation waits for an answer."""
    (id,) = fakes.opencast.seed(1, definitions=["holds"], age=20)
    return id


def test_stop_stops_each_workflow_and_prints_each_error(run: Run, fakes: Sandbox) -> None:
    running = fakes.opencast.start(fakes.opencast.event(), "holds")
    (ended,) = fakes.opencast.seed(1, definitions=["noop"], age=1000)
    result = run("stop", running, ended, "--yes", env=opencast_of(fakes))
    assert (result.exit_code != 0, result.stdout) == (True, f"Workflow {running} is stopped\n")
    assert f"workflow {ended} is succeeded already" in result.stderr


def test_stop_terminates_workflows_on_preservica(run: Run, fakes: Sandbox) -> None:
    ids = [fakes.preservica.state.seed(1, contexts=["45"])[0] for _ in range(2)]
    result = run("stop", "-", "--yes", "--json", env=preservica_of(fakes), stdin="\n".join(map(str, ids)))
    lines = sorted(map(json.loads, result.stdout.splitlines()), key=lambda line: line["id"])
    assert lines == [{"id": id, "asked": "terminate"} for id in ids]
    assert result.exit_code == 0


def test_stop_of_an_unknown_or_ended_workflow_sends_no_request_to_terminate(run: Run, fakes: Sandbox) -> None:
    (ended,) = fakes.preservica.seed(1, contexts=["42"], age=10_000)
    result = run("stop", 999999, ended, "--yes", env=preservica_of(fakes))
    assert (result.exit_code != 0, result.stdout) == (True, "")
    assert "404" in result.stderr
    assert f"workflow {ended} is COMPLETED already" in result.stderr
    assert [request.path for request in fakes.preservica.requests if "terminate" in request.path] == []


@pytest.mark.parametrize("variables", [opencast_of, preservica_of])
def test_stop_does_nothing_if_stdin_holds_no_id(
    variables: Callable[[Sandbox], dict[str, str]], run: Run, fakes: Sandbox
) -> None:
    result = run("stop", "-", "--yes", env=variables(fakes), stdin="")
    assert (result.exit_code, result.stdout) == (0, "")


@pytest.mark.parametrize("arguments", [["stop", 1], ["delete", 1], ["answer", "fail", 1]])
def test_without_a_terminal_a_destructive_command_wants_yes(run: Run, fakes: Sandbox, arguments: list[object]) -> None:
    result = run(*arguments, env=opencast_of(fakes))
    assert (result.exit_code, fakes.opencast.requests) == (2, [])
    assert "Give --yes" in result.stderr


def test_pause_and_resume(run: Run, sandbox_11: Sandbox) -> None:
    id = sandbox_11.opencast.start(sandbox_11.opencast.event(), "publish")
    paused = run("pause", id, env=opencast_of(sandbox_11))
    assert (paused.exit_code, paused.stdout) == (0, f"Workflow {id} is paused\n")
    resumed = run("resume", id, "--json", env=opencast_of(sandbox_11))
    record = json.loads(resumed.stdout)
    assert (resumed.exit_code, record["id"], record["state"]) == (0, id, "running")


def test_delete_removes_a_workflow_that_has_ended(run: Run, fakes: Sandbox) -> None:
    ids = fakes.opencast.seed(2, definitions=["noop"], age=1000)
    result = run("delete", ids[0], "--yes", env=opencast_of(fakes))
    assert (result.exit_code, result.stdout) == (0, f"Workflow {ids[0]} is deleted\n")
    as_json = run("delete", ids[1], "--yes", "--json", env=opencast_of(fakes))
    assert json.loads(as_json.stdout) == {"id": ids[1], "deleted": True}
    assert run("show", ids[0], env=opencast_of(fakes)).exit_code != 0


@pytest.mark.parametrize(("answer", "options"), [("retry", []), ("fail", ["--yes"])])
def test_answer_retries_the_operation_or_lets_it_fail(
    run: Run, fakes: Sandbox, answer: str, options: list[str]
) -> None:
    id = on_hold(fakes)
    result = run("answer", answer, id, *options, "--json", env=opencast_of(fakes))
    assert (result.exit_code, json.loads(result.stdout)["id"]) == (0, id)
    (sent,) = [request for request in fakes.opencast.requests if "/action/" in request.path]
    assert sent.method == "PUT"


def test_an_answer_is_retry_or_fail(run: Run, fakes: Sandbox) -> None:
    result = run("answer", "maybe", 7, env=opencast_of(fakes))
    assert (result.exit_code, fakes.opencast.requests) == (2, [])
    assert "'maybe' is not one of 'retry', 'fail'" in result.stderr


def test_retry_asks_preservica_to_retry_a_workflow(run: Run, fakes: Sandbox) -> None:
    (failed,) = fakes.preservica.seed(1, contexts=["46"], age=10_000)
    result = run("retry", failed, env=preservica_of(fakes))
    assert (result.exit_code, result.stdout) == (0, f"Workflow {failed} will be retried\n")
    assert run("retry", 999999, env=preservica_of(fakes)).exit_code != 0


def test_a_change_that_preservica_refuses_names_the_workflow(
    run: Run, fakes: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    (ended,) = fakes.preservica.seed(1, contexts=["42"], age=10_000)
    retried = run("retry", ended, env=preservica_of(fakes))
    assert (retried.exit_code != 0, retried.stdout) == (True, "")
    assert f"workflow {ended} is COMPLETED: the server refuses to retry it" in retried.stderr

    async def refuse(_: Workflows, *ids: int) -> None:
        raise PartialFailure("terminate", 0, len(ids))

    monkeypatch.setattr(Workflows, "terminate", refuse)
    (waiting,) = fakes.preservica.seed(1, contexts=["45"])
    assert "the server refuses to terminate it" in run("stop", waiting, "-y", env=preservica_of(fakes)).stderr


def test_a_command_of_the_other_system_is_refused_with_the_one_to_use(run: Run, fakes: Sandbox) -> None:
    pause = run("pause", 7, env=preservica_of(fakes))
    assert (pause.exit_code, fakes.preservica.requests) == (2, [])
    assert "Preservica cannot pause a workflow: it has the commands stop and retry" in pause.stderr
    retry = run("retry", 7, env=opencast_of(fakes))
    assert (retry.exit_code, fakes.opencast.requests) == (2, [])
    assert "use the command answer retry" in retry.stderr


@pytest.mark.parametrize("command", ["contexts", "processes", "monitors", "definitions"])
def test_a_command_of_one_system_goes_to_it_if_both_are_configured(run: Run, fakes: Sandbox, command: str) -> None:
    result = run(command, env=opencast_of(fakes) | preservica_of(fakes))
    assert result.exit_code == 0
    asked = fakes.opencast if command == "definitions" else fakes.preservica
    assert [fake for fake in (fakes.opencast, fakes.preservica) if fake.requests] == [asked]


def test_count_prints_the_number_of_workflows(run: Run, fakes: Sandbox) -> None:
    fakes.opencast.seed(3, definitions=["noop"], age=1000)
    counted = run("count", "--state", "succeeded", env=opencast_of(fakes))
    assert (counted.exit_code, counted.stdout) == (0, "3\n")
    fakes.preservica.seed(2, contexts=["42"], age=10_000)
    archive = run("count", "--context", 42, "--json", env=preservica_of(fakes))
    assert (archive.exit_code, json.loads(archive.stdout)) == (0, {"count": 2})


def test_count_refuses_a_filter_of_the_other_system(run: Run, fakes: Sandbox) -> None:
    result = run("count", "--context", 42, env=opencast_of(fakes))
    assert (result.exit_code, fakes.opencast.requests) == (2, [])
    assert "A count of Opencast cannot filter by --context" in result.stderr


# The question


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class TestConfirmation:
    @pytest.fixture(autouse=True)
    def terminal(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "stdin", Terminal())

    def context(self, *, completing: bool = False) -> typer.Context:
        command: Any = typer.main.get_command(typer.Typer(callback=lambda: None))
        return typer.Context(command, resilient_parsing=completing)

    def confirm(self, *, yes: bool, completing: bool = False) -> bool:
        return bool(yes_option("Stop?").callback(self.context(completing=completing), yes=yes))

    def answering(self, monkeypatch: pytest.MonkeyPatch, answer: object) -> None:
        def confirm(_: str, *, err: bool) -> bool:
            assert err
            if answer is None:
                raise typer.Abort
            return bool(answer)

        monkeypatch.setattr(typer, "confirm", confirm)

    def test_yes_skips_the_question(self) -> None:
        assert self.confirm(yes=True)
        assert not self.confirm(yes=False, completing=True)

    def test_agreeing_continues(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answering(monkeypatch, answer=True)
        assert self.confirm(yes=False)

    def test_declining_changes_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answering(monkeypatch, answer=False)
        with pytest.raises(typer.Exit) as ended:
            self.confirm(yes=False)
        assert ended.value.exit_code == 2

    def test_ctrl_c_at_the_question_exits_with_130(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answering(monkeypatch, answer=None)
        with pytest.raises(typer.Exit) as ended:
            self.confirm(yes=False)
        assert ended.value.exit_code == 130


@pytest.mark.parametrize(("typed", "code", "state"), [("n\n", 2, "running"), ("y\n", 0, "stopped")])
def test_stop_asks_at_a_terminal(fakes: Sandbox, typed: str, code: int, state: str) -> None:
    id = fakes.opencast.start(fakes.opencast.event(), "review")
    controller, terminal = pty.openpty()
    try:
        os.write(controller, typed.encode())
        done = subprocess.run(
            [sys.executable, "-m", "workflow_async", "stop", str(id)],
            stdin=terminal,
            capture_output=True,
            text=True,
            env={**os.environ, **opencast_of(fakes)},
            check=False,
        )
    finally:
        os.close(controller)
        os.close(terminal)
    assert done.returncode == code, done.stderr
    assert "Stop these workflows?" in done.stderr
    assert (f"Workflow {id} is stopped" in done.stdout) is (state == "stopped")


def test_only_an_answer_that_lets_an_operation_fail_is_asked_about(run: Run, fakes: Sandbox) -> None:
    assert changing.ANSWERS == ("retry", "fail")
    assert "Give --yes" not in run("answer", "retry", 7, env=opencast_of(fakes)).stderr


class FullOutput(Output):
    """An output that takes no message."""

    def message(self, text: str, style: str = "") -> None:
        """Raise an error."""
        raise OSError(errno.ENOSPC, "No space left on device")


async def test_an_output_that_takes_no_more_does_not_stop_the_changes() -> None:
    changed: list[int] = []

    async def change(id: int) -> ChangeResult:
        changed.append(id)
        return ChangeResult({"id": id}, f"Workflow {id} is stopped")

    with pytest.raises(OSError, match="No space left") as raised:
        await change_each(change, [7, 8], FullOutput(), "stop")
    assert changed == [7, 8]
    assert raised.value.__notes__ == ["Workflow 7 is stopped", "Workflow 8 is stopped"]


async def test_a_reader_that_leaves_is_told_nothing() -> None:
    def leave(*_: object) -> None:
        raise BrokenPipeError

    async def done(id: int) -> ChangeResult:
        return ChangeResult({}, str(id))

    output: Any = SimpleNamespace(result=leave, spinner=Output().spinner)
    with pytest.raises(BrokenPipeError) as raised:
        await change_each(done, [7, 8], output, "stop")
    assert not hasattr(raised.value, "__notes__")


async def test_ctrl_c_tells_which_changes_are_not_known(capsys: pytest.CaptureFixture[str]) -> None:
    async def change(id: int) -> ChangeResult:
        if id != 7:
            await anyio.sleep_forever()
        return ChangeResult({}, f"Workflow {id} is stopped")

    with anyio.move_on_after(0.05):
        await change_each(change, [7, 8, 9], Output(), "stop")
    expected = "workflow-async: interrupted: it is not known whether this was done: stop 8, 9\n"
    assert capsys.readouterr() == ("Workflow 7 is stopped\n", expected)
