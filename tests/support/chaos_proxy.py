"""A proxy between a client and a server that spoils exchanges by plan: the same ones in the same way for a seed.

It understands as much of HTTP as it takes to tell one exchange from the next on a connection that is kept, because with
keep-alive few connections would ever see a fault. Requests and answers have a Content-Length, or no body.
"""

import asyncio
import enum
import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from attrs import define, field, frozen

from tests.support.misbehaving_server import Reader, Writer, raw_server, reset
from workflow_async.sandbox.hashing import hash_choice, hash_float

LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
PIECES = 7
DELAY_TURNS = 20


class ProxyFault(enum.Enum):
    """What is done to one exchange."""

    RESET = "reset before anything is passed on"
    CUT_REQUEST = "the server gets a part of the request"
    CUT_ANSWER = "the answer ends early"
    RESET_ANSWER = "the answer ends early with a reset"
    STALL = "the answer stops, and is cut when the test says so"
    SLICED = "the answer comes in pieces"
    LATE = "the answer comes some turns of the loop later"
    GARBAGE = "a byte too many in the status line"
    SURPLUS = "an answer of before comes once more after this one"
    HALF_CLOSED = "no more answers on this connection, which is still listened to"


@frozen
class FaultPlan:
    """Which exchanges are harmed, and how, by their number."""

    seed: int
    rate: float = 0.5
    faults: tuple[ProxyFault, ...] = tuple(ProxyFault)

    def at(self, n: int) -> ProxyFault | None:
        """What is done to the n-th exchange."""
        return hash_choice(self.faults, self.seed, n) if hash_float(self.seed, n, "whether") < self.rate else None

    def where(self, n: int, size: int) -> int:
        """At which of so many bytes."""
        return int(hash_float(self.seed, n, "where") * size)


@define(eq=False)
class ServerConnection:
    """The proxy's own connection to the server, made when it is needed."""

    host: str
    port: int
    _streams: tuple[Reader, Writer] | None = field(default=None, init=False)

    async def send(self, data: bytes) -> Reader:
        """Send this; where an answer would come."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(self.host, self.port)
        reader, writer = self._streams
        writer.write(data)
        await writer.drain()
        return reader

    def close(self) -> None:
        """Hang up."""
        if self._streams is not None:
            self._streams[1].close()


@define(eq=False)
class Proxy:
    """What stands between: where it is, what it did, and which answers it keeps waiting."""

    host: str
    port: int
    plan: FaultPlan
    url: str = ""
    exchanges: int = 0
    injected_faults: list[tuple[int, ProxyFault]] = field(factory=list)
    stalled: "asyncio.Queue[asyncio.Event]" = field(factory=asyncio.Queue)
    _previous: bytes = b""

    @property
    def injected(self) -> Counter[ProxyFault]:
        """How often each harm was done."""
        return Counter(harm for _, harm in self.injected_faults)

    def __str__(self) -> str:
        return f"{len(self.injected_faults)} faults of {len(self.injected)} kinds in {self.exchanges} exchanges"

    async def talk(self, reader: Reader, writer: Writer) -> None:
        """Pass exchanges on, one after the other, until one of them costs the connection."""
        line = ServerConnection(self.host, self.port)
        try:
            if self.plan.at(self.exchanges) is ProxyFault.RESET:
                self._next()
                reset(writer)
                return
            while await self._exchange(await message(reader), line, reader, writer):
                pass
        finally:
            line.close()

    async def cut_stalled(self) -> None:
        """Cut whatever is stalled, from now on."""
        while True:
            (await self.stalled.get()).set()

    def _next(self) -> tuple[int, ProxyFault | None]:
        n, self.exchanges = self.exchanges, self.exchanges + 1
        harm = self.plan.at(n)
        if harm is not None:
            self.injected_faults.append((n, harm))
        return n, harm

    async def _exchange(self, request: bytes, line: ServerConnection, reader: Reader, writer: Writer) -> bool:
        """One exchange; whether the connection is good for another."""
        n, harm = self._next()
        if harm is ProxyFault.RESET:
            reset(writer)
            return False
        if harm is ProxyFault.CUT_REQUEST:
            await line.send(request[: self.plan.where(n, len(request))])
            return False
        answer = await message(await line.send(request))
        before, self._previous = self._previous, answer
        for piece in self._pieces(harm, n, answer, before):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        return await self._after(harm, reader, writer)

    def _pieces(self, harm: ProxyFault | None, n: int, answer: bytes, before: bytes) -> list[bytes]:
        """The bytes that reach the client, and between which of them others get their turn."""
        cut = self.plan.where(n, len(answer))
        match harm:
            case ProxyFault.CUT_ANSWER | ProxyFault.RESET_ANSWER | ProxyFault.STALL:
                return [answer[:cut]]
            case ProxyFault.SLICED:
                size = len(answer) // PIECES + 1
                return [answer[at : at + size] for at in range(0, len(answer), size)]
            case ProxyFault.LATE:
                return [*[b""] * DELAY_TURNS, answer]
            case ProxyFault.GARBAGE:
                at = self.plan.where(n, len(b"HTTP/1.1 "))
                return [answer[:at] + b"\xff" + answer[at:]]
            case ProxyFault.SURPLUS:
                return [answer + before]
            case _:
                return [answer]

    async def _after(self, harm: ProxyFault | None, reader: Reader, writer: Writer) -> bool:
        match harm:
            case ProxyFault.CUT_ANSWER:
                return False
            case ProxyFault.RESET_ANSWER:
                reset(writer)
                return False
            case ProxyFault.STALL:
                self.stalled.put_nowait(released := asyncio.Event())
                await released.wait()
                return False
            case ProxyFault.HALF_CLOSED:
                writer.write_eof()
                await reader.read()
                return False
            case _:
                return True


async def message(reader: Reader) -> bytes:
    """A whole request or answer; `IncompleteReadError` where none comes any more."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = LENGTH.search(head)
    return head + await reader.readexactly(int(length[1]) if length else 0)


@asynccontextmanager
async def chaos_proxy(url: str, plan: FaultPlan, *, hold_stalled: bool = False) -> AsyncIterator[Proxy]:
    """A proxy before the server at a URL; unless it is patient, it cuts what stalls as soon as it has stalled."""
    host, _, port = url.removeprefix("http://").partition(":")
    proxy = Proxy(host, int(port), plan)
    async with raw_server(proxy.talk) as raw:
        proxy.url = raw.url
        cutting = None if hold_stalled else asyncio.create_task(proxy.cut_stalled())
        try:
            yield proxy
        finally:
            if cutting is not None:
                cutting.cancel()
                await asyncio.wait([cutting])
