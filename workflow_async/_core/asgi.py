"""A minimal ASGI application: reads a bounded body, and sends a small response.

See https://asgi.readthedocs.io/en/latest/specs/www.html.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

from attrs import field, frozen

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

MAX_BODY = 65_536
"""Bytes of a request body that are read. A notification is far smaller."""


@frozen(kw_only=True)
class Request:
    """A request whose body was read whole."""

    method: str
    path: str
    query: str = field(repr=False)
    headers: tuple[tuple[bytes, bytes], ...] = field(repr=False)
    """Names are in lower case, as ASGI requires."""
    body: bytes = field(repr=False)

    def header(self, name: str) -> str:
        """Return the first header with this name, or "" if there is none."""
        return next((value.decode("latin-1") for key, value in self.headers if key == name.encode()), "")

    def parameter(self, name: str) -> str:
        """Return the first query parameter with this name, or "" if there is none."""
        return parse_qs(self.query).get(name, [""])[0]


@frozen(kw_only=True)
class Response:
    """A response."""

    status: int
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
    headers: tuple[tuple[str, str], ...] = ()
    """Headers beside the type and the length of the content."""

    async def send(self, send: Send) -> None:
        """Send the response."""
        framing = (("content-type", self.content_type), ("content-length", str(len(self.body))))
        headers = [(name.encode(), value.encode()) for name, value in (*framing, *self.headers)]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


TOO_LARGE = Response(
    status=413,
    body=b"the body is larger than a notification",
    headers=(("connection", "close"),),  # the rest of the body is not read
)


async def serve(scope: Scope, receive: Receive, send: Send, respond: Callable[[Request], Response]) -> None:
    """Read the request of an HTTP scope and send what `respond` returns.

    A lifespan is acknowledged, so that a server can run the application alone. A websocket is refused.
    """
    if scope["type"] == "lifespan":
        await _acknowledge(receive, send)
    elif scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close"})
    else:
        await _serve_http(scope, receive, send, respond)


async def _acknowledge(receive: Receive, send: Send) -> None:
    for phase in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{phase}.complete"})


async def _serve_http(scope: Scope, receive: Receive, send: Send, respond: Callable[[Request], Response]) -> None:
    body = await _read_body(receive)
    if body is None:
        response = TOO_LARGE
    else:
        response = respond(
            Request(
                method=scope["method"],
                path=scope["path"],
                query=scope.get("query_string", b"").decode("latin-1"),
                headers=tuple((name, value) for name, value in scope["headers"]),
                body=body,
            )
        )
    await response.send(send)


async def _read_body(receive: Receive) -> bytes | None:
    """Return the body. None if it is larger than `MAX_BODY`. A client that leaves early has sent what it has sent."""
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > MAX_BODY:
            return None
        if not message.get("more_body", False):
            return bytes(body)
