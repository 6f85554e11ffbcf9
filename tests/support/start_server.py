"""A server that takes starts, counts the ones it executes, and hangs up where a test says so."""

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal

from attrs import define, field, frozen

from workflow_async import Clock, OpencastClient, PreservicaClient, Timeouts
from workflow_async.batch import Ticket
from workflow_async.errors import CallError, StartOutcomeUnknown

System = Literal["opencast", "preservica"]
Bodies = dict[str, bytes]
LONG_TIMEOUTS = Timeouts(call=60.0, exchange=30.0, connect=30.0)

EVENT = "f41e4417-b841-4d20-a466-f98ddfbe4c2a"
CREATED = {
    "opencast": json.dumps(
        {
            "identifier": 7,
            "title": "Fast",
            "description": "",
            "workflow_definition_identifier": "fast",
            "event_identifier": EVENT,
            "creator": "admin",
            "state": "instantiated",
        }
    ).encode(),
    "preservica": b'<WorkflowInstance xmlns="http://workflow.preservica.com"><Id>7</Id></WorkflowInstance>',
}
SPOILED = {"opencast": CREATED["opencast"][:-9], "preservica": CREATED["preservica"][:-9]}
LOGIN_PAGE = b"<html><body><form>Please log in</form></body></html>"
HTML_PAGES = (
    b'<?xml version="1.0"?>\n<html xmlns="http://www.w3.org/1999/xhtml"><body>Back soon</body></html>',
    b"<!-- maintenance --><html><body>Back soon</body></html>",
    b"\xef\xbb\xbf" + LOGIN_PAGE,
)
"""Pages that do not begin with `<html`."""
TOKEN_RESPONSE = json.dumps({"success": True, "token": "tok-1", "validFor": 15}).encode()


def http_response(status: int, body: bytes, *headers: str) -> bytes:
    """Return a complete HTTP response."""
    lines = (f"HTTP/1.1 {status} Said", f"content-length: {len(body)}", *headers, "", "")
    return "\r\n".join(lines).encode() + body


@frozen
class Treatment:
    """How the server treats one start."""

    name: str
    executed: bool = False
    response: bytes = b""
    bytes_read: int | None = None
    """Bytes of the request that are read before the server hangs up. None means all, and executes the start."""
    reset: bool = False
    """True to hang up by RST, False by FIN."""


@define
class StartServer:
    """Takes starts. Each gets the next treatment, and all further ones get the last."""

    url: str = ""
    treatments: Sequence[Treatment] = ()
    received: int = 0
    executed: int = 0
    """Starts that were executed."""
    longest_request: int = 0
    """Bytes of the longest start request so far."""
    _connections: set["asyncio.Task[None]"] = field(factory=set)
    _busy: set["asyncio.Task[None]"] = field(factory=set)

    def expect(self, *treatments: Treatment) -> None:
        """Reset the counts and treat the next starts like this."""
        self.treatments, self.received, self.executed = treatments, 0, 0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        self._busy.add(task)
        try:
            await self._serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client has hung up, or the server is closing
        finally:
            self._connections.discard(task)
            self._busy.discard(task)
            writer.close()

    @property
    def idle(self) -> bool:
        """True if every request has been treated."""
        return not self._busy

    async def close(self) -> None:
        """Cancel every connection."""
        for connection in (connections := list(self._connections)):
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        treatment = self.treatments[min(self.received, len(self.treatments) - 1)] if self.treatments else None
        if treatment is not None and treatment.bytes_read is not None:
            self.received += 1
            await reader.readexactly(treatment.bytes_read)
            writer.write(treatment.response)
            await self._hang_up(reader, writer, treatment)
            return
        while await self._login(reader, writer):
            pass
        self.received += 1
        treatment = self.treatments[min(self.received, len(self.treatments)) - 1]
        self.executed += treatment.executed
        writer.write(treatment.response)
        await self._hang_up(reader, writer, treatment)

    async def _login(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Read a request and answer it if it is a login. Return True if it was."""
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(length)
        if b"accesstoken" in head:
            writer.write(http_response(200, TOKEN_RESPONSE))
            return True
        self.longest_request = max(self.longest_request, len(head) + length)
        return False

    async def _hang_up(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, treatment: Treatment) -> None:
        await writer.drain()
        self._busy.difference_update({asyncio.current_task()})
        if treatment.reset:
            raw = writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
            return
        writer.write_eof()
        await reader.read()  # unread bytes would turn the FIN into a RST


@asynccontextmanager
async def start_server() -> AsyncIterator[StartServer]:
    """Serve starts on loopback."""
    server = StartServer()
    listener = await asyncio.start_server(server.handle, "127.0.0.1", 0, limit=2**24)
    server.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listener.close()
        await server.close()
        await listener.wait_closed()


def make_client(system: System, url: str, clock: Clock) -> Any:
    """Return a client of either system."""
    if system == "opencast":
        return OpencastClient(url, auth=("user", "secret"), clock=clock, timeouts=LONG_TIMEOUTS)
    return PreservicaClient(url, username="user", password="secret", tenant="TEN", clock=clock, timeouts=LONG_TIMEOUTS)


def make_ticket(client: Any, padding: str = "") -> Ticket:
    """Return a start to send. `padding` makes it longer."""
    settings = {"publish": padding or "true"}
    if isinstance(client, OpencastClient):
        return client.workflows.prepare_start(EVENT, "fast", configuration=settings)
    prepared: Ticket = client.workflows.prepare_start(42, settings, correlation_id="mark-1")
    return prepared


POSSIBLE_COUNTS = {"started": {1}, "not started": {0}, "unknown": {0, 1}}
"""How many times a start can have been executed, by what the client reports."""


async def start_result(client: Any, ticket: Ticket) -> str:
    """Send a start. Return what the client reports."""
    try:
        await client.workflows.start(ticket)
    except StartOutcomeUnknown as error:
        return "unknown" if error.ticket is ticket else "unknown, without its ticket"
    except CallError:
        return "not started"
    return "started"


async def wrong_result(server: StartServer, client: Any, ticket: Ticket, *treatments: Treatment) -> str | None:
    """Send a start that is treated like this. Return what is wrong with the client's result, or None."""
    server.expect(*treatments)
    result = await start_result(client, ticket)
    if server.executed in POSSIBLE_COUNTS.get(result, ()):
        return None
    return f"{treatments[0].name}: executed {server.executed} times, and the client says: {result}"
