"""Opens tunnels through an HTTP proxy for httpcore and httpcore2, whose own classes for that are private."""

import re
from types import ModuleType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import anyio
from attrs import frozen

from workflow_async._core.cancellation import shielded_close
from workflow_async._http.proxy import Proxy

if TYPE_CHECKING:
    import httpcore

MAX_HEAD = 64 * 2**10
"""Bytes of the head of a proxy's response."""
HEAD_END = b"\r\n\r\n"
STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([0-9]{3})(?: .*)?")
DEFAULT_PORT = 80


@frozen
class TunnelBackend:
    """The network backend of a connection through a proxy. Raises an error of the library if there is no tunnel."""

    library: ModuleType
    proxy: Proxy

    async def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, **options: Any
    ) -> "httpcore.AsyncNetworkStream":
        """Return a stream to a server, through the proxy."""
        proxy = urlsplit(self.proxy.url)
        stream: httpcore.AsyncNetworkStream = await self.library.AnyIOBackend().connect_tcp(
            proxy.hostname, proxy.port or DEFAULT_PORT, timeout, **options
        )
        try:
            await self._open_tunnel(stream, f"[{host}]:{port}" if ":" in host else f"{host}:{port}", timeout)
        except BaseException:
            await shielded_close(stream.aclose)
            raise
        return stream

    async def _open_tunnel(self, stream: "httpcore.AsyncNetworkStream", target: str, timeout: float | None) -> None:
        headers = "".join(f"{name}: {value}\r\n" for name, value in (("host", target), *self.proxy.headers))
        with anyio.move_on_after(timeout):
            await stream.write(f"CONNECT {target} HTTP/1.1\r\n{headers}\r\n".encode("ascii"))
            status = await self._read_status(stream)
            if not status.startswith("2"):
                raise self.library.ProxyError(status)
            return
        raise self.library.ConnectTimeout("no response to CONNECT")

    async def _read_status(self, stream: "httpcore.AsyncNetworkStream") -> str:
        """Return the status of a complete head. Bytes after the head cannot be the server's, which speaks second."""
        received = b""
        while HEAD_END not in received and len(received) <= MAX_HEAD:
            chunk = await stream.read(MAX_HEAD)
            if not chunk:
                break
            received += chunk
        head, end, rest = received.partition(HEAD_END)
        found = STATUS_LINE.fullmatch(head.partition(b"\r\n")[0])
        if found is None or not end:
            raise self.library.ProxyError("no complete response to CONNECT")
        status = found[1].decode("ascii")
        if status.startswith("2") and rest:
            raise self.library.ProxyError("bytes after the response to CONNECT")
        return status
