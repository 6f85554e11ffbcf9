"""Runs the middlewares of a client around one request. They see neither credentials nor bodies."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence

from attrs import define, evolve, field

from workflow_async._core.auth import MAX_LENGTH, Headers
from workflow_async._core.call import Call, Reply
from workflow_async.errors import InvalidArgument, MiddlewareFailed, TransportError, WorkflowAsyncError
from workflow_async.observe import messages
from workflow_async.observe.messages import Middleware, Send, safe_headers

NAME = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+")
TEXT = re.compile(r"[\t\x20-\x7e]*")
RESERVED = frozenset(
    {
        *("authorization", "connection", "content-encoding", "content-length", "cookie", "cookie2", "expect"),
        *("host", "http2-settings", "keep-alive", "preservica-access-token", "proxy-authorization"),
        *("proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "x-requested-auth"),
    }
)
"""Headers that a middleware cannot add: credentials, and what frames the request."""


def checked_middlewares(middlewares: Sequence[Middleware]) -> tuple[Middleware, ...]:
    """Return the middlewares. Raise `InvalidArgument` unless each can be called."""
    if not isinstance(middlewares, list | tuple) or not all(map(callable, middlewares)):
        raise InvalidArgument("middleware", "must be a list or tuple of functions such as async def m(request, send)")
    return tuple(middlewares)


def visible_request(call: Call[object], url: str, attempt: int, headers: Headers) -> messages.Request:
    """Return a request as a middleware sees it. `headers` are those without credentials."""
    return messages.Request(
        call=call.name, method=call.method, url=url, route=call.route, attempt=attempt, headers=dict(headers)
    )


@define(eq=False)
class MiddlewareRun:
    """One request on its way through the middlewares, which may send it once."""

    request: messages.Request
    _exchange: Callable[[Headers], Awaitable[Reply]] = field(repr=False)
    """Sends the request with these additional headers."""
    on_failure: Callable[[BaseException], None] = field(repr=False)
    """Called with an exception that a middleware raised by mistake."""
    _sent: bool = field(default=False, init=False)
    _over: bool = field(default=False, init=False)
    _reply: Reply | None = field(default=None, init=False)
    _shown: messages.Reply | None = field(default=None, init=False)
    """The reply as the middlewares see it."""
    _error: BaseException | None = field(default=None, init=False)
    """What sending raised."""

    async def run(self, middlewares: Sequence[Middleware]) -> Reply:
        """Return the reply after every middleware has run. The first is the outermost."""
        send: Send = self._send
        for middleware in reversed(middlewares):
            send = _bound(middleware, send)
        try:
            shown = await send(self.request)
        except Exception as error:  # noqa: BLE001 - every exception of a middleware becomes a typed error
            failure = self._failure(error)
        else:
            return self._result(shown)
        finally:
            self._over = True
        raise failure

    async def _send(self, request: messages.Request) -> messages.Reply:
        """Send the request of the innermost middleware."""
        try:
            self._reply = await self._exchange(self._claim(request))
        except BaseException as error:
            self._error = error
            raise
        reply = self._reply
        self._shown = messages.Reply(reply.status, safe_headers(reply.headers), len(reply.body))
        return self._shown

    def _claim(self, request: messages.Request) -> Headers:
        """Note that the request is sent, and return the headers that were added. Raise if it may not be sent."""
        added = self._added_headers(request)
        if self._sent or self._over:
            raise MiddlewareFailed("a middleware called send twice, or after it had returned", sent=self._sent)
        self._sent = True
        return added

    def _added_headers(self, request: messages.Request) -> Headers:
        """Return the headers that the middlewares have added. Raise `InvalidArgument` for any other difference."""
        if request is self.request:
            return ()
        before = self.request.headers
        if not isinstance(request, messages.Request) or evolve(request, headers=before) != self.request:
            raise InvalidArgument("request", "must be the request given to the middleware, or its with_headers(…)")
        if {name: request.headers.get(name) for name in before} != before:
            raise InvalidArgument("headers", "must not remove or replace those of the library: add others")
        return tuple((name, _checked(name, text)) for name, text in request.headers.items() if name not in before)

    def _failure(self, error: Exception) -> Exception:
        """Return the error to raise for an exception that left the outermost middleware."""
        if error is self._error or (isinstance(error, WorkflowAsyncError) and not self._sent):
            return error
        self.on_failure(error)
        return MiddlewareFailed(f"a middleware raised {type(error).__name__}", sent=self._may_have_arrived)

    def _result(self, shown: object) -> Reply:
        """Return the reply that a middleware stands for."""
        if self._reply is not None and shown is self._shown:
            return self._reply
        if self._sent or not isinstance(shown, messages.Reply):
            what = "must return the reply of send, or without sending a Reply of its own"
            raise MiddlewareFailed(f"a middleware {what}", sent=self._may_have_arrived)
        return Reply(shown.status, _lower_names(shown.headers), b"")

    @property
    def _may_have_arrived(self) -> bool:
        """True if the request may have reached the server."""
        return self._sent and not (isinstance(self._error, TransportError) and not self._error.sent)


def _bound(middleware: Middleware, send: Send) -> Send:
    async def send_through(request: messages.Request) -> messages.Reply:
        return await middleware(request, send)

    return send_through


def _checked(name: str, text: str) -> str:
    """Return the value of an additional header."""
    if NAME.fullmatch(name) is None or name in RESERVED:
        raise InvalidArgument("headers", f"must not have the name {name[:60]!r}: choose another")
    if not isinstance(text, str) or len(text) > MAX_LENGTH or TEXT.fullmatch(text) is None:
        raise InvalidArgument("headers", f"must have printable ASCII as the value of {name[:60]}")
    return text


def _lower_names(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): text for name, text in headers.items()}
