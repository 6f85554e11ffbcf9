"""The connection pool: its size, its users, and its trusted authorities."""

import asyncio
import ssl
import traceback

import pytest
import trustme

from tests.conftest import FakeTime
from tests.support.byte_server import (
    GET,
    POST,
    AfterResponse,
    RawResponse,
    ReceivedRequest,
    connected,
    failure,
    http,
    make_transport,
    serve,
    tree,
    until,
)
from tests.support.certificates import client_side, server_side
from workflow_async import Bearer, Limits, Retry, Timeouts
from workflow_async._core.call import Call, Replay
from workflow_async.errors import (
    ConnectFailed,
    ConnectionBroken,
    DeadlineExceeded,
    InvalidArgument,
    TLSVerificationFailed,
)

pytestmark = pytest.mark.usefixtures("pooled")

# Connections


async def test_a_start_uses_a_new_connection_within_the_limit(fake_time: FakeTime) -> None:
    def answer(request: ReceivedRequest) -> bytes:
        return http(201 if request.method == "POST" else 200, b"{}")

    async with (
        serve(answer) as server,
        connected(server.url, fake_time.clock, limits=Limits(connections=2)) as transport,
    ):
        await asyncio.gather(*(transport.send(GET) for _ in range(4)))
        for _ in range(3):
            await transport.send(POST)
            assert server.requests[-1].connection == server.connections
            await until(lambda: server.open <= 2)
        assert server.connections == 5


@pytest.mark.parametrize("then", ["fin", "rst"])
@pytest.mark.parametrize("connection", ["warm", "cold"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_every_request_sent_is_a_recorded_attempt(
    method: str, connection: str, then: AfterResponse, fake_time: FakeTime
) -> None:
    def answer(request: ReceivedRequest) -> RawResponse:
        return RawResponse(b"", then) if request.target == "/change" else RawResponse(http(200, b"{}"))

    change = Call(method, "/change", tree, body=b"a=1" if method == "PUT" else None, replay=Replay.ONCE)
    async with serve(answer) as server, connected(server.url, fake_time.clock) as transport:
        if connection == "warm":
            await transport.send(GET)
        with pytest.raises(ConnectionBroken) as caught:
            await transport.send(change)
        assert (caught.value.sent, caught.value.attempts) == (True, 1)
        assert [request.target for request in server.requests].count("/change") == 1


async def test_a_stale_connection_fails_no_call(fake_time: FakeTime) -> None:
    def answer(_: ReceivedRequest) -> RawResponse:
        return RawResponse(b"", "rst") if len(server.requests) == 2 else RawResponse(http(200, b"{}"))

    async with serve(answer) as server:
        async with connected(server.url, fake_time.clock, retry=Retry(budget=0)) as transport:
            assert await transport.send(GET) == {}
            assert await transport.send(GET) == {}
        assert (len(server.requests), server.connections, fake_time.naps) == (3, 2, [0.0])


async def test_the_environment_does_not_redirect_requests(fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serve(http(200, b'"proxy"')) as proxy, serve(http(200, b'"server"')) as server:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        async with connected(server.url, fake_time.clock) as transport:
            assert await transport.send(GET) == "server"
        assert proxy.requests == []


# TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


async def test_a_known_authority_is_trusted(authority: trustme.CA, fake_time: FakeTime) -> None:
    async with serve(http(200, b"{}"), tls=server_side(authority)) as server:
        async with connected(server.url, fake_time.clock, ssl_context=client_side(authority)) as transport:
            assert [await transport.send(GET) for _ in range(2)] == [{}, {}]
        assert server.connections == 1


async def test_an_unknown_authority_is_refused_before_anything_is_sent(
    authority: trustme.CA, fake_time: FakeTime
) -> None:
    async with serve(http(200, b"{}"), tls=server_side(authority)) as server:
        for context in (None, client_side(trustme.CA())):
            error = await failure(server.url, fake_time, ssl_context=context, retry=Retry())
            assert isinstance(error, TLSVerificationFailed)
            assert (error.attempts, error.sent, server.requests) == (1, False, [])


async def test_a_certificate_for_another_host_is_refused(authority: trustme.CA, fake_time: FakeTime) -> None:
    async with serve(http(200, b"{}"), tls=server_side(authority, "example.org")) as server:
        error = await failure(server.url, fake_time, ssl_context=client_side(authority), retry=Retry())
        assert isinstance(error, TLSVerificationFailed)
        assert (error.attempts, server.requests) == (1, [])


async def test_plain_http_behind_https_is_a_failed_connection(authority: trustme.CA, fake_time: FakeTime) -> None:
    async with serve(lambda _: RawResponse(b"", "fin")) as server:
        url = server.url.replace("http:", "https:")
        error = await failure(url, fake_time, ssl_context=client_side(authority), timeouts=Timeouts(exchange=0.1))
        await until(lambda: not server.open)  # an aborted handshake leaves no socket
    assert isinstance(error, ConnectFailed | DeadlineExceeded)


async def test_tls_that_turns_into_garbage_is_a_broken_connection(authority: trustme.CA, fake_time: FakeTime) -> None:
    async with serve(lambda _: RawResponse(b"", "garble"), tls=server_side(authority)) as server:
        error = await failure(server.url, fake_time, ssl_context=client_side(authority))
    assert isinstance(error, ConnectionBroken)
    assert error.sent


def careless(mode: ssl.VerifyMode) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = mode
    return context


@pytest.mark.parametrize("mode", [ssl.CERT_REQUIRED, ssl.CERT_OPTIONAL, ssl.CERT_NONE])
def test_a_context_that_does_not_verify_is_refused(mode: ssl.VerifyMode, fake_time: FakeTime) -> None:
    context = careless(mode)
    with pytest.raises(InvalidArgument, match="ssl_context"):
        make_transport("https://example.org", fake_time.clock, ssl_context=context)


async def test_a_cancelled_call_reveals_nothing_of_its_request(fake_time: FakeTime) -> None:
    stalled = serve(lambda _: RawResponse(b"", "stall"))
    credential = Bearer("canary-t0ken")
    async with stalled as server, connected(server.url, fake_time.clock, credential=credential) as transport:
        call = asyncio.create_task(transport.send(GET))
        await until(lambda: bool(server.requests))
        call.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await call
    assert server.requests[0].headers["authorization"] == "Bearer canary-t0ken"
    frames = [frame for frame, _ in traceback.walk_tb(caught.tb) if frame.f_code.co_filename != __file__]
    assert frames
    assert not [frame for frame in frames if "canary" in repr(frame.f_locals)]
