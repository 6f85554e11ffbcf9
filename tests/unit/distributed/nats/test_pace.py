"""A budget in a real NATS: what processes share, and what happens when the broker or its bucket is away."""

import ast
import asyncio
import math
import re
import time
import types
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import nats
import pytest
from nats.aio.client import Client
from nats.errors import ConnectionClosedError

from tests.conftest import FakeTime
from tests.support.arrivals import most
from tests.support.byte_server import GET, NO_RETRIES, connected
from tests.support.documentation import PAGES
from tests.support.loopback_system import loopback_system
from tests.support.nats_server import NatsServer, running_nats_server
from workflow_async import OpencastClient
from workflow_async.distributed.nats.pace import BUCKET, NatsPace, NatsRegister
from workflow_async.distributed.shared_budget import Entry, RegisterUnavailable
from workflow_async.distributed.slices import HORIZON
from workflow_async.errors import InvalidArgument, PaceFailed

GUIDE = PAGES / "operating.md"
RATE = 200.0
WINDOW = 0.5


@asynccontextmanager
async def connection(server: NatsServer) -> AsyncIterator[Client]:
    """Run a connection that is made again at once."""

    async def ignore(error: Exception) -> None: ...

    client = await nats.connect(server.url, reconnect_time_wait=0.02, max_reconnect_attempts=-1, error_cb=ignore)
    try:
        yield client
    finally:
        await client.close()


async def used(acquire: Callable[[], Awaitable[None]], tasks: int, seconds: float, times: list[float]) -> None:
    """Use turns from this number of tasks, and note when."""

    async def use() -> None:
        while time.monotonic() < end:
            await acquire()
            times.append(time.monotonic())

    end = time.monotonic() + seconds
    async with asyncio.TaskGroup() as group:
        for _ in range(tasks):
            group.create_task(use())


async def test_connections_share_a_budget(nats_server: NatsServer) -> None:
    times: list[float] = []
    async with connection(nats_server) as one, connection(nats_server) as two:
        paces = [NatsPace(client, "shared", rate=RATE) for client in (one, two)]
        await paces[0].acquire()
        await asyncio.gather(*(used(pace.acquire, 8, 1.5, times) for pace in paces))
    assert most(sorted(times), WINDOW) <= RATE * (WINDOW + 0.25)
    assert len(times) >= 0.5 * RATE * 1.5  # on a busy machine


async def test_budgets_of_other_names_are_independent(nats_server: NatsServer) -> None:
    async with connection(nats_server) as client:
        slow = NatsPace(client, "slow", rate=0.01)
        await slow.acquire()
        waiting = asyncio.create_task(slow.acquire())
        await asyncio.wait_for(NatsPace(client, "other", rate=RATE).acquire(), 10)
        assert not waiting.done()
        waiting.cancel()


async def test_a_new_connection_continues_with_the_time_that_is_kept(nats_server: NatsServer) -> None:
    async with connection(nats_server) as client:
        await NatsPace(client, "kept", rate=0.01).acquire()
    async with connection(nats_server) as client:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(NatsPace(client, "kept", rate=0.01).acquire(), HORIZON + 0.3)


async def test_the_register_lets_one_of_two_writers_succeed(nats_server: NatsServer) -> None:
    async with connection(nats_server) as client:
        one, two = NatsRegister(client, "writers"), NatsRegister(client, "writers")
        assert await one.read() == Entry(None, 0)
        revision = await one.write(Entry(5.5, 0))
        assert revision is not None
        assert await two.write(Entry(6.5, 0)) is None
        assert await two.read() == Entry(5.5, revision)
        stored = await two.stored_at(revision)
        assert stored == pytest.approx(time.time(), abs=30)
        assert await two.write(Entry(6.5, revision)) == revision + 1
        assert await two.stored_at(revision) is None


async def test_a_key_that_was_deleted_is_written_again(nats_server: NatsServer) -> None:
    async with connection(nats_server) as client:
        register = NatsRegister(client, "deleted")
        await register.write(Entry(5.5, 0))
        await (await client.jetstream().key_value(BUCKET)).delete("deleted")
        entry = await register.read()
        assert entry.until is None
        assert await register.write(Entry(6.5, entry.revision)) == entry.revision + 1


async def test_a_bucket_that_was_lost_is_made_again(tmp_path: Path) -> None:
    with running_nats_server(tmp_path) as server:
        async with connection(server) as client:
            pace = NatsPace(client, "lost", rate=RATE)
            await pace.acquire()
            await client.jetstream().delete_key_value(BUCKET)
            await asyncio.wait_for(used(pace.acquire, 40, 0.5, []), 20)
            assert (await NatsRegister(client, "lost").read()).until is not None


async def test_a_broker_that_restarts_keeps_the_time_and_requests_go_on(tmp_path: Path) -> None:
    with running_nats_server(tmp_path) as server:
        async with connection(server) as client:
            pace = NatsPace(client, "restart", rate=RATE)
            await pace.acquire()
            before = await NatsRegister(client, "restart").read()
            server.kill()
            waiting = [asyncio.create_task(pace.acquire()) for _ in range(60)]
            await asyncio.sleep(0)
            assert not all(task.done() for task in waiting)
            await asyncio.to_thread(server.start)
            await asyncio.wait_for(asyncio.gather(*waiting), 20)
            after = await NatsRegister(client, "restart").read()
    assert before.until is not None
    assert after.until is not None
    assert after.until > before.until
    assert after.revision > before.revision


async def test_the_register_is_unavailable_while_there_is_no_connection(tmp_path: Path) -> None:
    with running_nats_server(tmp_path) as server:
        async with connection(server) as client:
            register = NatsRegister(client, "away")
            await register.write(Entry(1.0, 0))
            server.kill()
            with pytest.raises(RegisterUnavailable):
                await register.read()
            while not client.is_reconnecting:
                await asyncio.sleep(0.01)
            with pytest.raises(RegisterUnavailable, match="reconnecting"):
                await register.write(Entry(2.0, 1))


async def test_without_jetstream_a_request_waits(tmp_path: Path) -> None:
    with running_nats_server(tmp_path) as server:
        async with connection(server) as client:
            register = NatsRegister(client, "none")
            register._js._prefix = "$JS.elsewhere.API"
            with pytest.raises(RegisterUnavailable):
                await register.write(Entry(1.0, 0))


async def test_a_connection_that_is_closed_fails_the_request_before_it_is_sent(
    nats_server: NatsServer, fake_time: FakeTime
) -> None:
    async with connection(nats_server) as client:
        pace = NatsPace(client, "closed", rate=RATE)
    with pytest.raises(ConnectionClosedError):
        await pace.acquire()
    async with connected("http://127.0.0.1:9", fake_time.clock, pace=pace.acquire, retry=NO_RETRIES) as transport:
        with pytest.raises(PaceFailed, match="ConnectionClosedError, so nothing was sent"):
            await transport.send(GET)


async def test_the_example_of_the_guide_runs(nats_server: NatsServer, capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = re.findall(r"^```{code-block} python\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    async with loopback_system("16") as loopback:
        text = example.replace("nats://127.0.0.1:4222", nats_server.url)
        text = text.replace("http://127.0.0.1:8080", loopback.system.url)
        namespace = {"OpencastClient": OpencastClient}
        code = compile(text, str(GUIDE), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        await types.FunctionType(code, namespace)()
    assert capsys.readouterr().out.startswith("v1.")


@pytest.mark.parametrize("name", ["", "a b", "a.b", "x" * 101, 5, None])
def test_a_name_that_is_no_key_is_refused(name: Any) -> None:
    with pytest.raises(InvalidArgument, match="name: must be 1 to 100 letters"):
        NatsPace(Client(), name, rate=1.0)


@pytest.mark.parametrize("rate", [0, -1.0, math.inf, math.nan, None, "300", True])
def test_a_rate_that_is_no_number_above_0_is_refused(rate: Any) -> None:
    with pytest.raises(InvalidArgument, match="rate: must be a number above 0"):
        NatsPace(Client(), "name", rate=rate)
