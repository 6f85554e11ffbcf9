"""Servers on loopback that send the bytes a test gives them, and transports connected to them."""

import asyncio
import json
import os
import socket
import ssl
import struct
import types
from collections.abc import AsyncIterator, Callable, Coroutine, Generator
from contextlib import asynccontextmanager
from typing import Any, Literal, TypeVar

import pytest
from attrs import define, field, frozen

from tests.conftest import FakeTime
from workflow_async import Basic, Limits, Retry, Timeouts
from workflow_async._core.auth import Credential
from workflow_async._core.call import Call, Replay, Reply
from workflow_async._core.client import optional_secret
from workflow_async._core.observer import Observer
from workflow_async._core.origin import Origin
from workflow_async._core.transport import Transport
from workflow_async._decode.json import json_tree
from workflow_async._http import HTTPBackend, make_backend
from workflow_async._http.tls import TLS
from workflow_async.errors import CallError
from workflow_async.observe import Middleware, OnEvent
from workflow_async.settings import Clock, Pace

T = TypeVar("T")
AfterResponse = Literal["keep", "fin", "rst", "stall", "garble"]
"""What happens after the response: keep the connection, close it, reset it, send nothing more, or send invalid TLS."""


@frozen
class ReceivedRequest:
    """A request as received."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int
    """The number of the connection, from 1."""


@frozen
class RawResponse:
    """Bytes to send, and what happens to the connection afterwards."""

    data: bytes = b""
    then: AfterResponse = "keep"


@define
class ByteServer:
    """One server, with the requests it received and the numbers of connections accepted and open."""

    respond: Callable[[ReceivedRequest], RawResponse | bytes]
    url: str = ""
    requests: list[ReceivedRequest] = field(factory=list)
    connections: int = 0
    open: int = 0
    tasks: set["asyncio.Task[None]"] = field(factory=set)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        self.connections += 1
        self.open += 1
        try:
            await self._serve_connection(reader, writer, self.connections)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # only serve() cancels this task
        finally:
            self.open -= 1
            self.tasks.discard(task)
            writer.close()

    async def _serve_connection(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: int
    ) -> None:
        while True:
            request = await _request(reader, connection)
            self.requests.append(request)
            answer = self.respond(request)
            if isinstance(answer, bytes):
                answer = RawResponse(answer)
            writer.write(answer.data)
            await writer.drain()
            raw = writer.get_extra_info("socket")
            if answer.then == "garble":
                os.write(raw.fileno(), b"\x17\x03\x03\x00\x20" + bytes(32))
            if answer.then == "rst":
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
            if answer.then in {"stall", "garble"}:
                await reader.read()
            if answer.then != "keep":
                return


async def _request(reader: asyncio.StreamReader, connection: int) -> ReceivedRequest:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _ = head[0].split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return ReceivedRequest(method, target, headers, body, connection)


@asynccontextmanager
async def serve(
    answer: Callable[[ReceivedRequest], RawResponse | bytes] | bytes, *, tls: ssl.SSLContext | None = None
) -> AsyncIterator[ByteServer]:
    """Run a server that sends these responses."""
    byte_server = ByteServer(answer if callable(answer) else lambda _: answer)
    server = await asyncio.start_server(byte_server.handle, "127.0.0.1", 0, ssl=tls)
    scheme = "https" if tls else "http"
    byte_server.url = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield byte_server
    finally:
        server.close()
        for task in (running := list(byte_server.tasks)):
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await server.wait_closed()


async def until(condition: Callable[[], bool]) -> None:
    """Let other tasks run until the condition is true. The timeout of the test is the limit."""
    while not condition():
        await asyncio.sleep(0)


def refused_url() -> str:
    """Return a URL whose port is closed."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def http(status: int = 200, body: bytes | dict[str, Any] = b"", **headers: str) -> bytes:
    """Return a response with a Content-Length."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} Said", f"content-length: {len(content)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + content


def chunked(*pieces: bytes) -> bytes:
    """Return a response in chunks."""
    chunks = b"".join(f"{len(piece):x}\r\n".encode() + piece + b"\r\n" for piece in (*pieces, b""))
    return b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + chunks


def tree(reply: Reply) -> Any:
    """Return the JSON of a reply."""
    return json_tree(reply.body)


GET: Call[Any] = Call("GET", "/thing", tree)
POST: Call[Any] = Call("POST", "/thing", tree, body=b"a=1", replay=Replay.ONCE, success=frozenset({201}))
DELETE: Call[None] = Call("DELETE", "/thing", lambda _: None, replay=Replay.DELETE, success=frozenset({204}))

DEFAULT_RETRY, DEFAULT_LIMITS, NO_RETRIES = Retry(), Limits(), Retry(attempts=1)
SHORT_TIMEOUTS = Timeouts(call=10.0, exchange=5.0, connect=5.0)


@define
class DefaultBackend:
    """The backend for tests that do not choose one. The fixtures `backend` and `pooled` change it."""

    http: HTTPBackend = "httpx"


default_backend = DefaultBackend()


def make_transport(
    url: str,
    clock: Clock,
    *,
    credential: Credential | None = None,
    retry: Retry = DEFAULT_RETRY,
    timeouts: Timeouts = SHORT_TIMEOUTS,
    limits: Limits = DEFAULT_LIMITS,
    http: HTTPBackend | None = None,
    ssl_context: ssl.SSLContext | None = None,
    tls: TLS | None = None,
    proxy: str | None = None,
    middleware: tuple[Middleware, ...] = (),
    pace: Pace | None = None,
    on_event: OnEvent | None = None,
) -> Transport:
    """Return a transport that is not open."""
    backend = http or default_backend.http
    return Transport(
        origin=Origin.parse(url),
        backend=make_backend(backend, limits, timeouts, ssl_context, tls=tls, proxy=optional_secret(proxy), server=url),
        credential=credential or Basic("user", "secret"),
        retry=retry,
        timeouts=timeouts,
        limits=limits,
        clock=clock,
        middleware=middleware,
        pace=pace,
        observer=Observer(on_event),
    )


@asynccontextmanager
async def connected(url: str, clock: Clock, **settings: Any) -> AsyncIterator[Transport]:
    """Run an open transport."""
    transport = make_transport(url, clock, **settings)
    transport.open()
    try:
        yield transport
    finally:
        await transport.aclose()


async def failure(url: str, fake_time: FakeTime, call: Call[Any] = GET, **settings: Any) -> CallError:
    """Return the error of a call that is sent once."""
    async with connected(url, fake_time.clock, **{"retry": NO_RETRIES, **settings}) as transport:
        with pytest.raises(CallError) as caught:
            await transport.send(call)
    return caught.value


@define
class SuspensionTrigger:
    """Counts the suspensions of a coroutine and calls `fire` at suspension number `k`."""

    k: int
    fire: Callable[[], object]
    count: int = 0

    @types.coroutine
    def run(self, coroutine: Coroutine[Any, Any, T]) -> Generator[Any, Any, T]:
        """Await the coroutine."""
        value: Any = None
        thrown: BaseException | None = None
        while True:
            try:
                waited = coroutine.send(value) if thrown is None else coroutine.throw(thrown)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]  # the result of the coroutine
            thrown, self.count = None, self.count + 1
            if self.count == self.k:
                self.fire()
            try:
                value = yield waited
            except BaseException as error:  # noqa: BLE001 - raised in the coroutine
                thrown, value = error, None
