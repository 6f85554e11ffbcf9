"""T-ORIGIN: no byte and no connection for another origin than the client's."""

import base64
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import trustme

from tests.conftest import FakeTime, See
from tests.support.byte_server import ByteServer, ReceivedRequest, http, serve
from workflow_async import Clock, OpencastClient, PreservicaClient, Retry
from workflow_async.errors import (
    CallError,
    InvalidArgument,
    StartOutcomeUnknown,
    TLSVerificationFailed,
    WorkflowAsyncError,
)

pytestmark = pytest.mark.figure("T-ORIGIN")

BORROWED = "a borrowed client that follows redirects"
BACKENDS = ("httpx", "httpx2", "aiohttp", BORROWED)
STATUSES = (301, 302, 303, 307, 308)
LOCATIONS = ("{evil}/", "{evil}/api/workflows/1", "//{host}/login.html", "/\\{host}", "{evil}@127.0.0.1/", "/elsewhere")
LOGIN = "/api/accesstoken/login"
TOKEN = {"success": True, "token": "t0ken", "refresh-token": "again", "validFor": 15}
OPENCAST, PRESERVICA = "opencast", "preservica"
Client = OpencastClient | PreservicaClient
Request = Callable[[Any], Awaitable[object]]


@pytest.fixture
async def other_server() -> AsyncIterator[ByteServer]:
    """Return a server that must receive no connection. It would answer any request."""
    async with serve(lambda seen: http(200, TOKEN) if "token" in seen.target else http(200, {})) as wire:
        yield wire
        assert (wire.connections, wire.requests) == (0, [])


@pytest.fixture
def clock(fake_time: FakeTime) -> Clock:
    return fake_time.clock


def make_client(system: str, url: str, clock: Clock, http: Any = "httpx") -> Client:
    settings = {"http": http, "clock": clock, "retry": Retry(attempts=2)}
    if system == OPENCAST:
        return OpencastClient(url, auth=("admin", "s3cret"), **settings)
    return PreservicaClient(url, username="u", password="s3cret", tenant="t", **settings)


@asynccontextmanager
async def client(system: str, url: str, backend: str, clock: Clock) -> AsyncIterator[Any]:
    """Enter a client with its own backend, or with a borrowed one that would follow redirects."""
    async with AsyncExitStack() as stack:
        http: Any = backend
        if backend == BORROWED:
            http = await stack.enter_async_context(httpx.AsyncClient(follow_redirects=True, auth=("other", "user")))
        yield await stack.enter_async_context(make_client(system, url, clock, http))


REQUESTS: dict[str, tuple[str, Request]] = {
    "oc version": (OPENCAST, lambda oc: oc.version()),
    "oc get": (OPENCAST, lambda oc: oc.workflows.get(1)),
    "oc list": (OPENCAST, lambda oc: oc.workflows.list().first()),
    "oc definitions": (OPENCAST, lambda oc: oc.definitions.list().first()),
    "oc start": (OPENCAST, lambda oc: oc.workflows.start("event", "fast")),
    "oc stop": (OPENCAST, lambda oc: oc.workflows.stop(1)),
    "oc delete": (OPENCAST, lambda oc: oc.workflows.delete(1)),
    "pv login": (PRESERVICA, lambda pv: pv.workflows.get(1)),
    "pv get": (PRESERVICA, lambda pv: pv.workflows.get(1)),
    "pv list": (PRESERVICA, lambda pv: pv.workflows.list().first()),
    "pv start": (PRESERVICA, lambda pv: pv.workflows.start(42)),
    "pv terminate": (PRESERVICA, lambda pv: pv.workflows.terminate(1)),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", REQUESTS)
async def test_no_redirect_is_followed(
    name: str, backend: str, other_server: ByteServer, clock: Clock, see: See
) -> None:
    host = urlsplit(other_server.url).netloc
    responses = [
        http(status, b"", location=location.format(evil=other_server.url, host=host))
        for status in STATUSES
        for location in LOCATIONS
    ]
    current: list[bytes] = []

    def answer(seen: ReceivedRequest) -> bytes:
        if seen.target == LOGIN and name != "pv login":
            return http(200, TOKEN)
        return current[-1]

    system, request = REQUESTS[name]
    async with serve(answer) as wire, client(system, wire.url, backend, clock) as api:
        for response in responses:
            current.append(response)
            before = len(wire.requests)
            with pytest.raises(WorkflowAsyncError):
                await request(api)
            targets = [seen.target for seen in wire.requests[before:]]
            assert 1 <= len(targets) <= 14
            assert not [target for target in targets if "elsewhere" in target or host in target]
    see(f"{len(responses)} redirects of {len(REQUESTS)} calls and the login: 0 connections elsewhere")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("status", STATUSES)
async def test_no_redirect_of_a_renewal_is_followed(
    status: int, backend: str, other_server: ByteServer, clock: Clock
) -> None:
    renewing = False

    def answer(seen: ReceivedRequest) -> bytes:
        if renewing and seen.target.startswith("/api/accesstoken"):
            return http(status, b"", location=other_server.url + seen.target)
        return http(200, TOKEN) if seen.target == LOGIN else http(200, b"<WorkflowContexts/>")

    time = FakeTime()
    async with serve(answer) as wire, client(PRESERVICA, wire.url, backend, time.clock) as pv:
        await pv.contexts.list().first()
        renewing = True
        for age in (800.0, 200.0):  # a refresh, then a login
            time.now += age
            with suppress(CallError):
                await pv.contexts.list().first()


# Addresses in responses


SAMPLES = Path(__file__).parent.parent / "samples"


def headers_with(url: str) -> dict[str, str]:
    """Return every header that can name another URL."""
    return {"location": url, "content_location": url, "link": f'<{url}>; rel="next"', "refresh": f"0; url={url}"}


@pytest.mark.parametrize("backend", BACKENDS)
async def test_no_next_link_of_an_opencast_is_requested(
    backend: str, other_server: ByteServer, clock: Clock, see: See
) -> None:
    rows = [json.loads((SAMPLES / "opencast/workflow-document.json").read_text())]
    linked = [
        {**row, "next": other_server.url, "_links": {"next": {"href": other_server.url}}, "url": other_server.url}
        for row in rows
    ]
    page = http(200, json.dumps(linked).encode(), **headers_with(other_server.url))
    async with serve(page) as wire, client(OPENCAST, wire.url, backend, clock) as oc:
        assert await oc.workflows.list(limit=len(rows)).first()
        assert wire.requests
    see("next links and Location headers: 0 connections elsewhere")


@pytest.mark.parametrize("backend", BACKENDS)
async def test_no_next_link_of_a_preservica_is_requested(backend: str, other_server: ByteServer, clock: Clock) -> None:
    text = (SAMPLES / "preservica/instances.xml").read_text()
    head, root, rest = text.partition("<TotalCount>")
    linked = f"{head}<Paging><Next>{other_server.url}</Next></Paging><Next>{other_server.url}</Next>{root}{rest}"
    page = http(200, linked.encode(), **headers_with(other_server.url))
    login = http(200, {**TOKEN, "url": other_server.url, "server": other_server.url}, **headers_with(other_server.url))
    async with (
        serve(lambda seen: login if seen.target == LOGIN else page) as wire,
        client(PRESERVICA, wire.url, backend, clock) as pv,
    ):
        assert await pv.workflows.list().first()
        assert wire.requests


@pytest.mark.parametrize("backend", BACKENDS)
async def test_the_location_of_a_start_gives_its_id_and_is_not_requested(
    backend: str, other_server: ByteServer, clock: Clock
) -> None:
    answer = http(201, b"not json", **headers_with(f"{other_server.url}/api/workflows/1603"))
    async with serve(answer) as wire, client(OPENCAST, wire.url, backend, clock) as oc:
        with pytest.raises(StartOutcomeUnknown) as caught:
            await oc.workflows.start("event", "fast")
        assert [seen.method for seen in wire.requests] == ["POST"]
    assert caught.value.workflow_id == 1603


# The environment


PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")


@pytest.mark.parametrize("backend", BACKENDS[:3])
@pytest.mark.parametrize("system", [OPENCAST, PRESERVICA])
async def test_no_environment_variable_changes_where_requests_go_or_what_they_contain(
    system: str,
    backend: str,
    other_server: ByteServer,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    see: See,
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login netrc password canary\n")
    netrc.chmod(0o600)
    for name in PROXIES:
        monkeypatch.setenv(name, other_server.url)
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".netrc").write_bytes(netrc.read_bytes())
    async with serve(lambda seen: http(200, TOKEN)) as wire, client(system, wire.url, backend, clock) as api:
        with pytest.raises(CallError):
            await api.workflows.get(1)
    pair = base64.b64encode(b"netrc:canary").decode()
    assert wire.requests
    assert not [seen for seen in wire.requests if pair in str(seen.headers) or "://" in seen.target]
    see("hostile HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NETRC: 0 connections elsewhere")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def certified(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.mark.parametrize("backend", BACKENDS[:3])
@pytest.mark.parametrize("system", [OPENCAST, PRESERVICA])
async def test_no_environment_variable_changes_which_certificates_are_trusted(
    system: str, backend: str, authority: trustme.CA, certified: ssl.SSLContext, clock: Clock,
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, see: See,
) -> None:  # fmt: skip
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, str(tmp_path / "authority.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    async with serve(http(200, TOKEN), tls=certified) as wire, client(system, wire.url, backend, clock) as api:
        with pytest.raises(TLSVerificationFailed):
            await api.workflows.get(1)
        assert wire.requests == []
    see("SSL_CERT_FILE, SSL_CERT_DIR: ignored, nothing sent")


@pytest.mark.parametrize("backend", BACKENDS[:3])
@pytest.mark.parametrize("system", [OPENCAST, PRESERVICA])
async def test_no_environment_variable_has_the_session_keys_written_to_a_file(
    system: str, backend: str, certified: ssl.SSLContext, clock: Clock, monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path, see: See,
) -> None:  # fmt: skip
    keys = tmp_path / "keys"
    monkeypatch.setenv("SSLKEYLOGFILE", str(keys))
    async with serve(http(200, TOKEN), tls=certified) as wire, client(system, wire.url, backend, clock) as api:
        with pytest.raises(TLSVerificationFailed):
            await api.workflows.get(1)
    written = keys.read_text().splitlines() if keys.exists() else []
    assert not [line for line in written if not line.startswith("#")]  # aiohttp opens the file when it is imported
    see("SSLKEYLOGFILE: ignored")


# The origin itself


@pytest.mark.parametrize("system", [OPENCAST, PRESERVICA])
@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://archive.example.org", "must be https://"),
        ("http://192.0.2.1:8080", "must be https://"),
        ("http://127.0.0.1.example.org", "must be https://"),
        ("https://user:s3cret@archive.example.org", "must not carry credentials"),
        ("https://s3cret@archive.example.org", "must not carry credentials"),
        ("ftp://archive.example.org", "must begin with https:// or http://"),
        ("https://archive.example.org?to=evil", "end it with the path"),
    ],
)
def test_an_origin_that_would_reveal_secrets_is_rejected(system: str, url: str, message: str, clock: Clock) -> None:
    with pytest.raises(InvalidArgument, match=message) as caught:
        make_client(system, url, clock)
    assert "s3cret" not in f"{caught.value} {caught.value!r}"


IDS = (
    "..",
    "../..",
    "1/../../x",
    "",
    "//evil",
    "%2e%2e",
    "1;jsessionid=x",
    "1?x",
    "1#x",
    "1\\x",
    "1\r\nHost: evil",
    "\0",
)


@pytest.mark.parametrize("id", IDS, ids=ascii)
async def test_no_id_leads_to_another_path(id: str, clock: Clock) -> None:
    async with serve(http(200, TOKEN)) as wire:
        for system in (OPENCAST, PRESERVICA):
            async with client(system, wire.url, "httpx", clock) as api:
                with pytest.raises(InvalidArgument):
                    await api.workflows.get(id)
        assert wire.requests == []
