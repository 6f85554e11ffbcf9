import csv
import json

import pytest

from tests.cli.conftest import Run, opencast_of, preservica_of
from workflow_async.cli.exit_codes import UsageError
from workflow_async.cli.systems.opencast_tables import FILTERS
from workflow_async.cli.systems.system import used_filters
from workflow_async.sandbox import Sandbox
from workflow_async.sandbox.opencast.releases import Release


def test_filters_get_the_names_of_the_client() -> None:
    given = {"event": "e-1", "state": ["running"], "text": None, "sort": None}
    assert used_filters(given, FILTERS, "Opencast") == {"event_id": "e-1", "state": ["running"]}


def test_a_filter_of_another_system_is_rejected_by_name() -> None:
    with pytest.raises(UsageError, match="Opencast cannot filter by --context, --type"):
        used_filters({"type": "Ingest", "context": "42"}, FILTERS, "Opencast")


def test_opencast_11_lists_its_workflows_as_a_table(run: Run, sandbox_11: Sandbox) -> None:
    sandbox_11.opencast.seed(250)
    result = run("list", env=opencast_of(sandbox_11))
    heading, *rows = result.stdout.splitlines()
    assert heading.split() == ["ID", "STATE", "EVENT", "DEFINITION", "TITLE", "CREATOR", "SOURCE"]
    assert (result.exit_code, len(rows), heading.rstrip()) == (0, 250, heading)
    assert "\x1b" not in result.output


def test_lines_of_json_are_complete_records(run: Run, sandbox_11: Sandbox) -> None:
    sandbox_11.opencast.seed(20)
    result = run("list", "--json", "--state", "succeeded", "--limit", 3, env=opencast_of(sandbox_11))
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(rows) == 3
    assert {row["phase"] for row in rows} == {"succeeded"}


def test_an_empty_listing_is_a_heading_and_no_json(run: Run, sandbox_11: Sandbox) -> None:
    assert run("list", env=opencast_of(sandbox_11)).stdout.split() == ["ID", "STATE", "EVENT", "DEFINITION", "TITLE"]
    assert run("list", "--json", env=opencast_of(sandbox_11)).stdout == ""


def test_an_opencast_without_a_list_lists_by_events(run: Run, fakes: Sandbox) -> None:
    id = fakes.opencast.start(fakes.opencast.event(), "publish")
    result = run("list", env=opencast_of(fakes))
    assert result.exit_code == 0
    assert result.stderr == (
        "This server has no list of workflows: found by their events (source event). These can be missing: "
        "workflows of deleted events, and active ones that the index of events does not show yet.\n"
    )
    assert str(id) in result.stdout


@pytest.mark.parametrize(("release", "source"), [("11", "list"), ("16", "event")])
def test_each_row_says_where_it_came_from(run: Run, release: Release, source: str) -> None:
    with Sandbox(release) as sandbox:
        sandbox.opencast.seed(1)
        env = opencast_of(sandbox)
        wide, rows, sheet, text, chosen = (
            run("list", *options, env=env).stdout
            for options in (["-o", "wide"], ["-o", "json"], ["-o", "csv"], ["-o", "yaml"], ["--columns", "id,source"])
        )
    assert wide.splitlines()[0].split()[-1] == "SOURCE"
    assert wide.splitlines()[1].split()[-1] == source
    assert json.loads(rows)["source"] == source
    assert [row["source"] for row in csv.DictReader(sheet.splitlines())] == [source]
    assert f"source: {source}\n" in text
    assert chosen.split()[-1] == source


def test_only_a_listing_by_events_says_so_on_stderr(run: Run, fakes: Sandbox, sandbox_11: Sandbox) -> None:
    for sandbox, remark in ((fakes, True), (sandbox_11, False)):
        (id,) = sandbox.opencast.seed(1)
        result = run("list", "--json", env=opencast_of(sandbox))
        assert json.loads(result.stdout)["id"] == id
        assert ("no list of workflows" in result.stderr) is remark


@pytest.mark.parametrize("release", ["11", "16"])
def test_list_event_lists_the_workflows_of_one_event(run: Run, release: Release) -> None:
    with Sandbox(release) as sandbox:
        event = sandbox.opencast.event()
        id = sandbox.opencast.start(event, "publish")
        sandbox.opencast.start(sandbox.opencast.event(), "publish")
        sandbox.opencast.state.commit()
        result = run("list", "--event", event, "--json", env=opencast_of(sandbox))
    assert [json.loads(line)["id"] for line in result.stdout.splitlines()] == [id]


def test_events_are_listed_with_the_state_of_their_workflow(run: Run, fakes: Sandbox) -> None:
    (id,) = fakes.opencast.seed(1, definitions=["review"], age=100)
    event = fakes.opencast.state.engine.runs[id].subject
    fakes.opencast.event(title="Geometry")
    fakes.opencast.state.commit()
    result = run("events", "--status", "paused", env=opencast_of(fakes))
    heading, row = result.stdout.splitlines()
    assert heading.split() == ["ID", "STATUS", "START", "TITLE", "SERIES"]
    assert row.startswith(f"{event}  paused ")
    both = run("events", "--id", event, "--status", "paused", "--json", env=opencast_of(fakes))
    assert json.loads(both.stdout)["id"] == event


def test_preservica_has_no_events(run: Run, fakes: Sandbox) -> None:
    result = run("events", env=preservica_of(fakes))
    assert (result.exit_code, fakes.preservica.requests) == (2, [])
    assert "Preservica has no events: use the command list" in result.stderr


def test_workflows_that_cannot_be_listed_exit_with_4_and_say_why(run: Run, fakes: Sandbox) -> None:
    fakes.opencast.start(fakes.opencast.event(), "publish")
    user = {"OPENCAST_USERNAME": "integration", "OPENCAST_PASSWORD": "integration"}
    result = run("list", env={**opencast_of(fakes), **user})
    assert result.exit_code == 4
    assert "use an account with ROLE_ADMIN" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_an_invalid_filter_exits_with_2(run: Run, sandbox_11: Sandbox) -> None:
    result = run("list", "--text", "a, b", env=opencast_of(sandbox_11))
    assert result.exit_code == 2
    assert "must not contain a comma" in result.stderr


def test_preservica_lists_workflows_by_filters(run: Run, fakes: Sandbox) -> None:
    fakes.preservica.seed(60)
    arguments = ("--type", "Ingest", "--context", 42, "--since", "2020-01-01", "--until", "2999-01-01T00:00:00")
    result = run("list", "--json", *arguments, env=preservica_of(fakes))
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert {row["context_id"] for row in rows} == {"42"}
    assert result.exit_code == 0


def test_the_table_for_preservica_has_its_own_columns(run: Run, fakes: Sandbox) -> None:
    fakes.preservica.seed(5)
    heading, *rows = run("list", "--limit", 5, env=preservica_of(fakes)).stdout.splitlines()
    assert heading.split() == ["ID", "STATE", "STARTED", "CONTEXT", "STEP", "CREATOR"]
    assert len(rows) == 5


def test_definitions_are_listed_by_tag(run: Run, fakes: Sandbox) -> None:
    result = run("definitions", "--tag", "archive", "--tag", "editor", "--json", env=opencast_of(fakes))
    assert [json.loads(line)["id"] for line in result.stdout.splitlines()] == ["publish"]
    assert "Fast Testing Workflow" in run("definitions", env=opencast_of(fakes)).stdout


def test_contexts_are_listed_by_type_and_definition(run: Run, fakes: Sandbox) -> None:
    arguments = ("--type", "Ingest", "--definition", "com.preservica.core.workflow.ingest")
    result = run("contexts", *arguments, "--json", env=preservica_of(fakes))
    assert [json.loads(line)["id"] for line in result.stdout.splitlines()] == ["43", "45"]
    assert "Web Crawl & Ingest" in run("contexts", env=preservica_of(fakes)).stdout


def test_definitions_and_contexts_exist_on_one_system_each(run: Run, fakes: Sandbox) -> None:
    definitions, contexts = run("definitions", env=preservica_of(fakes)), run("contexts", env=opencast_of(fakes))
    assert (definitions.exit_code, contexts.exit_code) == (2, 2)
    assert definitions.stderr == (
        "workflow-async: Preservica has no list of workflow definitions: use the command contexts\n"
    )
    assert contexts.stderr == "workflow-async: Opencast has no workflow contexts: use the command definitions\n"


def test_control_characters_in_a_title_are_replaced(run: Run, fakes: Sandbox) -> None:
    fakes.opencast.define("evil", (), title="\x1b[2J[red]gone")
    assert "\N{REPLACEMENT CHARACTER}[2J[red]gone" in run("definitions", env=opencast_of(fakes)).stdout
