"""A proxy that injects faults into HTTP exchanges by a plan: the same faults for the same seed.

It parses enough HTTP to separate the exchanges on a persistent connection. Otherwise few connections would ever see a
fault. Requests and responses have a Content-Length, or no body.
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
    """What happens to one exchange."""

    RESET = "reset before anything is forwarded"
    CUT_REQUEST = "the server gets a part of the request"
    CUT_ANSWER = "the response ends early"
    RESET_ANSWER = "the response ends early with a reset"
    STALL = "the response stops, and is cut when the test says so"
    SLICED = "the response comes in pieces"
    LATE = "the response comes some turns of the loop later"
    GARBAGE = "a byte too many in the status line"
    SURPLUS = "an earlier response follows this one"
    HALF_CLOSED = "no more responses on this connection, which is still read"


@frozen
class FaultPlan:
    """Which exchanges get which fault, by their number."""

    seed: int
    rate: float = 0.5
    faults: tuple[ProxyFault, ...] = tuple(ProxyFault)

    def at(self, n: int) -> ProxyFault | None:
        """Return the fault of exchange `n`, or None."""
        return hash_choice(self.faults, self.seed, n) if hash_float(self.seed, n, "whether") < self.rate else None

    def where(self, n: int, size: int) -> int:
        """Return the offset, below `size`, at which the fault of exchange `n` happens."""
        return int(hash_float(self.seed, n, "where") * size)


@define(eq=False)
class ServerConnection:
    """The proxy's own connection to the server, opened when it is needed."""

    host: str
    port: int
    _streams: tuple[Reader, Writer] | None = field(default=None, init=False)

    async def send(self, data: bytes) -> Reader:
        """Send bytes. Return the reader for the response."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(self.host, self.port)
        reader, writer = self._streams
        writer.write(data)
        await writer.drain()
        return reader

    def close(self) -> None:
        """Close the connection."""
        if self._streams is not None:
            self._streams[1].close()


@define(eq=False)
class Proxy:
    """The proxy, with its URL, the injected faults, and the responses that it holds back."""

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
        """The number of faults of each kind."""
        return Counter(harm for _, harm in self.injected_faults)

    def __str__(self) -> str:
        return f"{len(self.injected_faults)} faults of {len(self.injected)} kinds in {self.exchanges} exchanges"

    async def talk(self, reader: Reader, writer: Writer) -> None:
        """Forward exchanges one after the other until a fault ends the connection."""
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
        """Cut every stalled response from now on."""
        while True:
            (await self.stalled.get()).set()

    def _next(self) -> tuple[int, ProxyFault | None]:
        n, self.exchanges = self.exchanges, self.exchanges + 1
        harm = self.plan.at(n)
        if harm is not None:
            self.injected_faults.append((n, harm))
        return n, harm

    async def _exchange(self, request: bytes, line: ServerConnection, reader: Reader, writer: Writer) -> bool:
        """Forward one exchange. Return True if the connection can be used for another."""
        n, harm = self._next()
        if harm is ProxyFault.RESET:
            reset(writer)
            return False
        if harm is ProxyFault.CUT_REQUEST:
            await line.send(request[: self.plan.where(n, len(request))])
            return False
        answer = await message(await line.send(request))
        previous, self._previous = self._previous, answer
        for piece in self._pieces(harm, n, answer, previous):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        return await self._after(harm, reader, writer)

    def _pieces(self, harm: ProxyFault | None, n: int, answer: bytes, previous: bytes) -> list[bytes]:
        """Return the bytes for the client, in pieces between which other tasks run."""
        cut = self.plan.where(n, len(answer))
        match harm:
            case ProxyFault.CUT_ANSWER | ProxyFault.RESET_ANSWER | ProxyFault.STALL:
                return [answer[:cut]]
            case ProxyFault.SLICED:
                size = len(answer) // PIECES + 1
                return [answer[offset : offset + size] for offset in range(0, len(answer), size)]
            case ProxyFault.LATE:
                return [*[b""] * DELAY_TURNS, answer]
            case ProxyFault.GARBAGE:
                offset = self.plan.where(n, len(b"HTTP/1.1 "))
                return [answer[:offset] + b"\xff" + answer[offset:]]
            case ProxyFault.SURPLUS:
                return [answer + previous]
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
    """Read one complete request or response. Raise `IncompleteReadError` if none follows."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = LENGTH.search(head)
    return head + await reader.readexactly(int(length[1]) if length else 0)


@asynccontextmanager
async def chaos_proxy(url: str, plan: FaultPlan, *, hold_stalled: bool = False) -> AsyncIterator[Proxy]:
    """Run a proxy in front of the server at a URL. Stalled responses are cut unless `hold_stalled` is true."""
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
