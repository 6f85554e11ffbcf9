"""A server that takes starts, keeps a log of those it carries out, and hangs up wherever it is told to."""

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
PATIENT = Timeouts(call=60.0, exchange=30.0, connect=30.0)

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
PAGE = b"<html><body><form>Please log in</form></body></html>"
PAGES = (
    b'<?xml version="1.0"?>\n<html xmlns="http://www.w3.org/1999/xhtml"><body>Back soon</body></html>',
    b"<!-- maintenance --><html><body>Back soon</body></html>",
    b"\xef\xbb\xbf" + PAGE,
)
"""Pages that do not look like one at first sight."""
GRANT = json.dumps({"success": True, "token": "tok-1", "validFor": 15}).encode()


def answer(status: int, body: bytes, *headers: str) -> bytes:
    """A whole response."""
    lines = (f"HTTP/1.1 {status} Said", f"content-length: {len(body)}", *headers, "", "")
    return "\r\n".join(lines).encode() + body


@frozen
class Treatment:
    """What happens to one start."""

    about: str
    carried_out: bool = False
    said: bytes = b""
    heard: int | None = None
    """Bytes of the request that are read before the server hangs up; None reads all, and only then it is acted on."""
    reset: bool = False
    """Whether it hangs up by RST, not by FIN."""


@define
class Desk:
    """Takes starts; each gets the next treatment, and the last one for ever."""

    url: str = ""
    treatments: Sequence[Treatment] = ()
    asked: int = 0
    done: int = 0
    """Starts that were carried out."""
    heard: int = 0
    """Bytes of the longest start that came."""
    _visits: set["asyncio.Task[None]"] = field(factory=set)
    _busy: set["asyncio.Task[None]"] = field(factory=set)

    def expect(self, *treatments: Treatment) -> None:
        """Forget what was, and treat starts like this from here on."""
        self.treatments, self.asked, self.done = treatments, 0, 0

    async def visited(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        task = asyncio.current_task()
        assert task is not None
        self._visits.add(task)
        self._busy.add(task)
        try:
            await self._serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client has hung up, or the desk closes, which asks for no more
        finally:
            self._visits.discard(task)
            self._busy.discard(task)
            writer.close()

    @property
    def idle(self) -> bool:
        """Whether whatever has come has been treated."""
        return not self._busy

    async def leave(self) -> None:
        """End every connection."""
        for visit in (left := list(self._visits)):
            visit.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        treatment = self.treatments[min(self.asked, len(self.treatments) - 1)] if self.treatments else None
        if treatment is not None and treatment.heard is not None:
            self.asked += 1
            await reader.readexactly(treatment.heard)
            writer.write(treatment.said)
            await self._hang_up(reader, writer, treatment)
            return
        while await self._login(reader, writer):
            pass
        self.asked += 1
        treatment = self.treatments[min(self.asked, len(self.treatments)) - 1]
        self.done += treatment.carried_out
        writer.write(treatment.said)
        await self._hang_up(reader, writer, treatment)

    async def _login(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Read a request; whether it was a login, which is answered."""
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(length)
        if b"accesstoken" in head:
            writer.write(answer(200, GRANT))
            return True
        self.heard = max(self.heard, len(head) + length)
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
        await reader.read()  # or what is left unread would make it a RST


@asynccontextmanager
async def desk() -> AsyncIterator[Desk]:
    """A desk on loopback."""
    made = Desk()
    server = await asyncio.start_server(made.visited, "127.0.0.1", 0, limit=2**24)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        server.close()
        await made.leave()
        await server.wait_closed()


def client(system: System, url: str, clock: Clock) -> Any:
    """A client of either system."""
    if system == "opencast":
        return OpencastClient(url, auth=("user", "secret"), clock=clock, timeouts=PATIENT)
    return PreservicaClient(url, username="user", password="secret", tenant="TEN", clock=clock, timeouts=PATIENT)


def ticket(client: Any, more: str = "") -> Ticket:
    """A start to send; `more` makes it longer."""
    settings = {"publish": more or "true"}
    if isinstance(client, OpencastClient):
        return client.workflows.prepare_start(EVENT, "fast", configuration=settings)
    made: Ticket = client.workflows.prepare_start(42, settings, correlation_id="mark-1")
    return made


TRUE = {"started": {1}, "not started": {0}, "unknown": {0, 1}}
"""How often a start can have been carried out, by what the client says of it."""


async def verdict(client: Any, ticket: Ticket) -> str:
    """What the client says of a start."""
    try:
        await client.workflows.start(ticket)
    except StartOutcomeUnknown as unknown:
        return "unknown" if unknown.ticket is ticket else "unknown, without its ticket"
    except CallError:
        return "not started"
    return "started"


async def lie(desk: Desk, client: Any, ticket: Ticket, *treatments: Treatment) -> str | None:
    """What is wrong with what the client does about a start that is treated like this; None if all is well."""
    desk.expect(*treatments)
    said = await verdict(client, ticket)
    if desk.done in TRUE.get(said, ()):
        return None
    return f"{treatments[0].about}: carried out {desk.done} times, and the client says: {said}"
