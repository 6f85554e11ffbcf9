"""What carries the bytes: the only module that knows httpx.

One slot is one connection: an `httpx.AsyncHTTPTransport` of its own. A slot whose exchange did not come to its end is
thrown away, so neither a cancellation nor a half-read answer can spoil the next request, and no pool is searched.
"""

import ssl
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, Literal, Protocol

import anyio
import httpx
from attrs import define, field, frozen

from workflow_async._auth import Headers, Secret, as_secret
from workflow_async._body import bounded
from workflow_async._call import Reply
from workflow_async.errors import (
    ConnectFailed,
    ConnectionBroken,
    TLSVerificationFailed,
    TransportError,
    UnsafeValue,
)
from workflow_async.settings import Limits, Timeouts

Carrier = Literal["httpx"] | httpx.AsyncClient
"""What `http=` takes: the name of a library, or a ready client, which stays the caller's to close."""

Send = Callable[[httpx.Request], Awaitable[httpx.Response]]

CHUNK = 65536
CLOSING = 2.0
"""Seconds a connection gets to close."""


@frozen
class Request:
    """A request as it goes out."""

    method: str
    url: str
    headers: Headers = field(repr=False)
    body: bytes | None = field(default=None, repr=False)
    fresh: bool = False
    """On a connection of its own, so that a stale one cannot make its fate unknown."""


class Exchange(Protocol):
    """The seam: a request in, a whole reply out; `TransportError` where there is none."""

    async def __call__(self, request: Request) -> Reply: ...
    async def reset(self) -> None:
        """Forget every connection: one of them has answered out of turn."""

    async def aclose(self) -> None: ...


class Closable(Protocol):
    """A slot, or a socket below it."""

    async def aclose(self) -> None: ...


def carried_by(carrier: Carrier, limits: Limits, timeouts: Timeouts, context: ssl.SSLContext | None) -> Exchange:
    """The exchange behind `http=`; raises `UnsafeValue` for anything else."""
    if isinstance(carrier, httpx.AsyncClient):
        return Lent(carrier, limits, timeouts)
    if carrier == "httpx":
        return Slots(limits, timeouts, checked(context))
    raise UnsafeValue("http", 'must be "httpx" or a ready httpx.AsyncClient')


def checked(context: ssl.SSLContext | None) -> ssl.SSLContext | None:
    """The TLS context, if it verifies whom it talks to."""
    if context is not None and (context.verify_mode is not ssl.CERT_REQUIRED or not context.check_hostname):
        raise UnsafeValue("ssl_context", "must verify certificates and host names")
    return context


class Jar(httpx.Cookies):
    """Cookies that show themselves to nobody: a session is as good as a password."""

    def __repr__(self) -> str:
        return "Jar(...)"


@define
class Slots:
    """As many connections as run at once, each in a slot of its own, the one used last first."""

    limits: Limits
    timeouts: Timeouts
    context: ssl.SSLContext | None = None
    _idle: list[httpx.AsyncHTTPTransport] = field(factory=list, init=False)
    _cookies: Jar = field(factory=Jar, init=False, repr=False)

    async def __call__(self, request: Request) -> Reply:
        if request.fresh and self._idle:
            await _close(self._idle.pop(0))
        reused = bool(self._idle) and not request.fresh
        slot = self._idle.pop() if reused else self._new(secure=request.url.startswith("https:"))
        sockets: list[Closable] = []
        whole = False
        try:
            send = _noting(slot, sockets)
            reply = await _exchange(send, request, self._cookies, self.limits, self.timeouts, reused=reused)
            whole = True
        finally:
            if whole:
                self._idle.append(slot)
            else:
                await _close(slot, *sockets)
        return reply

    async def reset(self) -> None:
        """Close every idle connection."""
        while self._idle:
            await _close(self._idle.pop())

    async def aclose(self) -> None:
        """Close every idle connection."""
        await self.reset()

    def _new(self, *, secure: bool) -> httpx.AsyncHTTPTransport:
        if self.context is None:
            self.context = httpx.create_ssl_context(trust_env=False) if secure else _trusting_nobody()
        one = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=self.limits.keepalive)
        return httpx.AsyncHTTPTransport(verify=self.context, limits=one, trust_env=False)


@define
class Lent:
    """A ready client of the caller: its transport, proxies and TLS, with our bounds; never its redirects or auth."""

    client: httpx.AsyncClient
    limits: Limits
    timeouts: Timeouts
    _cookies: Jar = field(factory=Jar, init=False, repr=False)

    async def __call__(self, request: Request) -> Reply:
        async def send(message: httpx.Request) -> httpx.Response:
            return await self.client.send(message, stream=True, auth=None, follow_redirects=False)

        return await _exchange(send, request, self._cookies, self.limits, self.timeouts, reused=False)

    async def reset(self) -> None:
        """Nothing: the connections are the caller's."""

    async def aclose(self) -> None:
        """Nothing: the client is the caller's to close."""


@define
class Digest:
    """User name and password, proved without being sent; for Opencast's system account (contract: opencast.md 7.1)."""

    username: str
    password: Secret = field(converter=as_secret, repr=False)
    _challenged: httpx.DigestAuth = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._challenged = httpx.DigestAuth(self.username, self.password.reveal())

    async def headers(self, method: str, url: str) -> Headers:
        """The proof for the last challenge, once there was one, and the wish to be challenged."""
        asking = httpx.Request(method, url)
        next(self._challenged.sync_auth_flow(asking))
        proof = asking.headers.get("authorization")
        return (("x-requested-auth", "Digest"), *((("authorization", proof),) if proof else ()))

    async def renew(self, sent: Headers, reply: Reply, method: str, url: str) -> bool:
        """Take up the challenge of a 401; False if it is none, or none that makes sense."""
        flow = self._challenged.sync_auth_flow(httpx.Request(method, url))
        asking = next(flow)
        try:
            flow.send(httpx.Response(reply.status, headers=list(reply.headers.items()), request=asking))
        except (StopIteration, httpx.ProtocolError, ValueError, KeyError, NotImplementedError):
            return False
        return True


async def _exchange(
    send: Send,
    request: Request,
    cookies: httpx.Cookies,
    limits: Limits,
    timeouts: Timeouts,
    *,
    reused: bool,
) -> Reply:
    try:
        message = _message(request, cookies, timeouts)
        response = await send(message)
        try:
            body = await _body(response, limits)
        finally:
            with anyio.move_on_after(CLOSING, shield=True):
                await response.aclose()
    except (httpx.TransportError, httpx.InvalidURL, ssl.SSLError) as error:
        fault = translated(error, reused=reused)
    else:
        if "set-cookie" in response.headers:
            response.request = message
            cookies.extract_cookies(response)
        return Reply(response.status_code, dict(response.headers.items()), body)
    raise fault


def _message(request: Request, cookies: httpx.Cookies, timeouts: Timeouts) -> httpx.Request:
    waits = {"connect": timeouts.connect, "pool": timeouts.connect, "read": None, "write": None}
    message = httpx.Request(
        request.method, request.url, headers=request.headers, content=request.body, extensions={"timeout": waits}
    )
    if cookies:
        cookies.set_cookie_header(message)
    return message


def translated(error: httpx.TransportError | httpx.InvalidURL | ssl.SSLError, *, reused: bool) -> TransportError:
    """An error of httpx, or of TLS below it, as ours: by its type and its causes, never by its message."""
    causes = list(_causes(error))
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        return TLSVerificationFailed(_reason(causes))
    if isinstance(error, UNSENT):
        return ConnectFailed(_reason(causes))
    return ConnectionBroken(_reason(causes), reused=reused)


UNSENT = (
    httpx.InvalidURL,
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _reason(causes: list[BaseException]) -> str:
    if isinstance(causes[0], httpx.LocalProtocolError):
        return "LocalProtocolError"
    said = next((str(cause) for cause in causes if str(cause)), "")
    return f"{type(causes[0]).__name__}: {said}" if said else type(causes[0]).__name__


async def _body(response: httpx.Response, limits: Limits) -> bytes:
    if response.is_stream_consumed:  # by a hook of a ready client, or because it was never a stream
        return response.content
    return await bounded(response.aiter_raw(CHUNK), response.headers.get("content-encoding", ""), limits)


def _noting(slot: httpx.AsyncHTTPTransport, sockets: list[Closable]) -> Send:
    """What sends by this slot, and notes the sockets it opens: httpcore loses them when TLS does not come about."""

    async def note(event: str, info: Mapping[str, Any]) -> None:
        if event == "connection.connect_tcp.complete":
            sockets.append(info["return_value"])

    async def send(message: httpx.Request) -> httpx.Response:
        if message.url.scheme == "https":
            message.extensions["trace"] = note
        return await slot.handle_async_request(message)

    return send


async def _close(*open_ones: Closable) -> None:
    with anyio.move_on_after(CLOSING, shield=True):
        for one in open_ones:
            await one.aclose()


def _trusting_nobody() -> ssl.SSLContext:
    """For an origin without TLS: a context that costs nothing and would refuse every certificate."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
