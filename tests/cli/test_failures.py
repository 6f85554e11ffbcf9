"""What the commands say about a workflow that failed or is on hold."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run, opencast_of, preservica_of
from workflow_async.batch.workflow_details import failure_text
from workflow_async.opencast import Operation, OperationState, State, Workflow
from workflow_async.sandbox import Sandbox

ERROR = "Exception message WorkflowOperationException: Encoding failed: ffmpeg exited with code 1"
HOST = "https://worker.example.org"
ROLE = "ROLE_UI_EVENTS_DETAILS_WORKFLOWS_VIEW"


def seeded(fakes: Sandbox, definition: str) -> int:
    """Return the id of a workflow that has run for long enough to fail."""
    id = fakes.opencast.state.start(fakes.opencast.event(), definition, at=fakes.opencast.state.clock() - 600)
    fakes.opencast.state.commit()
    return id


def test_show_prints_the_errors_if_asked_to(run: Run, fakes: Sandbox) -> None:
    id = seeded(fakes, "fails")
    result = run("show", id, "--errors", env=opencast_of(fakes))
    assert result.exit_code == 0
    assert result.stdout.startswith(f"Workflow {id} is failed in encode (attempt 1 of 1, host {HOST})\n")
    errors = result.stdout[result.stdout.index("WORKFLOW") :].splitlines()
    assert errors[1].split()[0] == str(id)
    assert errors[1].split()[3:5] == ["failure", HOST]
    assert ERROR in errors[1]
    assert "SEVERITY" not in run("show", id, env=opencast_of(fakes)).stdout


def test_show_says_that_there_are_no_errors(run: Run, fakes: Sandbox) -> None:
    result = run("show", seeded(fakes, "noop"), "--errors", env=opencast_of(fakes))
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, "The server has recorded no errors.")


def test_with_json_each_error_is_a_line_after_the_workflow(run: Run, fakes: Sandbox) -> None:
    id = seeded(fakes, "fails")
    result = run("show", id, "--errors", "--json", env=opencast_of(fakes))
    workflow, error = (json.loads(line) for line in result.stdout.splitlines())
    assert (workflow["id"], error["workflow_id"], error["severity"], error["host"]) == (id, id, "failure", HOST)
    assert "stack-trace" in error["details"]


def test_without_the_role_show_prints_the_workflow_and_one_sentence_with_the_role(run: Run, fakes: Sandbox) -> None:
    id = seeded(fakes, "fails")
    account = {**opencast_of(fakes), "OPENCAST_USERNAME": "integration", "OPENCAST_PASSWORD": "integration"}
    result = run("show", id, "--errors", env=account)
    assert result.exit_code == 4
    assert result.stdout.startswith(f"Workflow {id} is failed in encode")
    assert result.stderr.count("\n") == 1
    assert f"this user may not do that: it needs {ROLE}" in result.stderr


def test_watch_prints_the_errors_of_the_workflows_that_did_not_succeed(run: Run, fakes: Sandbox) -> None:
    ids = [seeded(fakes, definition) for definition in ("fails", "noop", "holds")]
    result = run("watch", *ids, "--errors", "--parked", "return", env=opencast_of(fakes))
    errors = result.stdout[result.stdout.index("WORKFLOW") :].splitlines()[1:]
    assert (result.exit_code, sorted(line.split()[0] for line in errors)) == (1, [str(ids[0]), str(ids[2])])
    assert all(ERROR in line for line in errors)
    assert "WORKFLOW" not in run("watch", ids[1], "--errors", env=opencast_of(fakes)).stdout


@pytest.mark.parametrize("json_lines", [False, True])
def test_run_prints_the_errors_after_its_rows(run: Run, fakes: Sandbox, json_lines: bool) -> None:  # noqa: FBT001
    rows = "".join(f"{fakes.opencast.event()},{definition}\n" for definition in ("fails", "noop"))
    Path("batch.csv").write_text(f"event,definition\n{rows}nowhere,noop\n")
    options = ("--errors", "--json") if json_lines else ("--errors",)
    result = run("run", "batch.csv", *options, env=opencast_of(fakes))
    last = result.stdout.splitlines()[-1]
    assert (result.exit_code, ERROR in last, result.stdout.count(ERROR)) == (5, True, 1)
    assert not json_lines or json.loads(last)["severity"] == "failure"


@pytest.mark.parametrize("arguments", [("show", 1), ("watch", 1), ("run", "batch.csv")])
def test_preservica_has_no_option_errors(run: Run, fakes: Sandbox, arguments: tuple[object, ...]) -> None:
    Path("batch.csv").write_text("context\n42\n")
    result = run(*arguments, "--errors", env=preservica_of(fakes))
    assert (result.exit_code, fakes.preservica.requests) == (2, [])
    assert "--errors is an option for Opencast" in result.stderr


def test_show_and_watch_say_which_operation_holds_a_workflow(run: Run, fakes: Sandbox) -> None:
    id = seeded(fakes, "holds")
    place = f"on hold after a failure in encode (attempt 1 of 2, host {HOST})"
    assert run("show", id, env=opencast_of(fakes)).stdout.startswith(f"Workflow {id} is parked {place}\n")
    result = run("watch", id, "--parked", "return", env=opencast_of(fakes))
    assert (result.exit_code, place in result.stdout) == (1, True)
    result = run("watch", id, "--parked", "raise", env=opencast_of(fakes))
    assert "it is on hold after a failure in encode (attempt 1 of 2" in result.stdout


def test_the_row_of_a_batch_says_which_operation_failed_or_holds(run: Run, fakes: Sandbox) -> None:
    events = [fakes.opencast.event() for _ in range(2)]
    rows = "".join(f"{event},{definition}\n" for event, definition in zip(events, ("fails", "holds"), strict=True))
    Path("batch.csv").write_text(f"event,definition\n{rows}")
    result = run("run", "batch.csv", "--parked", "return", "--journal", "j.sqlite", "--json", env=opencast_of(fakes))
    details = {row["outcome"]: row["detail"] for row in map(json.loads, result.stdout.splitlines())}
    assert details["failed"] == f"in encode (attempt 1 of 1, host {HOST})"
    assert details["parked"] == f"on hold after a failure in encode (attempt 1 of 2, host {HOST})"
    reported = [json.loads(line) for line in run("report", "j.sqlite", "--json").stdout.splitlines()]
    assert {row["outcome"]: row["detail"] for row in reported} == details
    assert [row["failed_operation"] for row in reported if row["outcome"] == "failed"] == ["encode"]


@pytest.mark.parametrize("state", [State.PAUSED, State.RUNNING])
def test_a_workflow_that_goes_on_or_waits_for_a_person_has_no_failure(state: State) -> None:
    editor = Operation(operation="editor", state=OperationState.PAUSED, state_text="paused")
    workflow = Workflow(id=7, state=state, state_text=state.value, event_id="e-1", operations=(editor,))
    assert failure_text(workflow) == ""
