"""Servers on loopback that talk as they like, without regard to what they are asked."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing, suppress
from typing import TypeAlias

from attrs import define, field

Reader: TypeAlias = asyncio.StreamReader
Writer: TypeAlias = asyncio.StreamWriter
ConnectionHandler = Callable[[Reader, Writer], Awaitable[object]]


@define
class RawServer:
    """One server: where it is, how many connections it took and how many are open."""

    handler: ConnectionHandler
    url: str = ""
    connections: int = 0
    open: int = 0
    tasks: set["asyncio.Task[None]"] = field(factory=set)

    async def handle(self, reader: Reader, writer: Writer) -> None:
        """Talk until the talk is over, the client has gone, or the test has."""
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        self.connections += 1
        self.open += 1
        try:
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self.handler(reader, writer)
        finally:
            self.open -= 1
            self.tasks.discard(task)
            writer.close()


@asynccontextmanager
async def raw_server(talk: ConnectionHandler) -> AsyncIterator[RawServer]:
    """A server that talks so."""
    raw = RawServer(talk)
    server = await asyncio.start_server(raw.handle, "127.0.0.1", 0)
    raw.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield raw
    finally:
        server.close()
        for task in (left := list(raw.tasks)):
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await server.wait_closed()


def reset(writer: Writer) -> None:
    """End a connection with a reset instead of an end."""
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def respond_with(data: bytes) -> ConnectionHandler:
    """Say this to whatever comes first, and end."""

    async def talk(reader: Reader, writer: Writer) -> None:
        await reader.read(65536)
        writer.write(data)
        await writer.drain()

    return talk


def repeat_forever(opening: bytes, again: bytes, pause: float = 0.0) -> ConnectionHandler:
    """Say the opening, and then the same again and again, until the client has gone."""

    async def talk(reader: Reader, writer: Writer) -> None:
        writer.write(opening)
        while not writer.transport.is_closing():
            writer.write(again)
            await writer.drain()
            await asyncio.sleep(pause)

    return talk


async def no_opening(_: Reader, __: Writer) -> None:
    """Open a relay without a word."""


def relay(port: int, opening: ConnectionHandler = no_opening) -> ConnectionHandler:
    """Carry bytes between whatever comes and a port of this machine, after the opening."""

    async def pump(source: Reader, sink: Writer) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()
        sink.close()

    async def talk(reader: Reader, writer: Writer) -> None:
        await opening(reader, writer)
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        with closing(inner_writer):
            await asyncio.gather(pump(reader, inner_writer), pump(inner_reader, writer))

    return talk
