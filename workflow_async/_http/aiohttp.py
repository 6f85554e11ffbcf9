"""The backend on aiohttp: each pooled connection is a session limited to one connection.

aiohttp is offered for its speed and needs asyncio. By default a session would follow redirects, decompress bodies, keep
cookies, read the environment, and resend idempotent requests when a connection breaks. All of that is switched off.
Its parser reads ahead before it returns a response. Bytes that immediately follow a response cause a
`ConnectionBroken`, where httpx returns the response and closes the connection. A response header has at most 8 KiB.
"""

import ssl
import sys
from collections.abc import Sequence

import aiohttp
from attrs import define, field
from yarl import URL

from workflow_async._core.backend import Request
from workflow_async._core.call import Reply
from workflow_async._core.network_guard import NETWORK_BLOCKED
from workflow_async._http.advice import with_advice
from workflow_async._http.body import read_bounded
from workflow_async._http.cookies import Cookies
from workflow_async._http.errors import cause_chain, is_aiohttp_connecting, transport_error
from workflow_async._http.pool import merge_headers, set_cookies
from workflow_async._http.proxy import Proxy, forward_headers
from workflow_async.errors import ContentEncodingError, NetworkBlocked, ResponseTooLarge, TransportError
from workflow_async.settings import Limits, Timeouts

DEFAULT_HEADERS = ("accept", "accept-encoding", "content-type", "user-agent")
"""Headers that a session would otherwise add."""


class DoNotResend(Exception):
    """Raised so that aiohttp's session does not resend the request."""


@define
class AiohttpConnections:
    """Makes the aiohttp connections of one client."""

    limits: Limits
    timeouts: Timeouts
    proxy: Proxy | None = None
    cookies: Cookies = field(factory=Cookies, init=False)

    def new_connection(self, context: ssl.SSLContext) -> "AiohttpConnection":
        """Return a new connection."""
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=1, ssl=context, keepalive_timeout=self.limits.keepalive),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=DEFAULT_HEADERS,
            timeout=aiohttp.ClientTimeout(total=None, connect=self.timeouts.connect),
            middlewares=(send_once,),
        )
        return AiohttpConnection(self, session)


@define
class AiohttpConnection:
    """A session that makes one connection."""

    shared: AiohttpConnections
    session: aiohttp.ClientSession
    _has_served: bool = field(default=False, init=False)

    async def __call__(self, request: Request) -> Reply:
        outer = sys.exception()
        if not request.connects:
            raise NetworkBlocked(NETWORK_BLOCKED)
        try:
            reply = await self._exchange(request)
        except (ResponseTooLarge, ContentEncodingError):
            raise
        except Exception as error:  # noqa: BLE001 - every exception is translated
            translated = self._failure(cause_chain(error, outer), request)
        else:
            self._has_served = True
            return reply
        raise translated

    async def aclose(self) -> None:
        """Close the connection."""
        await self.session.close()

    def _failure(self, chain: list[BaseException], request: Request) -> TransportError:
        error = translated_error(chain, request, reused=self._has_served)
        return with_advice(error, chain, proxy=self.shared.proxy)

    async def _exchange(self, request: Request) -> Reply:
        proxy = self.shared.proxy
        sending = self.session.request(
            request.method,
            URL(request.url, encoded=True),
            headers=(*request.headers, *self.shared.cookies.headers(request.url), *forward_headers(proxy, request.url)),
            data=request.body,
            allow_redirects=False,
            proxy=None if proxy is None else URL(proxy.url),
            proxy_headers=None if proxy is None else dict(proxy.headers),
        )
        async with sending as response:
            headers = merge_headers(response.raw_headers)
            body = await read_bounded(
                response.content.iter_any(), headers.get("content-encoding", ""), self.shared.limits
            )
        if "set-cookie" in headers:
            self.shared.cookies.store(request.url, set_cookies(response.raw_headers))
        return Reply(response.status, headers, body)


async def send_once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Send a request once. aiohttp's session would resend it after these errors, and no attempt would be recorded."""
    try:
        return await handler(request)
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise DoNotResend from error


def translated_error(chain: Sequence[BaseException], request: Request, *, reused: bool) -> TransportError:
    """Return this library's error for an exception of aiohttp, or for one that aiohttp let through."""
    chain = [cause for cause in chain if not isinstance(cause, DoNotResend)]
    unsent = is_aiohttp_connecting(chain, request)
    unexpected = not isinstance(chain[0], (aiohttp.ClientError, OSError))
    return transport_error(chain, _reason(chain), unsent=unsent, reused=reused, unexpected=unexpected)


def _reason(chain: Sequence[BaseException]) -> str:
    """Return the class name of the error, with the operating system's message if there is one.

    aiohttp's own messages may repeat bytes of the response.
    """
    text = next((str(cause) for cause in chain[1:] if isinstance(cause, OSError) and str(cause)), "")
    error_name = type(chain[0]).__name__
    return f"{error_name}: {text}" if text else error_name
