"""The backend on httpcore, which makes the connections of httpx, and on httpcore2, which makes those of httpx2.

Both have the same names, so one module serves both. The clients above them are not used: their redirects, environment
and connection pools are not needed, and their request and response objects cost half of a request's CPU time. A mock of
httpcore, such as respx, sees every request. A mock of httpx's client needs `http=` with an `AsyncClient`.
"""

import ssl
import sys
from functools import lru_cache
from types import ModuleType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from attrs import define, field

from workflow_async._core.backend import Request
from workflow_async._core.call import Reply
from workflow_async._core.cancellation import shielded_close
from workflow_async._http.advice import with_advice
from workflow_async._http.body import read_bounded
from workflow_async._http.cookies import Cookies
from workflow_async._http.errors import cause_chain, is_from_httpcore, is_from_mock, is_unconnected, translated_error
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

    def __attrs_post_init__(self) -> None:
        self.parsed = lru_cache(maxsize=MAX_PARSED_URLS)(self._parse)
        self._timeouts = {"connect": self.timeouts.connect, "read": None, "write": None}

    def new_connection(self, context: ssl.SSLContext) -> "HttpcoreConnection":
        """Return a new connection."""
        return HttpcoreConnection(self, context)

    def network_backend(self, url: str) -> TunnelBackend | None:
        """Return what opens the connections to a URL. None for the library's own."""
        return None if self.proxy is None or not url.startswith("https:") else TunnelBackend(self.library, self.proxy)

    def message(self, request: Request, **extensions: object) -> "httpcore.Request":
        """Return the request as httpcore takes it."""
        message: httpcore.Request = self.library.Request(
            request.method,
            self.parsed(request.url),
            headers=[
                *_framing_headers(request),
                *_encoded_headers(
                    (*request.headers, *self.cookies.headers(request.url), *forward_headers(self.proxy, request.url))
                ),
            ],
            content=request.body,
            extensions={"timeout": self._timeouts, **extensions},
        )
        return message

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

    async def __call__(self, request: Request) -> Reply:
        outer, trace = sys.exception(), None
        connection = self._connection
        reused = connection is not None and not (connection.is_closed() or connection.has_expired())
        try:
            if connection is None or not reused:
                await self.aclose()
                connection = self._connect(request.url)
                trace = RequestTrace(connects=request.connects, check_may_send=request.check_may_send)
                message = self.shared.message(request, trace=trace)
            else:
                message = self.shared.message(request)
            reply = await self._exchange(connection, message, request.url)
        except (ResponseTooLarge, ContentEncodingError, NetworkBlocked, NotSentInTime):
            raise
        except Exception as error:  # noqa: BLE001 - every exception is translated
            translated = self._failure(cause_chain(error, outer), trace)
        else:
            if _has_trailing_data(connection):
                await shielded_close(self.aclose)  # the next request makes another connection
            return reply
        raise translated

    async def aclose(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            await self._connection.aclose()

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

    async def _exchange(
        self, connection: "httpcore.AsyncHTTPConnection", message: "httpcore.Request", url: str
    ) -> Reply:
        response = await connection.handle_async_request(message)
        headers = merge_headers(response.headers)
        try:
            body = await read_bounded(response.aiter_stream(), headers.get("content-encoding", ""), self.shared.limits)
        except BaseException:
            await shielded_close(response.aclose)
            raise
        await response.aclose()
        if "set-cookie" in headers:
            self.shared.cookies.store(url, set_cookies(response.headers))
        return Reply(response.status, headers, body)


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


def _encoded_headers(headers: tuple[tuple[str, str], ...]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("ascii"), value.encode("latin-1")) for name, value in headers]
