"""Serving over sockets: threads, ports, exit and cut connections."""

import asyncio
import gc
import logging
import socket
import sys
import threading
import time
from contextlib import closing
from urllib.parse import urlsplit

import httpx
import pytest

from tests.sandbox.opencast.releases import LISTING
from workflow_async.sandbox import Fault, Faults, ManualClock, RealClock, Sandbox
from workflow_async.sandbox.server import AppServer, Server, bind, url_of

KEPT_ALIVE = 75.0  # Seconds after which the server closes an idle connection.
SLOW = 60.0


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("workflow-sandbox")]


def connect_to(sandbox: Sandbox) -> socket.socket:
    address = urlsplit(sandbox.opencast.url)
    return socket.create_connection((address.hostname, address.port))


def get(sandbox: Sandbox, path: str = "/api") -> httpx.Response:
    return httpx.get(sandbox.opencast.url + path, auth=sandbox.opencast.auth)


async def test_both_systems_answer_over_sockets_from_any_loop() -> None:
    async with Sandbox() as sandbox, httpx.AsyncClient() as http:
        opencast = await http.get(f"{sandbox.opencast.url}/api/version", auth=sandbox.opencast.auth)
        form = {"username": sandbox.preservica.username, "password": sandbox.preservica.password}
        preservica = await http.post(f"{sandbox.preservica.url}/api/accesstoken/login", data=form)
    assert opencast.json()["default"] == "v1.11.0"
    assert preservica.json()["success"] is True


def test_a_plain_with_serves_too() -> None:
    with Sandbox() as sandbox:
        assert get(sandbox).status_code == 200


def test_a_sandbox_can_be_entered_again() -> None:
    sandbox = Sandbox()
    id = sandbox.opencast.seed(1)[0]
    for _ in range(2):
        with sandbox:
            assert get(sandbox, f"/api/workflows/{id}").status_code == 200


def test_the_fixture_of_the_plugin_is_a_served_sandbox(workflow_sandbox: Sandbox) -> None:
    assert get(workflow_sandbox).status_code == 200


async def test_exit_does_not_wait_for_idle_connections_and_ends_the_thread() -> None:
    sandbox = Sandbox()
    async with httpx.AsyncClient() as http:
        async with sandbox:
            await asyncio.gather(*(http.get(sandbox.opencast.url) for _ in range(5)))
            started = time.monotonic()
        assert time.monotonic() - started < KEPT_ALIVE / 2
        assert threads() == []
        with pytest.raises(httpx.TransportError):
            await http.get(sandbox.opencast.url)


def test_exit_does_not_wait_for_a_slow_response(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with Sandbox() as sandbox, closing(connect_to(sandbox)) as line:
        sandbox.opencast.faults = Faults(latency=(SLOW, SLOW))
        line.sendall(b"GET /api HTTP/1.1\r\nHost: x\r\n\r\n")
        while not sandbox.opencast.app.covered:
            pass
        started = time.monotonic()
        sandbox.__exit__(None, None, None)
        assert line.recv(1) == b""
    assert time.monotonic() - started < SLOW / 2
    assert (caplog.records, *capfd.readouterr()) == ([], "", "")


def test_no_resource_is_left_for_the_garbage_collector(recwarn: pytest.WarningsRecorder) -> None:
    unraised: list[object] = []
    before, sys.unraisablehook = sys.unraisablehook, unraised.append
    try:
        for _ in range(3):
            with Sandbox() as sandbox:
                get(sandbox)
            del sandbox
        gc.collect()
    finally:
        sys.unraisablehook = before
    assert (unraised, list(recwarn)) == ([], [])


def test_an_error_of_the_server_is_raised_on_exit_and_no_thread_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def fail(_: AppServer) -> None:
        raise OSError("broken")

    monkeypatch.setattr(AppServer, "close", fail)
    with pytest.raises(OSError, match="broken"), Sandbox() as sandbox:
        pass
    assert (sandbox._server, threads()) == (None, [])


def test_a_port_in_use_raises_oserror() -> None:
    with closing(bind("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="in use"), Sandbox(preservica_port=port):
            pytest.fail("it served")
    assert threads() == []


def test_a_port_can_be_chosen() -> None:
    with closing(bind("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with Sandbox(opencast_port=port) as sandbox:
        assert sandbox.opencast.url == f"http://127.0.0.1:{port}"


def test_an_error_in_the_thread_is_raised_by_start() -> None:
    closed = bind("127.0.0.1", 0)
    closed.close()
    with pytest.raises((OSError, ValueError)):
        Server([(closed, Sandbox().opencast.app)]).start()


def test_exit_without_enter_is_not_an_error() -> None:
    Sandbox().__exit__(None, None, None)


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_an_ipv6_address_stands_in_brackets() -> None:
    with closing(bind("::1", 0)) as listener:
        assert url_of(listener) == f"http://[::1]:{listener.getsockname()[1]}"


def test_responses_are_not_delayed_by_the_nagle_algorithm() -> None:
    with closing(bind("127.0.0.1", 0)) as listener:
        assert listener.proto == socket.IPPROTO_TCP


@pytest.mark.parametrize(
    ("fault", "error"),
    [(Fault.CUT_BODY, "complete message body"), (Fault.CUT_BEFORE, "without sending a response")],
)
async def test_a_cut_is_what_a_client_sees_of_a_lost_connection(
    fault: Fault, error: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with Sandbox() as sandbox, httpx.AsyncClient(auth=sandbox.opencast.auth) as http:
        sandbox.opencast.faults = Faults(script=(fault,))
        with pytest.raises(httpx.RemoteProtocolError, match=error):
            await http.get(f"{sandbox.opencast.url}/api")
        assert (await http.get(f"{sandbox.opencast.url}/api")).status_code == 200
        assert [(e.status, e.fault) for e in sandbox.opencast.requests] == [(200, fault), (200, None)]
    assert caplog.records == []


async def test_faults_of_one_system_do_not_affect_the_other() -> None:
    async with Sandbox() as sandbox, httpx.AsyncClient() as http:
        plan = sandbox.preservica.faults = Faults(rates={Fault.SERVER_ERROR: 1.0})
        assert (sandbox.preservica.faults, sandbox.opencast.faults) == (plan, Faults())
        assert (await http.get(sandbox.preservica.url)).status_code == 503
        assert (await http.get(sandbox.opencast.url)).status_code != 503


def test_serving_writes_nothing_to_any_log(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    caplog.set_level(logging.INFO)
    with Sandbox() as sandbox:
        connect_to(sandbox).close()
        with closing(connect_to(sandbox)) as line:
            line.sendall(b"GET /api HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert line.recv(15).startswith(b"HTTP/1.1 302")
    assert ([r for r in caplog.records if r.name != "asyncio"], *capfd.readouterr()) == ([], "", "")


def test_a_thread_may_seed_while_the_server_serves() -> None:
    with Sandbox(LISTING[0]) as sandbox:
        seeding = threading.Thread(target=lambda: [sandbox.opencast.seed(50) for _ in range(4)])
        seeding.start()
        while seeding.is_alive():
            assert get(sandbox, "/api/workflows?limit=50").status_code == 200
        assert len(get(sandbox, "/api/workflows?limit=500").json()) == 200


def test_the_clock_is_real_unless_another_is_given() -> None:
    clock = ManualClock()
    assert Sandbox(clock=clock).clock is clock
    assert isinstance(Sandbox(speed=5.0).clock, RealClock)


def test_both_systems_use_the_clock_of_the_sandbox() -> None:
    clock = ManualClock()
    sandbox = Sandbox(clock=clock)
    for system in (sandbox.opencast, sandbox.preservica):
        assert system.app.clock is clock
        assert system.engine.clock() == clock()


def test_the_lock_of_a_system_stops_it() -> None:
    opencast = Sandbox(clock=ManualClock()).opencast
    (id,) = opencast.seed(1)
    with opencast.lock:
        assert opencast.engine.runs[id].id == id


def test_a_preservica_has_its_tenant_counters_and_secret() -> None:
    preservica = Sandbox(clock=ManualClock()).preservica
    context = preservica.context("Held", "org.example.held", "Access", [])
    assert len(preservica.seed(3, contexts=[context])) == 3
    assert (preservica.tenant, preservica.logins, preservica.refreshes, preservica.starts) == ("SANDBOX", 0, 0, [])
    assert preservica.shared_secret
