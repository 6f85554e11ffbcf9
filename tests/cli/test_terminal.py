"""No text of a server controls the terminal, whatever the command and the text."""

import ast
import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tests.cli.conftest import Run
from tests.support.hostile_server import EVIL, FAILED, IN_XML, RUNNING, STEERING, UNKNOWN, hostile_system, is_harmless
from workflow_async import cli
from workflow_async.cli import display, output
from workflow_async.cli.app import COMMANDS
from workflow_async.cli.exit_codes import printable_text
from workflow_async.cli.output import dim_text, grid, plain_text
from workflow_async.cli.systems import SYSTEMS
from workflow_async.cli.tally import Tally
from workflow_async.preservica import State, Workflow

FAST_RUN = ("--every", 0.1, "--settle", 0.1)
FAST_WATCH = ("--timeout", 0.8, "--every", 0.1)
START_ARGUMENTS = {"opencast": ("event", "definition"), "preservica": ("42",)}
WITHOUT_SERVER_TEXT = {
    ("preservica", "start"),
    ("preservica", "watch"),
    ("preservica", "definitions"),
    ("opencast", "contexts"),
    *(("opencast", name) for name in ("processes", "activate", "deactivate", "monitors", "retry")),
    *(("preservica", name) for name in ("pause", "resume", "answer", "delete", "count", "events", "check")),
}
"""Calls that need not print a text of the server: three print only ids, states and numbers, and the others are
rejected."""
WITHOUT_SERVER = {"demo", "sandbox", "profiles", "worker", "shards"}
"""Commands that talk to no other server than the sandbox in their own process, or that need NATS too."""


@pytest.fixture(params=SYSTEMS)
def system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the name of the system whose server is hostile."""
    name: str = request.param
    monkeypatch.setattr("workflow_async.cli.command.system_for", lambda _: hostile_system(name))
    monkeypatch.setattr("workflow_async.cli.certificates.is_network_blocked", lambda _: True)  # there is no such host
    return name


@pytest.fixture
def batch(system: str) -> Path:
    """Return a file with a start that fails and a start that the server rejects."""
    rows = {
        "opencast": "key,event,definition\na,e,fast\nb,f,refused\n",
        "preservica": "key,context,n\na,42,1\nb,refused,2\n",
    }
    (path := Path("batch.csv")).write_text(rows[system])
    return path


def arguments(system: str) -> dict[str, tuple[object, ...]]:
    """Return arguments for each command. They make the command print as much as possible."""
    return {
        "list": (),
        "show": (FAILED,),
        "start": (*START_ARGUMENTS[system], "--wait", *FAST_WATCH),
        "run": ("batch.csv", "--journal", "b.sqlite", *FAST_RUN),
        "watch": (RUNNING, FAILED, UNKNOWN, 99, *FAST_WATCH),
        "stop": (RUNNING, 99, "--yes"),
        "report": ("b.sqlite",),
        "pause": (RUNNING, 99),
        "resume": (RUNNING, 99),
        "answer": ("retry", FAILED, 99),
        "retry": (FAILED, 99),
        "delete": (RUNNING, 99, "--yes"),
        "count": (),
        "check": (),
        "events": (),
        "definitions": (),
        "contexts": (),
        "processes": (),
        "activate": (EVIL[:4],),
        "deactivate": (EVIL[:4],),
        "monitors": (),
    }


def test_every_command_is_tried() -> None:
    assert arguments("opencast").keys() | WITHOUT_SERVER == COMMANDS.keys()


def check_harmless(text: str) -> None:
    assert is_harmless(text), [char for char in text if not is_harmless(char)][:20]


@pytest.mark.parametrize("json", [False, True], ids=["people", "json"])
@pytest.mark.parametrize("name", arguments("opencast"))
def test_no_control_character_of_a_server_reaches_the_terminal(
    run: Run, system: str, batch: Path, name: str, *, json: bool
) -> None:
    if name == "report":
        run("run", *arguments(system)["run"])
    result = run(name, *arguments(system)[name], *(["--json"] if json else []))
    assert not isinstance(result.exception, Exception)
    assert "evil" in result.output or (system, name) in WITHOUT_SERVER_TEXT
    check_harmless(result.stdout)
    check_harmless(result.stderr)


def test_no_control_character_from_stdin_reaches_the_terminal(run: Run, system: str) -> None:
    result = run("watch", "-", stdin='{"state": "evil\x9b5;41m"}\n')
    assert (result.exit_code, result.stdout) == (2, "")
    assert "evil" in result.stderr
    check_harmless(result.stderr)


def test_a_csv_file_has_no_control_characters(run: Run, system: str, batch: Path) -> None:
    run("run", *arguments(system)["run"])
    result = run("report", "b.sqlite", "--csv")
    check_harmless(result.stdout)
    failed, refused = csv.DictReader(result.stdout.splitlines())
    assert "evil" in failed["failed_operation"]
    assert "evil" in refused["detail"]


def test_json_keeps_the_text_of_the_server(run: Run, system: str) -> None:
    (line,) = run("show", FAILED, "--json").stdout.splitlines()
    record = json.loads(line)
    assert record["creator"] == {"opencast": EVIL, "preservica": record["creator"]}[system]
    assert "\x9b5;41m" in record["creator"]


ALLOWED = re.compile(r"\x1b\[[0-9;]*m|\x1b\[\?25[lh]|\x1b\[1A|\x1b\[2K|\r")
"""The control sequences of rich: styles, cursor movements, and erased lines."""
FORBIDDEN = ("\x1b]", "\x1b[2J", "\x1b[5;41m", "\x1bP", "\x1b_", "\x1b\\", "\x9b", "\x9c", "\x9d", "\x07", "\x08")


@pytest.mark.parametrize("name", ["start", "run", "watch"])
def test_no_control_character_of_a_server_reaches_the_live_table(
    run: Run, system: str, batch: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    shown = io.StringIO()
    make = output.Output

    def with_terminal(**settings: Any) -> output.Output:
        terminal = Console(
            file=shown, force_terminal=True, width=300, markup=False, highlight=False, _environ={"TERM": "xterm"}
        )
        return make(**{**settings, "err": terminal})

    monkeypatch.setattr("workflow_async.cli.command.Output", with_terminal)
    monkeypatch.setattr(display, "LIVE_INTERVAL", 0.01)
    run(name, *arguments(system)[name])
    drawn = shown.getvalue()
    assert "\x1b[?25l" in drawn
    assert [found for found in FORBIDDEN if found in drawn] == []
    check_harmless(ALLOWED.sub("", drawn))


@pytest.mark.parametrize("text", STEERING.values(), ids=list(STEERING))
def test_every_drawing_function_replaces_control_characters(text: str) -> None:
    tally = Tally("opencast", 1)
    tally.update(Workflow(id=7, state=State.UNKNOWN, state_text=f"evil{text}", current_step=f"evil{text}"))
    shown = io.StringIO()
    terminal = Console(file=shown, width=200)
    for drawable in (
        plain_text(f"evil{text}"),
        dim_text(f"evil{text}"),
        grid(["", "evil"], [[f"evil{text}", f"evil{text}"]]),
        display.live_view([tally], 1.0),
    ):
        terminal.print(drawable)
    drawn = shown.getvalue()
    assert drawn.count("evil") >= 5
    assert is_harmless(drawn)
    assert re.sub(r"\s", "", printable_text(text)) in re.sub(r"\s", "", drawn)


@pytest.mark.parametrize("name", STEERING)
def test_every_control_sequence_is_made_printable(name: str) -> None:
    text = printable_text(STEERING[name])
    assert text.isprintable()
    assert (text == STEERING[name]) is (name in {"markup", "emoji code"})


# Which modules write

MODULES = sorted(Path(cli.__file__).parent.rglob("*.py"))
WRITERS = {"output.py", "remark_stream.py"}
"""Modules that may write any text."""
MAKERS = {"rich.text", "rich.table", "rich.markup", "rich.panel", "rich.tree", "rich.pretty", "rich", "sys.stdout"}
CALLS = {"print", "echo", "secho", "write", "writelines", "writerow", "add_row", "log", "out", "input", "status"}


def unsafe_writes(tree: ast.Module) -> Iterator[str]:
    """Yield the calls that write anything but a constant, and the imports that make texts for a terminal."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module in MAKERS:
            yield f"{node.lineno}: from {node.module}"
        if isinstance(node, ast.Import):
            yield from (f"{node.lineno}: import {each.name}" for each in node.names if each.name in MAKERS)
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in CALLS and not all(is_safe(argument) for argument in node.args):
                yield f"{node.lineno}: {name}"


def is_safe(argument: ast.expr) -> bool:
    """Return True for a constant, for `__version__`, and for an f-string of constants and printable texts."""
    if isinstance(argument, ast.JoinedStr):
        return all(is_safe(part) for part in argument.values)
    if isinstance(argument, ast.FormattedValue):
        return isinstance(argument.value, ast.Call) and getattr(argument.value.func, "id", "") == "printable_text"
    return isinstance(argument, ast.Constant) or getattr(argument, "id", "") == "__version__"


@pytest.mark.parametrize("path", [path for path in MODULES if path.name not in WRITERS], ids=lambda path: path.name)
def test_only_one_module_writes_to_the_terminal(path: Path) -> None:
    assert list(unsafe_writes(ast.parse(path.read_text()))) == []


def test_only_plain_text_makes_texts_for_the_terminal() -> None:
    tree = ast.parse((Path(cli.__file__).parent / "output.py").read_text())
    makers = {
        function.name
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Text"
    }
    assert makers == {"plain_text"}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("from rich.text import Text", 1),
        ("console.print(workflow.title)", 1),
        ("typer.echo(f'{error}')", 1),
        ("typer.echo(f'sorry: {printable_text(str(error))}')", 0),
        ("typer.echo('Nothing was stopped.', err=True)", 0),
        ("sys.stderr.write(str(error))", 1),
    ],
)
def test_the_guard_finds_unsafe_writes(text: str, found: int) -> None:
    assert len(list(unsafe_writes(ast.parse(text)))) == found


def test_the_hostile_text_in_xml_keeps_its_control_characters() -> None:
    assert "\x9b5;41m" in IN_XML
    assert "\u202e" in IN_XML
