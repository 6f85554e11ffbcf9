"""HTTP/2 through a borrowed client: a start that was read is never taken as not sent."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import httpx2
import pytest
import trustme
from h2.errors import ErrorCodes

from tests.conftest import FakeTime
from tests.support.byte_server import GET, POST, connected, refused_url
from tests.support.certificates import client_side
from tests.support.http2_server import H2Server, H2Stream, Respond, serve_h2
from tests.support.stub_clients import client_of
from workflow_async._core.transport import Transport
from workflow_async.batch import OutcomeUnknown
from workflow_async.errors import ConnectFailed, StartOutcomeUnknown, TLSVerificationFailed, TransportError
from workflow_async.opencast import Start

LIBRARIES: dict[str, Any] = {"httpx": httpx, "httpx2": httpx2}
libraries = pytest.mark.parametrize("library", LIBRARIES)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def trust(authority: trustme.CA) -> ssl.SSLContext:
    return client_side(authority)


def h2(library: str, trust: ssl.SSLContext) -> Any:
    """Run a client that speaks HTTP/2."""
    return LIBRARIES[library].AsyncClient(http1=False, http2=True, verify=trust, trust_env=False)


@asynccontextmanager
async def over_http2(
    reply: Respond, library: str, authority: trustme.CA, trust: ssl.SSLContext, time: FakeTime
) -> AsyncIterator[tuple[H2Server, Transport]]:
    """Run a server with this response, and a transport over HTTP/2 to it."""
    async with (
        serve_h2(reply, authority) as server,
        h2(library, trust) as client,
        connected(server.url, time.clock, http=client) as transport,
    ):
        yield server, transport


def good(stream: H2Stream) -> None:
    stream.send_headers("200")
    stream.h2.send_data(stream.stream_id, b"{}", end_stream=True)


def closes(stream: H2Stream) -> None:
    stream.send()
    stream.writer.close()


def ends_early(stream: H2Stream) -> None:
    stream.send_headers(content_length="50")
    stream.h2.send_data(stream.stream_id, b"{}", end_stream=True)


def closes_early(stream: H2Stream) -> None:
    stream.send_headers(content_length="50")
    stream.h2.send_data(stream.stream_id, b"{}")
    closes(stream)


def sends_extra_data(stream: H2Stream) -> None:
    stream.send_headers(content_length="2")
    stream.h2.send_data(stream.stream_id, b"{}" * 50, end_stream=True)


def refuses(stream: H2Stream) -> None:
    stream.h2.reset_stream(stream.stream_id, ErrorCodes.REFUSED_STREAM)


def resets_in_the_body(stream: H2Stream) -> None:
    stream.send_headers()
    stream.h2.send_data(stream.stream_id, b"{")
    stream.h2.reset_stream(stream.stream_id, ErrorCodes.INTERNAL_ERROR)


def goes_away(stream: H2Stream) -> None:
    stream.h2.close_connection(last_stream_id=stream.stream_id)
    closes(stream)


def goes_away_from_it(stream: H2Stream) -> None:
    stream.h2.close_connection(last_stream_id=0)
    closes(stream)


def goes_away_in_the_body(stream: H2Stream) -> None:
    stream.send_headers()
    stream.h2.send_data(stream.stream_id, b"{")
    stream.h2.close_connection(ErrorCodes.ENHANCE_YOUR_CALM, last_stream_id=stream.stream_id)
    closes(stream)


def sends_garbage(stream: H2Stream) -> None:
    stream.send(b"HTTP/1.1 201 Created\r\n\r\n{}")
    closes(stream)


def breaks_the_frame_size(stream: H2Stream) -> None:
    stream.send(b"\x00\x40\x01\x00\x00\x00\x00\x00\x01" + bytes(0x4001))


def sends_no_id(stream: H2Stream) -> None:
    stream.send_headers("created")
    stream.h2.end_stream(stream.stream_id)


def answers_another_stream(stream: H2Stream) -> None:
    stream.send(b"\x00\x00\x02\x00\x01\x00\x00\x00\x63{}")


BAD: list[Respond] = [
    closes,
    ends_early,
    closes_early,
    sends_extra_data,
    refuses,
    resets_in_the_body,
    goes_away,
    goes_away_from_it,
    goes_away_in_the_body,
    sends_garbage,
    breaks_the_frame_size,
    sends_no_id,
    answers_another_stream,
]


@libraries
@pytest.mark.parametrize("reply", BAD)
@pytest.mark.parametrize("connection", ["warm", "cold"])
async def test_a_start_that_was_read_is_sent_whatever_the_response(
    connection: str, reply: Respond, library: str, authority: trustme.CA, trust: ssl.SSLContext, fake_time: FakeTime
) -> None:
    async with over_http2(good, library, authority, trust, fake_time) as (server, transport):
        if connection == "warm":
            await transport.send(GET)
        server.respond = reply
        with pytest.raises(TransportError) as caught:
            await transport.send(POST)
        assert (caught.value.sent, caught.value.attempts) == (True, 1)
        assert [requested for requested in server.requests if requested[0] == "POST"] == [("POST", "/thing", b"a=1")]


@libraries
async def test_a_response_over_http2_is_read(
    library: str, authority: trustme.CA, trust: ssl.SSLContext, fake_time: FakeTime
) -> None:
    async with over_http2(good, library, authority, trust, fake_time) as (server, transport):
        assert [await transport.send(GET) for _ in range(2)] == [{}, {}]
    assert server.requests == [("GET", "/thing", b"")] * 2


@libraries
async def test_an_interrupted_get_is_retried(
    library: str, authority: trustme.CA, trust: ssl.SSLContext, fake_time: FakeTime
) -> None:
    def reply(stream: H2Stream) -> None:
        (ends_early if len(server.requests) == 1 else good)(stream)

    async with over_http2(reply, library, authority, trust, fake_time) as (server, transport):
        assert await transport.send(GET) == {}
    assert len(server.requests) == 2


@libraries
async def test_a_start_whose_connection_is_refused_or_not_trusted_is_not_sent(
    library: str, trust: ssl.SSLContext, fake_time: FakeTime
) -> None:
    async with serve_h2(good, trustme.CA()) as server, h2(library, trust) as client:
        for url, kind in (
            (server.url, TLSVerificationFailed),
            (refused_url().replace("http:", "https:"), ConnectFailed),
        ):
            async with connected(url, fake_time.clock, http=client) as transport:
                with pytest.raises(kind) as caught:
                    await transport.send(POST)
            assert not caught.value.sent
    assert server.requests == []


@libraries
@pytest.mark.parametrize("reply", [ends_early, refuses, goes_away_from_it])
async def test_an_interrupted_start_is_unknown_and_not_sent_again_by_a_batch(
    reply: Respond, library: str, authority: trustme.CA, trust: ssl.SSLContext, fake_time: FakeTime
) -> None:
    def answer(stream: H2Stream) -> None:
        if server.requests[-1][0] == "POST":
            reply(stream)
        else:
            stream.send_headers("200")
            stream.h2.send_data(stream.stream_id, b"[]", end_stream=True)

    async with (
        serve_h2(answer, authority) as server,
        h2(library, trust) as client,
        client_of("opencast", server.url, clock=fake_time.clock, http=client) as oc,
    ):
        with pytest.raises(StartOutcomeUnknown):
            await oc.workflows.start("event-7", "fast")
        async with oc.workflows.run_all([Start("event-7", "fast", key="0")]) as results:
            found = [result async for result in results]
    assert [type(result) for result in found] == [OutcomeUnknown]
    assert [method for method, _, _ in server.requests].count("POST") == 2
