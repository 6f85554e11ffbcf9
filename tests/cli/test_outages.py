"""An outage of the server is told while it lasts, and in the rows of the workflows that it hid."""

import io
import json
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
from rich.console import Console

from tests.cli.conftest import Launch, Run, opencast_of
from tests.support.terminal import run_in_terminal
from workflow_async.cli import starting
from workflow_async.cli.batch_log import print_interruption
from workflow_async.cli.display import LineLog, OutageLog, live_view
from workflow_async.cli.outages import Silence, patience_text, read_silence
from workflow_async.cli.output import Output
from workflow_async.cli.systems.checks import Check
from workflow_async.cli.tally import Tally, WaitResult, timeout_result
from workflow_async.cli.watcher import ConsoleWatcher
from workflow_async.cli.watching import WaitSettings, WhenParked, nothing_seen, run_watch
from workflow_async.errors import CallError, NotFound, ServerError
from workflow_async.observe import Stats
from workflow_async.opencast import State, Workflow
from workflow_async.sandbox import Fault, Faults, Sandbox, Step

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
RUNNING = Workflow(id=7, state=State.RUNNING, state_text="running", event_id="e-1")


@pytest.fixture
def closed(fakes: Sandbox) -> dict[str, str]:
    """Return variables that name a port on which nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return {**opencast_of(fakes), "OPENCAST_URL": f"http://127.0.0.1:{free.getsockname()[1]}"}


def stats(**fields: object) -> Stats:
    empty = dict.fromkeys(("last_list", "last_error", "last_error_at", "last_reason", "unanswered_since"))
    zeros = dict.fromkeys(("watched", "in_flight", "queued", "logins", "requests", "retries"), 0)
    known: dict[str, Any] = {**empty, **zeros, "phases": {}, "backoff_factor": 1.0, "outage_since": None, **fields}
    return Stats(**known)


def test_a_server_that_answers_is_not_silent() -> None:
    assert read_silence(stats(last_reason="503 from the server", last_error_at=NOW), NOW) is None


@pytest.mark.parametrize(
    ("reason", "words"),
    [("ConnectError: [Errno 111] Connection refused", "connection refused"), (None, ""), ("503 from the server",) * 2],
)
def test_a_silence_is_told_with_its_length_and_its_reason(reason: str | None, words: str) -> None:
    silence = read_silence(stats(last_reason=reason, unanswered_since=NOW - timedelta(seconds=22)), NOW)
    assert str(silence) == f"no answer for 22 s: {words}"


@pytest.mark.parametrize(
    ("until_timeout", "text"),
    [(None, "will try until 5:00"), (400.0, "will try until 5:00"), (20.0, "will try until the timeout")],
)
def test_the_end_of_patience_is_told(until_timeout: float | None, text: str) -> None:
    assert patience_text(Silence(22.0, "x"), 300.0, until_timeout) == text


def silent_tally(*seconds: float | None, patience: float | None = 300.0) -> Tally:
    """Return a tally whose server is silent for these times, one after the other. None: it answers."""
    left = [None if each is None else Silence(each, "connection refused") for each in seconds]
    return Tally("opencast", 1, silence=lambda: left[0] if len(left) == 1 else left.pop(0), patience=patience)


def test_a_short_silence_is_not_worth_a_line() -> None:
    assert silent_tally(0.9).silence_text() == ""
    assert silent_tally(None).silence_text() == ""


def test_a_batch_has_no_single_end_of_patience() -> None:
    assert silent_tally(22.0, patience=None).silence_text() == "no answer for 22 s: connection refused"


def test_the_line_names_the_timeout_if_it_comes_first() -> None:
    tally = silent_tally(22.0)
    tally.deadline = tally.clock() + 5
    assert tally.silence_text() == "no answer for 22 s: connection refused (will try until the timeout)"


@pytest.mark.parametrize("width", [80, 140])
def test_the_board_has_a_line_about_the_outage_below_it(width: int) -> None:
    screen = io.StringIO()
    Console(file=screen, width=width).print(live_view([silent_tally(22.0)], 1.0))
    last = screen.getvalue().splitlines()[-1]
    assert last == "opencast: no answer for 22 s: connection refused (will try until 5:00)"


@pytest.mark.parametrize("make", [OutageLog, LineLog])
def test_lines_tell_the_beginning_the_length_and_the_end_of_an_outage(make: Callable[..., OutageLog]) -> None:
    file = io.StringIO()
    # `silence` is read twice for each line: for its length and for its text
    log = make(Console(file=file, width=200), [silent_tally(*(2.0,) * 2, *(9.0,) * 2, *(12.0,) * 2, None, None, None)])
    for _ in range(5):
        log.print_changes()
    assert [line for line in file.getvalue().splitlines() if "answer" in line] == [
        "opencast: no answer for 2.0 s: connection refused (will try until 5:00)",
        "opencast: no answer for 12 s: connection refused (will try until 5:00)",
        "opencast: the server answers again",
    ]


@pytest.mark.parametrize(
    ("last", "silence", "text"),
    [
        (None, None, "never seen at the timeout"),
        (RUNNING, None, "still running at the timeout"),
        (None, Silence(4.0, "connection refused"), "never seen, no answer for 4.0 s: connection refused"),
        (RUNNING, Silence(22.0, "connection refused"), "last seen running, no answer for 22 s: connection refused"),
    ],
)
def test_the_row_of_a_timeout_says_what_was_seen_last(
    last: Workflow | None, silence: Silence | None, text: str
) -> None:
    result = timeout_result(7, last, silence)
    assert (result.outcome, result.error, result.code) == ("timed out", text, 3)


@pytest.mark.parametrize(
    ("last", "error", "text", "code"),
    [
        (None, NotFound(404), "never seen, not found (404)", 5),
        (RUNNING, ServerError(500), "last seen running, the server failed (500)", 3),
    ],
)
def test_the_row_of_a_timeout_says_why_the_last_check_failed(
    last: Workflow | None, error: CallError, text: str, code: int
) -> None:
    result = timeout_result(7, last, None, error)
    assert (result.outcome, result.error, result.code) == ("timed out", text, code)


def silent_watcher(*, requests: int = 1, seen: bool = False, silence: Silence | None = None) -> ConsoleWatcher:
    """Return a watcher whose server has shown nothing. The first check of the server finds an error."""

    async def fail() -> str:
        raise NotFound(404)

    system: Any = SimpleNamespace(checks=lambda: [Check("server", fail)])
    tally = Tally("opencast", 1, requests=lambda: requests, silence=lambda: silence)
    if seen:
        tally.update(RUNNING)
    return ConsoleWatcher(system, tally)


@pytest.mark.parametrize(
    ("options", "last_error", "is_checked"),
    [
        ({}, None, True),
        ({"requests": 0}, None, False),
        ({"seen": True}, None, False),
        ({"silence": Silence(4.0, "connection refused")}, None, False),
        ({}, NotFound(404), False),
    ],
)
async def test_the_server_is_checked_if_it_answers_and_shows_nothing(
    options: dict[str, Any], last_error: CallError | None, *, is_checked: bool
) -> None:
    watch: Any = SimpleNamespace(ids={7}, last_error=lambda _: last_error)
    cause = await silent_watcher(**options)._cause_of_silence(watch)
    assert (cause is not None) is is_checked


async def test_a_server_that_can_be_used_is_no_cause() -> None:
    watcher = silent_watcher()

    async def succeed() -> str:
        return "it can be used"

    watcher.system.checks = lambda: [Check("server", succeed)]  # type: ignore[method-assign]
    watch: Any = SimpleNamespace(ids={7}, last_error=lambda _: None)
    assert await watcher._cause_of_silence(watch) is None


@pytest.mark.parametrize(
    ("requests", "silence", "list_error", "text"),
    [
        (1, None, None, None),
        (0, None, None, "nothing was seen, no request was answered before the timeout"),
        (1, Silence(4.0, "connection refused"), None, "nothing was seen, no answer for 4.0 s: connection refused"),
        (1, None, NotFound(404), "404 NotFound"),
    ],
)
def test_a_watch_that_has_seen_nothing_says_why(
    requests: int, silence: Silence | None, list_error: CallError | None, text: str | None
) -> None:
    tally = Tally("opencast", silence=lambda: silence, requests=lambda: requests, list_error=lambda: list_error)
    failure = nothing_seen(tally)
    assert (failure and str(failure)) == text


@pytest.mark.parametrize("results", [[WaitResult(7, "succeeded")], []])
async def test_ctrl_c_prints_the_results_so_far(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], results: list[WaitResult]
) -> None:
    async def watch(watcher: ConsoleWatcher, *_: object) -> None:
        for result in results:
            watcher.tally.add_result(result)
        await anyio.sleep_forever()

    monkeypatch.setattr(ConsoleWatcher, "watch", watch)
    ctx: Any = SimpleNamespace(
        output=Output(), system=SimpleNamespace(name="opencast", client=None, spans=lambda _: ())
    )
    with anyio.move_on_after(0.02):
        await run_watch(ctx, [7, 8], WaitSettings(None, WhenParked.WAIT, 2.0))
    assert [line.split()[:2] for line in capsys.readouterr().out.splitlines()[1:]] == [
        [str(result.id), result.outcome] for result in results
    ]


async def test_ctrl_c_during_a_start_says_that_it_may_have_started(capsys: pytest.CaptureFixture[str]) -> None:
    async def start(*_: object) -> None:
        await anyio.sleep_forever()

    ctx: Any = SimpleNamespace(output=Output(), system=SimpleNamespace(start=start))
    with anyio.move_on_after(0.02):
        await starting.start(ctx, ["e", "fast"])
    assert "interrupted: the workflow may have started" in capsys.readouterr().err


def test_a_batch_that_was_interrupted_before_its_first_start_has_no_table(capsys: pytest.CaptureFixture[str]) -> None:
    print_interruption(Output(), [], None, ("workflow-async", "run"))
    assert capsys.readouterr() == ("interrupted: 0 starts\n", "")


def test_a_watch_of_a_closed_port_says_so_on_stderr_and_in_each_row(run: Run, closed: dict[str, str]) -> None:
    result = run("watch", 7, "--timeout", 3, "--every", 0.2, "--json", env=closed)
    (line,) = map(json.loads, result.stdout.splitlines())
    assert line["error"].startswith("never seen, no answer for ")
    assert line["error"].endswith(" s: connection refused")
    assert "opencast: no answer for " in result.stderr
    assert "connection refused (will try until the timeout)" in result.stderr
    assert result.exit_code == 3


def test_a_filter_on_a_closed_port_says_that_nothing_was_seen(run: Run, closed: dict[str, str]) -> None:
    result = run("watch", "--filter", "state=running", "--timeout", 1.5, "--every", 0.2, env=closed)
    assert result.stderr.splitlines()[-1].startswith("workflow-async: nothing was seen, no answer for ")
    assert result.exit_code == 3


@pytest.mark.parametrize("width", [80, 140])
def test_a_terminal_shows_the_outage_while_it_lasts(closed: dict[str, str], width: int) -> None:
    seen = run_in_terminal("watch", 7, 8, "--timeout", 3, "--every", 0.2, env=closed, width=width)
    assert seen.text.count("s: connection refused (will try until the timeout)") > 3
    assert "never seen, no answer for 3." in seen.text
    assert seen.code == 3


def test_a_server_that_goes_and_comes_back_is_told(launch: Launch, fakes: Sandbox) -> None:
    fakes.opencast.define("long", [Step("encode", 5000.0)])
    id = fakes.opencast.start(fakes.opencast.event(), "long")
    watching = launch("watch", id, "--every", 0.2, "--json", env=opencast_of(fakes))
    assert json.loads(watching.line())["now"] == "running"
    fakes.opencast.faults = Faults(rates={Fault.CUT_BEFORE: 1.0})
    assert watching.error_line().startswith("opencast: no answer for ")
    fakes.opencast.faults = ()
    assert watching.error_line() == "opencast: the server answers again\n"


def test_a_run_on_a_closed_port_says_so(launch: Launch, closed: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_text("event,definition\ne,noop\n")
    running = launch("run", tmp_path / "b.csv", "--every", 0.2, env=closed)
    told = next(line for line in iter(running.error_line, "") if "no answer for " in line)
    assert told.startswith("opencast: no answer for ")
    assert told.endswith(": connection refused (will try until 5:00)\n")
