"""Servers on loopback that send any bytes, whatever they receive."""

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
    """One server, with the numbers of connections accepted and open."""

    handler: ConnectionHandler
    url: str = ""
    connections: int = 0
    open: int = 0
    tasks: set["asyncio.Task[None]"] = field(factory=set)

    async def handle(self, reader: Reader, writer: Writer) -> None:
        """Run the handler until it ends, the client disconnects, or the test ends."""
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
    """Run a server with this connection handler."""
    raw = RawServer(talk)
    server = await asyncio.start_server(raw.handle, "127.0.0.1", 0)
    raw.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield raw
    finally:
        server.close()
        for task in (running := list(raw.tasks)):
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await server.wait_closed()


def reset(writer: Writer) -> None:
    """End a connection with a reset."""
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def respond_with(data: bytes) -> ConnectionHandler:
    """Return a handler that reads once, sends `data` and closes."""

    async def talk(reader: Reader, writer: Writer) -> None:
        await reader.read(65536)
        writer.write(data)
        await writer.drain()

    return talk


def repeat_forever(opening: bytes, again: bytes, pause: float = 0.0) -> ConnectionHandler:
    """Return a handler that sends `opening`, then `again` repeatedly until the client disconnects."""

    async def talk(reader: Reader, writer: Writer) -> None:
        writer.write(opening)
        while not writer.transport.is_closing():
            writer.write(again)
            await writer.drain()
            await asyncio.sleep(pause)

    return talk


async def no_opening(_: Reader, __: Writer) -> None:
    """Do nothing before a relay starts."""


def relay(port: int, opening: ConnectionHandler = no_opening) -> ConnectionHandler:
    """Return a handler that relays bytes to and from a local port, after the opening."""

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
