"""Rows 1 to 5: faults while a connection is opened."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import trustme

from tests.conftest import FakeTime, See
from tests.support.byte_server import GET, POST, ByteServer, connected, http, refused_url, serve
from tests.support.call_endings import get, outcome, start
from tests.support.certificates import client_side, server_side
from tests.support.misbehaving_server import raw_server, respond_with
from tests.support.stub_clients import client_of, workflow
from workflow_async import Timeouts
from workflow_async.errors import (
    ConnectFailed,
    ConnectionBroken,
    ForeignResponse,
    StartOutcomeUnknown,
    TLSVerificationFailed,
)

NAME = "http://oc.example.org"
SHORT_TIMEOUTS = Timeouts(connect=0.03, call=60.0, exchange=30.0)


async def failures(url: str, time: FakeTime, **settings: Any) -> tuple[Any, Any]:
    """Return the errors of a GET and a start of Opencast at a URL."""
    async with client_of("opencast", url, clock=time.clock, **settings) as oc:
        return await outcome(get(oc)), await outcome(start(oc))


def summary(get_error: Any, start_error: Any) -> str:
    kinds = {type(get_error).__name__: None, type(start_error).__name__: None}
    attempts = f"get {get_error.attempts} attempts, start {start_error.attempts}"
    return f"{' and '.join(kinds)}: {attempts}, sent {start_error.sent}"


@pytest.mark.row(1)
async def test_a_refused_connection_is_retried_and_a_start_has_not_happened(fake_time: FakeTime, see: See) -> None:
    async with connected(refused_url(), fake_time.clock) as transport:
        with pytest.raises(ConnectFailed) as get_error:
            await transport.send(GET)
        with pytest.raises(ConnectFailed) as start:
            await transport.send(POST)
    assert (get_error.value.attempts, start.value.attempts, start.value.sent) == (4, 1, False)
    see("get: 4 attempts, ConnectFailed; start: 1 attempt, not sent")


@pytest.mark.row(1)
async def test_a_client_raises_the_same_errors_for_a_refused_connection(fake_time: FakeTime) -> None:
    found = summary(*await failures(refused_url(), fake_time))
    assert found == "ConnectFailed: get 4 attempts, start 1, sent False"


# Names


def lookups(monkeypatch: pytest.MonkeyPatch, code: int, failing: int) -> list[str]:
    """Fail this many look-ups with this code, and resolve later ones to this machine. Return the looked-up names."""
    names: list[str] = []
    real = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *rest: Any, **options: Any) -> Any:
        if host in {"127.0.0.1", b"127.0.0.1"}:
            return real(host, port, *rest, **options)
        names.append(host.decode() if isinstance(host, bytes) else host)
        if len(names) <= failing:
            raise socket.gaierror(code, socket.gaierror.__name__)
        return real("127.0.0.1", port, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return names


CODES = pytest.mark.parametrize("code", [socket.EAI_NONAME, socket.EAI_AGAIN], ids=["EAI_NONAME", "EAI_AGAIN"])


@pytest.mark.row(2)
@CODES
async def test_a_failed_name_lookup_is_retried_and_a_start_has_not_happened(
    code: int, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch, see: See
) -> None:
    names = lookups(monkeypatch, code, failing=10**6)
    get_error, start_error = await failures(NAME, fake_time, allow_insecure_http=True)
    found = summary(get_error, start_error)
    assert found == "ConnectFailed: get 4 attempts, start 1, sent False"
    assert names == ["oc.example.org"] * 5
    see(found)


@pytest.mark.row(2)
@CODES
async def test_a_name_lookup_that_fails_once_costs_one_more_attempt(
    code: int, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = lookups(monkeypatch, code, failing=1)
    async with serve(http(200, workflow("opencast", 1603))) as server:
        url = f"{NAME}:{server.url.rpartition(':')[2]}"
        async with client_of("opencast", url, clock=fake_time.clock, allow_insecure_http=True) as oc:
            assert (await get(oc)).id == 1603
    assert (len(names), fake_time.naps) == (2, [0.25])


# Silence


@contextmanager
def full() -> Iterator[str]:
    """Yield the URL of a listener whose queue is full: the kernel accepts no further connection."""
    with ExitStack() as sockets:
        listener = sockets.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = sockets.enter_context(socket.socket())
            waiting.settimeout(0)
            waiting.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.row(3)
async def test_a_connect_timeout_is_retried(fake_time: FakeTime, see: See) -> None:
    with full() as url:
        found = summary(*await failures(url, fake_time, timeouts=SHORT_TIMEOUTS))
    assert found == "ConnectFailed: get 4 attempts, start 1, sent False"
    see(found)


@pytest.mark.row(3)
async def test_a_tls_handshake_timeout_is_retried(authority: trustme.CA, fake_time: FakeTime) -> None:
    async with serve(http(200)) as silent:  # the server waits for the end of a line that never arrives
        url = silent.url.replace("http:", "https:")
        found = summary(*await failures(url, fake_time, timeouts=SHORT_TIMEOUTS, ssl_context=client_side(authority)))
    assert found == "ConnectFailed: get 4 attempts, start 1, sent False"


# TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def unknown(_: trustme.CA) -> ssl.SSLContext:
    return server_side(trustme.CA())


def other_host(authority: trustme.CA) -> ssl.SSLContext:
    return server_side(authority, "example.org")


def expired(authority: trustme.CA) -> ssl.SSLContext:
    return server_side(authority, not_after=datetime.now(UTC) - timedelta(days=1))


def tls_1_0(authority: trustme.CA) -> ssl.SSLContext:
    """Return a context for TLS 1.0 only."""
    context = server_side(authority)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1
    return context


async def refused(server: ByteServer, authority: trustme.CA, time: FakeTime) -> tuple[Any, Any]:
    """Return how both calls end at a server whose TLS is refused. It has received no request."""
    found = await failures(server.url, time, ssl_context=client_side(authority))
    assert server.requests == []
    return found


@pytest.mark.row(4)
@pytest.mark.parametrize("certificate", [unknown, other_host, expired])
async def test_an_invalid_certificate_is_refused_without_retries_and_nothing_is_sent(
    certificate: Any, authority: trustme.CA, fake_time: FakeTime, see: See
) -> None:
    async with serve(http(200), tls=certificate(authority)) as server:
        get_error, start_error = await refused(server, authority, fake_time)
    found = summary(get_error, start_error)
    assert found == "TLSVerificationFailed: get 1 attempts, start 1, sent False"
    assert "certificate" in str(get_error)
    see(found)


@pytest.mark.row(4)
async def test_a_private_authority_is_trusted_only_if_it_is_given(authority: trustme.CA, fake_time: FakeTime) -> None:
    async with serve(http(200), tls=server_side(authority)) as server:
        get_error, _ = await failures(server.url, fake_time)
        assert isinstance(get_error, TLSVerificationFailed)
        assert server.requests == []


@pytest.mark.row(4)
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1 is deprecated:DeprecationWarning")
async def test_tls_1_0_is_refused_and_nothing_is_sent(authority: trustme.CA, fake_time: FakeTime, see: See) -> None:
    async with serve(http(200), tls=tls_1_0(authority)) as server:
        get_error, start_error = await refused(server, authority, fake_time)
    assert isinstance(get_error, ConnectFailed)
    assert not isinstance(get_error, TLSVerificationFailed)
    assert (start_error.attempts, start_error.sent) == (1, False)
    see(f"TLS 1.0: {summary(get_error, start_error)}")


# TLS on one side only


@pytest.mark.row(5)
async def test_https_to_a_plain_port_is_reported_and_nothing_is_sent(
    authority: trustme.CA, fake_time: FakeTime, see: See
) -> None:
    async with raw_server(respond_with(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as raw:
        url = raw.url.replace("http:", "https:")
        get_error, start_error = await failures(url, fake_time, ssl_context=client_side(authority))
    assert isinstance(get_error, ConnectFailed)
    assert "WRONG_VERSION_NUMBER" in str(get_error)
    assert (start_error.attempts, start_error.sent) == (1, False)
    see(f"https at a plain port: {summary(get_error, start_error)}")


@pytest.mark.row(5)
async def test_http_to_a_tls_port_is_a_foreign_response_with_the_servers_message(fake_time: FakeTime, see: See) -> None:
    message = b"The plain HTTP request was sent to HTTPS port"
    async with serve(http(400, b"<html><h1>400 Bad Request</h1>" + message + b"</html>")) as server:
        get_error, start_error = await failures(server.url, fake_time)
    assert (type(get_error), type(start_error), get_error.attempts) == (ForeignResponse, StartOutcomeUnknown, 4)
    assert message.decode() in get_error.body
    see(f"http at a TLS port that says so: {type(get_error).__name__}, {get_error.attempts} attempts")


@pytest.mark.row(5)
async def test_http_to_a_silent_tls_port_is_a_broken_connection(
    authority: trustme.CA, fake_time: FakeTime, see: See
) -> None:
    async with serve(http(200), tls=server_side(authority)) as server:
        get_error, start_error = await failures(server.url.replace("https:", "http:"), fake_time)
        assert server.requests == []
    assert isinstance(get_error, ConnectionBroken)
    assert isinstance(start_error, StartOutcomeUnknown)
    see(
        f"that hangs up: {type(get_error).__name__}, {get_error.attempts} attempts; start: {type(start_error).__name__}"
    )
