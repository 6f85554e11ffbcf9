"""The floor: a raw asyncio protocol with httptools, and no more of a client than the bytes need."""

import asyncio
import importlib
import json
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree as ET

from benchmarks.meter import Meter
from benchmarks.serving import told

PAGE = 100
HEAD = "GET {} HTTP/1.1\r\nhost: h\r\naccept: application/json\r\nauthorization: Basic dXNlcjpzZWNyZXQ=\r\n\r\n"


class Wire(asyncio.Protocol):
    """One connection, one request at a time."""

    transport: asyncio.Transport

    def __init__(self, parser: Callable[["Wire"], Any]) -> None:
        self._parser = parser
        self._body: list[bytes] = []
        self._answer: asyncio.Future[bytes] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what requests go to."""
        self.transport = transport  # type: ignore[assignment]  # asyncio types the base class

    def data_received(self, data: bytes) -> None:
        """Feed the parser."""
        self._parsing.feed_data(data)

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """The end of an answer."""
        if self._answer is not None:
            self._answer.set_result(b"".join(self._body))

    async def get(self, path: str) -> bytes:
        """The body of an answer."""
        self._body, self._parsing = [], self._parser(self)
        self._answer = asyncio.get_running_loop().create_future()
        self.transport.write(HEAD.format(path).encode())
        return await self._answer


async def _wires(url: str, count: int) -> list[Wire]:
    parser = importlib.import_module("httptools").HttpResponseParser
    loop, (host, _, port) = asyncio.get_running_loop(), url.removeprefix("http://").partition(":")
    opened = [await loop.create_connection(lambda: Wire(parser), host, int(port)) for _ in range(count)]
    return [wire for _, wire in opened]


READ: dict[str, Callable[[bytes], Any]] = {"opencast": json.loads, "preservica": ET.fromstring}
PATHS = {"opencast": "/api/workflows?limit={}&offset={}", "preservica": "/sdb/rest/workflow/instances?max={}&start={}"}


async def pages(meter: Meter, system: str, url: str, count: int, latency: float = 0.0) -> None:
    """The pages of a list one after another, parsed and no more."""
    told(url, f"world?count={count}")
    told(url, f"latency?seconds={latency}")
    (wire,) = await _wires(url, 1)
    for _ in range(2):  # the first makes the stub's answers
        with meter.measuring():
            for offset in range(0, count, PAGE):
                READ[system](await wire.get(PATHS[system].format(PAGE, offset)))


async def requests(meter: Meter, url: str, count: int, at_once: int) -> None:
    """Single requests, parsed and no more."""
    wires = await _wires(url, at_once)
    left = iter(range(count))

    async def work(wire: Wire) -> None:
        for _ in left:
            json.loads(await wire.get("/api/workflows/1000"))

    with meter.measuring(count):
        await asyncio.gather(*map(work, wires))
