"""Requests after the first one on a connection of httpcore: what is sent, what is read, and when it is over."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import h11
import httpcore
import httpcore2
import pytest
import respx
from attrs import define, field

from tests.conftest import FakeTime
from tests.support.byte_server import GET as API_GET, connected, http, serve
from workflow_async import Limits, Timeouts
from workflow_async._core.backend import Request
from workflow_async._http import HTTPBackend, httpcore as backend_module, make_backend
from workflow_async._http.open_connection import OpenConnection, is_mocked
from workflow_async.errors import ConnectionBroken, ResponseTooLarge

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
GET = h11.Request(method="GET", target="/thing", headers=[("host", "oc.example.org")])
POST = h11.Request(method="POST", target="/thing", headers=[("host", "oc.example.org"), ("content-length", "3")])


@define
class Stream:
    """A network stream with scripted bytes."""

    received: list[bytes]
    sent: bytes = b""
    readable: bool = False
    refuses: bool = False
    sizes: list[int] = field(factory=list)

    async def write(self, data: bytes) -> None:
        if self.refuses:
            raise httpcore.WriteError("closed")
        self.sent += data

    async def read(self, size: int) -> bytes:
        self.sizes.append(size)
        return self.received.pop(0)

    def get_extra_info(self, name: str) -> bool:
        assert name == "is_readable"
        return self.readable


def connection(*received: bytes, limits: Limits = Limits(), **settings: Any) -> tuple[OpenConnection, Any]:  # noqa: B008 - frozen
    stream: Any = Stream([*received], **settings)
    return OpenConnection(httpcore, stream, limits), stream


async def test_a_request_is_written_at_once_and_the_reply_is_read() -> None:
    opened, stream = connection(OK, OK)
    reply, headers = await opened.exchange(GET, None)
    assert (reply.status, reply.headers, reply.body) == (200, {"content-length": "2"}, b"{}")
    assert list(headers) == [(b"content-length", b"2")]
    assert stream.sent == b"GET /thing HTTP/1.1\r\nhost: oc.example.org\r\n\r\n"
    assert opened.is_usable
    assert (await opened.exchange(POST, b"a=b"))[0].status == 200
    assert stream.sent.endswith(b"content-length: 3\r\n\r\na=b")


async def test_a_response_may_come_in_pieces_after_an_interim_response() -> None:
    pieces = b"HTTP/1.1 103 Early Hints\r\n\r\n", OK[:9], OK[9:-1], OK[-1:]
    opened, _ = connection(*pieces)
    assert (await opened.exchange(GET, None))[0].body == b"{}"


@pytest.mark.parametrize(
    "response",
    [
        OK + b"H",
        OK + OK,
        OK.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"),
        OK.replace(b"1.1", b"1.0"),
    ],
)
async def test_a_connection_that_is_over_or_out_of_step_is_not_used_again(response: bytes) -> None:
    opened, _ = connection(response)
    assert (await opened.exchange(GET, None))[0].body == b"{}"
    assert not opened.is_open
    assert not opened.is_usable


async def test_an_old_connection_and_one_with_unread_bytes_are_not_used_again() -> None:
    opened, stream = connection(OK)
    assert opened.is_usable
    stream.readable = True
    assert not opened.is_usable
    stream.readable, opened._expires = False, 0.0
    assert not opened.is_usable


async def test_a_response_that_comes_before_the_request_is_read_completely_counts() -> None:
    opened, _ = connection(OK, refuses=True)
    assert (await opened.exchange(POST, b"a=b"))[0].body == b"{}"


@pytest.mark.parametrize(
    ("received", "message"),
    [
        ((b"",), "disconnected"),
        ((b"SSH-2.0-OpenSSH\r\n\r\n",), "illegal status line"),
        ((OK[:-1], b""), "peer closed connection"),
        ((b"HTTP/1.1 200 OK\r\nx: " + b"x" * 200_000,), "too long"),
    ],
)
async def test_what_is_not_a_response_is_an_error_of_the_protocol(received: tuple[bytes, ...], message: str) -> None:
    opened, _ = connection(*received)
    with pytest.raises(httpcore.RemoteProtocolError, match=message):
        await opened.exchange(GET, None)
    assert not opened.is_open


async def test_a_body_is_limited() -> None:
    opened, _ = connection(OK, limits=Limits(body=1))
    with pytest.raises(ResponseTooLarge):
        await opened.exchange(GET, None)
    assert not opened.is_open


# Mocks


def send_of(library: Any) -> Any:
    return library.AsyncHTTPConnection.handle_async_request


@pytest.fixture
def mocked() -> Iterator[None]:
    with respx.mock:
        yield


def test_a_library_is_not_mocked_by_itself() -> None:
    assert not is_mocked(send_of(httpcore), "httpcore")
    assert not is_mocked(send_of(httpcore2), "httpcore2")


@pytest.mark.usefixtures("mocked")
def test_respx_is_a_mock() -> None:
    assert is_mocked(send_of(httpcore), "httpcore")


def test_what_is_not_a_function_of_the_library_is_a_mock() -> None:
    assert is_mocked(partial(send_of(httpcore)), "httpcore")
    assert is_mocked(test_a_library_is_not_mocked_by_itself, "httpcore")


async def test_a_mock_that_starts_later_sees_the_requests_of_an_open_connection(fake_time: FakeTime) -> None:
    async with serve(http(200, b"{}")) as server, connected(server.url, fake_time.clock) as transport:
        for _ in range(2):
            assert await transport.send(API_GET) == {}
        with respx.mock as mock:
            route = mock.get(f"{server.url}{API_GET.path}").respond(json={"mocked": True})
            for _ in range(2):
                assert await transport.send(API_GET) == {"mocked": True}
            route.pass_through()
            assert await transport.send(API_GET) == {}
        assert await transport.send(API_GET) == {}
    assert len(server.requests) == 4
    assert server.connections == 1


@pytest.mark.parametrize("name", ["httpx", "httpx2"])
async def test_headers_that_h11_refuses_break_the_connection_and_are_not_shown(name: HTTPBackend) -> None:
    async with serve(http(200, b"{}")) as server:
        backend = make_backend(name, Limits(), Timeouts())
        assert (await backend(Request("GET", f"{server.url}/", ()))).status == 200
        with pytest.raises(ConnectionBroken) as caught:
            await backend(Request("GET", f"{server.url}/", (("x", "s3cret\n"),)))
        assert str(caught.value) == "LocalProtocolError"
        assert (await backend(Request("GET", f"{server.url}/", ()))).status == 200
        await backend.aclose()


async def test_where_sockets_cannot_be_handed_over_the_library_opens_the_connections(
    monkeypatch: pytest.MonkeyPatch, fake_time: FakeTime
) -> None:
    monkeypatch.setattr(backend_module, "HANDS_OVER_SOCKETS", False)
    async with serve(http(200, b"{}")) as server, connected(server.url, fake_time.clock) as transport:
        for _ in range(3):
            assert await transport.send(API_GET) == {}
    assert server.connections == 1
