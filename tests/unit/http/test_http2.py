"""HTTP/2 by a client of the caller's own: a start that was read is never taken for one that was not sent."""

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
from tests.support.http2_server import H2Wire, Reply, Talk, serve_h2
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
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def h2(library: str, trust: ssl.SSLContext) -> Any:
    """A ready client that speaks HTTP/2."""
    return LIBRARIES[library].AsyncClient(http1=False, http2=True, verify=trust, trust_env=False)


@asynccontextmanager
async def over(
    reply: Reply, library: str, authority: trustme.CA, trust: ssl.SSLContext, time: FakeTime
) -> AsyncIterator[tuple[H2Wire, Transport]]:
    """A server that replies so, and a transport over HTTP/2 to it."""
    async with (
        serve_h2(reply, authority) as wire,
        h2(library, trust) as client,
        connected(wire.url, time.clock, carrier=client) as made,
    ):
        yield wire, made


def good(talk: Talk) -> None:
    talk.head("200")
    talk.h2.send_data(talk.stream, b"{}", end_stream=True)


def closes(talk: Talk) -> None:
    talk.send()
    talk.writer.close()


def ends_early(talk: Talk) -> None:
    talk.head(content_length="50")
    talk.h2.send_data(talk.stream, b"{}", end_stream=True)


def closes_early(talk: Talk) -> None:
    talk.head(content_length="50")
    talk.h2.send_data(talk.stream, b"{}")
    closes(talk)


def says_too_much(talk: Talk) -> None:
    talk.head(content_length="2")
    talk.h2.send_data(talk.stream, b"{}" * 50, end_stream=True)


def refuses(talk: Talk) -> None:
    talk.h2.reset_stream(talk.stream, ErrorCodes.REFUSED_STREAM)


def resets_in_the_body(talk: Talk) -> None:
    talk.head()
    talk.h2.send_data(talk.stream, b"{")
    talk.h2.reset_stream(talk.stream, ErrorCodes.INTERNAL_ERROR)


def goes_away(talk: Talk) -> None:
    talk.h2.close_connection(last_stream_id=talk.stream)
    closes(talk)


def goes_away_from_it(talk: Talk) -> None:
    talk.h2.close_connection(last_stream_id=0)
    closes(talk)


def goes_away_in_the_body(talk: Talk) -> None:
    talk.head()
    talk.h2.send_data(talk.stream, b"{")
    talk.h2.close_connection(ErrorCodes.ENHANCE_YOUR_CALM, last_stream_id=talk.stream)
    closes(talk)


def talks_rubbish(talk: Talk) -> None:
    talk.send(b"HTTP/1.1 201 Created\r\n\r\n{}")
    closes(talk)


def breaks_the_frame_size(talk: Talk) -> None:
    talk.send(b"\x00\x40\x01\x00\x00\x00\x00\x00\x01" + bytes(0x4001))


def says_no_number(talk: Talk) -> None:
    talk.head("created")
    talk.h2.end_stream(talk.stream)


def answers_another_stream(talk: Talk) -> None:
    talk.send(b"\x00\x00\x02\x00\x01\x00\x00\x00\x63{}")


BAD: list[Reply] = [
    closes,
    ends_early,
    closes_early,
    says_too_much,
    refuses,
    resets_in_the_body,
    goes_away,
    goes_away_from_it,
    goes_away_in_the_body,
    talks_rubbish,
    breaks_the_frame_size,
    says_no_number,
    answers_another_stream,
]


@libraries
@pytest.mark.parametrize("reply", BAD)
@pytest.mark.parametrize("connection", ["warm", "cold"])
async def test_a_start_that_was_read_is_sent_whatever_goes_wrong_with_the_answer(
    connection: str, reply: Reply, library: str, authority: trustme.CA, trust: ssl.SSLContext, fake_time: FakeTime
) -> None:
    async with over(good, library, authority, trust, fake_time) as (wire, made):
        if connection == "warm":
            await made.send(GET)
        wire.reply = reply
        with pytest.raises(TransportError) as caught:
            await made.send(POST)
        assert (caught.value.sent, caught.value.attempts) == (True, 1)
        assert [asked for asked in wire.requests if asked[0] == "POST"] == [("POST", "/thing", b"a=1")]


@libraries
async def test_an_answer_over_http2_is_read(
    library: str, authority: trustme.CA, trust: ssl.SSLContext, fake_time: FakeTime
) -> None:
    async with over(good, library, authority, trust, fake_time) as (wire, made):
        assert [await made.send(GET) for _ in range(2)] == [{}, {}]
    assert wire.requests == [("GET", "/thing", b"")] * 2


@libraries
async def test_a_get_that_is_broken_off_is_tried_again(
    library: str, authority: trustme.CA, trust: ssl.SSLContext, fake_time: FakeTime
) -> None:
    def reply(talk: Talk) -> None:
        (ends_early if len(wire.requests) == 1 else good)(talk)

    async with over(reply, library, authority, trust, fake_time) as (wire, made):
        assert await made.send(GET) == {}
    assert len(wire.requests) == 2


@libraries
async def test_a_start_whose_connection_is_refused_or_not_trusted_is_not_sent(
    library: str, trust: ssl.SSLContext, fake_time: FakeTime
) -> None:
    async with serve_h2(good, trustme.CA()) as wire, h2(library, trust) as client:
        for url, kind in ((wire.url, TLSVerificationFailed), (refused_url().replace("http:", "https:"), ConnectFailed)):
            async with connected(url, fake_time.clock, carrier=client) as made:
                with pytest.raises(kind) as caught:
                    await made.send(POST)
            assert not caught.value.sent
    assert wire.requests == []


@libraries
@pytest.mark.parametrize("reply", [ends_early, refuses, goes_away_from_it])
async def test_such_a_start_has_an_unknown_outcome_and_is_not_sent_again_by_a_batch(
    reply: Reply, library: str, authority: trustme.CA, trust: ssl.SSLContext, fake_time: FakeTime
) -> None:
    def answer(talk: Talk) -> None:
        if wire.requests[-1][0] == "POST":
            reply(talk)
        else:
            talk.head("200")
            talk.h2.send_data(talk.stream, b"[]", end_stream=True)

    async with (
        serve_h2(answer, authority) as wire,
        h2(library, trust) as client,
        client_of("opencast", wire.url, clock=fake_time.clock, http=client) as oc,
    ):
        with pytest.raises(StartOutcomeUnknown):
            await oc.workflows.start("event-7", "fast")
        async with oc.workflows.run_all([Start("event-7", "fast", key="0")]) as results:
            told = [result async for result in results]
    assert [type(result) for result in told] == [OutcomeUnknown]
    assert [method for method, _, _ in wire.requests].count("POST") == 2
