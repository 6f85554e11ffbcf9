"""T-BOMB: whatever an answer is made of, it is a typed error, costs no more than its bound, and lets others run."""

import asyncio
import gzip
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

import pytest
from attrs import frozen

from tests.conftest import FakeTime, See
from tests.support.byte_server import connected, tree
from tests.support.loopback_system import soon
from tests.support.start_server import PATIENT
from workflow_async import Limits, Retry
from workflow_async._core.call import Call, Reply
from workflow_async._core.transport import Transport
from workflow_async._decode.xml import xml_tree
from workflow_async.errors import CallError, ConnectionBroken, ContentEncodingError, DecodeError, ResponseTooLarge

MIB = 2**20
LIMITS = Limits()
ABOVE = 32 * MIB
"""What reading may cost above the bound on what is read."""
ONCE = Retry(attempts=1)

Speak = Callable[[asyncio.StreamWriter], Coroutine[Any, Any, None]]


@frozen
class Bomb:
    """An answer that nobody should have to read, and what it must come to."""

    name: str
    speak: Speak
    error: type[CallError]
    bound: int
    """Bytes that may have to be held."""
    read: Callable[[Reply], Any] = tree

    def __str__(self) -> str:
        return self.name


def said(head: str, body: bytes = b"") -> Speak:
    """A whole answer."""

    async def speak(writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\n{head}\r\n".encode() + body)

    return speak


def endless(head: bytes, piece: bytes) -> Speak:
    """An answer that goes on for as long as anybody listens."""

    async def speak(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n" + head)
        while not writer.is_closing():
            writer.write(piece)
            await writer.drain()

    return speak


@cache
def zeros(mib: int) -> bytes:
    """So many MiB of zeros as a gzip stream, a thousandth of that."""
    deflate = zlib.compressobj(9, wbits=31)
    return b"".join(deflate.compress(bytes(MIB)) for _ in range(mib)) + deflate.flush()


def spaces() -> bytes:
    """As much white space as may be, as a gzip stream."""
    return gzip.compress(b" " * LIMITS.body, 1)


def packed(coding: str, body: bytes) -> Speak:
    """An answer in a content coding."""
    return said(f"content-encoding: {coding}\r\n", body)


def xml(reply: Reply) -> Any:
    """Reads XML."""
    return xml_tree(reply.body)


DEEP = 10**6
ENTITIES = b"<!DOCTYPE a [<!ENTITY a 'aaaaaaaaaa'>" + b"".join(
    b"<!ENTITY %c '%s'>" % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9)
)
CHUNK = b"10000\r\n" + bytes(2**16) + b"\r\n"

BOMBS = [
    Bomb("gzip, 1000 to 1", packed("gzip", zeros(128)), ResponseTooLarge, LIMITS.body),
    Bomb("gzip, 1000 to 1, x-gzip", packed("X-GZIP", zeros(128)), ResponseTooLarge, LIMITS.body),
    Bomb("gzip in gzip, declared", packed("gzip, gzip", gzip.compress(zeros(128))), ContentEncodingError, MIB),
    Bomb("gzip in gzip, concealed", packed("gzip", gzip.compress(zeros(128))), DecodeError, MIB),
    Bomb("gzip after gzip", packed("gzip", zeros(1) * 99), ContentEncodingError, 2 * MIB),
    Bomb("gzip cut short", packed("gzip", zeros(9)[:-20]), ContentEncodingError, 10 * MIB),
    *(
        Bomb(f"{c}, unasked", packed(c, zeros(9)), ContentEncodingError, MIB)
        for c in ("br", "zstd", "deflate", "compress")
    ),
    Bomb("endless body", endless(b"\r\n", bytes(2**16)), ResponseTooLarge, LIMITS.wire),
    Bomb("endless chunks", endless(b"transfer-encoding: chunked\r\n\r\n", CHUNK), ResponseTooLarge, LIMITS.wire),
    Bomb("endless header", endless(b"x: ", b"x" * 2**12), ConnectionBroken, MIB),
    Bomb("endless headers", endless(b"", b"x: y\r\n" * 100), ConnectionBroken, MIB),
    Bomb("200 KiB of header", said("x: " + "y" * 200_000 + "\r\n"), ConnectionBroken, MIB),
    Bomb("20,000 headers", said("x: y\r\n" * 20_000), CallError, MIB),
    Bomb("a million arrays", said("", b"[" * DEEP + b"]" * DEEP), DecodeError, LIMITS.body),
    Bomb("a million objects", said("", b'{"a":' * DEEP + b"1" + b"}" * DEEP), DecodeError, LIMITS.body),
    Bomb("a million elements", said("", b"<a>" * DEEP + b"</a>" * DEEP), DecodeError, LIMITS.body, xml),
    Bomb("a million attributes", said("", b"<a " + b"b='' " * DEEP + b"/>"), DecodeError, LIMITS.body, xml),
    Bomb("entities, 10 to the 10", said("", ENTITIES + b"]><a>&j;</a>"), DecodeError, MIB, xml),
    Bomb("an int of 1,000,000 digits", said("", b"9" * DEEP), DecodeError, LIMITS.body),
    Bomb("a float of 1,000,000 digits", said("", b"[0." + b"9" * DEEP), DecodeError, LIMITS.body),
]
HEAVY = [
    Bomb("an int of 10,000,000 digits", said("", b"9" * 10**7), DecodeError, LIMITS.body),
    Bomb("64 MiB of spaces", packed("gzip", spaces()), DecodeError, LIMITS.body),
]


@asynccontextmanager
async def spoken(speak: Speak, fake_time: FakeTime) -> AsyncIterator[Transport]:
    """A transport to a server that answers like this."""
    visits = 0

    async def visited(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal visits
        visits += 1
        try:
            await reader.readuntil(b"\r\n\r\n")
            await speak(writer)
            await reader.read()
        except OSError:
            pass  # the client has heard enough
        finally:
            writer.close()
            visits -= 1

    server = await asyncio.start_server(visited, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        async with connected(url, fake_time.clock, retry=ONCE, timeouts=PATIENT) as transport:
            yield transport
        assert await soon(lambda: not visits)


@pytest.fixture
def traced() -> Iterator[Callable[[], int]]:
    """How many bytes more than now are in use at the peak."""
    tracemalloc.start(1)
    before = tracemalloc.get_traced_memory()[0]
    yield lambda: tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()


async def cost(bomb: Bomb, fake_time: FakeTime, traced: Callable[[], int]) -> int:
    """How many bytes above its bound a bomb takes at the peak; it must come to the right error."""
    async with spoken(bomb.speak, fake_time) as transport:
        with pytest.raises(bomb.error):
            await transport.send(Call("GET", "/", bomb.read))
        assert transport._queue.value == LIMITS.connections
    return traced() - bomb.bound


@pytest.mark.parametrize("bomb", BOMBS, ids=str)
@pytest.mark.figure("T-BOMB")
async def test_it_is_a_typed_error_and_costs_little_more_than_its_bound(
    bomb: Bomb, fake_time: FakeTime, traced: Callable[[], int], see: See
) -> None:
    assert await cost(bomb, fake_time, traced) < ABOVE
    see(f"{len(BOMBS)} bombs: typed errors, less than {ABOVE // MIB} MiB above their bounds")


@pytest.mark.parametrize("bomb", HEAVY, ids=str)
async def test_what_is_no_json_costs_little_more_than_its_bound(
    bomb: Bomb, fake_time: FakeTime, traced: Callable[[], int]
) -> None:
    assert await cost(bomb, fake_time, traced) < ABOVE


@pytest.mark.figure("T-BOMB")
async def test_an_answer_as_large_as_may_be_is_held_once(
    fake_time: FakeTime, traced: Callable[[], int], see: See
) -> None:
    async with spoken(packed("gzip", zeros(LIMITS.body // MIB)), fake_time) as transport:
        assert await transport.send(Call("GET", "/", lambda reply: len(reply.body))) == LIMITS.body
    times = traced() / LIMITS.body
    assert times < 1.25
    see(f"an answer at the bound: {times:.1f} times its size")


@pytest.mark.figure("T-BOMB")
async def test_others_get_their_turns_while_it_is_inflated(fake_time: FakeTime, see: See) -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    async with spoken(packed("gzip", zeros(128)), fake_time) as transport:
        task = asyncio.create_task(others())
        with pytest.raises(ResponseTooLarge):
            await transport.send(Call("GET", "/", tree))
        task.cancel()
    assert turns > LIMITS.body / (2 * MIB)  # a breath is 1 MiB
    see(f"{turns} turns for others while {LIMITS.body // MIB} MiB are inflated")
