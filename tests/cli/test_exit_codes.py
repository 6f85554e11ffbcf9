import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest
import typer

from tests.cli.conftest import Run, opencast_of
from tests.support.journal_files import ticket
from workflow_async.cli.app import writing
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
from workflow_async.cli.output import console
from workflow_async.errors import (
    AlreadyFinished,
    BadRequest,
    CallError,
    ClientClosed,
    ConnectFailed,
    DeadlineExceeded,
    Forbidden,
    ForeignResponse,
    InvalidArgument,
    ListingIncomplete,
    ListingNotSupported,
    NotAcceptable,
    NotFound,
    NotHeld,
    RateLimited,
    ServerError,
    StartConflict,
    StartForbidden,
    StartInvalid,
    StartOutcomeUnknown,
    StartUnauthorized,
    Unauthorized,
    UnexpectedContent,
    WaitTimeout,
    WorkflowFailed,
    WorkflowParked,
)
from workflow_async.opencast import State, Workflow
from workflow_async.sandbox import Sandbox

WORKFLOW = Workflow(id=7, state=State.FAILED, state_text="failed", event_id="e-1")


def exit_code(error: BaseException) -> int:
    def run() -> Exit:
        raise error

    with pytest.raises(typer.Exit) as ended:
        run_and_exit(run)
    return ended.value.exit_code


@pytest.mark.parametrize(
    "error", [UsageError("no server"), InvalidArgument("sort", "must be one key"), BadRequest(400), StartInvalid(400)]
)
def test_an_invalid_command_exits_with_2(error: Exception) -> None:
    assert code_of(error) is Exit.USAGE


@pytest.mark.parametrize(
    "error",
    [
        WorkflowFailed(WORKFLOW),
        WorkflowParked(WORKFLOW),
    ],
)
def test_an_error_about_a_workflow_exits_with_1(error: Exception) -> None:
    assert code_of(error) is Exit.FAILED


@pytest.mark.parametrize(
    "error",
    [
        ConnectFailed("refused"),
        DeadlineExceeded("no response"),
        WaitTimeout(7, 1.0, None),
        ServerError(503),
        RateLimited(429),
        ForeignResponse(404),
        ClientClosed(),
        StartOutcomeUnknown(ConnectFailed("reset"), look_for="it", ticket=ticket("7")),
        SandboxError("taken"),
    ],
)
def test_an_error_that_may_pass_exits_with_3(error: Exception) -> None:
    assert code_of(error) is Exit.SERVER


@pytest.mark.parametrize(
    "error",
    [
        *(Unauthorized(401), Forbidden(403), StartUnauthorized(401), StartForbidden(403)),
        ListingIncomplete(("GET",), ("e-1",), "ROLE_ADMIN"),
    ],
)
def test_a_refused_user_exits_with_4(error: Exception) -> None:
    assert code_of(error) is Exit.REFUSED


def no_api(error: CallError) -> CallError:
    error.absent = "no Opencast External API at https://oc.example.org"
    return error


@pytest.mark.parametrize(
    "error",
    [
        NotFound(404),
        StartConflict(409),
        NotAcceptable(406),
        ListingNotSupported("an index page"),
        ListingIncomplete(("GET",), ("e-1",)),
        AlreadyFinished(WORKFLOW),
        NotHeld(WORKFLOW),
        no_api(ForeignResponse(404)),
        no_api(UnexpectedContent("a page")),
        no_api(ServerError(501)),
    ],
)
def test_what_does_not_exist_or_cannot_be_done_exits_with_5(error: Exception) -> None:
    assert code_of(error) is Exit.NOT_POSSIBLE


def test_the_worst_code_is_that_of_a_server_error() -> None:
    assert worst_code([Exit.DONE, Exit.SERVER, Exit.FAILED]) is Exit.SERVER
    assert worst_code([Exit.NOT_POSSIBLE, Exit.FAILED]) is Exit.NOT_POSSIBLE
    assert worst_code([]) is Exit.DONE


def test_an_error_is_one_line_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(NotFound(404, message="no such\nworkflow \x1b[31m7")) == 5
    out, err = capsys.readouterr()
    assert (out, err) == ("", "workflow-async: not found: no such workflow \N{REPLACEMENT CHARACTER}[31m7 (404)\n")


def test_an_error_in_an_exception_group_is_one_line_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(ExceptionGroup("tasks", [ExceptionGroup("more", [UsageError("no server")])])) == 2
    assert capsys.readouterr().err == "workflow-async: no server\n"


def test_ctrl_c_exits_with_130_and_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(KeyboardInterrupt()) == 130
    assert capsys.readouterr() == ("", "")


def test_an_unexpected_error_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        run_and_exit(lambda: Exit(1 // 0))
    with pytest.raises(ZeroDivisionError):
        exit_code(ExceptionGroup("tasks", [ZeroDivisionError()]))


def test_a_closed_pipe_exits_with_141(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with (tmp_path / "out").open("w") as out:
        monkeypatch.setattr(sys, "stdout", out)
        assert exit_code(BrokenPipeError()) == 141
        assert os.fstat(out.fileno()).st_rdev == Path(os.devnull).stat().st_rdev


HELP = [(), ("--help",), ("--version",), ("run", "--help")]


def written_to(output: int | IO[str], command: tuple[str, ...]) -> tuple[int, str]:
    """Run a command whose stdout is this one. Return the exit code and stderr."""
    arguments = [sys.executable, "-m", "workflow_async", *command]
    ended = subprocess.run(arguments, stdout=output, stderr=subprocess.PIPE, text=True, check=False)
    return ended.returncode, ended.stderr


@pytest.mark.parametrize("command", HELP)
def test_a_reader_of_the_help_that_leaves_ends_it_with_141(command: tuple[str, ...]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    assert written_to(writer, command) == (141, "")
    os.close(writer)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
@pytest.mark.parametrize("command", HELP)
def test_the_help_on_a_full_disk_is_one_sentence(command: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        expected = "workflow-async: the output cannot be written: No space left on device\n"
        assert written_to(full, command) == (3, expected)


def test_an_output_that_takes_no_more_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (tmp_path / "out").open("w") as out:
        monkeypatch.setattr(sys, "stdout", out)
        assert exit_code(OSError(errno.ENOSPC, "No space left on device")) == 3
    expected = "workflow-async: the output cannot be written: No space left on device\n"
    assert capsys.readouterr().err == expected


def test_another_error_of_the_system_keeps_its_traceback() -> None:
    with pytest.raises(PermissionError):
        exit_code(PermissionError(errno.EACCES, "Permission denied"))


def test_a_console_raises_an_error_if_its_reader_is_gone() -> None:
    with pytest.raises(BrokenPipeError):
        console().on_broken_pipe()


def test_an_error_that_cannot_be_printed_keeps_its_exit_code(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(typer, "echo", full)
    with (tmp_path / "err").open("w") as err:
        monkeypatch.setattr(sys, "stderr", err)
        assert exit_code(NotFound(404)) == 5
        assert os.fstat(err.fileno()).st_rdev == Path(os.devnull).stat().st_rdev  # the interpreter can flush it


def test_what_was_done_is_told_if_the_output_takes_no_more(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    error = OSError(errno.ENOSPC, "No space left on device")
    error.add_note("Workflow 7 is stopped")
    with (tmp_path / "out").open("w") as out:
        monkeypatch.setattr(sys, "stdout", out)
        assert exit_code(error) == 3
    assert capsys.readouterr().err.endswith(": No space left on device. Workflow 7 is stopped\n")


def test_a_printable_text_has_no_control_characters() -> None:
    assert printable_text("a\tb\x1b]0;title\x07") == "a b\N{REPLACEMENT CHARACTER}]0;title\N{REPLACEMENT CHARACTER}"


def test_an_error_with_line_breaks_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_error(UsageError("first\r\n  second"))
    assert capsys.readouterr().err == "workflow-async: first second\n"


def test_without_its_extra_the_demo_says_how_to_install_it() -> None:
    code = "import sys; sys.modules['uvicorn'] = None; from workflow_async.__main__ import main; main()"
    ended = subprocess.run([sys.executable, "-c", code, "demo"], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "pip install 'workflow-async[cli,sandbox]'" in ended.stderr


def test_the_command_line_imports_no_sandbox() -> None:
    code = "import sys, workflow_async.cli; print([name for name in sys.modules if 'sandbox' in name])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
def test_a_report_on_a_full_disk_exits_with_3(run: Run, sandbox_11: Sandbox) -> None:
    Path("b.csv").write_text(f"event,definition\n{sandbox_11.opencast.event()},noop\n")
    run("run", "b.csv", "--journal", "b.sqlite", "--every", 0.1, env=opencast_of(sandbox_11))
    full = run("report", "b.sqlite", "--html", "/dev/full")
    expected = "workflow-async: /dev/full cannot be written: No space left on device\n"
    assert (full.exit_code, full.stderr) == (3, expected)
    nowhere = run("report", "b.sqlite", "--html", "no/such/folder.html")
    assert (nowhere.exit_code, "No such file or directory" in nowhere.stderr) == (2, True)


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))
from workflow_async.__main__ import main
main()
"""


def test_a_journal_that_the_disk_does_not_take_exits_with_3(sandbox_11: Sandbox) -> None:
    Path("b.csv").write_text(f"event,definition\n{sandbox_11.opencast.event()},noop\n")
    ended = subprocess.run(
        [sys.executable, "-c", LIMITED, "run", "b.csv", "--every", "0.1"],
        env={**os.environ, **opencast_of(sandbox_11)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, "Check the path, the disk and its free space" in ended.stderr) == (3, True), ended.stderr
    assert "Traceback" not in ended.stderr
    assert not any(request.method == "POST" for request in sandbox_11.opencast.requests)


def test_an_exit_that_no_output_has_caused_keeps_its_code() -> None:
    with pytest.raises(SystemExit) as ended, writing():
        sys.exit(2)
    assert ended.value.code == 2
