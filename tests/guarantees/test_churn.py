"""T-CHURN and T-QUEUE: what happens to the places when thousands of calls give up, or come at once."""

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

PATIENT = Timeouts(call=3600.0, exchange=3600.0, connect=3600.0)
"""On a busy machine, too: nothing here is about deadlines."""
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"


@define
class Counter(asyncio.Protocol):
    """A server in as few turns as can be; it answers when it is let, and counts."""

    answers: asyncio.Event = field(factory=asyncio.Event)
    targets: list[bytes] = field(factory=list)
    """What was asked for, in the order of its coming."""
    lines: int = 0
    most: int = 0
    """Connections at once."""
    asked: int = 0
    """Requests that wait for their answer."""
    most_asked: int = 0

    def line(self) -> asyncio.Protocol:
        """What serves one connection."""
        return Line(self)


@define(eq=False)
class Line(asyncio.Protocol):
    """One connection."""

    counter: Counter
    _transport: asyncio.Transport = field(init=False)
    _open: bool = field(default=False, init=False)
    _asked: int = field(default=0, init=False)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport, self._open = transport, True
        self.counter.lines += 1
        self.counter.most = max(self.counter.most, self.counter.lines)

    def data_received(self, data: bytes) -> None:
        self._asked += 1
        self.counter.asked += 1
        self.counter.most_asked = max(self.counter.most_asked, self.counter.asked)
        self.counter.targets.append(data.split(b" ", 2)[1])
        asyncio.get_running_loop().call_soon(self._answer)

    def _answer(self) -> None:
        if self._open and self._asked:
            self._asked -= 1
            self.counter.asked -= 1
            self._transport.write(ANSWER)

    def connection_lost(self, error: Exception | None) -> None:
        self._open = False
        self.counter.lines -= 1
        self.counter.asked -= self._asked


@asynccontextmanager
async def counting(fake_time: FakeTime, connections: int) -> AsyncIterator[tuple[Counter, Transport]]:
    """A server that counts, and a transport to it."""
    counter = Counter()
    server = await asyncio.get_running_loop().create_server(counter.line, "127.0.0.1", 0, backlog=1000)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    limits = Limits(connections=connections)
    async with server, connected(url, fake_time.clock, limits=limits, timeouts=PATIENT) as transport:
        yield counter, transport


# Churn

WORKERS, CONNECTIONS, TIMEOUTS = 40, 10, 10_000

GiveUp = Callable[[Coroutine[Any, Any, object], int], Coroutine[Any, Any, bool]]


async def natively(call: Coroutine[Any, Any, object], turns: int) -> bool:
    """Give up after so many turns of the loop, as `asyncio.timeout` does; whether it came to that."""
    task = asyncio.create_task(call)
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    return task.cancelled()


async def by_scope(call: Coroutine[Any, Any, object], turns: int) -> bool:
    """Likewise, as `anyio.move_on_after` does."""
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
async def test_ten_thousand_timeouts_leave_every_place_free(give_up: GiveUp, fake_time: FakeTime, see: See) -> None:
    gone = 0

    async def worker(number: int) -> None:
        nonlocal gone
        turn = number
        while gone < TIMEOUTS:
            turn = turn * 3 % 43  # runs through 1 to 42 turns of the loop
            given_up = await give_up(transport.send(GET), turn)
            gone += given_up

    async with counting(fake_time, CONNECTIONS) as (server, transport):
        await asyncio.gather(*(worker(number) for number in range(1, WORKERS + 1)))
        assert transport._queue.value == CONNECTIONS
        assert await asyncio.gather(*(transport.send(GET) for _ in range(20))) == [{}] * 20
        assert server.lines <= CONNECTIONS
        assert len(server.targets) > TIMEOUTS / 10  # it was no waiting in the queue alone
    see(f"{gone} timeouts {give_up.__name__.replace('_', ' ')}, then 20 of 20 calls, {CONNECTIONS} places free")


# Queue

CALLS, AT_ONCE = 5000, 100


@pytest.mark.figure("T-QUEUE")
@pytest.mark.timeout(300)
async def test_five_thousand_calls_at_once_take_a_hundred_connections_in_their_order(
    fake_time: FakeTime, see: See
) -> None:
    def numbered(number: int) -> Call[Any]:
        return Call("GET", f"/{number}", lambda reply: reply.status)

    async with counting(fake_time, AT_ONCE) as (server, transport):
        found = await asyncio.gather(*(transport.send(numbered(number)) for number in range(CALLS)))
        assert found == [200] * CALLS
        assert (server.most, server.most_asked) == (AT_ONCE, AT_ONCE)
    order = [int(target[1:]) for target in server.targets]
    late = max(abs(place - number) for place, number in enumerate(order))
    assert sorted(order) == list(range(CALLS))
    assert late < 2 * AT_ONCE
    see(f"{CALLS} of {CALLS} calls on {server.most} connections, none more than {late} places out of turn")
