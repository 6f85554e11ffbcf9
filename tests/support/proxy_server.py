"""HTTP proxies on loopback: some that fail to open a tunnel, and one that relays every tunnel to one server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from attrs import define, field

from tests.support.misbehaving_server import ConnectionHandler, RawServer, Reader, Writer, raw_server, relay, reset


def proxy_that_responds(data: bytes, *, ending: str = "fin") -> ConnectionHandler:
    """Return a handler that reads the CONNECT, sends `data`, and closes, resets or stalls."""

    async def talk(reader: Reader, writer: Writer) -> None:
        connects = await reader.readuntil(b"\r\n\r\n")
        assert connects.startswith(b"CONNECT oc.example.org:443 ")
        writer.write(data)
        if ending == "rst":
            reset(writer)
        elif ending == "stall":
            await reader.read()

    return talk


async def proxy_that_closes(_: Reader, __: Writer) -> None:
    """Close before anything is read."""


FAILING: dict[str, ConnectionHandler] = {
    "closes at once": proxy_that_closes,
    "closes after reading": proxy_that_responds(b""),
    "resets": proxy_that_responds(b"", ending="rst"),
    "closes in the status line": proxy_that_responds(b"HTTP/1.1 2"),
    "closes in the headers": proxy_that_responds(b"HTTP/1.1 200 OK\r\nvia: 1.1 a"),
    "wants a password": proxy_that_responds(
        b"HTTP/1.1 407 No\r\nproxy-authenticate: Basic\r\ncontent-length: 0\r\n\r\n"
    ),
    "finds no way": proxy_that_responds(b"HTTP/1.1 502 No\r\n\r\n"),
    "forbids": proxy_that_responds(b"HTTP/1.1 403 No\r\ncontent-length: 2\r\n\r\nno"),
    "redirects": proxy_that_responds(b"HTTP/1.1 302 No\r\nlocation: http://127.0.0.1/\r\ncontent-length: 0\r\n\r\n"),
    "is odd": proxy_that_responds(b"HTTP/1.1 999 No\r\ncontent-length: 0\r\n\r\n"),
    "talks rubbish": proxy_that_responds(b"\x15\x03\x01\x00\x02\x02\x46rubbish\r\n\r\n"),
    "talks for ever": proxy_that_responds(b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 60_000),
    "closes the tunnel": proxy_that_responds(b"HTTP/1.1 200 OK\r\n\r\n"),
    "resets the tunnel": proxy_that_responds(b"HTTP/1.1 200 OK\r\n\r\n", ending="rst"),
    "talks in the tunnel": proxy_that_responds(b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 201 Created\r\n\r\n"),
}
SILENT: dict[str, ConnectionHandler] = {
    "says nothing": proxy_that_responds(b"", ending="stall"),
    "stops in the headers": proxy_that_responds(b"HTTP/1.1 200 OK\r\nvia: 1.1 a", ending="stall"),
    "says nothing in the tunnel": proxy_that_responds(b"HTTP/1.1 200 OK\r\n\r\n", ending="stall"),
}


async def tunnel(reader: Reader, writer: Writer) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")


@define
class RecordingProxy:
    """A proxy that opens a tunnel to one server, whatever it is asked for."""

    raw: RawServer
    heads: list[str] = field(factory=list)
    """The head of each CONNECT."""

    @property
    def address(self) -> str:
        """Host and port."""
        return self.raw.url.removeprefix("http://")


@asynccontextmanager
async def recording_proxy(port: int) -> AsyncIterator[RecordingProxy]:
    """Run a proxy for the server on this local port."""
    heads: list[str] = []

    async def opening(reader: Reader, writer: Writer) -> None:
        heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")

    async with raw_server(relay(port, opening)) as raw:
        yield RecordingProxy(raw, heads)
