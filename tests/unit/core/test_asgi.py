"""The small ASGI application: what it reads, and when it stops reading."""

from collections.abc import AsyncIterator

import httpx
import pytest

from workflow_async._core.asgi import MAX_BODY, Message, Receive, Request, Response, Scope, Send, serve

SEEN = Response(status=200, body=b"seen")


class App:
    """Keeps the requests that reach it."""

    def __init__(self) -> None:
        self.requests: list[Request] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await serve(scope, receive, send, self.respond)

    def respond(self, request: Request) -> Response:
        self.requests.append(request)
        return SEEN


async def chunks(size: int, count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b"x" * size


def client(app: App) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service")


async def exchange(app: App, scope: Scope, *received: Message) -> list[Message]:
    """Run the application on a scope with these messages. Return what it sends."""
    incoming = list(received)
    sent: list[Message] = []

    async def receive() -> Message:
        return incoming.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    assert not incoming
    return sent


async def test_a_body_in_chunks_is_joined() -> None:
    app = App()
    async with client(app) as http:
        response = await http.post("/a/b?x=1&y=2&x=3", content=chunks(10, 3), headers={"X-Sign": "abc"})
    (request,) = app.requests
    assert (response.status_code, response.text) == (200, "seen")
    assert (request.method, request.path, request.body) == ("POST", "/a/b", b"x" * 30)
    assert (request.header("x-sign"), request.header("x-other")) == ("abc", "")
    assert (request.parameter("x"), request.parameter("z")) == ("1", "")


@pytest.mark.parametrize(("size", "status"), [(MAX_BODY, 200), (MAX_BODY + 1, 413)])
async def test_a_body_beyond_the_limit_is_refused_and_not_read_on(size: int, status: int) -> None:
    app = App()
    sent = await exchange(
        app,
        {"type": "http", "method": "POST", "path": "/", "headers": []},
        {"type": "http.request", "body": b"x" * (size - 1), "more_body": True},
        {"type": "http.request", "body": b"x", "more_body": status == 413},
    )
    assert sent[0]["status"] == status
    assert ((b"connection", b"close") in sent[0]["headers"]) == (status == 413)
    assert len(app.requests) == (status == 200)


async def test_a_client_that_leaves_early_ends_the_body() -> None:
    app = App()
    scope = {"type": "http", "method": "POST", "path": "/", "headers": []}
    body = {"type": "http.request", "body": b"half", "more_body": True}
    await exchange(app, scope, body, {"type": "http.disconnect"})
    assert app.requests[0].body == b"half"


async def test_a_server_can_run_the_application_alone() -> None:
    sent = await exchange(App(), {"type": "lifespan"}, {"type": "lifespan.startup"}, {"type": "lifespan.shutdown"})
    assert [message["type"] for message in sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def test_a_websocket_is_closed() -> None:
    sent = await exchange(App(), {"type": "websocket"}, {"type": "websocket.connect"})
    assert sent == [{"type": "websocket.close"}]


def test_the_repr_of_a_request_shows_neither_body_nor_headers() -> None:
    request = Request(method="POST", path="/", query="q=1", headers=((b"a", b"secret"),), body=b"secret")
    assert "secret" not in repr(request)
