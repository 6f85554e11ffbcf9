"""A pool of single connections, used by every backend except a client that the caller owns.

A connection whose request did not finish is closed. So neither a cancellation nor a half-read response can damage the
next request.
"""

import ssl
import sys
from collections.abc import Callable, Iterable
from typing import Protocol

from attrs import define, field

from workflow_async._core.backend import Request
from workflow_async._core.call import Reply
from workflow_async._core.cancellation import shielded_close
from workflow_async._http.errors import drop_frames
from workflow_async._http.tls import tls_context
from workflow_async.errors import TransportError


class PooledConnection(Protocol):
    """One connection, opened by its first request. Sends a request and returns the complete reply."""

    async def __call__(self, request: Request) -> Reply: ...
    async def aclose(self) -> None: ...


ConnectionFactory = Callable[[ssl.SSLContext], PooledConnection]


@define
class ConnectionPool:
    """A pool that opens as many connections as run concurrently, and reuses the last one first."""

    new_connection: ConnectionFactory
    context: ssl.SSLContext | None = None
    _idle: list[PooledConnection] = field(factory=list, init=False, repr=False)

    async def __call__(self, request: Request) -> Reply:
        outer = sys.exception()
        if request.new_connection and self._idle:
            await shielded_close(self._idle.pop(0).aclose)
        reuse = bool(self._idle) and not request.new_connection
        connection = self._idle.pop() if reuse else self.new_connection(self._ssl_context(request.url))
        try:
            reply = await connection(request)
        except BaseException as error:
            drop_frames(error, outer)
            await shielded_close(connection.aclose)
            if isinstance(error, TransportError) and error.reused:
                await self.reset()  # the other idle connections are most likely closed too
            raise
        self._idle.append(connection)
        return reply

    async def reset(self) -> None:
        """Close every idle connection."""
        while self._idle:
            await shielded_close(self._idle.pop().aclose)

    async def aclose(self) -> None:
        """Close every idle connection."""
        await self.reset()

    def _ssl_context(self, url: str) -> ssl.SSLContext:
        """Return the one TLS context of all connections, made on first use."""
        if self.context is None:
            self.context = tls_context(None) if url.startswith("https:") else _empty_context()
        return self.context


def _empty_context() -> ssl.SSLContext:
    """Return a context for http:// origins. It loads no authorities and would refuse every certificate."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def merge_headers(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return the headers by lower-case name. Repeated headers are joined."""
    merged: dict[str, str] = {}
    for name, value in raw:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        merged[key] = f"{merged[key]}, {text}" if key in merged else text
    return merged


def set_cookies(raw: Iterable[tuple[bytes, bytes]]) -> list[str]:
    """Return the values of the `Set-Cookie` headers, which cannot be joined."""
    return [value.decode("latin-1") for name, value in raw if name.lower() == b"set-cookie"]
