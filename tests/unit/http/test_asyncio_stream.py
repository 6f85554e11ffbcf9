"""Network streams of httpcore on asyncio: reading, writing, and the ends of both."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import httpcore
import pytest
from attrs import define

from workflow_async._http.asyncio_stream import READ_SIZE, AsyncioBackend, AsyncioStream

BACKEND = AsyncioBackend(httpcore)
LARGE = bytes(4 * READ_SIZE)


@define
class Peer:
    """The server's side of a connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


@asynccontextmanager
async def connection() -> AsyncIterator[tuple[AsyncioStream, Peer]]:
    peers: asyncio.Queue[Peer] = asyncio.Queue()
    server = await asyncio.start_server(lambda reader, writer: peers.put_nowait(Peer(reader, writer)), "127.0.0.1", 0)
    stream = await BACKEND.connect_tcp("127.0.0.1", server.sockets[0].getsockname()[1], 5.0)
    peer = await peers.get()
    try:
        yield stream, peer
    finally:
        await stream.aclose()
        peer.writer.transport.abort()
        server.close()
        await asyncio.sleep(0)


async def until_readable(stream: AsyncioStream) -> None:
    while not stream.get_extra_info("is_readable"):
        await asyncio.sleep(0)


async def test_bytes_are_written_and_read() -> None:
    async with connection() as (stream, peer):
        assert not stream.get_extra_info("is_readable")
        assert stream.get_extra_info("peername")[0] == "127.0.0.1"
        await stream.write(b"ping")
        await stream.write(b"")
        assert await peer.reader.readexactly(4) == b"ping"
        peer.writer.write(b"pong")
        await until_readable(stream)
        assert await stream.read(3) == b"pon"
        assert stream.get_extra_info("is_readable")
        assert await stream.read(3) == b"g"


async def test_unread_bytes_are_bounded() -> None:
    async with connection() as (stream, peer):
        peer.writer.write(LARGE)
        received = 0
        while received < len(LARGE):
            received += len(await stream.read(READ_SIZE))
            assert len(stream._received) <= 2 * READ_SIZE
            for _ in range(3):  # bytes arrive while none are read
                await asyncio.sleep(0)
        assert received == len(LARGE)


async def test_a_large_write_waits_until_the_server_reads() -> None:
    async with connection() as (stream, peer):
        writing = asyncio.create_task(stream.write(LARGE * 8))
        while not stream._blocked:
            await asyncio.sleep(0)
        assert not writing.done()
        await peer.reader.readexactly(8 * len(LARGE))
        await writing
        await stream.write(b"more")
        assert await peer.reader.readexactly(4) == b"more"


async def test_the_end_of_the_stream_is_read_after_its_bytes_and_ends_writing() -> None:
    async with connection() as (stream, peer):
        peer.writer.write(b"last")
        peer.writer.close()
        while not stream._ended:
            await asyncio.sleep(0)
        assert stream.get_extra_info("is_readable")
        assert await stream.read(9) == b"last"
        assert await stream.read(9) == b""
        with pytest.raises(httpcore.WriteError, match="closed"):
            await stream.write(b"more")


async def test_a_reset_connection_is_an_error_after_its_bytes() -> None:
    async with connection() as (stream, peer):
        stream.data_received(b"first")
        reading = peer.writer.transport.get_extra_info("socket")
        reading.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")  # closing sends RST
        peer.writer.transport.abort()
        while not stream._ended:
            await asyncio.sleep(0)
        assert await stream.read(9) == b"first"
        with pytest.raises(httpcore.ReadError):
            await stream.read(9)


async def test_a_cancelled_read_loses_nothing() -> None:
    async with connection() as (stream, peer):
        reading = asyncio.create_task(stream.read(9))
        await asyncio.sleep(0)
        reading.cancel()
        peer.writer.write(b"pong")
        await until_readable(stream)
        assert await stream.read(9) == b"pong"
        with pytest.raises(asyncio.CancelledError):
            await reading


async def test_a_refused_connection_is_a_connect_error() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with pytest.raises(httpcore.ConnectError):
            await BACKEND.connect_tcp("127.0.0.1", free.getsockname()[1])


async def test_a_connection_that_takes_too_long_is_a_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(anyio, "connect_tcp", never)
    with pytest.raises(httpcore.ConnectTimeout):
        await BACKEND.connect_tcp("127.0.0.1", 1, 0.001)


async def test_a_connection_that_is_cancelled_at_its_last_step_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    client, server = socket.socketpair()

    class Opened:
        def extra(self, _: object) -> socket.socket:
            return client

        async def aclose(self) -> None:
            client.close()
            raise asyncio.CancelledError

    async def connect(*_: object) -> Opened:
        return Opened()

    monkeypatch.setattr(anyio, "connect_tcp", connect)
    with pytest.raises(asyncio.CancelledError):
        await BACKEND.connect_tcp("127.0.0.1", 1)
    with server:
        assert server.recv(1) == b""  # both ends of the duplicate are closed


async def test_a_server_that_closes_during_the_tls_handshake_is_a_connect_error() -> None:
    async with connection() as (stream, peer):
        peer.writer.close()
        with pytest.raises(httpcore.ConnectError):
            await stream.start_tls(ssl.create_default_context(), "oc.example.org", 5.0)
