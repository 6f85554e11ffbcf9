"""What `-o`, `--columns` and `--since` do, in a file and on terminals of 80 and 140 characters."""

import csv
import importlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import typer

from tests.cli.conftest import Run, opencast_of, preservica_of
from tests.support.terminal import terminal_output
from workflow_async.cli.columns import Column, choose_columns, cut_uuids, row_texts
from workflow_async.cli.exit_codes import UsageError
from workflow_async.cli.formats import Format, chosen_format, column_names, id_text
from workflow_async.cli.instants import read_instant
from workflow_async.cli.styles import word_style
from workflow_async.cli.systems.opencast_tables import WORKFLOWS
from workflow_async.monitor import Change
from workflow_async.opencast import State, Workflow
from workflow_async.phase import Phase
from workflow_async.sandbox import Sandbox

UUID = "f41e4417-053b-4c3e-b109-955e78a9a6c6"
RECORD = Workflow(id=7, state=State.RUNNING, state_text="running", event_id=UUID, title="Optics", creator="admin")


@pytest.fixture
def server(sandbox_11: Sandbox) -> dict[str, str]:
    sandbox_11.opencast.seed(30)
    return opencast_of(sandbox_11)


def test_ids_are_one_a_line(run: Run, server: dict[str, str]) -> None:
    ids = run("list", "-o", "ids", "--limit", 3, env=server).stdout.split()
    assert len(ids) == 3
    assert all(id.isdecimal() for id in ids)


def test_yaml_is_a_stream_of_the_records_that_json_has(run: Run, server: dict[str, str]) -> None:
    yaml: Any = importlib.import_module("yaml")
    lines = run("list", "--json", "--limit", 3, env=server).stdout.splitlines()
    documents = yaml.safe_load_all(run("list", "-o", "yaml", "--limit", 3, env=server).stdout)
    assert [*documents] == [json.loads(line) for line in lines]


def test_csv_has_every_field_under_one_heading(run: Run, server: dict[str, str]) -> None:
    heading, *rows = csv.reader(run("list", "-o", "csv", "--limit", 3, env=server).stdout.splitlines())
    assert {"id", "event_id", "phase"} <= set(heading)
    assert [len(row) for row in rows] == [len(heading)] * 3


@pytest.mark.parametrize("format", ["table", "wide", "csv", "json", "yaml"])
def test_columns_choose_headings_and_fields(run: Run, server: dict[str, str], format: str) -> None:
    names = "id,definition_id" if format not in {"table", "wide"} else "id,DEFINITION,description"
    result = run("list", "-o", format, "--columns", names, "--limit", 2, env=server)
    assert result.exit_code == 0
    assert all(name.lower() in result.stdout.lower() for name in names.split(","))
    assert "admin" not in result.stdout


@pytest.mark.parametrize("format", ["table", "csv"])
def test_an_unknown_column_is_refused_with_those_that_exist(run: Run, server: dict[str, str], format: str) -> None:
    result = run("list", "--columns", "id,nonsense", "-o", format, env=server)
    assert result.exit_code == 2
    assert "there is no column nonsense: the record has id, state" in result.stderr


def test_an_empty_name_of_a_column_is_refused() -> None:
    with pytest.raises(UsageError, match="needs names"):
        column_names("id,,title")
    assert column_names(None) == ()


def test_contradicting_formats_are_refused() -> None:
    with pytest.raises(UsageError, match="give one of -o json, -o wide"):
        chosen_format(Format.TABLE, as_json=True, wide=True)
    assert chosen_format(Format.JSON, as_json=True, wide=False) is Format.JSON
    assert chosen_format(Format.TABLE, as_json=False, wide=True) is Format.WIDE


def test_a_start_writes_its_id(run: Run, fakes: Sandbox) -> None:
    result = run("start", fakes.opencast.event(), "fast", "-o", "ids", env=opencast_of(fakes))
    assert (result.exit_code, result.stdout.strip().isdecimal()) == (0, True)


@pytest.mark.parametrize(("format", "expected"), [("ids", 1), ("csv", 2)])
def test_changes_are_left_out_where_rows_are_of_one_kind(run: Run, fakes: Sandbox, format: str, expected: int) -> None:
    id = fakes.opencast.start(fakes.opencast.event(), "fast")
    result = run("watch", id, "-o", format, "--every", 0.1, env=opencast_of(fakes))
    assert len(result.stdout.splitlines()) == expected


def test_a_change_and_a_record_without_an_id_have_no_id() -> None:
    change = Change(workflow=RECORD, was=None, now=Phase.RUNNING, seen_at=datetime.now(UTC))
    assert (id_text(change), id_text({"id": 7}), id_text(RECORD), id_text(object())) == (None, "7", "7", None)


# Columns


def headings(width: int | None) -> list[str]:
    return [column.heading for column in choose_columns(WORKFLOWS, [RECORD], (), width)]


def test_a_column_appears_where_there_is_room_and_if_it_has_a_text() -> None:
    assert headings(80) == ["ID", "STATE", "EVENT", "DEFINITION", "TITLE"]
    assert headings(140) == headings(None) == [*headings(80), "CREATOR"]


def test_a_uuid_is_cut_on_a_narrow_terminal_only_and_never_as_the_id_of_the_row() -> None:
    columns: list[Column[Workflow]] = [Column("ID", lambda _: UUID), Column("EVENT", lambda _: f"{UUID} fast")]
    assert row_texts(columns, RECORD, 80) == [UUID, "f41e4417 fast"]
    assert row_texts(columns, RECORD, 120) == row_texts(columns, RECORD, None) == [UUID, f"{UUID} fast"]
    assert cut_uuids("ID-dual-stream-demo") == "ID-dual-stream-demo"


@pytest.mark.parametrize("width", [80, 140])
@pytest.mark.parametrize("command", ["list --limit 5", "definitions", "show 1003"])
def test_no_line_is_wider_than_the_terminal(server: dict[str, str], command: str, width: int) -> None:
    shown = terminal_output(command, {**server, "NO_COLOR": "1", "TERM": "dumb", "LC_ALL": "C"}, columns=width)
    assert len(shown.splitlines()) >= 5
    assert max(map(len, shown.splitlines())) <= width
    assert "\x1b" not in shown


def test_each_row_is_one_line_without_broken_words(server: dict[str, str]) -> None:
    heading, *rows = terminal_output("list --limit 9", {**server, "TERM": "dumb"}).strip().splitlines()
    assert heading.split() == ["ID", "STATE", "EVENT", "DEFINITION", "TITLE"]
    assert [row.split()[0].isdecimal() for row in rows] == [True] * 9


def test_a_wide_table_cuts_nothing_on_any_terminal(server: dict[str, str]) -> None:
    shown = terminal_output("list --limit 9 --wide", {**server, "TERM": "dumb"}, columns=80)
    assert "\N{HORIZONTAL ELLIPSIS}" not in shown
    assert "CREATOR" in shown.splitlines()[0]


def test_a_reason_stands_below_its_row_on_a_terminal_and_beside_it_in_a_file(run: Run, fakes: Sandbox) -> None:
    (id,) = fakes.opencast.seed(1, definitions=["fails"], age=1000)
    _, row, reason = terminal_output(f"watch {id}", {**opencast_of(fakes), "TERM": "dumb"}).strip().splitlines()
    assert (row.split()[:2], reason.startswith("  in encode")) == ([str(id), "failed"], True)
    assert "failed" in (line := run("watch", id, env=opencast_of(fakes)).stdout.splitlines()[1])
    assert "in encode" in line


# Colours


def test_the_colour_of_a_row_is_that_of_its_phase(fakes: Sandbox) -> None:
    (failed,) = fakes.opencast.seed(1, definitions=["fails"], age=1000)
    (succeeded,) = fakes.opencast.seed(1, definitions=["publish"], age=1000)
    shown = terminal_output(f"watch {failed} {succeeded}", opencast_of(fakes))
    assert "\x1b[1;31mfailed" in shown
    assert "\x1b[32msucceeded" in shown


def test_nothing_has_a_colour_without_a_terminal_or_with_no_color(run: Run, server: dict[str, str]) -> None:
    assert "\x1b" not in run("list", env=server).stdout
    assert "\x1b[3" not in terminal_output("list", {**server, "NO_COLOR": "1"})


@pytest.mark.parametrize("state", State)
def test_a_word_of_a_state_has_the_style_of_its_phase(state: State) -> None:
    assert word_style(state.value) or state is State.UNKNOWN
    if state is not State.FAILING:
        assert word_style(state.value) == word_style(state.phase.value)
    assert word_style("nonsense") == ""


# Instants


@pytest.mark.parametrize(("text", "hours"), [("90m", 1.5), ("2h", 2), ("7d", 168), ("1w", 168), ("7200s", 2)])
def test_an_age_counts_back_from_now(text: str, hours: float) -> None:
    age = datetime.now(UTC) - read_instant(text)
    assert abs(age - timedelta(hours=hours)) < timedelta(seconds=5)


def test_a_time_without_a_zone_is_in_utc() -> None:
    assert read_instant("2026-03-04") == datetime(2026, 3, 4, tzinfo=UTC)
    assert read_instant("2026-03-04T12:00+01:00") == datetime(2026, 3, 4, 11, tzinfo=UTC)


@pytest.mark.parametrize("text", ["yesterday", "2", "h", "-2h", ""])
def test_a_text_that_is_neither_a_time_nor_an_age_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="is neither a time"):
        read_instant(text)


def test_workflows_and_monitors_are_listed_by_age(run: Run, fakes: Sandbox) -> None:
    fakes.preservica.seed(5)
    for command in ("list", "monitors"):
        assert run(command, "--since", "9000d", "-o", "ids", env=preservica_of(fakes)).exit_code == 0
        assert run(command, "--since", "soon", env=preservica_of(fakes)).exit_code == 2
