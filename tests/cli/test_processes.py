"""The command line as processes of its own: exit codes, signals, a terminal, what is left behind."""

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable

import httpx
import pytest

from tests.cli.conftest import Launch, opencast_of, preservica_of
from workflow_async.sandbox import Sandbox

TRACEBACK = "Traceback"


def at_a_terminal(
    env: dict[str, str], *arguments: object, talk: Callable[[int, "subprocess.Popen[bytes]"], None]
) -> tuple[int, str]:
    """Run the command line at a terminal whose other end `talk` gets; its exit code, and what it showed after that."""
    ours, its = pty.openpty()
    command = [sys.executable, "-m", "workflow_async", *map(str, arguments)]
    environment = {**os.environ, "TERM": "xterm", **env}
    with subprocess.Popen(
        command, stdin=its, stdout=its, stderr=its, env=environment, start_new_session=True
    ) as process:
        os.close(its)
        try:
            talk(ours, process)
            shown = "".join(iter(lambda: _read(ours), ""))
        except BaseException:
            process.kill()
            raise
        finally:
            os.close(ours)
    return process.returncode, shown


def _read(terminal: int) -> str:
    try:
        return os.read(terminal, 65536).decode(errors="replace")
    except OSError:  # Linux's way to say that the other end is closed
        return ""


def until(terminal: int, wanted: str) -> str:
    """Read until something is shown."""
    shown = ""
    while wanted not in shown:
        more = _read(terminal)
        assert more, f"it ended without showing {wanted!r}: {shown}"
        shown += more
    return shown


def test_the_demo_ends_well_and_leaves_nothing_running(launch: Launch) -> None:
    demo = launch("demo", "--workflows", 20)
    code, out, err = demo.end()
    assert code == 0
    assert "20 workflows in" in out
    assert "opencast: " in err
    assert "\x1b" not in out + err
    assert demo.group_is_gone


def test_ctrl_c_ends_the_demo_at_once_with_130(launch: Launch) -> None:
    demo = launch("demo")
    demo.error_line()
    demo.interrupt()
    code, out, err = demo.end()
    assert (code, out) == (130, "")
    assert TRACEBACK not in err
    assert demo.group_is_gone


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM])
def test_the_sandbox_says_where_it_is_serves_and_ends_when_told_to(launch: Launch, told: signal.Signals) -> None:
    sandbox = launch("sandbox", "--port", 0, "--workflows", 1000, "--opencast-version", 11, "--json")
    doors = json.loads(sandbox.line())
    assert list(doors) == ["opencast", "preservica"]
    assert list(doors["preservica"]) == ["url", "username", "password", "tenant"]
    door = doors["opencast"]
    query = {"limit": 1000}
    listed = httpx.get(f"{door['url']}/api/workflows", auth=(door["username"], door["password"]), params=query)
    assert len(listed.json()) == 1000
    sandbox.process.send_signal(told)
    assert sandbox.end() == (0, "", "")
    assert sandbox.group_is_gone


def test_a_port_that_is_taken_is_3(launch: Launch, fakes: Sandbox) -> None:
    code, out, err = launch("sandbox", "--port", fakes.opencast.url.rpartition(":")[2]).end()
    assert (code, out) == (3, "")
    assert err.startswith("workflow-async: the sandbox cannot be served: ")
    assert len(err.splitlines()) == 1


def test_a_wrong_password_is_3_in_one_sentence(launch: Launch, fakes: Sandbox) -> None:
    wrong = {**preservica_of(fakes), "PRESERVICA_PASSWORD": "wr0ng"}
    code, out, err = launch("list", env=wrong).end()
    assert (code, out, len(err.splitlines())) == (3, "", 1)
    assert "wr0ng" not in err


def test_a_server_that_is_not_there_is_3(launch: Launch, fakes: Sandbox) -> None:
    gone = {**opencast_of(fakes), "OPENCAST_URL": "http://127.0.0.1:9"}
    code, out, err = launch("start", "e-1", "fast", env=gone).end()
    assert (code, out) == (3, "")
    assert TRACEBACK not in err


def test_ctrl_c_in_a_watch_is_130_without_a_traceback(launch: Launch, fakes: Sandbox) -> None:
    id = fakes.opencast.start(fakes.opencast.event(), "review")
    watch = launch("watch", id, "--json", env=opencast_of(fakes))
    assert json.loads(watch.line())["id"] == id
    watch.interrupt()
    code, _, err = watch.end()
    assert (code, err) == (130, "")


def test_without_a_terminal_missing_credentials_are_2_and_named(launch: Launch) -> None:
    code, out, err = launch("list", "--url", "https://oc.example.org").end()
    assert (code, out) == (2, "")
    assert "OPENCAST_USERNAME and OPENCAST_PASSWORD" in err


def test_a_reader_that_has_enough_ends_the_listing_quietly(launch: Launch, eleven: Sandbox) -> None:
    eleven.opencast.seed(2000)
    listing = launch("list", "--json", env=opencast_of(eleven))
    assert json.loads(listing.line())
    assert listing.process.stdout is not None
    listing.process.stdout.close()
    listing.process.stdout = None
    code, _, err = listing.end()
    assert (code, err) == (141, "")


def test_a_listing_feeds_a_watch(launch: Launch, eleven: Sandbox) -> None:
    eleven.opencast.seed(30, definitions=["noop"], age=1000)
    listed = launch("list", "--json", env=opencast_of(eleven)).end()[1]
    watch = launch("watch", "-", "--json", env=opencast_of(eleven))
    out = watch.process.communicate(listed)[0]
    assert sum("outcome" in json.loads(line) for line in out.splitlines()) == 30
    assert watch.process.returncode == 0


def test_ctrl_c_gives_the_terminal_its_cursor_back(fakes: Sandbox) -> None:
    id = fakes.opencast.start(fakes.opencast.event(), "review")
    before = ""

    def talk(terminal: int, process: "subprocess.Popen[bytes]") -> None:
        nonlocal before
        before = until(terminal, "parked")
        process.send_signal(signal.SIGINT)

    code, shown = at_a_terminal(opencast_of(fakes), "watch", id, talk=talk)
    assert code == 130
    assert "\x1b[?25l" in before
    assert "\x1b[?25h" in shown
    assert TRACEBACK not in shown


def test_a_password_typed_at_the_prompt_is_not_shown(fakes: Sandbox) -> None:
    def talk(terminal: int, _: object) -> None:
        until(terminal, "Password of admin: ")  # the last space comes when the echo is off
        os.write(terminal, b"opencast\n")

    env = {name: value for name, value in opencast_of(fakes).items() if name != "OPENCAST_PASSWORD"}
    code, shown = at_a_terminal(env, "definitions", talk=talk)
    assert code == 0
    assert "Fast Testing Workflow" in shown
    assert "opencast\n" not in shown
