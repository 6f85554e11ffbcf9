import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from tests.support.journal_files import ticket
from workflow_async.cli.exit_codes import (
    Exit,
    SandboxError,
    UsageError,
    code_of,
    print_error,
    printable_text,
    run_and_exit,
    worst_code,
)
from workflow_async.errors import (
    AlreadyFinished,
    ClientClosed,
    ConnectFailed,
    InvalidArgument,
    ListingNotSupported,
    NotFound,
    StartOutcomeUnknown,
    WaitTimeout,
    WorkflowFailed,
    WorkflowParked,
)
from workflow_async.opencast import State, Workflow

WORKFLOW = Workflow(id=7, state=State.FAILED, state_text="failed", event_id="e-1")


def raising(error: BaseException) -> int:
    def run() -> Exit:
        raise error

    with pytest.raises(typer.Exit) as ended:
        run_and_exit(run)
    return ended.value.exit_code


@pytest.mark.parametrize("error", [UsageError("no server"), InvalidArgument("sort", "must be one key")])
def test_a_command_that_cannot_be_carried_out_as_given_is_2(error: Exception) -> None:
    assert code_of(error) is Exit.USAGE


@pytest.mark.parametrize(
    "error", [WorkflowFailed(WORKFLOW), WorkflowParked(WORKFLOW), WaitTimeout(7, 1.0, None), AlreadyFinished(WORKFLOW)]
)
def test_what_a_workflow_did_is_1(error: Exception) -> None:
    assert code_of(error) is Exit.FAILED


@pytest.mark.parametrize(
    "error",
    [
        ConnectFailed("refused"),
        NotFound(404),
        ListingNotSupported("an index page"),
        ClientClosed(),
        StartOutcomeUnknown(ConnectFailed("reset"), look_for="it", ticket=ticket("7")),
        SandboxError("taken"),
    ],
)
def test_what_the_server_or_the_network_did_is_3(error: Exception) -> None:
    assert code_of(error) is Exit.SERVER


def test_what_could_not_be_observed_weighs_most() -> None:
    assert worst_code([Exit.DONE, Exit.SERVER, Exit.FAILED]) is Exit.SERVER
    assert worst_code([]) is Exit.DONE


def test_an_error_is_one_sentence_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    assert raising(NotFound(404, message="no such\nworkflow \x1b[31m7")) == 3
    out, err = capsys.readouterr()
    assert (out, err) == ("", "workflow-async: 404 NotFound: no such workflow \N{REPLACEMENT CHARACTER}[31m7\n")


def test_an_error_out_of_a_task_group_is_the_same_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert raising(ExceptionGroup("tasks", [ExceptionGroup("more", [UsageError("no server")])])) == 2
    assert capsys.readouterr().err == "workflow-async: no server\n"


def test_ctrl_c_is_130_without_a_word(capsys: pytest.CaptureFixture[str]) -> None:
    assert raising(KeyboardInterrupt()) == 130
    assert capsys.readouterr() == ("", "")


def test_a_fault_of_our_own_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        run_and_exit(lambda: Exit(1 // 0))
    with pytest.raises(ZeroDivisionError):
        raising(ExceptionGroup("tasks", [ZeroDivisionError()]))


def test_a_reader_that_has_gone_is_141(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with (tmp_path / "out").open("w") as out:
        monkeypatch.setattr(sys, "stdout", out)
        assert raising(BrokenPipeError()) == 141
        assert os.fstat(out.fileno()).st_rdev == Path(os.devnull).stat().st_rdev


def test_text_of_a_server_cannot_steer_a_terminal() -> None:
    assert printable_text("a\tb\x1b]0;title\x07") == "a b\N{REPLACEMENT CHARACTER}]0;title\N{REPLACEMENT CHARACTER}"


def test_complaints_do_not_spill_over_lines(capsys: pytest.CaptureFixture[str]) -> None:
    print_error(UsageError("first\r\n  second"))
    assert capsys.readouterr().err == "workflow-async: first second\n"


def test_without_the_extra_of_the_sandbox_the_demo_says_how_to_get_it() -> None:
    code = "import sys; sys.modules['uvicorn'] = None; from workflow_async.__main__ import main; main()"
    ended = subprocess.run([sys.executable, "-c", code, "demo"], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "pip install 'workflow-async[cli,sandbox]'" in ended.stderr


def test_the_command_line_loads_nothing_of_the_sandbox() -> None:
    code = "import sys, workflow_async.cli; print([name for name in sys.modules if 'sandbox' in name])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
