"""Rows 68 to 70: no free files, proxies, and a hostile environment."""

import asyncio
import errno
import json
import os
import ssl
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme

from tests.behaviour.test_cancelling import answers
from tests.conftest import FakeTime, See
from tests.support.byte_server import RawResponse, ReceivedRequest, http, refused_url, serve
from tests.support.stub_clients import SYSTEMS, client_of
from workflow_async import Limits
from workflow_async.errors import CallError, ConnectFailed, TLSVerificationFailed, TransportError

# Row 68: no more files

EXHAUSTED = """
import asyncio, json, resource, sys
from workflow_async import Clock, OpencastClient
from workflow_async.errors import CallError

soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
naps = 0

def allow(files):
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))

async def sleep(seconds):
    global naps
    naps += 1
    if naps == int(sys.argv[2]):
        allow(soft)

async def main():
    async with OpencastClient(sys.argv[1], auth=("u", "p")) as oc:
        await oc.workflows.get(7)  # so that every module is there
    async with OpencastClient(sys.argv[1], auth=("u", "p"), clock=Clock(sleep=sleep)) as oc:
        allow(0)
        try:
            said = [(await oc.workflows.get(7)).id, naps]
        except CallError as error:
            said = [type(error).__name__, error.attempts, error.sent]
        try:
            await oc.workflows.start("event-7", "fast")
        except CallError as error:
            said += [type(error).__name__, error.attempts, error.sent]
        print(json.dumps(said))

asyncio.run(main())
"""


async def exhausted(url: str, until: int) -> Any:
    """Return the output of a process without free files. Files are free again after this many delays."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", EXHAUSTED, url, str(until), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    assert (process.returncode, err) == (0, b"")
    return json.loads(out)


@pytest.mark.row(68)
async def test_without_free_files_a_get_is_retried_and_a_start_has_not_happened(see: See) -> None:
    async with serve(answers("opencast")) as server:
        assert await exhausted(server.url, 2) == [7, 2]
        starts = [request.method for request in server.requests].count("POST")
        assert await exhausted(server.url, 99) == ["ConnectFailed", 4, False, "ConnectFailed", 1, False]
        assert [request.method for request in server.requests].count("POST") == starts == 1
    see("EMFILE by RLIMIT_NOFILE: ConnectFailed after 4 tries, or read when there are files again; start: not sent")


@pytest.mark.row(68)
@pytest.mark.parametrize("code", [errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL, errno.ENFILE])
async def test_an_exhausted_system_resource_is_a_failed_connection(
    code: int, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def connect(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", connect)
    async with client_of("opencast", "http://127.0.0.1:9", clock=fake_time.clock) as client:
        with pytest.raises(ConnectFailed) as get_error:
            await client.workflows.get(7)
    assert (get_error.value.attempts, get_error.value.sent) == (4, False)


@pytest.mark.row(68)
@pytest.mark.parametrize("system", SYSTEMS)
async def test_a_client_never_opens_more_connections_than_its_limit(system: str, see: See) -> None:
    open_ones: list[int] = []

    def answer(request: ReceivedRequest) -> bytes:
        open_ones.append(server.open)
        return answers(system)(request)

    async with serve(answer) as server, client_of(system, server.url, limits=Limits(connections=3)) as client:
        await asyncio.gather(*(client.workflows.get(7) for _ in range(200)))
        start = ["event-7", "fast"] if system == "opencast" else ["Ingest of films"]
        await asyncio.gather(*(client.workflows.start(*start) for _ in range(20)))
    assert max(open_ones) <= 3 + 1
    see("200 gets and 20 starts at once over 3 connections: no more were open, but one that was closing")


# Row 69: proxies

FAR = {"opencast": "https://oc.example.org", "preservica": "https://pv.example.org"}


async def through(
    proxy: str, fake_time: FakeTime, url: str = FAR["opencast"], **settings: Any
) -> tuple[CallError, CallError]:
    """Return the errors of a GET and a start through a proxy."""
    async with (
        httpx.AsyncClient(proxy=proxy, trust_env=False) as http_client,
        client_of("opencast", url, http=http_client, clock=fake_time.clock, **settings) as client,
    ):
        with pytest.raises(CallError) as get_error:
            await client.workflows.get(7)
        with pytest.raises(CallError) as start:
            await client.workflows.start("event-7", "fast")
    return get_error.value, start.value


@pytest.mark.row(69)
async def test_a_proxy_that_refuses_is_a_failed_connection(fake_time: FakeTime, see: See) -> None:
    get_error, start = await through(refused_url(), fake_time)
    assert [type(error) for error in (get_error, start)] == [ConnectFailed] * 2
    assert (get_error.attempts, start.attempts) == (4, 1)
    see("refuses: ConnectFailed, R; start not sent")


@pytest.mark.row(69)
@pytest.mark.parametrize(
    "response", [b"HTTP/1.1 502 No\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\nno"]
)
async def test_a_proxy_that_closes_the_tunnel_is_a_failed_connection(
    response: bytes, fake_time: FakeTime, see: See
) -> None:
    async with serve(lambda _: RawResponse(response, "fin")) as proxy:
        get_error, start = await through(proxy.url, fake_time)
    assert [type(error) for error in (get_error, start)] == [ConnectFailed] * 2
    assert (get_error.attempts, start.attempts) == (4, 1)
    assert all(request.method == "CONNECT" and b"s3cret" not in request.body for request in proxy.requests)
    assert not any("authorization" in request.headers for request in proxy.requests)
    see("closes the tunnel: ConnectFailed, R; start not sent; the proxy sees no credentials")


@pytest.mark.row(69)
async def test_a_proxy_that_requires_a_password_is_not_retried(fake_time: FakeTime, see: See) -> None:
    async with serve(http(407, b"", proxy_authenticate="Basic")) as proxy:
        get_error, start = await through(proxy.url, fake_time, "http://oc.example.org", allow_insecure_http=True)
        assert [getattr(error, "status", None) for error in (get_error, start)] == [407, 407]
        assert (get_error.attempts, start.attempts, len(proxy.requests)) == (1, 1, 2)
    see("407 of a plain proxy: N")


@pytest.mark.row(69)
async def test_a_tunnel_that_requires_a_password_is_a_failed_connection(fake_time: FakeTime, see: See) -> None:
    async with serve(http(407, b"", proxy_authenticate="Basic")) as proxy:
        get_error, start = await through(proxy.url, fake_time)
    assert [type(error) for error in (get_error, start)] == [ConnectFailed] * 2
    assert "407" in str(get_error)
    assert start.attempts == 1
    see(f"407 of a tunnel: ConnectFailed that says 407, {get_error.attempts} attempts; start not sent")


# Row 70: the environment


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def hostile(authority: trustme.CA, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Set an environment that would redirect every request and trust a foreign authority."""
    authority.cert_pem.write_to_path(str(tmp_path / "evil.pem"))
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login evil password evil\n")
    (tmp_path / "netrc").chmod(0o600)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "evil.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.mark.row(70)
@pytest.mark.parametrize("system", SYSTEMS)
async def test_the_environment_neither_redirects_a_call_nor_adds_credentials(
    system: str, hostile: Path, fake_time: FakeTime, see: See
) -> None:
    async with serve(answers(system)) as server, client_of(system, server.url, clock=fake_time.clock) as client:
        assert (await client.workflows.get(7)).id == 7
        sent = [request.headers.get("authorization", "") for request in server.requests]
    assert all(
        "Basic dXNlcjpzM2NyZXQ=" in authorization if system == "opencast" else not authorization
        for authorization in sent
    )
    see("HTTP_PROXY, NETRC: ignored")


@pytest.mark.row(70)
@pytest.mark.parametrize("system", SYSTEMS)
async def test_the_environment_does_not_change_the_trusted_authorities(
    system: str, hostile: Path, authority: trustme.CA, fake_time: FakeTime, see: See
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    async with serve(answers(system), tls=context) as server:
        async with client_of(system, server.url, clock=fake_time.clock) as client:
            with pytest.raises(TLSVerificationFailed):
                await client.workflows.get(7)
        assert not server.requests
    see("SSL_CERT_FILE, SSL_CERT_DIR: ignored")


@pytest.mark.row(70)
async def test_no_tls_key_is_written_to_sslkeylogfile(
    hostile: Path, authority: trustme.CA, fake_time: FakeTime, see: See
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    async with (
        serve(answers("opencast"), tls=context) as server,
        client_of("opencast", server.url, clock=fake_time.clock) as client,
    ):
        with pytest.raises(TransportError):
            await client.workflows.get(7)
    keys = (hostile / "keys").read_text() if (hostile / "keys").exists() else ""
    assert not [line for line in keys.splitlines() if not line.startswith("#")]
    see("SSLKEYLOGFILE: gets no keys")
