"""The command line in its own process: exit codes, signals, terminals, and remaining processes."""

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable

import httpx
import pytest

from tests.cli.conftest import Launch, opencast_of
from workflow_async.sandbox import Sandbox

TRACEBACK = "Traceback"


def run_in_terminal(
    env: dict[str, str], *arguments: object, interact: Callable[[int, "subprocess.Popen[bytes]"], None]
) -> tuple[int, str]:
    """Run the command line in a pseudo-terminal. Return the exit code and the output after `interact`."""
    terminal_end, process_end = pty.openpty()
    command = [sys.executable, "-m", "workflow_async", *map(str, arguments)]
    environment = {**os.environ, "TERM": "xterm", **env}
    with subprocess.Popen(
        command, stdin=process_end, stdout=process_end, stderr=process_end, env=environment, start_new_session=True
    ) as process:
        os.close(process_end)
        try:
            interact(terminal_end, process)
            shown = "".join(iter(lambda: _read(terminal_end), ""))
        except BaseException:
            process.kill()
            raise
        finally:
            os.close(terminal_end)
    return process.returncode, shown


def _read(terminal: int) -> str:
    try:
        return os.read(terminal, 65536).decode(errors="replace")
    except OSError:  # Linux raises it if the other end is closed
        return ""


def read_until(terminal: int, wanted: str) -> str:
    """Read until `wanted` is shown."""
    shown = ""
    while wanted not in shown:
        more = _read(terminal)
        assert more, f"it ended without showing {wanted!r}: {shown}"
        shown += more
    return shown


def test_the_demo_succeeds_and_leaves_no_process(launch: Launch) -> None:
    demo = launch("demo", "--workflows", 20)
    code, out, err = demo.end()
    assert code == 0
    assert "20 workflows in" in out
    assert "opencast: " in err
    assert "\x1b" not in out + err
    assert demo.group_is_gone


def test_ctrl_c_ends_the_demo_with_130(launch: Launch) -> None:
    demo = launch("demo")
    demo.error_line()
    demo.interrupt()
    code, out, err = demo.end()
    assert (code, out) == (130, "")
    assert TRACEBACK not in err
    assert demo.group_is_gone


@pytest.mark.parametrize("stop_signal", [signal.SIGINT, signal.SIGTERM])
def test_the_sandbox_prints_its_urls_and_serves_until_a_signal(launch: Launch, stop_signal: signal.Signals) -> None:
    sandbox = launch("sandbox", "--port", 0, "--workflows", 1000, "--opencast-version", 11, "--json")
    servers = json.loads(sandbox.line())
    assert list(servers) == ["opencast", "preservica"]
    assert list(servers["preservica"]) == ["url", "username", "password", "tenant"]
    server = servers["opencast"]
    query = {"limit": 1000}
    listed = httpx.get(f"{server['url']}/api/workflows", auth=(server["username"], server["password"]), params=query)
    assert len(listed.json()) == 1000
    sandbox.process.send_signal(stop_signal)
    assert sandbox.end() == (0, "", "")
    assert sandbox.group_is_gone


def test_a_port_in_use_exits_with_3(launch: Launch, fakes: Sandbox) -> None:
    code, out, err = launch("sandbox", "--port", fakes.opencast.url.rpartition(":")[2]).end()
    assert (code, out) == (3, "")
    assert err.startswith("workflow-async: the sandbox cannot be served: ")
    assert len(err.splitlines()) == 1


def test_without_a_terminal_missing_credentials_exit_with_2(launch: Launch) -> None:
    code, out, err = launch("list", "--url", "https://oc.example.org").end()
    assert (code, out) == (2, "")
    assert "OPENCAST_USERNAME and OPENCAST_PASSWORD" in err


def test_a_closed_pipe_ends_a_listing_without_a_message(launch: Launch, sandbox_11: Sandbox) -> None:
    sandbox_11.opencast.seed(2000)
    listing = launch("list", "--json", env=opencast_of(sandbox_11))
    assert json.loads(listing.line())
    assert listing.process.stdout is not None
    listing.process.stdout.close()
    listing.process.stdout = None
    code, _, err = listing.end()
    assert (code, err) == (141, "")


def test_a_watch_reads_the_ids_of_a_listing(launch: Launch, sandbox_11: Sandbox) -> None:
    sandbox_11.opencast.seed(30, definitions=["noop"], age=1000)
    listed = launch("list", "--json", env=opencast_of(sandbox_11)).end()[1]
    watch = launch("watch", "-", "--json", env=opencast_of(sandbox_11))
    out = watch.process.communicate(listed)[0]
    assert sum("outcome" in json.loads(line) for line in out.splitlines()) == 30
    assert watch.process.returncode == 0


def test_ctrl_c_restores_the_cursor(fakes: Sandbox) -> None:
    id = fakes.opencast.start(fakes.opencast.event(), "review")
    before = ""

    def talk(terminal: int, process: "subprocess.Popen[bytes]") -> None:
        nonlocal before
        before = read_until(terminal, "parked")
        process.send_signal(signal.SIGINT)

    code, shown = run_in_terminal(opencast_of(fakes), "watch", id, interact=talk)
    assert code == 130
    assert "\x1b[?25l" in before
    assert "\x1b[?25h" in shown
    assert TRACEBACK not in shown


def test_a_password_typed_at_the_prompt_is_not_shown(fakes: Sandbox) -> None:
    def talk(terminal: int, _: object) -> None:
        read_until(terminal, "Password of admin: ")  # the last space comes when the echo is off
        os.write(terminal, b"opencast\n")

    env = {name: value for name, value in opencast_of(fakes).items() if name != "OPENCAST_PASSWORD"}
    code, shown = run_in_terminal(env, "definitions", interact=talk)
    assert code == 0
    assert "Fast Testing Workflow" in shown
    assert "opencast\n" not in shown
