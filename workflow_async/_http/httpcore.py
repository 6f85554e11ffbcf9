"""The backend on httpcore, which makes the connections of httpx, and on httpcore2, which makes those of httpx2.

Both have the same names, so one module serves both. The clients above them are not used: their redirects, environment
and connection pools are not needed, and their request and response objects cost half of a request's CPU time. A mock of
httpcore, such as respx, sees every request. A mock of httpx's client needs `http=` with an `AsyncClient`.

httpcore opens a connection and sends the first request. `OpenConnection` sends the others.
"""

import os
import ssl
import sys
from collections.abc import Iterable, Mapping
from functools import lru_cache
from types import ModuleType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import h11
from attrs import define, field

from workflow_async._core.backend import Request
from workflow_async._core.call import Reply
from workflow_async._core.cancellation import shielded_close
from workflow_async._http.advice import with_advice
from workflow_async._http.asyncio_stream import AsyncioBackend
from workflow_async._http.body import read_bounded
from workflow_async._http.cookies import Cookies
from workflow_async._http.errors import cause_chain, is_from_httpcore, is_from_mock, is_unconnected, translated_error
from workflow_async._http.open_connection import OpenConnection, RequestHeads, is_mocked
from workflow_async._http.pool import merge_headers, set_cookies
from workflow_async._http.proxy import Proxy, forward_headers
from workflow_async._http.trace import RequestTrace
from workflow_async._http.tunnel import TunnelBackend
from workflow_async.errors import ContentEncodingError, NetworkBlocked, NotSentInTime, ResponseTooLarge, TransportError
from workflow_async.settings import Limits, Timeouts

if TYPE_CHECKING:
    import httpcore

MAX_PARSED_URLS = 1024
"""Number of parsed URLs that are cached."""
HANDS_OVER_SOCKETS = os.name == "posix"
"""True if another transport can take over a socket that anyio has connected."""


@define
class HttpcoreConnections:
    """Makes the connections of one client with httpcore or httpcore2."""

    library: ModuleType
    limits: Limits
    timeouts: Timeouts
    proxy: Proxy | None = None
    cookies: Cookies = field(factory=Cookies, init=False)
    parsed: Any = field(init=False, repr=False)
    """Returns the URL as httpcore takes it. A proxy forwards a request for http:// by its whole URL."""
    _timeouts: dict[str, float | None] = field(init=False)
    _heads: RequestHeads = field(factory=RequestHeads, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self.parsed = lru_cache(maxsize=MAX_PARSED_URLS)(self._parse)
        self._timeouts = {"connect": self.timeouts.connect, "read": None, "write": None}

    @property
    def is_mocked(self) -> bool:
        """True if a mock of the library sees the requests."""
        return is_mocked(self.library.AsyncHTTPConnection.handle_async_request, self.library.__name__)

    def new_connection(self, context: ssl.SSLContext) -> "HttpcoreConnection":
        """Return a new connection."""
        return HttpcoreConnection(self, context)

    def network_backend(self, url: str) -> TunnelBackend | AsyncioBackend | None:
        """Return what opens the connections to a URL. None for the library's own."""
        if self.proxy is not None and url.startswith("https:"):
            return TunnelBackend(self.library, self.proxy)
        return AsyncioBackend(self.library) if HANDS_OVER_SOCKETS else None

    def message(self, request: Request, **extensions: object) -> "httpcore.Request":
        """Return the request as httpcore takes it."""
        message: httpcore.Request = self.library.Request(
            request.method,
            self.parsed(request.url),
            headers=self._all_headers(request),
            content=request.body,
            extensions={"timeout": self._timeouts, **extensions},
        )
        return message

    def head(self, request: Request) -> h11.Request:
        """Return the head of a request as h11 takes it."""
        return self._heads.make(request.method, self.parsed(request.url).target, self._all_headers(request))

    def _all_headers(self, request: Request) -> list[tuple[bytes, bytes]]:
        cookies, forwarding = self.cookies.headers(request.url), forward_headers(self.proxy, request.url)
        return [*_framing_headers(request), *_encoded_headers((*request.headers, *cookies, *forwarding))]

    def _parse(self, url: str) -> "httpcore.URL":
        parsed: httpcore.URL = self.library.URL(url)
        if self.proxy is None or parsed.scheme == b"https":
            return parsed
        hop = self.library.URL(self.proxy.url)
        forwarded: httpcore.URL = self.library.URL(scheme=hop.scheme, host=hop.host, port=hop.port, target=url)
        return forwarded


@define
class HttpcoreConnection:
    """A connection, replaced by another when it has ended."""

    shared: HttpcoreConnections
    context: ssl.SSLContext
    _connection: "httpcore.AsyncHTTPConnection | None" = field(default=None, init=False)
    _opened: OpenConnection | None = field(default=None, init=False)
    """What sends the requests after the first one. None before it, after the end, and if a mock answered the first."""

    async def __call__(self, request: Request) -> Reply:
        outer, trace = sys.exception(), None
        try:
            if self._opened is not None and self._opened.is_usable and not self.shared.is_mocked:
                return await self._send_again(self._opened, request)
            connection = self._reusable()
            if connection is None:
                await self.aclose()
                connection = self._connect(request.url)
                trace = RequestTrace(connects=request.connects, check_may_send=request.check_may_send)
                message = self.shared.message(request, trace=trace)
            else:
                message = self.shared.message(request)
            return await self._send(connection, message, request.url)
        except (ResponseTooLarge, ContentEncodingError, NetworkBlocked, NotSentInTime):
            raise
        except Exception as error:  # noqa: BLE001 - every exception is translated
            translated = self._failure(cause_chain(error, outer), trace)
        raise translated

    async def aclose(self) -> None:
        """Close the connection."""
        self._opened = None
        if self._connection is not None:
            await self._connection.aclose()

    def _reusable(self) -> "httpcore.AsyncHTTPConnection | None":
        """Return the connection if httpcore can send a request on it, or a mock in its place. None if it has ended."""
        connection = self._connection
        is_over = connection is None or self._is_used_up or connection.is_closed() or connection.has_expired()
        return None if is_over else connection

    @property
    def _is_used_up(self) -> bool:
        return self._opened is not None and not self._opened.is_usable

    def _failure(self, chain: list[BaseException], trace: RequestTrace | None) -> TransportError:
        """Return the error to raise. A reused connection has no trace, so its request counts as sent."""
        unsent = trace is not None and not trace.begun and _is_unsent(chain, trace)
        error = translated_error(self.shared.library, chain, unsent=unsent, reused=trace is None)
        return with_advice(error, chain, proxy=self.shared.proxy)

    def _connect(self, url: str) -> "httpcore.AsyncHTTPConnection":
        connection: httpcore.AsyncHTTPConnection = self.shared.library.AsyncHTTPConnection(
            self.shared.parsed(url).origin,
            ssl_context=self.context,
            keepalive_expiry=self.shared.limits.keepalive,
            network_backend=self.shared.network_backend(url),
        )
        self._connection = connection
        return connection

    async def _send(self, connection: "httpcore.AsyncHTTPConnection", message: "httpcore.Request", url: str) -> Reply:
        response = await connection.handle_async_request(message)
        headers = merge_headers(response.headers)
        try:
            body = await read_bounded(response.aiter_stream(), headers.get("content-encoding", ""), self.shared.limits)
        except BaseException:
            await shielded_close(response.aclose)
            raise
        await response.aclose()
        if _has_trailing_data(connection):
            await shielded_close(self.aclose)  # the next request makes another connection
        elif self._opened is None and not connection.is_closed() and not self.shared.is_mocked:
            self._opened = OpenConnection(
                self.shared.library, response.extensions["network_stream"], self.shared.limits
            )
        self._store_cookies(headers, response.headers, url)
        return Reply(response.status, headers, body)

    async def _send_again(self, opened: OpenConnection, request: Request) -> Reply:
        try:
            reply, received = await opened.exchange(self.shared.head(request), request.body)
        except h11.LocalProtocolError as error:
            raise self.shared.library.LocalProtocolError(str(error)) from error
        if not opened.is_open:
            await shielded_close(self.aclose)  # likewise
        self._store_cookies(reply.headers, received, request.url)
        return reply

    def _store_cookies(self, headers: Mapping[str, str], received: Iterable[tuple[bytes, bytes]], url: str) -> None:
        if "set-cookie" in headers:
            self.shared.cookies.store(url, set_cookies(received))


def _is_unsent(chain: list[BaseException], trace: RequestTrace) -> bool:
    """Return True if httpcore failed before it wrote anything, or if a mock reports that it did not connect."""
    return is_from_httpcore(chain, trace) or (is_from_mock(chain) and is_unconnected(chain[0]))


def _has_trailing_data(connection: Any) -> bool:
    """Return True if bytes came after the response. h11 would read them as the next one, httpcore does not check."""
    inner = connection._connection  # noqa: SLF001 - there is no public attribute. None in a mock.
    return inner is not None and bool(inner._h11_state.trailing_data[0])  # noqa: SLF001 - likewise


def _framing_headers(request: Request) -> list[tuple[bytes, bytes]]:
    """Return the headers that say where a request goes and where it ends."""
    host = (b"host", urlsplit(request.url).netloc.encode("ascii"))
    if request.body is None and request.method in {"GET", "DELETE"}:
        return [host]
    return [host, (b"content-length", b"%d" % len(request.body or b""))]


def _encoded_headers(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("ascii"), value.encode("latin-1")) for name, value in headers]
