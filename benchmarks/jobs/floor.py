"""The floor: a raw asyncio protocol with httptools that does no more than reading the bytes."""

import asyncio
import importlib
import json
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree as ET

from benchmarks.meter import Meter
from benchmarks.serving import command

PAGE = 100
HEAD = "GET {} HTTP/1.1\r\nhost: h\r\naccept: application/json\r\nauthorization: Basic dXNlcjpzZWNyZXQ=\r\n\r\n"


class RawConnection(asyncio.Protocol):
    """A connection with one request at a time."""

    transport: asyncio.Transport

    def __init__(self, parser: Callable[["RawConnection"], Any]) -> None:
        self._parser = parser
        self._body: list[bytes] = []
        self._answer: asyncio.Future[bytes] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport for requests."""
        self.transport = transport  # type: ignore[assignment]  # asyncio types the base class

    def data_received(self, data: bytes) -> None:
        """Pass the data to the parser."""
        self._parsing.feed_data(data)

    def on_body(self, body: bytes) -> None:
        """Keep a part of the body."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Finish the response."""
        if self._answer is not None:
            self._answer.set_result(b"".join(self._body))

    async def get(self, path: str) -> bytes:
        """Send a GET and return the body of the response."""
        self._body, self._parsing = [], self._parser(self)
        self._answer = asyncio.get_running_loop().create_future()
        self.transport.write(HEAD.format(path).encode())
        return await self._answer


async def _connect(url: str, count: int) -> list[RawConnection]:
    parser = importlib.import_module("httptools").HttpResponseParser
    loop, (host, _, port) = asyncio.get_running_loop(), url.removeprefix("http://").partition(":")
    opened = [await loop.create_connection(lambda: RawConnection(parser), host, int(port)) for _ in range(count)]
    return [wire for _, wire in opened]


PARSERS: dict[str, Callable[[bytes], Any]] = {"opencast": json.loads, "preservica": ET.fromstring}
PATHS = {"opencast": "/api/workflows?limit={}&offset={}", "preservica": "/sdb/rest/workflow/instances?max={}&start={}"}


async def pages(meter: Meter, system: str, url: str, count: int, latency: float = 0.0) -> None:
    """Read the pages of a list one after another and parse them."""
    command(url, f"state?count={count}")
    command(url, f"latency?seconds={latency}")
    (wire,) = await _connect(url, 1)
    for _ in range(2):  # The first round makes the stub's responses.
        with meter.measuring():
            for offset in range(0, count, PAGE):
                PARSERS[system](await wire.get(PATHS[system].format(PAGE, offset)))


async def requests(meter: Meter, url: str, count: int, at_once: int) -> None:
    """Send single requests and parse their responses."""
    wires = await _connect(url, at_once)
    left = iter(range(count))

    async def work(wire: RawConnection) -> None:
        for _ in left:
            json.loads(await wire.get("/api/workflows/1000"))

    with meter.measuring(count):
        await asyncio.gather(*map(work, wires))
