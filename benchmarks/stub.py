"""A server with minimal cost: a raw asyncio protocol that makes each response once and keeps its bytes.

It supports the parts of Opencast 11 and Preservica that the rows need. Standard library only. `python -m
benchmarks.stub` prints its port. Paths under `/stub/` are commands (see `Stub.command`).
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
class StubState:
    """`count` active workflows with ids from `first` on, without the finished ones."""

    first: int = 1000
    count: int = 10_000
    listing: int = 1
    """0 for a server without a list, such as Opencast 12 or later."""
    events_readable: int = 1
    """0 for a server that refuses the list of events."""
    operations: int = 0
    """The number of operations of a row of Opencast's list."""
    finished: set[int] = field(default_factory=set)
    changed: set[int] = field(default_factory=set)
    """The workflows whose rows show another state or step."""

    def active(self, start: int, rows: int) -> list[int]:
        """Return the ids on one page of the list of active workflows."""
        ids = range(self.first, self.first + self.count)
        if self.finished:
            return [id for id in ids if id not in self.finished][start : start + rows]
        return list(ids[start : start + rows])


class Stub:
    """Responses by request target. They are kept until the state changes."""

    def __init__(self) -> None:
        self.state = StubState()
        self.latency = 0.0
        self.responses: dict[bytes, bytes] = {}
        self.requests: list[tuple[float, bytes]] = []
        """The requests, each with its instant by the monotonic clock that all processes share."""

    def respond(self, target: bytes) -> bytes:
        """Return the complete response to a request."""
        known = self.responses.get(target)
        if known is None:
            if target.startswith(b"/stub/"):
                return _http(json.dumps(self.command(target.decode())).encode())
            known = self.responses[target] = _http(*self.make_response(target.decode()))
        self.requests.append((time.monotonic(), target))
        return known

    def make_response(self, target: str) -> tuple[bytes, int]:
        """Return the body and the status of a response."""
        path, _, query = target.partition("?")
        params = {name: values[0] for name, values in parse_qs(query).items()}
        if path in wire.FIXED:
            return wire.FIXED[path], 200
        for prefix, make in self.routes().items():
            if path.startswith(prefix):
                return make(path.removeprefix(prefix).strip("/"), params)
        return b"{}", 404

    def routes(self) -> dict[str, Callable[[str, dict[str, str]], tuple[bytes, int]]]:
        """Return the handlers by the prefix of the path."""
        return {
            "/api/workflows": self._opencast,
            "/api/events": self._events,
            "/sdb/rest/workflow/instances": self._preservica,
        }

    def _opencast(self, id: str, params: dict[str, str]) -> tuple[bytes, int]:
        state, details = self.state, params.get("withoperations") == "true"
        if id:
            return wire.opencast(int(id), 3 if details else 0, finished=int(id) in state.finished), 200
        if not state.listing:
            return b"", 405
        ids = state.active(int(params.get("offset", 0)), int(params.get("limit", 20)))
        return wire.opencast_page(ids, state.operations if details else 0, state.changed), 200

    def _preservica(self, id: str, params: dict[str, str]) -> tuple[bytes, int]:
        state = self.state
        if id:
            return wire.preservica_one(int(id), finished=int(id) in state.finished), 200
        ids = state.active(int(params.get("start", 0)), int(params.get("max", 100)))
        return wire.preservica_page(ids, state.count - len(state.finished), state.changed), 200

    def _events(self, _: str, params: dict[str, str]) -> tuple[bytes, int]:
        if not self.state.events_readable:
            return b"", 403
        ids = [int(term[-wire.DIGITS :]) for term in params["filter"].split(",")]
        return wire.events(ids, self.state.finished), 200

    def command(self, target: str) -> Any:
        """Execute a command.

        Commands are `state?count=`, `finish?ids=`, `change?ids=`, `latency?seconds=`, and `requests`, which returns and
        clears the requests. A second `change` changes rows back.
        """
        path, _, query = target.removeprefix("/stub/").partition("?")
        params = {name: values[0] for name, values in parse_qs(query).items()}
        if path == "requests":
            taken, self.requests = self.requests, []
            return [(at, target.decode()) for at, target in taken]
        self.responses.clear()
        if path == "latency":
            self.latency = float(params["seconds"])
        elif path == "finish":
            self.state.finished.update(map(int, params["ids"].split(",")))
        elif path == "change":
            self.state.changed ^= set(map(int, params["ids"].split(",")))
        else:
            self.state = StubState()
            for name, value in params.items():
                setattr(self.state, name, int(value))
        return {}


def _http(body: bytes, status: int = 200) -> bytes:
    kind = b"application/xml" if body.startswith(b"<") else b"application/json"
    return b"HTTP/1.1 %d Fine\r\ncontent-type: %b\r\ncontent-length: %d\r\n\r\n%b" % (status, kind, len(body), body)


class StubProtocol(asyncio.Protocol):
    """A connection."""

    transport: asyncio.Transport

    def __init__(self, stub: Stub) -> None:
        self.stub = stub
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport for responses."""
        self.transport = transport  # type: ignore[assignment]  # asyncio types the base class

    def data_received(self, data: bytes) -> None:
        """Respond to every complete request."""
        data = self.buffer + data if self.buffer else data
        while (end := data.find(b"\r\n\r\n")) >= 0:
            size = end + 4 + _length(data[:end])
            if len(data) < size:
                break
            self.reply(self.stub.respond(data[data.index(b" ") + 1 : data.index(b" HTTP/1.")]))
            data = data[size:]
        self.buffer = data

    def reply(self, answer: bytes) -> None:
        """Send a response after the latency."""
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
    """Serve until the standard input ends."""
    pin(core)
    loop, stub = asyncio.get_running_loop(), Stub()
    server = await loop.create_server(lambda: StubProtocol(stub), "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]) if sys.argv[1:] and sys.argv[1] else None))
