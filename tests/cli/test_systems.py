"""Only `cli/systems` knows the systems."""

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import attrs
import pytest

from workflow_async import Poll, cli
from workflow_async.cli.choices import choice_option
from workflow_async.cli.systems import SYSTEMS, BatchOptions, choose_system
from workflow_async.cli.systems.opencast import OpencastSystem
from workflow_async.cli.target import Target
from workflow_async.opencast import workflows as opencast_workflows
from workflow_async.preservica import workflows as preservica_workflows

FOLDER = Path(cli.__file__).parent
COMMANDS = sorted(path for path in FOLDER.glob("*.py") if path.name != "demo.py")
"""The modules of commands. `demo` names both systems, because it starts workflows on both."""


def system_names(tree: ast.Module) -> Iterator[str]:
    """Yield the places where a module imports from a system, or has the name of one as a string."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            names = {alias.name for alias in node.names} | {
                node.module.removeprefix("workflow_async.").partition(".")[0]
            }
            if names & {*SYSTEMS, "OpencastClient", "PreservicaClient"}:
                yield f"{node.lineno}: {node.module}"
        if isinstance(node, ast.Constant) and node.value in SYSTEMS:
            yield f"{node.lineno}: {node.value!r}"


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: path.name)
def test_a_command_names_no_system(path: Path) -> None:
    assert list(system_names(ast.parse(path.read_text()))) == []


def test_the_guard_finds_a_branch_on_a_system() -> None:
    code = "from workflow_async import OpencastClient\nisinstance(client, OpencastClient) or name == 'preservica'"
    assert list(system_names(ast.parse(code))) == ["1: workflow_async", "2: 'preservica'"]


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_system_reads_environment_variables_that_begin_with_its_name(name: str) -> None:
    assert SYSTEMS[name].name == name
    assert all(variable.startswith(f"{name.upper()}_") for variable in SYSTEMS[name].variables.values())


def test_a_third_system_in_the_table_is_chosen_by_its_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    class Third(OpencastSystem):
        name = "third"

    monkeypatch.setitem(SYSTEMS, "third", Third)
    assert choose_system(Target(), {"THIRD_URL": "https://third.example.org"}) is Third
    assert choose_system(Target(system="third"), {}) is Third


def run_all_call(name: str, options: BatchOptions) -> dict[str, object]:
    """Return the arguments with which a system calls `run_all` of its client."""
    given: dict[str, object] = {}

    def run_all(starts: object, **settings: object) -> None:
        given.update(settings, starts=starts)

    client: Any = SimpleNamespace(workflows=SimpleNamespace(run_all=run_all))
    system: Any = SYSTEMS[name]
    system(client).run_all(["a start"], options)
    return given


OPTIONS = BatchOptions(
    max_running=1,
    low=2,
    count_others=True,
    on_conflict="raise",
    journal=Path("b.sqlite"),
    poll=Poll(interval=3),
    parked="return",
    settle=4.0,
    start_unknown_again=True,
    retry_failed=True,
    limit=5,
)


def test_every_option_of_a_batch_reaches_the_client() -> None:
    expected = {"starts": ["a start"], **attrs.asdict(OPTIONS, recurse=False)}
    assert run_all_call("opencast", OPTIONS) == expected
    del expected["on_conflict"]
    assert run_all_call("preservica", OPTIONS) == expected


@pytest.mark.parametrize("workflows", [opencast_workflows.Workflows, preservica_workflows.Workflows])
def test_a_batch_has_every_option_of_run_all(workflows: Any) -> None:
    fields = {field.name for field in attrs.fields(BatchOptions)}
    assert fields >= inspect.signature(workflows.run_all).parameters.keys() - {
        "self",
        "starts",
        "gate",
    }  # a gate is shared by batches of one process


def test_an_option_without_choices_takes_any_text() -> None:
    option = choice_option(choices=())
    assert (option.callback("any"), option.metavar) == ("any", None)
