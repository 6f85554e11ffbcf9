from datetime import UTC, datetime, timedelta
from typing import Any

from workflow_async.cli.display import live_view, progress_line
from workflow_async.cli.exit_codes import Exit
from workflow_async.cli.output import console
from workflow_async.cli.records import tree
from workflow_async.cli.summary import outcome_text, summarize
from workflow_async.cli.systems.preservica import PreservicaSystem
from workflow_async.cli.tally import Estimate, Tally, WaitResult, error_result, result_of, timeout_result
from workflow_async.cli.watcher import ConsoleWatcher
from workflow_async.errors import ConnectFailed, WorkflowAsyncError, WorkflowParked, WorkflowReplaced
from workflow_async.monitor import Change
from workflow_async.preservica import PreservicaClient, State, Workflow

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)


def workflow(id: int, state: State, step: str | None = None, *, seconds: float | None = None) -> Workflow:
    finished = None if seconds is None else NOON + timedelta(seconds=seconds)
    return Workflow(
        id=id, state=state, state_text=state.name, current_step=step, started=finished and NOON, finished=finished
    )


def preservica() -> PreservicaSystem:
    return PreservicaSystem(PreservicaClient("pv.example.org", username="u", password="p", tenant="T"))


def changes(*workflows: Workflow) -> list[dict[str, Any]]:
    """Return the JSON of each change that a watcher reports for the records of one workflow."""
    lines: list[dict[str, Any]] = []
    watcher = ConsoleWatcher(preservica(), Tally("preservica", 1), report=lambda event: lines.append(tree(event)))
    was = None
    for record in workflows:
        assert watcher._handle(Change(workflow=record, was=was, now=record.phase, seen_at=NOON)) is None
        was = record.phase
    return lines


def test_the_first_check_is_a_change_from_none() -> None:
    (first,) = changes(workflow(7, State.PENDING))
    assert first == {"id": 7, "was": None, "now": "waiting", "state": "PENDING", "step": None}


def test_a_check_that_shows_nothing_new_is_no_change() -> None:
    assert len(changes(workflow(7, State.ACTIVE, "Store"), workflow(7, State.ACTIVE, "Store"))) == 1


def test_another_step_is_a_change() -> None:
    _, change = changes(workflow(7, State.ACTIVE, "Unpack"), workflow(7, State.ACTIVE, "Store"))
    assert change == {"id": 7, "was": "running", "now": "running", "state": "ACTIVE", "step": "Store"}


def test_each_workflow_counts_once() -> None:
    tally = Tally("preservica", 5)
    tally.update(workflow(1, State.ACTIVE))
    done = workflow(2, State.COMPLETED)
    tally.update(done)
    tally.add_result(result_of(done))
    tally.add_result(error_result(3, ConnectFailed("refused"), None))
    assert tally.counts == {"unseen": 2, "running": 1, "succeeded": 1, "unobserved": 1}


def codes(*errors: WorkflowAsyncError) -> list[tuple[str, Exit]]:
    results = [error_result(7, error, None) for error in errors]
    return [(result.outcome, result.code) for result in results]


def test_a_replaced_workflow_has_its_own_word_and_exits_with_3() -> None:
    found = workflow(7, State.COMPLETED)
    assert codes(WorkflowReplaced(7, None, found)) == [("replaced", Exit.SERVER)]
    tally = Tally("preservica", 1)
    tally.add_result(error_result(7, WorkflowReplaced(7, workflow(7, State.ACTIVE), found), None))
    assert tally.counts == {"replaced": 1}


def test_only_success_exits_with_0() -> None:
    states = [State.COMPLETED, State.FINISHED_MIXED_OUTCOME, State.FAILED, State.ABORTED, State.SUSPENDED]
    assert [result_of(workflow(7, state)).code for state in states] == [0, 1, 1, 1, 1]


def test_the_result_of_an_error_names_the_outcome() -> None:
    parked = workflow(7, State.SUSPENDED)
    assert codes(WorkflowParked(parked), ConnectFailed("refused")) == [
        ("parked", Exit.FAILED),
        ("unobserved", Exit.SERVER),
    ]


def test_a_result_is_a_line_with_its_record_and_its_error() -> None:
    seen = workflow(7, State.ACTIVE)
    line = tree(timeout_result(7, seen, None))
    assert line["outcome"] == "timed out"
    assert line["workflow"]["state"] == "Active"
    assert line["error"] == "still ACTIVE at the timeout"


def test_a_progress_line_has_counts_and_rate() -> None:
    tally = Tally("preservica", 4)
    tally.add_result(WaitResult(1, "succeeded"))
    assert progress_line(tally, 2.0) == "preservica: 1 of 4 settled, 0.5 a second (3 unseen, 1 succeeded)"


def test_the_live_table_shows_only_phases_that_occur() -> None:
    tally, unstarted = Tally("preservica", 4), Tally("opencast", 2)
    tally.add_result(WaitResult(1, "succeeded"))
    screen = console()
    with screen.capture() as capture:
        screen.print(live_view([tally, unstarted], 2.0))
    heading, first, second, *_ = capture.get().splitlines()
    assert heading.split() == ["settled", "a", "second", "succeeded"]
    assert first.split()[:3] == ["preservica", "1/4", "0.5"]
    assert second.split()[:2] == ["opencast", "0/2"]


def test_a_summary_has_the_durations_of_ended_workflows() -> None:
    tally = Tally("preservica", 12)
    for seconds in range(1, 11):
        tally.add_result(result_of(workflow(seconds, State.COMPLETED, seconds=seconds)))
    tally.add_result(result_of(workflow(11, State.SUSPENDED)))
    tally.add_result(error_result(12, ConnectFailed("refused"), None))
    summary = summarize(tally, 99, preservica().spans)
    assert (summary.median, summary.p90, summary.longest, summary.requests) == (5.5, 9.0, 10.0, 99)
    assert outcome_text(summary.outcomes) == "1 parked, 10 succeeded, 1 unobserved"


def test_a_summary_without_durations_has_none() -> None:
    summary = summarize(Tally("preservica", 0), 0, preservica().spans)
    assert (summary.workflows, summary.median, summary.p90, summary.longest) == (0, None, None, None)


def test_the_eta_is_that_of_the_longest_workflow() -> None:
    tally = Tally("preservica", 2, usual_remaining={1: 30.0, 2: 90.0, 3: None}.get)
    assert tally.eta() is None
    for id in (1, 2, 3):
        tally.update(workflow(id, State.ACTIVE))
    assert tally.eta() == Estimate(90.0, "by the usual durations, which are known for 2 of 3")
