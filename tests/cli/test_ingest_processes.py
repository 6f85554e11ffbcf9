"""The commands for ingest processes and their monitors."""

import json

import pytest

from tests.cli.conftest import Run, opencast_of, preservica_of
from workflow_async.cli.systems.preservica import MONITORS
from workflow_async.preservica import Monitor
from workflow_async.sandbox import CannedResponse, Faults, Sandbox
from workflow_async.sandbox.preservica.processes import CONFIGS

OPEX, *_, SFTP = CONFIGS


def test_processes_are_listed_with_their_switch(run: Run, fakes: Sandbox) -> None:
    result = run("processes", env=preservica_of(fakes))
    heading, *rows = result.stdout.splitlines()
    assert (result.exit_code, heading.split(), len(rows)) == (0, ["ID", "TYPE", "ACTIVE", "NAME"], len(CONFIGS))
    assert [row.split()[2] for row in rows] == ["on" if config.active else "off" for config in CONFIGS]


def test_processes_are_listed_by_their_types_as_lines_of_json(run: Run, fakes: Sandbox) -> None:
    result = run("processes", "--type", "S3", "--type", "SFTP", "--json", env=preservica_of(fakes))
    assert [json.loads(line)["type"] for line in result.stdout.splitlines()] == ["S3", "S3", "SFTP"]


def test_processes_are_switched_off_and_on(run: Run, fakes: Sandbox) -> None:
    off = run("deactivate", OPEX.id, SFTP.id, OPEX.id, env=preservica_of(fakes))
    assert (off.exit_code, off.stdout.splitlines()) == (0, [f"Process {id} is off" for id in (OPEX.id, SFTP.id)])
    on = run("activate", OPEX.id, "--json", env=preservica_of(fakes))
    assert json.loads(on.stdout) == {"id": OPEX.id, "active": True}
    bodies = [request.body for request in fakes.preservica.requests if request.method == "PUT"]
    assert bodies == [b"false", b"false", b"true"]


def test_an_unknown_process_exits_with_5(run: Run, fakes: Sandbox) -> None:
    result = run("activate", "no-such", env=preservica_of(fakes))
    assert (result.exit_code, result.stdout) == (5, "")
    assert "not found" in result.stderr


def test_a_switch_that_the_server_ignores_exits_with_3(run: Run, fakes: Sandbox) -> None:
    ignored = CannedResponse(200, '{"active": true}', "application/json")
    fakes.preservica.faults = Faults(rates={ignored: 1.0}, methods=("PUT",))
    result = run("deactivate", OPEX.id, env=preservica_of(fakes))
    assert (result.exit_code, result.stdout) == (3, f"Process {OPEX.id} is on\n")
    assert "has not switched" in result.stderr


def test_monitors_are_listed_with_their_progress(run: Run, fakes: Sandbox) -> None:
    fakes.preservica.seed(30, contexts=["42"], age=60.0)
    result = run("monitors", "--limit", 5, env=preservica_of(fakes))
    heading, *rows = result.stdout.splitlines()
    assert heading.split() == ["STATUS", "STARTED", "DONE", "FILES", "ERRORS", "NAME", "PROGRESS"]
    assert (result.exit_code, len(rows)) == (0, 5)
    assert any("100%" in row and "16 of 16" in row for row in rows)


def test_monitors_are_filtered(run: Run, fakes: Sandbox) -> None:
    fakes.preservica.seed(100, age=60.0)
    arguments = ("--status", "Succeeded", "--status", "Failed", "--category", "ingest", "--subcategory", "OPEX")
    result = run("monitors", *arguments, "--since", "2020-01-01", "--json", env=preservica_of(fakes))
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert {row["phase"] for row in rows} <= {"succeeded", "failed"}
    assert {row["subcategory"] for row in rows} == {"OPEX"}
    first = next(request for request in fakes.preservica.requests if request.path.endswith("/monitors"))
    assert first.parameters["startedFrom"] == ["2020-01-01T00:00:00.000Z"]


def test_a_monitor_is_found_by_its_name(run: Run, fakes: Sandbox) -> None:
    run("start", 42, "-p", "OpexContainerDirectory=opex/batch-1", env=preservica_of(fakes))
    result = run("monitors", "--name", "opex/batch-1", "--json", env=preservica_of(fakes))
    assert [json.loads(line)["name"] for line in result.stdout.splitlines()] == ["opex/batch-1"]


def test_a_status_that_preservica_does_not_know_exits_with_2(run: Run, fakes: Sandbox) -> None:
    result = run("monitors", "--status", "Active", env=preservica_of(fakes))
    assert result.exit_code == 2
    assert "status: must be one of Pending, Running" in result.stderr


@pytest.mark.parametrize("command", [("processes",), ("activate", "a"), ("deactivate", "a"), ("monitors",)])
def test_opencast_has_neither_processes_nor_monitors(run: Run, fakes: Sandbox, command: tuple[str, ...]) -> None:
    result = run(*command, env=opencast_of(fakes))
    assert (result.exit_code, result.stdout, fakes.opencast.requests) == (2, "", [])
    assert "Opencast has no" in result.stderr


def test_the_table_leaves_unknown_progress_empty() -> None:
    columns = {column.heading: column.show for column in MONITORS}
    unknown, known = Monitor(id="1"), Monitor(id="1", files_processed=3, percent_complete="40", errors=0)
    assert [columns[name](unknown) for name in ("DONE", "FILES", "ERRORS")] == ["", "", ""]
    assert [columns[name](known) for name in ("DONE", "FILES", "ERRORS")] == ["40%", "3", "0"]
