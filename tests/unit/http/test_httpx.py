"""httpx, httpx2 and borrowed clients: how the backends differ."""

import asyncio
import gzip
import re
import ssl
import sys
from types import ModuleType
from typing import Any

import httpcore
import httpcore2
import httpx
import httpx2
import pytest
import respx
from aiohttp import (
    ClientConnectorError,
    ClientOSError,
    ClientPayloadError,
    ClientSession,
    ConnectionTimeoutError,
    DummyCookieJar,
    ServerDisconnectedError,
)
from aiohttp.client_reqrep import ConnectionKey
from attrs import define, evolve
from httpx_aiohttp import AiohttpTransport

from tests.conftest import FakeTime
from tests.support.byte_server import (
    GET,
    NO_RETRIES,
    POST,
    RawResponse,
    ReceivedRequest,
    SuspensionTrigger,
    connected,
    failure,
    http,
    serve,
)
from workflow_async import Digest, Limits, Timeouts
from workflow_async._core.backend import Request
from workflow_async._core.call import Reply
from workflow_async._http import make_backend
from workflow_async._http.aiohttp import DoNotResend, translated_error as aiohttp_error
from workflow_async._http.borrowed import BorrowedClient
from workflow_async._http.cookies import Cookies
from workflow_async._http.errors import cause_chain, translated_error
from workflow_async._http.progress import SendProgress
from workflow_async.errors import (
    ConnectFailed,
    ConnectionBroken,
    DeadlineExceeded,
    InvalidArgument,
    NotSent,
    TLSVerificationFailed,
    TransportError,
    Unauthorized,
    UnexpectedRedirect,
)


@pytest.mark.parametrize("url", ["https://999.1.1.1", "https://127.0.0.1:1/" + "x" * 70_000])
async def test_a_url_that_httpx_refuses_is_a_failed_connection(url: str, fake_time: FakeTime) -> None:
    error = await failure(url, fake_time, POST)
    assert isinstance(error, ConnectFailed)
    assert not error.sent


# Digest


async def test_digest_authenticates_without_sending_the_password(fake_time: FakeTime) -> None:
    challenge = 'Digest realm="Opencast", nonce="n0nce", qop="auth"'

    def answer(request: ReceivedRequest) -> bytes:
        return (
            http(200, b"{}")
            if "nonce" in request.headers.get("authorization", "")
            else http(401, www_authenticate=challenge)
        )

    digest = Digest("opencast_system_account", "s3cret")
    async with serve(answer) as server, connected(server.url, fake_time.clock, credential=digest) as transport:
        for _ in range(2):
            assert await transport.send(GET) == {}
    headers_sent = [request.headers.get("authorization", "") for request in server.requests]
    assert [
        ('uri="/thing"' in secret_headers, "nc=0000000" in secret_headers, "s3cret" in secret_headers)
        for secret_headers in headers_sent
    ] == [
        (False, False, False),
        (True, True, False),
        (True, True, False),
    ]


@pytest.mark.parametrize(
    "challenge",
    [
        "",
        "Basic",
        "Digest",
        'Digest realm="x"',
        'Digest realm="x", nonce="y", algorithm=ROT13',
        "Digest ä",
        'Digest realm="',
    ],
)
async def test_an_invalid_challenge_is_unauthorized(challenge: str, fake_time: FakeTime) -> None:
    async with serve(http(401, www_authenticate=challenge)) as server:
        error = await failure(server.url, fake_time, credential=Digest("user", "s3cret"))
    assert isinstance(error, Unauthorized)
    assert len(server.requests) == 1


# Errors of the libraries, translated


def raised(error: BaseException, cause: BaseException | None = None) -> Any:
    error.__cause__ = cause
    return error


BAD_RECORD = ssl.SSLError(1, "bad record")
UNTRUSTED = ssl.SSLCertVerificationError(1, "who?")


@pytest.mark.parametrize("library", [httpx, httpx2, httpcore, httpcore2])
@pytest.mark.parametrize(
    ("name", "text", "cause", "kind", "sentence"),
    [
        ("ConnectError", "", None, ConnectFailed, "ConnectError"),
        ("ConnectError", "", UNTRUSTED, TLSVerificationFailed, "ConnectError: who?"),
        ("ConnectTimeout", "slow", None, ConnectFailed, "ConnectTimeout: slow"),
        ("ConnectTimeout", "", asyncio.CancelledError("Cancelled via cancel scope"), ConnectFailed, "ConnectTimeout"),
        ("ConnectTimeout", "late", ConnectionTimeoutError("late"), ConnectFailed, "ConnectTimeout: late"),
        ("PoolTimeout", "full", None, ConnectFailed, "PoolTimeout: full"),
        ("ProxyError", "407", None, ConnectFailed, "ProxyError: 407"),
        ("UnsupportedProtocol", "ftp", None, ConnectFailed, "UnsupportedProtocol: ftp"),
        ("LocalProtocolError", "Illegal header value b's3cret'", None, ConnectFailed, "LocalProtocolError"),
    ],
)
def test_an_error_of_httpx_or_httpcore_before_the_first_byte_is_a_failed_connection(
    library: ModuleType, name: str, text: str, cause: BaseException | None, kind: type[Exception], sentence: str
) -> None:
    chain = cause_chain(raised(getattr(library, name)(text), cause), None)
    found = translated_error(library, chain, unsent=True, reused=True)
    assert type(found) is kind
    assert (str(found), found.reused, found.sent) == (sentence, False, False)


@pytest.mark.parametrize("library", [httpx, httpx2, httpcore, httpcore2])
@pytest.mark.parametrize(
    ("name", "text", "cause", "sentence"),
    [
        ("ConnectError", "", UNTRUSTED, "ConnectError: who?"),
        ("ConnectTimeout", "", ServerDisconnectedError(), "ConnectTimeout: Server disconnected"),
        ("ConnectTimeout", "", ClientOSError(104, "reset"), "ConnectTimeout: [Errno 104] reset"),
        ("LocalProtocolError", "Illegal header value b's3cret'", None, "LocalProtocolError"),
        ("ReadError", "", None, "ReadError"),
        ("ReadError", "", OSError("reset"), "ReadError: reset"),
        ("ReadError", "", BAD_RECORD, "ReadError: bad record"),
        ("WriteError", "x", None, "WriteError: x"),
        ("RemoteProtocolError", "x", None, "RemoteProtocolError: x"),
        ("RemoteProtocolError", "bad line: bytearray(b's3cret')", None, "RemoteProtocolError: bad line"),
        ("ReadTimeout", "x", None, "ReadTimeout: x"),
    ],
)
def test_an_error_of_httpx_or_httpcore_after_the_first_byte_is_a_broken_connection(
    library: ModuleType, name: str, text: str, cause: BaseException | None, sentence: str
) -> None:
    chain = cause_chain(raised(getattr(library, name)(text), cause), None)
    found = translated_error(library, chain, unsent=False, reused=True)
    assert type(found) is ConnectionBroken
    assert (str(found), found.reused, found.sent) == (sentence, True, True)


@pytest.mark.parametrize("library", [httpx, httpx2])
def test_a_request_with_an_invalid_url_was_never_sent(library: ModuleType) -> None:
    found = translated_error(library, [library.InvalidURL("too long")], unsent=True, reused=True)
    assert (type(found), str(found)) == (ConnectFailed, "InvalidURL: too long")


@pytest.mark.parametrize("library", [httpx, httpx2, httpcore, httpcore2])
@pytest.mark.parametrize(("unsent", "kind"), [(True, NotSent), (False, TransportError)])
def test_an_unexpected_error_is_a_transport_error(
    library: ModuleType,
    unsent: bool,  # noqa: FBT001 - a case
    kind: type[Exception],
) -> None:
    found = translated_error(library, [ZeroDivisionError("by zero")], unsent=unsent)
    assert (type(found), str(found)) == (kind, "ZeroDivisionError: by zero")


KEY = ConnectionKey("oc.example.org", 443, is_ssl=True, ssl=True, proxy=None, proxy_auth=None, proxy_headers_hash=None)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ClientConnectorError(KEY, OSError(111, "no")), "ClientConnectorError"),
        (raised(DoNotResend(), ServerDisconnectedError()), "ServerDisconnectedError"),
        (raised(DoNotResend(), ClientOSError(104, "reset")), "ClientOSError"),
        (raised(ClientPayloadError("b's3cret'"), OSError("reset")), "ClientPayloadError: reset"),
        (BAD_RECORD, "SSLError"),
    ],
)
def test_an_error_of_aiohttp_that_did_not_come_from_its_connector_is_a_broken_connection(
    error: BaseException, sentence: str
) -> None:
    found = aiohttp_error(cause_chain(error, None), Request("POST", "https://oc.example.org/", ()), reused=True)
    assert type(found) is ConnectionBroken
    assert (str(found), found.reused) == (sentence, True)


# Borrowed clients


async def test_a_borrowed_client_sends_the_calls_and_stays_open(fake_time: FakeTime) -> None:
    async with serve(http(200, b"{}")) as server, httpx.AsyncClient() as client:
        async with connected(server.url, fake_time.clock, http=client) as transport:
            assert await transport.send(GET) == {}
        assert not client.is_closed
        assert server.connections == 1


async def test_a_borrowed_client_uses_neither_its_redirects_nor_its_auth_nor_its_headers(
    fake_time: FakeTime,
) -> None:
    stepped = httpx.AsyncClient(
        follow_redirects=True, auth=("other", "person"), headers={"x-of": "another"}, cookies={"a": "b"}
    )
    async with serve(http(200, b"{}")) as other, serve(http(307, b"", location=other.url)) as server, stepped as client:
        error = await failure(server.url, fake_time, http=client)
    assert isinstance(error, UnexpectedRedirect)
    assert other.requests == []
    (request,) = server.requests
    assert request.headers["authorization"] == "Basic dXNlcjpzZWNyZXQ="
    assert not {"x-of", "cookie"} & request.headers.keys()


async def test_httpx_aiohttp_resends_requests_and_its_session_keeps_cookies(fake_time: FakeTime) -> None:
    def answer(request: ReceivedRequest) -> RawResponse:
        if request.method == "PUT":
            return RawResponse(b"", "fin")
        return RawResponse(http(200, {"cookie": request.headers.get("cookie", "")}, set_cookie="JSESSIONID=s3cret"))

    async with serve(answer) as server, httpx.AsyncClient(transport=AiohttpTransport()) as client:
        url = server.url.replace("127.0.0.1", "localhost")
        error = await failure(url, fake_time, evolve(POST, method="PUT"), http=client)
        assert isinstance(error, ConnectionBroken)
        assert (error.sent, error.attempts, len(server.requests)) == (True, 1, 2)
        async with connected(url, fake_time.clock, http=client) as one:
            await one.send(GET)
        async with connected(url, fake_time.clock, http=client) as two:
            assert await two.send(GET) == {"cookie": "JSESSIONID=s3cret"}


async def test_a_session_without_cookies_separates_the_users_of_one_client(fake_time: FakeTime) -> None:
    def answer(request: ReceivedRequest) -> bytes:
        return http(200, {"cookie": request.headers.get("cookie", "")}, set_cookie="JSESSIONID=s3cret")

    async with serve(answer) as server, ClientSession(cookie_jar=DummyCookieJar()) as session:
        client = httpx.AsyncClient(transport=AiohttpTransport(client=session))
        url = server.url.replace("127.0.0.1", "localhost")
        for _ in range(2):
            async with connected(url, fake_time.clock, http=client) as transport:
                assert await transport.send(GET) == {"cookie": ""}


async def test_a_response_that_a_hook_has_read_is_read_once(fake_time: FakeTime) -> None:
    async def hook(response: httpx.Response) -> None:
        await response.aread()

    async with (
        serve(http(200, gzip.compress(b'{"a": 1}'), content_encoding="gzip")) as server,
        httpx.AsyncClient(event_hooks={"response": [hook]}) as client,
        connected(server.url, fake_time.clock, http=client) as transport,
    ):
        assert await transport.send(GET) == {"a": 1}


async def test_a_full_pool_of_a_borrowed_client_is_a_failed_connection(fake_time: FakeTime) -> None:
    limits = httpx.Limits(max_connections=1)
    async with serve(lambda _: RawResponse(b"", "stall")) as server, httpx.AsyncClient(limits=limits) as client:
        timeouts = Timeouts(connect=0.02, exchange=0.2)
        async with connected(
            server.url, fake_time.clock, http=client, timeouts=timeouts, retry=NO_RETRIES
        ) as transport:
            found = await asyncio.gather(transport.send(POST), transport.send(POST), return_exceptions=True)
    assert {type(error) for error in found} == {DeadlineExceeded, ConnectFailed}


@define
class Stepped(BorrowedClient):
    """A borrowed client whose first exchange is cancelled at one of its suspensions."""

    step: SuspensionTrigger | None = None

    async def _exchange(self, progress: SendProgress) -> Reply:
        step, self.step = self.step, None
        exchange = super()._exchange(progress)
        return await (exchange if step is None else step.run(exchange))


@pytest.mark.parametrize("connection", ["warm", "cold"])
async def test_a_call_cancelled_anywhere_loses_no_connection_of_a_borrowed_client(
    connection: str, fake_time: FakeTime
) -> None:
    k, steps = 0, 0
    limits, timeouts = httpx.Limits(max_connections=1), Timeouts(connect=0.5)
    async with serve(http(200, b"{}")) as server:
        while k <= steps:
            k += 1
            async with httpx.AsyncClient(limits=limits) as client, connected(server.url, fake_time.clock) as transport:
                transport.backend = stepped = Stepped(client, httpx, Limits(), timeouts)
                if connection == "warm":
                    await transport.send(GET)
                call = asyncio.create_task(transport.send(GET))
                stepped.step = step = SuspensionTrigger(k, call.cancel)
                await asyncio.wait([call])
                transport.retry, steps = NO_RETRIES, step.count
                assert await transport.send(GET) == {}
    assert k > 4


@respx.mock
async def test_mocks_of_httpx_see_the_calls(fake_time: FakeTime) -> None:
    route = respx.get("https://oc.example.org/thing").mock(return_value=httpx.Response(200, json={"a": 1}))
    async with connected("https://oc.example.org", fake_time.clock) as transport:
        assert await transport.send(GET) == {"a": 1}
    assert route.calls.last.request.headers["user-agent"] == "workflow-async"


@pytest.mark.parametrize("backend", ["requests", None, 7, httpx.Client, httpx.AsyncClient])
def test_any_other_backend_is_refused(backend: Any) -> None:
    with pytest.raises(InvalidArgument, match="http"):
        make_backend(backend, Limits(), Timeouts(), None)


@pytest.mark.parametrize("extra", ["httpx2", "aiohttp"])
def test_the_error_for_a_missing_backend_names_its_extra(extra: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, extra, None)
    with pytest.raises(InvalidArgument, match=re.escape(f"pip install 'workflow-async[{extra}]'")):
        make_backend(extra, Limits(), Timeouts(), None)


async def test_resetting_a_borrowed_client_does_nothing() -> None:
    async with httpx.AsyncClient() as client:
        stepped = BorrowedClient(client, httpx, Limits(), Timeouts())
        await stepped.reset()
        await stepped.aclose()
        assert not client.is_closed


def test_the_repr_of_cookies_shows_no_cookie() -> None:
    cookies = Cookies()
    cookies.store("https://oc.example.org/", ["JSESSIONID=s3cret"])
    cookie_header = cookies.headers("https://oc.example.org/")
    assert dict(cookie_header) == {"cookie": "JSESSIONID=s3cret"}
    assert "s3cret" not in f"{cookies!r} {cookies} {cookie_header!r}"


async def test_a_401_over_a_socket_is_unauthorized_too(fake_time: FakeTime) -> None:
    async with serve(http(401, b"", www_authenticate="Basic")) as server:
        error = await failure(server.url, fake_time, POST)
        assert isinstance(error, Unauthorized)
        assert len(server.requests) == 1
