"""Every command in every situation: the exit code, what is written where, and how wide it is.

A run is a process of its own. Its outputs are terminals of 80 or 140 columns, files, pipes, or a disk that is full.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from rich.cells import cell_len

from tests.cli.situations import CASES, FAST, Case, batch, event, running, seeded, started, with_ids
from tests.cli.test_messages import PYTHON
from tests.cli.world import World, open_world
from tests.support.documentation import ROOT
from tests.support.prepared_command import Ended
from tests.support.screen import Screen, screen_after
from workflow_async.cli.app import COMMANDS
from workflow_async.cli.exit_codes import Exit
from workflow_async.sandbox.run import Status

SWEEP = pytest.mark.sweep
REPRESENTATIVE = {"show-opencast", "stop-opencast", "watch-opencast"}
"""The cases that the coverage run tries too."""
NATS_COMMANDS = {"worker", "shards"}
"""Commands that need a NATS server besides the server of the workflows."""
CODES = {
    "done": Exit.DONE,
    "a workflow did not succeed": Exit.FAILED,
    "wrong usage": Exit.USAGE,
    "no answer": Exit.SERVER,
    "a full disk": Exit.SERVER,
    "a wrong user name or password": Exit.REFUSED,
    "no such API at the URL": Exit.NOT_POSSIBLE,
    "interrupted by Ctrl-C": Exit.INTERRUPTED,
    "the reader of the output has closed it": Exit.PIPE_CLOSED,
}
"""The exit code in each situation, by the words of `docs/command-line.md`."""
URLS = {"opencast": "OPENCAST_URL", "preservica": "PRESERVICA_SERVER"}
PASSWORDS = {"opencast": "OPENCAST_PASSWORD", "preservica": "PRESERVICA_PASSWORD"}
REASON_IN_ROWS = {"run", "watch"}
"""Commands that print a row for each workflow, with what is wrong, in place of a sentence on stderr."""
TOO_SHORT = {"report", "profiles"}
"""Commands that wait for nothing, so that nobody presses Ctrl-C."""
PREFIX = "workflow-async: "
SPINNER = re.compile("[\N{BRAILLE PATTERN BLANK}-\u28ff]")
FULL = f"{PREFIX}the output cannot be written: No space left on device"
WIDTHS = (80, 140)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Serve everything that the tests of this module need, once for all of them."""
    with open_world(tmp_path_factory.mktemp("journal")) as world:
        yield world


def each_case(cases: Iterable[Case] = CASES) -> pytest.MarkDecorator:
    """Run a test for each case. Those that are not representative are swept."""
    values = [pytest.param(case, id=str(case), marks=() if str(case) in REPRESENTATIVE else SWEEP) for case in cases]
    return pytest.mark.parametrize("case", values)


WITH_SERVER = [case for case in CASES if case.system]
each_width = pytest.mark.parametrize("width", WIDTHS)


def check_widths(screen: Screen, width: int) -> None:
    """Check that no line was wider than the terminal, except sentences, which the terminal wraps."""
    wide = [line for line in screen.shown if cell_len(line) > width]
    assert [line for line in wide if "  " in line.strip()] == []


def check_calm(ended: Ended) -> None:
    """Check that nothing was left on a terminal, and that no traceback was printed."""
    for drawn in (ended.out, ended.err):
        assert "Traceback" not in drawn
        assert drawn.rfind("\x1b[?25l") <= drawn.rfind("\x1b[?25h"), "the cursor is hidden"
        assert not [line for line in screen_after(drawn).lines if SPINNER.search(line)]


def check_told(case: Case, ended: Ended, words: str) -> None:
    """Check that it is told what is wrong: in sentences on stderr, or in the rows of the workflows."""
    check_calm(ended)
    out, err = screen_after(ended.out).lines, screen_after(ended.err).lines
    if case.command not in REASON_IN_ROWS:
        assert err
        assert [line for line in err if not line.startswith(PREFIX)] == []
    told = " ".join(" ".join([*out, *err]).split())
    assert words in told
    assert PYTHON.search(told) is None, told


def test_every_command_has_a_case() -> None:
    assert {case.command for case in CASES} == COMMANDS.keys() - NATS_COMMANDS


@pytest.mark.parametrize("command", sorted(NATS_COMMANDS))
def test_the_commands_that_need_nats_have_tests_of_their_own(command: str) -> None:
    assert Path(__file__).with_name(f"test_{command}.py").exists()


@each_width
@each_case()
def test_a_success_fits_into_the_terminal(world: World, case: Case, width: int) -> None:
    ended = world.run(case, out="terminal", err="terminal", width=width)
    assert ended.code == CODES["done"]
    check_calm(ended)
    assert screen_after(ended.out).lines
    assert PREFIX not in ended.err
    check_widths(screen_after(ended.out), width)
    check_widths(screen_after(ended.err), width)


@each_case()
def test_progress_does_not_stay_among_the_rows(world: World, case: Case) -> None:
    ended = world.run(case, out="terminal", err="out")
    assert ended.code == CODES["done"]
    check_calm(ended)
    check_widths(screen_after(ended.out), 80)


@each_case()
def test_a_dumb_terminal_gets_no_control_sequences(world: World, case: Case) -> None:
    ended = world.run(case, out="terminal", err="terminal", env={"TERM": "dumb"})
    assert ended.code == CODES["done"]
    assert "\x1b" not in ended.out + ended.err
    assert ended.out


@each_case()
def test_a_file_in_cp1252_gets_everything_and_no_control_sequences(world: World, case: Case) -> None:
    ended = world.run(case, env={"PYTHONIOENCODING": "cp1252"})
    assert ended.code == CODES["done"]
    assert "\x1b" not in ended.out + ended.err
    assert "Traceback" not in ended.err
    assert ended.out


@each_case()
def test_nonsense_is_refused_before_any_request(world: World, case: Case) -> None:
    servers = [server for box in world.sandboxes.values() for server in (box.opencast, box.preservica)]
    before = [len(server.requests) for server in servers]
    ended = world.run(case, case.nonsense, out="terminal", err="terminal")
    assert ended.code == CODES["wrong usage"]
    check_calm(ended)
    assert screen_after(ended.out).lines == []
    lines = screen_after(ended.err).lines
    assert lines[0].startswith((PREFIX, "Usage: workflow-async "))
    assert PYTHON.search(" ".join(lines)) is None, lines
    assert [len(server.requests) for server in servers] == before


@each_case(WITH_SERVER)
def test_a_server_that_is_down_is_told(world: World, case: Case) -> None:
    words, env = (*world.words(case), *case.limits), {URLS[case.system]: world.closed_url}
    ended = world.run(case, words, out="terminal", err="terminal", env=env)
    assert ended.code == CODES["no answer"]
    check_told(case, ended, "connection refused")


@each_case(WITH_SERVER)
def test_a_wrong_password_is_told(world: World, case: Case) -> None:
    ended = world.run(case, out="terminal", err="terminal", env={PASSWORDS[case.system]: "wr0ng"})
    assert ended.code == CODES["a wrong user name or password"]
    check_told(case, ended, "user name or password refused for ")
    assert "wr0ng" not in ended.out + ended.err


@each_case(WITH_SERVER)
def test_a_wrong_url_is_told(world: World, case: Case) -> None:
    words, env = (*world.words(case), *case.limits), {URLS[case.system]: world.web_url}
    ended = world.run(case, words, out="terminal", err="terminal", env=env)
    assert ended.code == CODES["no such API at the URL"]
    api = {"opencast": "Opencast External API", "preservica": "Preservica"}[case.system]
    check_told(case, ended, f"no {api} at {world.web_url}: is the URL right, and the path in it?")


@each_case([case for case in CASES if not case.serves and case.command not in TOO_SHORT])
def test_ctrl_c_ends_a_command_that_waits(world: World, case: Case) -> None:
    before = world.silent.asked
    ended = world.run(
        case,
        out="terminal",
        err="terminal",
        env={URLS[case.system]: world.silent.url} if case.system else {},
        interrupt_when=lambda text: world.silent.asked > before or (not case.system and bool(text)),
    )
    assert ended.code == CODES["interrupted by Ctrl-C"]
    check_calm(ended)
    assert not PYTHON.search(ended.err)


@each_case()
def test_a_reader_that_leaves_is_not_an_error(world: World, case: Case) -> None:
    ended = world.run(case, out="closed")
    assert ended.code == CODES["the reader of the output has closed it"]
    assert PREFIX not in ended.err
    assert "Traceback" not in ended.err


@each_case()
def test_a_full_disk_is_one_sentence(world: World, case: Case) -> None:
    ended = world.run(case, out="full")
    assert ended.code == CODES["a full disk"]
    assert ended.err.splitlines()[-1].startswith(FULL)
    assert ended.err.count(PREFIX) == 1
    assert "Traceback" not in ended.err


@each_case()
def test_messages_that_cannot_be_written_do_not_matter(world: World, case: Case) -> None:
    ended = world.run(case, err="full")
    assert ended.code == CODES["done"]
    assert ended.out


@each_case(WITH_SERVER)
def test_an_error_that_cannot_be_written_keeps_its_code(world: World, case: Case) -> None:
    ended = world.run(case, err="closed", env={PASSWORDS[case.system]: "wr0ng"})
    assert ended.code == CODES["a wrong user name or password"]


# What is done before an end that came too early


def running_and_ended(world: World) -> tuple[int, int]:
    """Return a workflow that runs for long and one that has ended."""
    sandbox = world.sandboxes["11"]
    return running(sandbox), seeded("noop")(sandbox)


def test_ctrl_c_leaves_the_results_so_far(world: World) -> None:
    going_on, ended = running_and_ended(world)
    case = Case(command="watch", nonsense=())
    seen = world.run(
        case, (going_on, ended, *FAST), out="terminal", err="terminal", interrupt_when=lambda text: "1/2" in text
    )
    assert seen.code == Exit.INTERRUPTED
    assert [line.split()[:2] for line in screen_after(seen.out).lines] == [["ID", "OUTCOME"], [str(ended), "succeeded"]]


def test_ctrl_c_during_a_change_tells_what_is_not_known(world: World) -> None:
    before = world.silent.asked
    seen = world.run(
        Case(command="pause", nonsense=()),
        (7, 8),
        env={"OPENCAST_URL": world.silent.url},
        interrupt_when=lambda _: world.silent.asked > before,
    )
    assert (seen.code, seen.out) == (Exit.INTERRUPTED, "")
    assert seen.err == f"{PREFIX}interrupted: it is not known whether this was done: pause 7, 8\n"


@pytest.mark.parametrize("out", ["full", "closed"])
def test_an_output_that_cannot_be_written_stops_no_change(world: World, out: str) -> None:
    sandbox = world.sandboxes["11"]
    ids = [running(sandbox) for _ in range(3)]
    seen = world.run(Case(command="stop", nonsense=()), (*ids, "--yes"), out=out)
    assert [sandbox.opencast.engine.runs[id].status for id in ids] == [Status.STOPPED] * 3
    told = [f"Workflow {id} is stopped" in seen.err for id in ids]
    assert (seen.code, told) == ((Exit.SERVER, [True] * 3) if out == "full" else (Exit.PIPE_CLOSED, [False] * 3))


def test_messages_that_cannot_be_written_do_not_end_a_batch(world: World) -> None:
    sandbox = world.sandboxes["11"]
    before = len(sandbox.opencast.engine.runs)
    (case,) = (case for case in CASES if str(case) == "run-opencast")
    seen = world.run(case, err="full")
    assert (seen.code, seen.out.count("succeeded")) == (Exit.DONE, 5)
    assert len(sandbox.opencast.engine.runs) == before + 2


FAILING = {
    "start": lambda sandbox: (event(sandbox), "fails", "--wait", *FAST),
    "run": batch("event,definition", "{event},fails", "{event},noop"),
    "watch": with_ids(started("fails"), more=FAST),
    "show": with_ids(started("fails"), more=("--follow",)),
}


@each_width
@pytest.mark.parametrize("name", FAILING)
def test_a_workflow_that_failed_exits_with_1(world: World, name: str, width: int) -> None:
    case = Case(command=name, arguments=FAILING[name], nonsense=())
    seen = world.run(case, out="terminal", err="terminal", width=width)
    assert seen.code == CODES["a workflow did not succeed"]
    check_calm(seen)
    check_widths(screen_after(seen.out), width)
    assert "in encode (attempt 1 of 1, host https://worker.example.org)" in " ".join(seen.out.split())


# The documentation


def test_the_documentation_has_the_codes_of_the_situations() -> None:
    page = (ROOT / "workflow_async" / "docs" / "command-line.md").read_text(encoding="utf-8")
    rows = {int(code): meaning for code, meaning in re.findall(r"^\| (\d+) \| (.*) \|$", page, re.MULTILINE)}
    assert rows.keys() == set(Exit)
    assert [words for words, code in CODES.items() if words not in rows[code]] == []
