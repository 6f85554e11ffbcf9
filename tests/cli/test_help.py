"""The help, its examples, the completion, and the options that print more or less."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.cli.conftest import Launch, Run, opencast_of, preservica_of
from tests.support.nats_server import NatsServer
from workflow_async.cli.app import COMMANDS
from workflow_async.cli.choices import choice_option
from workflow_async.cli.completion import complete_definition, complete_subject
from workflow_async.cli.config_file import config_path
from workflow_async.cli.overview import EXAMPLES, GROUPS, OTHER, example_text, group_of, paragraphs, position_of
from workflow_async.sandbox import Sandbox, Step

SERVES = {"sandbox"}
"""Examples that run until Ctrl-C."""
NATS_URL = "nats://127.0.0.1:4222"
CHANGES = {"pause", "resume", "answer", "retry", "delete"}
"""Examples that need a workflow in a certain state."""


@pytest.fixture
def both() -> Iterator[Sandbox]:
    """Serve workflows for one test, because a change such as `delete` would be seen by the next test."""
    with Sandbox("11", speed=50) as sandbox:
        sandbox.opencast.seed(60)
        sandbox.preservica.seed(20)
        yield sandbox


def test_every_command_has_a_group_and_an_example() -> None:
    grouped = [name for names in GROUPS.values() for name in names]
    assert sorted(grouped) == sorted(COMMANDS)
    assert EXAMPLES.keys() == COMMANDS.keys()


def test_a_command_without_a_group_comes_last() -> None:
    assert (group_of("new"), example_text("new")) == (OTHER, None)
    assert position_of("new") == len(COMMANDS)


def test_the_example_of_every_command_runs(run: Run, both: Sandbox, nats_server: NatsServer) -> None:
    event = both.opencast.event()
    Path("batch.csv").write_text(f"event,definition\n{event},fast\n")
    env = {**opencast_of(both), **preservica_of(both)}
    running = both.opencast.start(both.opencast.event(), "review")
    codes = {}
    for name in sorted(COMMANDS.keys() - SERVES - CHANGES - {"report"}):
        words = [nats_server.url if word == NATS_URL else word for word in shlex.split(EXAMPLES[name])]
        words = [event if len(word) == 36 and name == "start" else word for word in words]
        words = [str(running) if name == "stop" and word.isdecimal() else word for word in words]
        codes[name] = run(*words, env=env).exit_code
    codes["report"] = run(*shlex.split(EXAMPLES["report"])).exit_code
    failed_before = codes.pop("watch")
    assert failed_before in {0, 1}
    assert set(codes.values()) == {0}, codes


def workflow_for(name: str, both: Sandbox) -> int:
    """Return the id of a workflow whose state allows a change."""
    opencast = both.opencast
    if name == "retry":
        return both.preservica.seed(1, contexts=["46"], age=10_000)[0]
    if name == "delete":
        return opencast.seed(1, definitions=["noop"], age=1000)[0]
    if name == "pause":
        opencast.define("long", [Step("encode", 1000.0)])
        return opencast.start(opencast.event(), "long")
    return opencast.seed(1, definitions=["holds" if name == "answer" else "review"], age=1000)[0]


@pytest.mark.parametrize("name", sorted(CHANGES))
def test_the_example_of_a_change_succeeds(run: Run, both: Sandbox, name: str) -> None:
    id = workflow_for(name, both)
    words = [str(id) if word.isdecimal() else word for word in shlex.split(EXAMPLES[name])]
    result = run(*words, env={**opencast_of(both), **preservica_of(both)})
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    assert result.stdout.startswith(f"Workflow {id} ")


def test_the_example_of_the_sandbox_serves(launch: Launch) -> None:
    served = launch(*shlex.split(EXAMPLES["sandbox"]), "--port", 0, "--json")
    assert "url" in json.loads(served.line())["opencast"]
    served.interrupt()
    assert served.end()[0] == 0


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_has_an_example_and_no_noise(run: Run, name: str) -> None:
    help = run(name, "-h", env={"COLUMNS": "80"})
    assert help.exit_code == 0
    assert "Example" in help.stdout
    assert "<bool>" not in help.stdout
    assert "]...]" not in help.stdout
    assert max(map(len, help.stdout.splitlines())) <= 80


def test_the_overview_has_groups_in_an_order(run: Run) -> None:
    shown = run("-h", env={"COLUMNS": "80"}).stdout
    places = [shown.index(group) for group in GROUPS]
    assert places == sorted(places)
    assert "<bool>" not in shown


def test_a_paragraph_is_one_line() -> None:
    assert paragraphs("One\n    two.\n\n    Three.") == "One two.\n\nThree."


# Completion


def completed(words: str, env: dict[str, str]) -> list[str]:
    """Return what the shell offers after some words."""
    variables = {
        "_WORKFLOW_ASYNC_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split(" ")) - 1),
    }
    command = [sys.executable, "-m", "workflow_async"]
    done = subprocess.run(command, env={**os.environ, **variables, **env}, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.stdout.split()


def test_commands_and_values_of_options_are_completed() -> None:
    assert completed("workflow-async wat", {}) == ["watch"]
    assert completed("workflow-async list --system o", {}) == ["opencast"]
    assert completed("workflow-async list -o c", {}) == ["csv"]


def test_ids_of_definitions_and_contexts_are_completed_by_the_server(both: Sandbox) -> None:
    opencast, preservica = opencast_of(both), preservica_of(both)
    assert completed("workflow-async start e-1 pub", opencast) == ["publish"]
    assert completed("workflow-async list --definition pub", opencast) == ["publish"]
    assert completed("workflow-async start 4", preservica) == ["42", "43", "44", "45", "46"]


def test_nothing_is_completed_without_a_server_or_before_the_definition(both: Sandbox) -> None:
    opencast = opencast_of(both)
    assert completed("workflow-async start e-1 pub", {}) == []
    assert completed("workflow-async start pub", opencast) == []
    assert completed("workflow-async start e-1 pub", {**opencast, "OPENCAST_PASSWORD": "wrong"}) == []


def offered(monkeypatch: pytest.MonkeyPatch, before: list[str], env: dict[str, str]) -> list[str]:
    """Return the values for the argument of `start` after others that begins with `p` or `4`."""
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    context: Any = SimpleNamespace(params={"arguments": before})
    return [*complete_subject(context, "pub"), *complete_subject(context, "42")]


def test_the_last_argument_of_a_start_is_completed(monkeypatch: pytest.MonkeyPatch, both: Sandbox) -> None:
    assert offered(monkeypatch, ["e-1"], {}) == []
    assert offered(monkeypatch, ["e-1"], opencast_of(both)) == ["publish"]
    assert offered(monkeypatch, [], opencast_of(both)) == []
    context: Any = SimpleNamespace(params={})
    assert complete_definition(context, "fa") == ["fails", "fails-with-handler", "fast"]
    assert offered(monkeypatch, ["e-1"], {"OPENCAST_PASSWORD": "wrong"}) == []


def test_contexts_are_completed_for_a_start(monkeypatch: pytest.MonkeyPatch, both: Sandbox) -> None:
    assert offered(monkeypatch, [], preservica_of(both)) == ["42"]


@pytest.mark.parametrize("by", ["option", "variable", "default"])
def test_ids_are_completed_by_the_server_of_a_profile(both: Sandbox, tmp_path: Path, by: str) -> None:
    fake = both.opencast
    (path := config_path()).parent.mkdir(parents=True, exist_ok=True)
    (secret := tmp_path / "password").write_text(fake.password)
    profile = f'url = "{fake.url}"\nusername = "{fake.username}"\npassword_file = "{secret}"\nsystem = "opencast"\n'
    path.write_text(('default = "prod"\n' if by == "default" else "") + f"[profiles.prod]\n{profile}")
    for file in (path, secret):
        file.chmod(0o600)
    option = " --profile prod" if by == "option" else ""
    env = {"WORKFLOW_ASYNC_PROFILE": "prod"} if by == "variable" else {}
    assert completed(f"workflow-async start{option} e-1 pub", env) == ["publish"]
    assert completed(f"workflow-async list{option} --definition pub", env) == ["publish"]


def test_options_of_the_server_count_for_the_completion(both: Sandbox) -> None:
    opencast = opencast_of(both)
    url = opencast.pop("OPENCAST_URL")
    assert completed(f"workflow-async start --url {url} e-1 pub", opencast) == ["publish"]
    assert completed("workflow-async start --profile unknown e-1 pub", opencast) == []


def test_no_more_ids_are_read_than_a_person_can_use(monkeypatch: pytest.MonkeyPatch, both: Sandbox) -> None:
    monkeypatch.setattr("workflow_async.cli.completion.MAX_IDS", 1)
    assert offered(monkeypatch, ["e-1"], opencast_of(both)) == ["publish"]


def test_an_option_with_choices_offers_them() -> None:
    assert choice_option(choices=("opencast", "other")).autocompletion("op") == ["opencast"]


# More and less


def test_verbose_prints_each_request_on_stderr(run: Run, fakes: Sandbox) -> None:
    result = run("definitions", "--verbose", "-o", "ids", env=opencast_of(fakes))
    assert "request sent" in result.stderr
    assert "status=200" in result.stderr
    assert "request sent" not in result.stdout


def test_quiet_prints_no_message_about_a_result(run: Run, fakes: Sandbox) -> None:
    arguments = ("start", fakes.opencast.event(), "fast")
    assert run(*arguments, env=opencast_of(fakes)).stdout.startswith("Workflow ")
    quiet = run("start", fakes.opencast.event(), "fast", "--quiet", env=opencast_of(fakes))
    assert (quiet.exit_code, quiet.output) == (0, "")


@pytest.mark.parametrize("option", ["--quiet", "--no-progress"])
def test_progress_can_be_left_out(run: Run, fakes: Sandbox, option: str) -> None:
    id = fakes.opencast.start(fakes.opencast.event(), "publish")
    result = run("watch", id, "--every", 0.1, option, env=opencast_of(fakes))
    assert (result.exit_code, result.stderr) == (0, "")
    assert "succeeded" in result.stdout


def test_an_error_is_printed_in_spite_of_quiet(run: Run, fakes: Sandbox) -> None:
    result = run("show", 99999, "--quiet", env=opencast_of(fakes))
    assert result.exit_code != 0
    assert "workflow-async: " in result.stderr
