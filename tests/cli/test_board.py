"""The live board of many workflows, and the live timeline of one."""

import io
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import pytest
from rich.console import Console

from tests.cli.conftest import Run, opencast_of
from tests.support.terminal import terminal_output
from workflow_async.cli import live_timeline
from workflow_async.cli.board import MAX_DEFINITIONS, board_lines, definition_lines, ends_by_minute, sparkline
from workflow_async.cli.display import LineLog, live_view, timeline
from workflow_async.cli.live_timeline import LiveTimeline
from workflow_async.cli.tables import timeline_columns
from workflow_async.cli.tally import Tally, WaitResult, result_of
from workflow_async.cli.timeline import Span, axis_text, bars, time_axis
from workflow_async.opencast import Operation, OperationState, State, Workflow
from workflow_async.sandbox import Sandbox

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)


@pytest.fixture
def slow() -> Iterator[Sandbox]:
    """Return a sandbox in which a publication takes 4 s."""
    with Sandbox(speed=20) as sandbox:
        yield sandbox


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def workflow(id: int, *, definition: str = "publish", step: str = "encode", state: State = State.RUNNING) -> Workflow:
    failed = state is State.FAILED
    kind = OperationState.FAILED if failed else OperationState.RUNNING
    operation = Operation(
        operation=step, state=kind, state_text=kind.value, start=NOON, completion=at(9) if failed else None
    )
    return Workflow(
        id=id,
        state=state,
        state_text=state.value,
        event_id="e-1",
        definition_id=definition,
        operations=(operation,),
    )


def tally_at(now: Callable[[], float], **settings: object) -> Tally:
    tally = Tally("opencast", 4, clock=now, **settings)  # type: ignore[arg-type]
    tally.kind = lambda each: each.definition_id
    return tally


def drawn(tally: Tally, width: int = 80) -> list[str]:
    file = io.StringIO()
    terminal = Console(file=file, width=width, force_terminal=True, _environ={"TERM": "xterm", "NO_COLOR": "1"})
    for line in board_lines(tally, width):
        terminal.print(line)
    return [line.rstrip() for line in Console(file=io.StringIO()).render_str(file.getvalue()).plain.splitlines()]


def test_a_line_for_each_definition_counts_the_operations() -> None:
    tally = tally_at(lambda: 0.0)
    for record in (workflow(1), workflow(2), workflow(3, step="inspect"), workflow(4, definition="fast")):
        tally.update(record)
    lines = [(line.name, line.active, line.operations) for line in definition_lines(tally)]
    assert lines == [("publish", 3, "2 encode, 1 inspect"), ("fast", 1, "1 encode")]


def test_definitions_without_room_are_counted() -> None:
    tally = tally_at(lambda: 0.0)
    for id in range(MAX_DEFINITIONS + 3):
        tally.update(workflow(id, definition=f"d-{id}"))
    assert any("and 3 of 3 other definitions" in line for line in drawn(tally))


def test_the_last_three_ends_are_shown_with_the_reason_of_a_failure() -> None:
    now = 0.0
    tally = tally_at(lambda: now)
    for id in (1, 2, 3):
        tally.add_result(WaitResult(id, "succeeded"))
    now = 60.0
    tally.add_result(result_of(workflow(4, state=State.FAILED)))
    now = 62.0
    *_, last, third, second = drawn(tally, 140)
    assert "4" in last
    assert "failed" in last
    assert "2.0 s ago" in last
    assert "in encode" in last
    assert ("3" in third, "2" in second, "1:02 ago" in second) == (True, True, True)


@pytest.mark.parametrize("width", [80, 140])
def test_no_line_of_the_board_is_wider_than_the_terminal(width: int) -> None:
    tally = tally_at(lambda: 0.0)
    for id in range(30):
        tally.update(workflow(id, definition="a-definition-with-a-long-name", step=f"a-long-operation-{id}"))
        tally.add_result(WaitResult(100 + id, "unobserved", error="a long reason " * 20))
    file = io.StringIO()
    Console(file=file, width=width).print(live_view([tally], 1.0, width))
    assert max(map(len, file.getvalue().splitlines())) <= width


def test_the_pace_has_elapsed_time_ends_expected_end_and_last_check() -> None:
    now, requests = 0.0, 0
    tally = tally_at(lambda: now, usual_remaining={1: 70.0}.get)
    tally.requests = lambda: requests
    tally.update(workflow(1))
    assert tally.last_check() is None
    requests, now = 1, 88.0
    tally.last_check()
    tally.add_result(WaitResult(2, "succeeded"))
    now = 90.0
    text = " ".join(" ".join(drawn(tally, 300)).split())
    assert "elapsed 1:30, ends a minute ▁█ 1 now" in text
    assert "the end is expected in about 1:10, by the usual durations, which are known for 1 of 1" in text
    assert "last check 2.0 s ago" in text


def test_ends_are_counted_by_the_minute() -> None:
    assert ends_by_minute([0.0, 59.9, 60.0, 190.0], 200.0) == [2, 1, 0, 1]
    assert ends_by_minute([], 0.0) == [0]


def test_a_sparkline_is_as_high_as_the_share_of_the_highest() -> None:
    assert sparkline([0, 4, 8]) == "▁▅█"
    assert sparkline([0, 0]) == "▁▁"
    assert sparkline([]) == ""


# The timeline


def test_the_axis_names_the_clock_times() -> None:
    first, last = NOON.astimezone(), at(60).astimezone()
    begin, end, middle = (f"{each:%H:%M:%S}" for each in (first, last, at(30).astimezone()))
    assert axis_text(NOON, at(60), 20) == f"{begin}    {end}"
    assert axis_text(NOON, at(60), 40) == f"{begin}{middle:^24}{end}"
    assert axis_text(NOON, at(60), 16) == begin


def test_the_time_in_the_queue_is_apart() -> None:
    first = Span("inspect", "succeeded", at(10), at(20), queued=timedelta(seconds=10))
    second = Span("encode", "running", at(30), done=False, queued=timedelta(seconds=10))
    assert [bar.draw() for bar in bars([first, second], 8, at(40))] == ["░░██", "    ░░▒▒"]
    assert time_axis([first, second], at(40)) == (NOON, at(40))
    assert time_axis([], NOON) == (NOON, NOON)


def test_the_queue_has_a_column_where_there_is_room() -> None:
    spans = [Span("inspect", "succeeded", at(10), at(20), queued=timedelta(seconds=10))]
    wide, narrow = (timeline_columns(spans, width, NOON)[0] for width in (140, 80))
    assert [column.heading for column in wide][:4] == ["OPERATION", "STATE", "TOOK", "QUEUED"]
    assert [column.heading for column in narrow][:3] == ["OPERATION", "STATE", "TOOK"]
    assert sum(column.width + 2 for column in narrow if not column.below) <= 82


def test_a_timeline_that_has_not_begun_has_no_axis() -> None:
    columns, rows = timeline_columns([Span("inspect", "instantiated")], 80, NOON)
    assert (columns[-2].heading, rows[0].draw()) == ("", "")


def test_the_failed_bar_is_red_with_its_message_below(fakes: Sandbox) -> None:
    (id,) = fakes.opencast.seed(1, definitions=["fails"], age=1000)
    lines = terminal_output(f"show {id}", opencast_of(fakes)).splitlines()
    (index,) = [index for index, line in enumerate(lines) if line.startswith("encode")]
    assert re.search(r"\x1b\[1;31m *█", lines[index])
    assert "in encode (attempt 1 of 1, host" in lines[index + 1]


def test_show_follow_waits_for_the_end_and_tells_it_by_the_exit_code(run: Run, fakes: Sandbox) -> None:
    good = fakes.opencast.start(fakes.opencast.event(), "fast")
    bad = fakes.opencast.start(fakes.opencast.event(), "fails")
    followed = run("show", good, "--follow", env=opencast_of(fakes))
    assert (followed.exit_code, followed.stdout.splitlines()[0]) == (0, f"Workflow {good} is succeeded")
    assert run("show", bad, "-f", env=opencast_of(fakes)).exit_code == 1


def test_a_single_workflow_is_a_timeline_that_grows(fakes: Sandbox) -> None:
    id = fakes.opencast.start(fakes.opencast.event(), "review")
    shown = terminal_output(f"watch {id} --every 0.1 --timeout 2", opencast_of(fakes), with_stderr=True)
    assert f"Workflow {id} is parked" in shown
    assert re.search(r"OPERATION .*\d\d:\d\d:\d\d", shown)
    assert re.search("editor .*paused", shown)
    assert "last check" in shown


def test_several_workflows_are_a_board(fakes: Sandbox) -> None:
    ids = [fakes.opencast.start(fakes.opencast.event(), "review") for _ in range(3)]
    words = f"watch {' '.join(map(str, ids))} --every 0.1 --timeout 2"
    shown = terminal_output(words, opencast_of(fakes), with_stderr=True)
    assert "elapsed" in shown
    assert "3 editor" in shown


async def test_a_timeline_is_drawn_again_until_the_block_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_timeline, "FRAME_INTERVAL", 0.001)
    file, tally = io.StringIO(), tally_at(lambda: 0.0)
    console = Console(file=file, force_terminal=True, width=80, _environ={"TERM": "xterm"})
    async with timeline(console, tally, lambda _: [Span("encode", "running", NOON, done=False)]):
        while "no answer yet" not in file.getvalue():
            await anyio.lowlevel.checkpoint()
        tally.update(workflow(7))
        while "Workflow 7 is running" not in file.getvalue():
            await anyio.lowlevel.checkpoint()
    assert file.getvalue().rfind("\x1b[?25h") > file.getvalue().rfind("Workflow 7")


def test_a_dumb_terminal_gets_lines(fakes: Sandbox) -> None:
    id = fakes.opencast.start(fakes.opencast.event(), "review")
    variables = {**opencast_of(fakes), "TERM": "dumb"}
    shown = terminal_output(f"watch {id} --every 0.1 --timeout 3", variables, with_stderr=True)
    assert "opencast: 0 of 1 settled" in shown
    assert "\x1b" not in shown


def test_a_timeline_without_a_record_says_so() -> None:
    tally = Tally("opencast", 1)
    file = io.StringIO()
    terminal = Console(file=file, width=80)
    terminal.print(LiveTimeline(terminal, tally, lambda _: [], lambda: ["a note"]).frame(NOON))
    assert file.getvalue().split("\n")[:2] == ["opencast: no answer yet", "a note"]


async def test_a_timeline_outside_a_terminal_is_lines() -> None:
    file = io.StringIO()
    async with timeline(Console(file=file, width=80), Tally("opencast", 1), lambda _: []):
        pass
    assert file.getvalue() == ""
    assert LineLog(Console(file=file), []).tallies == []


def test_the_board_of_a_batch_names_the_workflows_that_have_ended(slow: Sandbox) -> None:
    event = slow.opencast.event()
    Path("batch.csv").write_text(f"event,definition\n{event},fails\n{slow.opencast.event()},publish\n")
    shown = terminal_output("run batch.csv --every 0.1", opencast_of(slow), with_stderr=True)
    board = shown.rpartition("\x1b[2K")[0]
    assert re.search(r"\d{4} .*failed.*ago +in encode \(attempt 1 of 1", board)
    assert re.search(r"publish +1 +1 encode", board)
    assert re.search(r"ends a minute \S+ 1 now.*last check", board)
