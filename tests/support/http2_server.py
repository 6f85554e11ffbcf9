"""A server on loopback that speaks HTTP/2 over TLS, reads a complete request and responds as a test says."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import trustme
from attrs import define, field
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, RequestReceived, StreamEnded

CONFIG = H2Configuration(
    client_side=False, header_encoding=None, validate_outbound_headers=False, normalize_outbound_headers=False
)


@define
class H2Stream:
    """The stream of one request."""

    h2: H2Connection
    writer: asyncio.StreamWriter
    stream_id: int = 0

    def send(self, raw: bytes = b"") -> None:
        """Write what h2 has to send, followed by raw bytes."""
        self.writer.write(self.h2.data_to_send() + raw)

    def send_headers(self, status: str = "201", **headers: str) -> None:
        """Begin a response."""
        fields = [(name.replace("_", "-"), value) for name, value in headers.items()]
        self.h2.send_headers(self.stream_id, [(":status", status), *fields])


Respond = Callable[[H2Stream], object]


@define
class H2Server:
    """One server, with the requests it read completely as method, path and body."""

    respond: Respond
    url: str = ""
    requests: list[tuple[str, str, bytes]] = field(factory=list)
    tasks: set["asyncio.Task[None]"] = field(factory=set)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until the response closes it or the client does."""
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        try:
            with suppress(OSError, asyncio.CancelledError):  # only serve_h2 cancels this task
                await self._serve_connection(reader, H2Stream(H2Connection(CONFIG), writer))
        finally:
            self.tasks.discard(task)
            writer.close()

    async def _serve_connection(self, reader: asyncio.StreamReader, stream: H2Stream) -> None:
        heads: dict[int, tuple[str, str]] = {}
        bodies: dict[int, bytes] = {}
        stream.h2.initiate_connection()
        stream.send()
        while (data := await reader.read(65536)) and not stream.writer.is_closing():
            for event in stream.h2.receive_data(data):
                if isinstance(event, RequestReceived):
                    fields = dict(event.headers)
                    heads[event.stream_id] = (fields[b":method"].decode(), fields[b":path"].decode())
                    bodies[event.stream_id] = b""
                elif isinstance(event, DataReceived):
                    bodies[event.stream_id] += event.data
                elif isinstance(event, StreamEnded):
                    self.requests.append((*heads[event.stream_id], bodies[event.stream_id]))
                    stream.stream_id = event.stream_id
                    self.respond(stream)
            stream.send()
            await stream.writer.drain()


@asynccontextmanager
async def serve_h2(reply: Respond, authority: trustme.CA) -> AsyncIterator[H2Server]:
    """Run a server that calls `respond` for each request."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    context.set_alpn_protocols(["h2"])
    h2_server = H2Server(reply)
    server = await asyncio.start_server(h2_server.handle, "127.0.0.1", 0, ssl=context)
    h2_server.url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield h2_server
    finally:
        server.close()
        for task in (running := list(h2_server.tasks)):
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await server.wait_closed()
