"""A server that costs next to nothing: raw asyncio protocol, answers made once and kept as bytes.

It speaks as much of Opencast 11 and of Preservica as the rows ask for, and needs nothing but the standard library:
`python -m benchmarks.stub` prints its port. Under `/stub/` it is told what to do (see `Stub.told`).
"""

import asyncio
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from benchmarks import wire
from benchmarks.pinning import pin


@dataclass
class World:
    """So many active workflows from the id `first` on, less those that have been finished."""

    first: int = 1000
    count: int = 10_000
    lists: int = 1
    """0 for a server without a list, as Opencast is from 12 on."""
    glances: int = 1
    """0 where events may not be read."""
    operations: int = 0
    """How many a row of Opencast's list has."""
    finished: set[int] = field(default_factory=set)

    def active(self, start: int, rows: int) -> list[int]:
        """The ids on one page of the list of active workflows."""
        ids = range(self.first, self.first + self.count)
        if self.finished:
            return [id for id in ids if id not in self.finished][start : start + rows]
        return list(ids[start : start + rows])


class Stub:
    """Answers by request target, made when they are first asked for, and forgotten when the world changes."""

    def __init__(self) -> None:
        self.world = World()
        self.latency = 0.0
        self.answers: dict[bytes, bytes] = {}
        self.asked: list[tuple[float, bytes]] = []
        """What was asked for, and when, by the clock that all processes share."""

    def answer(self, target: bytes) -> bytes:
        """The whole answer to a request."""
        known = self.answers.get(target)
        if known is None:
            if target.startswith(b"/stub/"):
                return _http(json.dumps(self.told(target.decode())).encode())
            known = self.answers[target] = _http(*self.made(target.decode()))
        self.asked.append((time.monotonic(), target))
        return known

    def made(self, target: str) -> tuple[bytes, int]:
        """Body and status of an answer that is not known yet."""
        path, _, query = target.partition("?")
        params = {name: values[0] for name, values in parse_qs(query).items()}
        if path in wire.FIXED:
            return wire.FIXED[path], 200
        for prefix, make in self.routes().items():
            if path.startswith(prefix):
                return make(path.removeprefix(prefix).strip("/"), params)
        return b"{}", 404

    def routes(self) -> dict[str, Callable[[str, dict[str, str]], tuple[bytes, int]]]:
        """What is served, by the beginning of its path."""
        return {
            "/api/workflows": self._opencast,
            "/api/events": self._events,
            "/sdb/rest/workflow/instances": self._preservica,
        }

    def _opencast(self, id: str, params: dict[str, str]) -> tuple[bytes, int]:
        world, whole = self.world, params.get("withoperations") == "true"
        if id:
            return wire.opencast(int(id), 3 if whole else 0, over=int(id) in world.finished), 200
        if not world.lists:
            return b"", 405
        ids = world.active(int(params.get("offset", 0)), int(params.get("limit", 20)))
        return wire.opencast_page(ids, world.operations if whole else 0), 200

    def _preservica(self, id: str, params: dict[str, str]) -> tuple[bytes, int]:
        world = self.world
        if id:
            return wire.preservica_one(int(id), over=int(id) in world.finished), 200
        ids = world.active(int(params.get("start", 0)), int(params.get("max", 100)))
        return wire.preservica_page(ids, world.count - len(world.finished)), 200

    def _events(self, _: str, params: dict[str, str]) -> tuple[bytes, int]:
        if not self.world.glances:
            return b"", 403
        ids = [int(term[-wire.DIGITS :]) for term in params["filter"].split(",")]
        return wire.events(ids, self.world.finished), 200

    def told(self, target: str) -> Any:
        """`world?count=`, `finish?ids=`, `latency?seconds=`; `asked`, which tells what was asked for since the last."""
        path, _, query = target.removeprefix("/stub/").partition("?")
        params = {name: values[0] for name, values in parse_qs(query).items()}
        if path == "asked":
            asked, self.asked = self.asked, []
            return [(at, target.decode()) for at, target in asked]
        self.answers.clear()
        if path == "latency":
            self.latency = float(params["seconds"])
        elif path == "finish":
            self.world.finished.update(map(int, params["ids"].split(",")))
        else:
            self.world = World()
            for name, value in params.items():
                setattr(self.world, name, int(value))
        return {}


def _http(body: bytes, status: int = 200) -> bytes:
    kind = b"application/xml" if body.startswith(b"<") else b"application/json"
    return b"HTTP/1.1 %d Fine\r\ncontent-type: %b\r\ncontent-length: %d\r\n\r\n%b" % (status, kind, len(body), body)


class Line(asyncio.Protocol):
    """One connection."""

    transport: asyncio.Transport

    def __init__(self, stub: Stub) -> None:
        self.stub = stub
        self.held = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what answers go to."""
        self.transport = transport  # type: ignore[assignment]  # asyncio types the base class

    def data_received(self, data: bytes) -> None:
        """Answer every request that is whole."""
        data = self.held + data if self.held else data
        while (end := data.find(b"\r\n\r\n")) >= 0:
            size = end + 4 + _length(data[:end])
            if len(data) < size:
                break
            self.reply(self.stub.answer(data[data.index(b" ") + 1 : data.index(b" HTTP/1.")]))
            data = data[size:]
        self.held = data

    def reply(self, answer: bytes) -> None:
        """Send an answer, after the latency."""
        if self.stub.latency:
            asyncio.get_running_loop().call_later(self.stub.latency, self.transport.write, answer)
        else:
            self.transport.write(answer)


def _length(head: bytes) -> int:
    if not head.startswith(b"POST"):
        return 0
    at = head.lower().find(b"content-length:")
    return int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0


async def serve(core: int | None) -> None:
    """Serve until the standard input ends: with whoever started it."""
    pin(core)
    loop, stub = asyncio.get_running_loop(), Stub()
    server = await loop.create_server(lambda: Line(stub), "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]) if sys.argv[1:] and sys.argv[1] else None))
