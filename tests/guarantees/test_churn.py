"""T-CHURN and T-QUEUE: what happens to the request slots when thousands of calls time out, or are made concurrently."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from attrs import define, field

from tests.conftest import FakeTime, See
from tests.support.byte_server import GET, connected
from workflow_async import Limits, Timeouts
from workflow_async._core.call import Call
from workflow_async._core.transport import Transport

LONG_TIMEOUTS = Timeouts(call=3600.0, exchange=3600.0, connect=3600.0)
"""Long enough for a slow test machine: these tests are not about deadlines."""
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"


@define
class CountingServer:
    """A server that answers in few turns of the loop, and counts."""

    targets: list[bytes] = field(factory=list)
    """Request targets, in order of arrival."""
    connections: int = 0
    max_connections: int = 0
    """The most connections open concurrently."""
    waiting: int = 0
    """Requests without a response so far."""
    max_waiting: int = 0

    def connection(self) -> asyncio.Protocol:
        """Return the protocol of one connection."""
        return Connection(self)


@define(eq=False)
class Connection(asyncio.Protocol):
    """One connection."""

    server: CountingServer
    _transport: asyncio.Transport = field(init=False)
    _open: bool = field(default=False, init=False)
    _unanswered: int = field(default=0, init=False)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport, self._open = transport, True
        self.server.connections += 1
        self.server.max_connections = max(self.server.max_connections, self.server.connections)

    def data_received(self, data: bytes) -> None:
        self._unanswered += 1
        self.server.waiting += 1
        self.server.max_waiting = max(self.server.max_waiting, self.server.waiting)
        self.server.targets.append(data.split(b" ", 2)[1])
        asyncio.get_running_loop().call_soon(self._answer)

    def _answer(self) -> None:
        if self._open and self._unanswered:
            self._unanswered -= 1
            self.server.waiting -= 1
            self._transport.write(ANSWER)

    def connection_lost(self, error: Exception | None) -> None:
        self._open = False
        self.server.connections -= 1
        self.server.waiting -= self._unanswered


@asynccontextmanager
async def counting_server(fake_time: FakeTime, connections: int) -> AsyncIterator[tuple[CountingServer, Transport]]:
    """Serve on loopback. Enter a transport to the server."""
    server = CountingServer()
    listener = await asyncio.get_running_loop().create_server(server.connection, "127.0.0.1", 0, backlog=1000)
    url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    limits = Limits(connections=connections)
    async with listener, connected(url, fake_time.clock, limits=limits, timeouts=LONG_TIMEOUTS) as transport:
        yield server, transport


# Churn

WORKERS, CONNECTIONS, TIMEOUTS = 40, 10, 10_000

GiveUp = Callable[[Coroutine[Any, Any, object], int], Coroutine[Any, Any, bool]]


async def natively(call: Coroutine[Any, Any, object], turns: int) -> bool:
    """Cancel the call after some turns of the loop, as `asyncio.timeout` does. Return True if it was cancelled."""
    task = asyncio.create_task(call)
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    return task.cancelled()


async def by_scope(call: Coroutine[Any, Any, object], turns: int) -> bool:
    """Cancel the call in the same way, as `anyio.move_on_after` does."""
    scope = anyio.CancelScope()

    async def scoped() -> None:
        with scope:
            await call

    task = asyncio.create_task(scoped())
    for _ in range(turns):
        await asyncio.sleep(0)
    scope.cancel()
    await task
    return scope.cancelled_caught


@pytest.mark.parametrize("give_up", [natively, by_scope])
@pytest.mark.figure("T-CHURN")
@pytest.mark.timeout(300)
async def test_ten_thousand_timeouts_leave_every_request_slot_free(
    give_up: GiveUp, fake_time: FakeTime, see: See
) -> None:
    timeouts = 0

    async def worker(number: int) -> None:
        nonlocal timeouts
        turn = number
        while timeouts < TIMEOUTS:
            turn = turn * 3 % 43  # takes every value from 1 to 42
            timed_out = await give_up(transport.send(GET), turn)
            timeouts += timed_out

    async with counting_server(fake_time, CONNECTIONS) as (server, transport):
        await asyncio.gather(*(worker(number) for number in range(1, WORKERS + 1)))
        assert transport._queue.value == CONNECTIONS
        assert await asyncio.gather(*(transport.send(GET) for _ in range(20))) == [{}] * 20
        assert server.connections <= CONNECTIONS
        assert len(server.targets) > TIMEOUTS / 10  # most calls were cancelled while waiting in the queue, but not all
    see(f"{timeouts} timeouts {give_up.__name__.replace('_', ' ')}, then 20 of 20 calls, {CONNECTIONS} slots free")


# Queue

CALLS, MAX_CONNECTIONS = 5000, 100


@pytest.mark.figure("T-QUEUE")
@pytest.mark.timeout(300)
async def test_five_thousand_concurrent_calls_use_a_hundred_connections_in_order(fake_time: FakeTime, see: See) -> None:
    def numbered(number: int) -> Call[Any]:
        return Call("GET", f"/{number}", lambda reply: reply.status)

    async with counting_server(fake_time, MAX_CONNECTIONS) as (server, transport):
        statuses = await asyncio.gather(*(transport.send(numbered(number)) for number in range(CALLS)))
        assert statuses == [200] * CALLS
        assert (server.max_connections, server.max_waiting) == (MAX_CONNECTIONS, MAX_CONNECTIONS)
    order = [int(target[1:]) for target in server.targets]
    late = max(abs(index - number) for index, number in enumerate(order))
    assert sorted(order) == list(range(CALLS))
    assert late < 2 * MAX_CONNECTIONS
    see(f"{CALLS} of {CALLS} calls on {server.max_connections} connections, at most {late} positions out of order")
