"""Tracks how far httpcore, or httpcore2, got with a request, by its `trace` extension.

See https://www.encode.io/httpcore/extensions/#trace.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import anyio
import anyio.lowlevel
from attrs import define, field

from workflow_async._core.cancellation import shielded_close
from workflow_async._core.network_guard import NETWORK_BLOCKED
from workflow_async.errors import NetworkBlocked


def _allow() -> None:
    """Do nothing: the request may be sent at any time."""


@define(eq=False)
class RequestTrace:
    """The trace of one request. It also works around connections that httpcore would leak.

    httpcore 1.0.9 and httpcore2 2.16 leave the socket open if a TLS handshake is cancelled or a SOCKS proxy refuses.
    They never release a connection that was cancelled after it was made and before a request was sent on it. They
    count the streams of HTTP/2 wrongly after a cancellation between the preface and the first request.
    """

    proxy_timeout: float = math.inf
    """Seconds that a proxy may take to respond. httpcore has no timeout for that."""
    connects: bool = field(default=True, kw_only=True)
    """False to refuse to connect. A mock that answers the request does not connect."""
    check_may_send: Callable[[], None] = field(default=_allow, kw_only=True)
    """Raises if the request may no longer be sent. Called after connecting, just before the first byte."""
    scope: anyio.CancelScope = field(factory=anyio.CancelScope, init=False)
    """The cancel scope of the exchange. It is cancelled if a proxy does not respond in time."""
    _begun: int = field(default=0, init=False)
    _is_tunnel: bool = field(default=False, init=False)
    _socket: Any = field(default=None, init=False, repr=False)

    @property
    def begun(self) -> bool:
        """True if httpcore began to write the request. A CONNECT for a proxy does not count."""
        return self._begun > 0

    async def __call__(self, event: str, info: Mapping[str, Any]) -> None:
        """Record an event, such as `http11.send_request_headers.started`."""
        layer, _, step = event.partition(".")
        match step:
            case "send_request_headers.started":
                self._begin(is_tunnel=info["request"].method == b"CONNECT")
            case "send_request_headers.failed":
                self._begun -= not self._is_tunnel and layer == "http11" and _is_refusal(info["exception"])
            case "connect_tcp.started" if not self.connects:
                raise NetworkBlocked(NETWORK_BLOCKED)
            case "connect_tcp.complete" | "connect_unix_socket.complete":
                self._socket = info["return_value"]
                await self._cancel_now()
            case "setup_socks5_connection.started":
                self._wait_for_proxy(waits=True)
            case "start_tls.started":
                self._wait_for_proxy(waits=False)
            case "start_tls.complete" | "setup_socks5_connection.complete":
                await self._cancel_now()
            case "send_connection_init.complete":
                self.scope.shield = True
            case "start_tls.failed" | "setup_socks5_connection.failed":
                await shielded_close(self._socket.aclose)

    def _begin(self, *, is_tunnel: bool) -> None:
        """Note that httpcore is about to write a request, unless it may no longer be sent."""
        self._is_tunnel = is_tunnel
        if not is_tunnel:
            self.check_may_send()
            self._begun += 1
        self._wait_for_proxy(waits=is_tunnel)
        self.scope.shield = False

    def _wait_for_proxy(self, *, waits: bool) -> None:
        self.scope.deadline = anyio.current_time() + self.proxy_timeout if waits else math.inf

    async def _cancel_now(self) -> None:
        """Raise a pending cancellation while httpcore still closes the connection. A moment later it would keep it."""
        try:
            await anyio.lowlevel.checkpoint_if_cancelled()
        except BaseException:
            await shielded_close(self._socket.aclose)
            raise


def _is_refusal(error: BaseException) -> bool:
    """Return True if h11 refused the headers. It checks them before the first byte is written."""
    return type(error).__name__ == "LocalProtocolError"
