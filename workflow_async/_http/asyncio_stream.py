"""Connections of httpcore on an asyncio transport. Those of anyio cost more than half of a request's CPU time.

anyio still opens them, because it tries all addresses of a host (RFC 8305), which asyncio does not do on every event
loop. See https://www.encode.io/httpcore/network-backends/.
"""

import asyncio
import os
import select
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from types import ModuleType
from typing import Any

import anyio
from anyio.abc import SocketAttribute
from attrs import define, field, frozen

READ_SIZE = 256 * 2**10
"""Bytes that are received before they are read."""


@frozen
class AsyncioBackend:
    """Opens the connections of one client."""

    library: ModuleType

    async def connect_tcp(self, host: str, port: int, timeout: float | None = None, **options: Any) -> "AsyncioStream":
        """Return a stream to a server."""
        with self._connecting(timeout):
            opened = await anyio.connect_tcp(host, port)
            raw = opened.extra(SocketAttribute.raw_socket)  # noqa: S610 - anyio's, not Django's
            sock = socket.socket(fileno=os.dup(raw.fileno()))
            try:
                await opened.aclose()
            except BaseException:
                sock.close()
                raise
            make = partial(AsyncioStream, self)
            _, stream = await asyncio.get_running_loop().create_connection(make, sock=sock)
        return stream

    async def start_tls(
        self, stream: "AsyncioStream", context: ssl.SSLContext, host: str, timeout: float | None
    ) -> asyncio.Transport | None:
        """Return the transport of a stream after its TLS handshake."""
        later = None if timeout is None else timeout + 1  # asyncio's error is not a timeout
        with self._connecting(timeout):
            return await asyncio.get_running_loop().start_tls(
                stream.transport, stream, context, server_hostname=host, ssl_handshake_timeout=later
            )

    @contextmanager
    def _connecting(self, timeout: float | None) -> Iterator[None]:
        try:
            with anyio.fail_after(timeout):
                yield
        except TimeoutError as error:
            raise self.library.ConnectTimeout(str(error)) from error
        except OSError as error:
            raise self.library.ConnectError(str(error)) from error


@define(eq=False)
class AsyncioStream(asyncio.Protocol):
    """A network stream of httpcore. One task uses it at a time. `Timeouts` limit its operations from outside."""

    backend: AsyncioBackend
    transport: Any = field(default=None, init=False)
    _received: bytearray = field(factory=bytearray, init=False, repr=False)
    _ended: bool = field(default=False, init=False)
    _error: Exception | None = field(default=None, init=False)
    _blocked: bool = field(default=False, init=False)
    """True while the transport takes no more bytes to send."""
    _waiter: asyncio.Future[None] | None = field(default=None, init=False)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Keep received bytes until they are read."""
        self._received += data
        if len(self._received) >= READ_SIZE:
            self.transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        """Note that the server sends no more. The transport closes itself."""
        self._ended = True
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the connection is closed."""
        self._ended, self._error = True, exc
        self._wake()

    def pause_writing(self) -> None:
        """Let `write` wait."""
        self._blocked = True

    def resume_writing(self) -> None:
        """Let `write` return."""
        self._blocked = False
        self._wake()

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return received bytes. Wait for them if there are none. Return b"" at the end of the stream."""
        while not (self._received or self._ended):
            await self._wait()
        if self._error is not None and not self._received:
            raise self.backend.library.ReadError(str(self._error)) from self._error
        was_full = len(self._received) >= READ_SIZE
        data = bytes(memoryview(self._received)[:max_bytes])
        del self._received[:max_bytes]
        if was_full and not self._ended:
            self.transport.resume_reading()
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send bytes. Wait until the transport takes more."""
        if buffer and not self._ended:
            self.transport.write(buffer)
        while self._blocked and not self._ended:
            await self._wait()
        if self._ended:
            raise self.backend.library.WriteError(str(self._error or "the server has closed the connection"))

    async def aclose(self) -> None:
        """Close the connection without waiting for the server."""
        self.transport.abort()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> "AsyncioStream":
        """Continue with TLS."""
        self.transport = await self.backend.start_tls(self, ssl_context, server_hostname or "", timeout)
        return self

    def get_extra_info(self, info: str) -> Any:
        """Return a fact about the connection. `is_readable` is True if bytes have arrived, or their end."""
        if info == "is_readable":
            return bool(self._received) or self._ended or _is_readable(self.transport.get_extra_info("socket"))
        return self.transport.get_extra_info(info)

    async def _wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        await self._waiter

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def _is_readable(sock: Any) -> bool:
    """Return True if the operating system has received bytes that the event loop has not read yet."""
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))
