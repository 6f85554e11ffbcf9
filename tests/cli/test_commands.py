import io
import json
import subprocess
import sys

import pytest
import typer

from tests.cli.conftest import Run, opencast_of, preservica_of
from workflow_async import __version__
from workflow_async.cli import main
from workflow_async.cli.app import COMMANDS, load_command
from workflow_async.cli.exit_codes import UsageError
from workflow_async.cli.id_args import expand_stdin, unique_ids
from workflow_async.cli.starting import parse_settings
from workflow_async.errors import InvalidArgument
from workflow_async.sandbox import Sandbox


def test_settings_are_keys_and_values() -> None:
    assert parse_settings(["publish=true", "seed=https://x/?a=b", "empty="]) == {
        "publish": "true",
        "seed": "https://x/?a=b",
        "empty": "",
    }


@pytest.mark.parametrize("param", ["publish", "=true", ""])
def test_a_text_that_is_not_key_value_is_rejected(param: str) -> None:
    with pytest.raises(UsageError, match="must be KEY=VALUE"):
        parse_settings([param])


def test_a_repeated_setting_is_rejected() -> None:
    with pytest.raises(UsageError, match="-p a=2: given twice"):
        parse_settings(["a=1", "a=2"])


def test_ids_are_read_from_arguments_and_from_stdin_as_text_or_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO('7\n\n  8 \n{"id": 9, "state": "running"}\nx10\n'))
    assert expand_stdin(["6", "-"]) == ["6", "7", "8", "9", "x10"]


def test_a_record_without_an_id_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO('{"state": "running"}\n'))
    with pytest.raises(typer.BadParameter, match="no id in this line"):
        expand_stdin(["-"])


def test_ids_are_whole_numbers_without_duplicates() -> None:
    assert unique_ids(["7", "007", "8"]) == [7, 8]
    with pytest.raises(InvalidArgument, match="whole number"):
        unique_ids(["x7"])


def test_version_prints_the_version(run: Run) -> None:
    assert run("--version").stdout == f"{__version__}\n"


def test_the_command_ends_with_its_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["workflow-async", "list"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2


@pytest.mark.parametrize("name", COMMANDS)
def test_the_overview_shows_the_first_line_of_each_help(run: Run, name: str) -> None:
    first_line = COMMANDS[name][1]
    assert load_command(name).help.splitlines()[0] == first_line
    overview = " ".join(run("--help").stdout.translate(str.maketrans("│╭╮╰╯─", "      ")).split())
    assert f"{name} {first_line}" in overview


HELP = """
import sys
from workflow_async.__main__ import main
sys.argv = ["workflow-async", "--help"]
try:
    main()
finally:
    print(*{"asyncio", "anyio", "workflow_async._core.call"} & set(sys.modules), file=sys.stderr)
"""


def test_the_overview_imports_no_command() -> None:
    process = subprocess.run([sys.executable, "-c", HELP], capture_output=True, text=True, check=True)
    assert process.stderr == "\n"
    assert "definitions" in process.stdout


@pytest.mark.parametrize("arguments", [["list", "--password", "s3cret"], ["list", "--limit", "0"], ["show"], ["play"]])
def test_a_usage_error_exits_with_2(run: Run, arguments: list[str]) -> None:
    assert run(*arguments).exit_code == 2


def test_a_password_in_the_url_is_rejected_and_not_printed(run: Run) -> None:
    env = {"OPENCAST_USERNAME": "admin", "OPENCAST_PASSWORD": "opencast"}
    result = run("list", "--url", "https://admin:s3cret@oc.example.org", env=env)
    assert result.exit_code == 2
    assert "s3cret" not in result.output


def test_show_draws_operations_as_bars(run: Run, fakes: Sandbox) -> None:
    (id,) = fakes.opencast.seed(1, definitions=["publish"], age=1000)
    result = run("show", id, env=opencast_of(fakes))
    assert (result.exit_code, result.stdout.splitlines()[0]) == (0, f"Workflow {id} is succeeded")
    assert [line.split() for line in result.stdout.splitlines() if "took" in line] == [["took", "1:20"]]
    rows = [line for line in result.stdout.splitlines() if "█" in line]
    assert [row.split()[0] for row in rows] == ["inspect", "encode", "publish-engage", "archive"]


def test_show_names_the_operation_that_failed(run: Run, fakes: Sandbox) -> None:
    (id,) = fakes.opencast.seed(1, definitions=["fails"], age=1000)
    heading = run("show", id, env=opencast_of(fakes)).stdout.splitlines()[0]
    assert heading == f"Workflow {id} is failed in encode (attempt 1 of 1, host https://worker.example.org)"


def test_show_json_is_one_line_with_operations_and_configuration(run: Run, fakes: Sandbox) -> None:
    (id,) = fakes.opencast.seed(1)
    record = json.loads(run("show", id, "--json", env=opencast_of(fakes)).stdout)
    assert record["id"] == id
    assert record["operations"]
    assert record["configuration"] is not None


def test_show_prints_the_times_of_a_preservica_workflow(run: Run, fakes: Sandbox) -> None:
    (id,) = fakes.preservica.seed(1, contexts=["42"], age=1000)
    result = run("show", id, env=preservica_of(fakes))
    assert result.stdout.startswith(f"Workflow {id} is succeeded")
    assert "finished" in result.stdout
    assert "█" in result.stdout


def test_show_of_an_unknown_id_exits_with_5(run: Run, fakes: Sandbox) -> None:
    result = run("show", 99, env=opencast_of(fakes))
    assert (result.exit_code, result.stdout) == (5, "")
    assert result.stderr.startswith("workflow-async: not found: ")
    assert "(404, GET http://" in result.stderr


def test_start_on_opencast_sends_the_settings(run: Run, fakes: Sandbox) -> None:
    event = fakes.opencast.event()
    result = run("start", event, "fast", "-p", "publishLive=true", "--json", env=opencast_of(fakes))
    id = json.loads(result.stdout)["id"]
    assert fakes.opencast.engine.runs[id].parameters == {"publishLive": "true"}
    assert result.exit_code == 0


def test_start_prints_a_sentence(run: Run, fakes: Sandbox) -> None:
    result = run("start", fakes.opencast.event(), "fast", env=opencast_of(fakes))
    assert result.stdout.startswith("Workflow 1000 of fast is ")


def test_start_with_wait_exits_with_the_code_of_the_workflow(run: Run, fakes: Sandbox) -> None:
    arguments = ("--wait", "--every", 0.1, "--json")
    done = run("start", fakes.opencast.event(), "noop", *arguments, env=opencast_of(fakes))
    failed = run("start", fakes.opencast.event(), "fails", *arguments, env=opencast_of(fakes))
    assert (done.exit_code, failed.exit_code) == (0, 1)
    assert json.loads(failed.stdout.splitlines()[-1])["outcome"] == "failed"


def test_start_on_preservica_takes_the_id_or_the_name_of_a_context(run: Run, fakes: Sandbox) -> None:
    by_id = run("start", 42, "-p", "seedUrl=https://example.org", "--json", env=preservica_of(fakes))
    by_name = run("start", "Ingest Packages", env=preservica_of(fakes))
    assert (by_id.exit_code, by_name.exit_code) == (0, 0)
    assert json.loads(by_id.stdout)["correlation_id"] in fakes.preservica.starts
    assert len(fakes.preservica.starts) == 2


@pytest.mark.parametrize("subject", [["one"], ["one", "two", "three"]])
def test_start_on_opencast_takes_two_ids(run: Run, fakes: Sandbox, subject: list[str]) -> None:
    assert run("start", *subject, env=opencast_of(fakes)).exit_code == 2
    assert fakes.opencast.requests == []


def test_start_on_preservica_takes_one_context(run: Run, fakes: Sandbox) -> None:
    result = run("start", "42", "fast", env=preservica_of(fakes))
    assert (result.exit_code, fakes.preservica.starts) == (2, [])


def test_a_start_conflict_exits_with_5_and_prints_the_message(run: Run, fakes: Sandbox) -> None:
    event = fakes.opencast.event()
    fakes.opencast.start(event, "review")
    result = run("start", event, "fast", env=opencast_of(fakes))
    assert result.exit_code == 5
    assert "the present state does not allow that" in result.stderr
    assert "(409, POST http://" in result.stderr
