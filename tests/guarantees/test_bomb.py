"""T-BOMB: a hostile response is a typed error, takes little more memory than its limit, and lets other tasks run."""

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
from tests.support.loopback_system import eventually
from tests.support.start_server import LONG_TIMEOUTS
from workflow_async import Limits, Retry
from workflow_async._core.call import Call, Reply
from workflow_async._core.transport import Transport
from workflow_async._decode.xml import xml_tree
from workflow_async.errors import CallError, ConnectionBroken, ContentEncodingError, DecodeError, ResponseTooLarge

MIB = 2**20
LIMITS = Limits()
OVERHEAD = 32 * MIB
"""Memory that reading may take above the limit on what is read."""
ONE_ATTEMPT = Retry(attempts=1)

Responder = Callable[[asyncio.StreamWriter], Coroutine[Any, Any, None]]


@frozen
class Bomb:
    """A hostile response, and the error that reading it must raise."""

    name: str
    respond: Responder
    error: type[CallError]
    limit: int
    """Bytes that may have to be held."""
    read: Callable[[Reply], Any] = tree

    def __str__(self) -> str:
        return self.name


def response(head: str, body: bytes = b"") -> Responder:
    """Return a responder that sends a complete response."""

    async def respond(writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\n{head}\r\n".encode() + body)

    return respond


def endless(head: bytes, piece: bytes) -> Responder:
    """Return a responder that sends without end."""

    async def respond(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n" + head)
        while not writer.is_closing():
            writer.write(piece)
            await writer.drain()

    return respond


@cache
def zeros(mib: int) -> bytes:
    """Return zeros as a gzip stream, which has a thousandth of their size."""
    deflate = zlib.compressobj(9, wbits=31)
    return b"".join(deflate.compress(bytes(MIB)) for _ in range(mib)) + deflate.flush()


def spaces() -> bytes:
    """Return the largest allowed amount of white space as a gzip stream."""
    return gzip.compress(b" " * LIMITS.body, 1)


def encoded(coding: str, body: bytes) -> Responder:
    """Return a responder with a content coding."""
    return response(f"content-encoding: {coding}\r\n", body)


def xml(reply: Reply) -> Any:
    """Parse a reply as XML."""
    return xml_tree(reply.body)


DEEP = 10**6
ENTITIES = b"<!DOCTYPE a [<!ENTITY a 'aaaaaaaaaa'>" + b"".join(
    b"<!ENTITY %c '%s'>" % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9)
)
CHUNK = b"10000\r\n" + bytes(2**16) + b"\r\n"

BOMBS = [
    Bomb("gzip, 1000 to 1", encoded("gzip", zeros(128)), ResponseTooLarge, LIMITS.body),
    Bomb("gzip, 1000 to 1, x-gzip", encoded("X-GZIP", zeros(128)), ResponseTooLarge, LIMITS.body),
    Bomb("gzip in gzip, declared", encoded("gzip, gzip", gzip.compress(zeros(128))), ContentEncodingError, MIB),
    Bomb("gzip in gzip, not declared", encoded("gzip", gzip.compress(zeros(128))), DecodeError, MIB),
    Bomb("gzip after gzip", encoded("gzip", zeros(1) * 99), ContentEncodingError, 2 * MIB),
    Bomb("gzip cut short", encoded("gzip", zeros(9)[:-20]), ContentEncodingError, 10 * MIB),
    *(
        Bomb(f"{c}, not requested", encoded(c, zeros(9)), ContentEncodingError, MIB)
        for c in ("br", "zstd", "deflate", "compress")
    ),
    Bomb("endless body", endless(b"\r\n", bytes(2**16)), ResponseTooLarge, LIMITS.wire),
    Bomb("endless chunks", endless(b"transfer-encoding: chunked\r\n\r\n", CHUNK), ResponseTooLarge, LIMITS.wire),
    Bomb("endless header", endless(b"x: ", b"x" * 2**12), ConnectionBroken, MIB),
    Bomb("endless headers", endless(b"", b"x: y\r\n" * 100), ConnectionBroken, MIB),
    Bomb("200 KiB of header", response("x: " + "y" * 200_000 + "\r\n"), ConnectionBroken, MIB),
    Bomb("20,000 headers", response("x: y\r\n" * 20_000), CallError, MIB),
    Bomb("a million arrays", response("", b"[" * DEEP + b"]" * DEEP), DecodeError, LIMITS.body),
    Bomb("a million objects", response("", b'{"a":' * DEEP + b"1" + b"}" * DEEP), DecodeError, LIMITS.body),
    Bomb("a million elements", response("", b"<a>" * DEEP + b"</a>" * DEEP), DecodeError, LIMITS.body, xml),
    Bomb("a million attributes", response("", b"<a " + b"b='' " * DEEP + b"/>"), DecodeError, LIMITS.body, xml),
    Bomb("entities, 10 to the 10", response("", ENTITIES + b"]><a>&j;</a>"), DecodeError, MIB, xml),
    Bomb("an int of 1,000,000 digits", response("", b"9" * DEEP), DecodeError, LIMITS.body),
    Bomb("a float of 1,000,000 digits", response("", b"[0." + b"9" * DEEP), DecodeError, LIMITS.body),
]
HEAVY = [
    Bomb("an int of 10,000,000 digits", response("", b"9" * 10**7), DecodeError, LIMITS.body),
    Bomb("64 MiB of spaces", encoded("gzip", spaces()), DecodeError, LIMITS.body),
]


@asynccontextmanager
async def transport_to(respond: Responder, fake_time: FakeTime) -> AsyncIterator[Transport]:
    """Enter a transport to a server with this responder."""
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        try:
            await reader.readuntil(b"\r\n\r\n")
            await respond(writer)
            await reader.read()
        except OSError:
            pass  # the client has hung up
        finally:
            writer.close()
            connections -= 1

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        async with connected(url, fake_time.clock, retry=ONE_ATTEMPT, timeouts=LONG_TIMEOUTS) as transport:
            yield transport
        assert await eventually(lambda: not connections)


@pytest.fixture
def traced() -> Iterator[Callable[[], int]]:
    """Return a function that returns the peak of memory used since now, in bytes."""
    tracemalloc.start(1)
    before = tracemalloc.get_traced_memory()[0]
    yield lambda: tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()


async def memory_above_limit(bomb: Bomb, fake_time: FakeTime, traced: Callable[[], int]) -> int:
    """Receive a bomb and check its error. Return the bytes above its limit at the peak."""
    async with transport_to(bomb.respond, fake_time) as transport:
        with pytest.raises(bomb.error):
            await transport.send(Call("GET", "/", bomb.read))
        assert transport._queue.value == LIMITS.connections
    return traced() - bomb.limit


@pytest.mark.parametrize("bomb", BOMBS, ids=str)
@pytest.mark.figure("T-BOMB")
async def test_a_bomb_is_a_typed_error_and_takes_little_more_than_its_limit(
    bomb: Bomb, fake_time: FakeTime, traced: Callable[[], int], see: See
) -> None:
    assert await memory_above_limit(bomb, fake_time, traced) < OVERHEAD
    see(f"{len(BOMBS)} bombs: typed errors, less than {OVERHEAD // MIB} MiB above their limits")


@pytest.mark.parametrize("bomb", HEAVY, ids=str)
async def test_a_body_that_is_not_json_takes_little_more_than_its_limit(
    bomb: Bomb, fake_time: FakeTime, traced: Callable[[], int]
) -> None:
    assert await memory_above_limit(bomb, fake_time, traced) < OVERHEAD


@pytest.mark.figure("T-BOMB")
async def test_the_largest_allowed_response_is_held_once(
    fake_time: FakeTime, traced: Callable[[], int], see: See
) -> None:
    async with transport_to(encoded("gzip", zeros(LIMITS.body // MIB)), fake_time) as transport:
        assert await transport.send(Call("GET", "/", lambda reply: len(reply.body))) == LIMITS.body
    times = traced() / LIMITS.body
    assert times < 1.25
    see(f"a response at the limit: {times:.1f} times its size")


@pytest.mark.figure("T-BOMB")
async def test_other_tasks_run_while_a_response_is_decompressed(fake_time: FakeTime, see: See) -> None:
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    async with transport_to(encoded("gzip", zeros(128)), fake_time) as transport:
        task = asyncio.create_task(count_turns())
        with pytest.raises(ResponseTooLarge):
            await transport.send(Call("GET", "/", tree))
        task.cancel()
    assert turns > LIMITS.body / (2 * MIB)  # decompression yields after each MiB
    see(f"{turns} turns of other tasks while {LIMITS.body // MIB} MiB are decompressed")
