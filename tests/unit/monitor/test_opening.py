"""Opening and closing a client: how often, in which task and loop, and what a shutdown leaves."""

import asyncio
import subprocess
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import anyio
import httpx
import pytest

from tests.behaviour.test_cancelling import answers
from tests.support import virtual_time as virtual
from tests.support.byte_server import serve, until
from tests.support.stub_clients import SYSTEMS, MockServer, client_of, running_clock, workflow
from workflow_async.errors import ClientClosed, WrongEventLoop

both = pytest.mark.parametrize("system", SYSTEMS)


def told(system: str, phase: str = "running") -> MockServer:
    """Return a server without a network that has every workflow and no list."""

    def answer(request: httpx.Request) -> httpx.Response:
        id = request.url.path.rpartition("/")[2]
        return httpx.Response(200, content=workflow(system, int(id), phase)) if id.isdigit() else httpx.Response(403)

    return MockServer(system, answer)


def carried(system: str, phase: str = "running") -> Any:
    """Return a client of such a server that is not open."""
    http = httpx.AsyncClient(transport=httpx.MockTransport(told(system, phase)))
    return client_of(system, "http://127.0.0.1", http=http)


async def is_open(client: Any) -> bool:
    try:
        return (await client.workflows.get(7)).id == 7  # type: ignore[no-any-return]  # of either client
    except ClientClosed:
        return False


# How often


@both
async def test_the_inner_of_two_blocks_does_not_close_the_outer_one(system: str) -> None:
    client = carried(system)
    async with client as outer:
        async with client as inner:
            assert inner is outer is client
        assert await is_open(client)
        async with client, client:
            assert await is_open(client)
        assert await is_open(client)
    assert not await is_open(client)


@both
async def test_a_client_is_closed_once_for_each_time_it_was_opened(system: str) -> None:
    client = carried(system)
    for _ in range(3):
        assert await client.open() is client
    for _ in range(2):
        await client.aclose()
        assert await is_open(client)
    await client.aclose()
    assert not await is_open(client)
    await client.aclose()  # once more than it was opened
    await client.open()
    assert await is_open(client)
    await client.aclose()
    assert not await is_open(client)


@both
async def test_a_block_counts_as_opening_by_hand_does(system: str) -> None:
    client = await carried(system).open()
    async with client:
        await client.aclose()
        assert await is_open(client)
    assert not await is_open(client)


@both
async def test_closing_closes_the_connections_and_only_the_last_one_does(system: str) -> None:
    async with serve(answers(system)) as wire:
        client = await client_of(system, wire.url).open()
        async with client:
            await client.workflows.get(7)
        assert wire.open == 1
        await client.workflows.get(7)
        assert wire.connections == 1
        await client.aclose()
        await until(lambda: not wire.open)


@both
async def test_what_is_opened_again_while_it_closes_stays_open(system: str) -> None:
    client = carried(system)
    for turns in range(10):
        await client.open()
        watching = asyncio.create_task(client.workflows.wait(7))
        await until(lambda: 7 in client.workflows._poller.engine.observations)
        closing = asyncio.create_task(client.aclose())
        for _ in range(turns):
            await asyncio.sleep(0)
        await client.open()
        await closing
        assert await is_open(client)
        await client.aclose()
        assert not await is_open(client)
        with pytest.raises(ClientClosed):
            await watching


# In which task


@both
def test_a_client_is_entered_in_one_task_used_in_others_and_closed_in_yet_another(system: str) -> None:
    async def main() -> None:
        client = carried(system)
        client._transport.clock = clock = running_clock()
        client.workflows._poller.clock = clock
        await asyncio.create_task(client.__aenter__())
        waits = [asyncio.create_task(client.workflows.wait(id)) for id in (7, 8)]

        async def reads() -> None:
            async with client.workflows.watch([7, 9]) as changes:
                async for _ in changes:
                    pass

        waits.append(asyncio.create_task(reads()))
        await anyio.sleep(20)
        await asyncio.create_task(client.__aexit__(None, None, None))
        ends = await asyncio.gather(*waits, return_exceptions=True)
        assert {type(end) for end in ends} == {ClientClosed}
        assert asyncio.all_tasks() == {asyncio.current_task()}

    virtual.run(main())


@both
def test_a_client_lives_across_runs_of_one_loop_as_fixtures_have_it(system: str) -> None:
    with asyncio.Runner() as runner:
        client = carried(system, "succeeded")
        runner.run(client.open())
        assert [runner.run(client.workflows.wait(id)).id for id in (7, 8)] == [7, 8]
        runner.run(client.aclose())
        assert not runner.run(is_open(client))


@both
async def test_closing_waits_for_the_requests_of_watchers(system: str) -> None:
    ended = False

    async def slow(_: httpx.Request) -> httpx.Response:
        nonlocal ended
        try:
            await asyncio.Event().wait()
        finally:
            with anyio.CancelScope(shield=True):
                await asyncio.sleep(0.05)
            ended = True
        raise AssertionError

    async with httpx.AsyncClient(transport=httpx.MockTransport(slow)) as http:
        client = await client_of(system, "http://127.0.0.1", http=http).open()
        waits = asyncio.create_task(client.workflows.wait(7))
        await until(lambda: bool(client.workflows._poller.engine.scheduler.in_flight))
        for _ in range(10):
            await asyncio.sleep(0)
        await client.aclose()
        assert ended
        with pytest.raises(ClientClosed):
            await waits


@both
async def test_a_request_that_closes_the_client_does_not_wait_for_itself(system: str) -> None:
    async def close(request: httpx.Request) -> httpx.Response:
        began = asyncio.get_running_loop().time()
        await client.aclose()
        assert asyncio.get_running_loop().time() - began < 1.0
        return await told(system)(request)

    async with httpx.AsyncClient(transport=httpx.MockTransport(close)) as http:
        client = await client_of(system, "http://127.0.0.1", http=http).open()
        with anyio.fail_after(10), pytest.raises(ClientClosed):
            await client.workflows.wait(7)
        await until(lambda: asyncio.all_tasks() == {asyncio.current_task()})


@both
async def test_a_request_whose_own_code_waits_does_not_hang(system: str) -> None:
    nested = list[int]()

    async def waits(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/7"):
            nested.append((await client.workflows.wait(8)).id)
        return await told(system, "succeeded")(request)

    async with httpx.AsyncClient(transport=httpx.MockTransport(waits)) as http:
        async with client_of(system, "http://127.0.0.1", http=http) as client:
            with anyio.fail_after(10):
                assert (await client.workflows.wait(7)).id == 7
            with anyio.fail_after(10), anyio.move_on_after(0):
                await client.workflows.wait(7)
        assert nested[0] == 8


@both
def test_a_request_that_does_not_end_holds_up_closing_for_four_seconds(system: str) -> None:
    async def main() -> None:
        ends = asyncio.Event()

        async def never(_: httpx.Request) -> httpx.Response:
            with anyio.CancelScope(shield=True):
                while not ends.is_set():
                    with suppress(asyncio.CancelledError):
                        await ends.wait()
            raise httpx.ReadError("cut")

        async with httpx.AsyncClient(transport=httpx.MockTransport(never)) as http:
            client = await client_of(system, "http://127.0.0.1", http=http, clock=running_clock()).open()
            waits = asyncio.create_task(client.workflows.wait(7))
            await anyio.sleep(5.0)
            await client.aclose()
            assert asyncio.get_running_loop().time() == pytest.approx(9.0)
            with pytest.raises(ClientClosed):
                await waits
            ends.set()
            await anyio.sleep(0.1)
            assert asyncio.all_tasks() == {asyncio.current_task()}

    virtual.run(main())


# In which loop


@both
async def test_a_client_that_is_open_in_one_loop_is_not_opened_nor_closed_in_another(system: str) -> None:
    client = await carried(system).open()
    acts: list[Callable[[], Coroutine[Any, Any, Any]]] = [client.open, client.aclose]
    for act in acts:
        with pytest.raises(WrongEventLoop):
            await asyncio.to_thread(lambda act: asyncio.run(act()), act)
    assert await is_open(client)
    await client.aclose()
    assert not await is_open(client)


@both
def test_a_client_whose_loop_was_closed_under_its_watchers_is_opened_or_closed_in_the_next(system: str) -> None:
    async def abandon(client: Any) -> None:
        await client.open()
        await client.open()
        await client.workflows.watch([7]).__aenter__()

    async def go_on(client: Any) -> None:
        async with client:
            assert await is_open(client)
            async with client.workflows.watch([7]) as changes:
                assert (await anext(changes)).id == 7
        assert not await is_open(client)

    for act in (go_on, type(carried(system)).aclose):
        client = carried(system)
        asyncio.run(abandon(client))
        asyncio.run(act(client))
        assert not asyncio.run(is_open(client))


@both
async def test_a_watch_is_added_to_from_a_callback_of_its_loop_and_from_nowhere_else(system: str) -> None:
    async with carried(system) as client, client.workflows.watch([7]) as changes:
        with pytest.raises(WrongEventLoop):
            await asyncio.to_thread(changes.add, 8)
        asyncio.get_running_loop().call_soon(changes.add, 9)
        assert {(await anext(changes)).id, (await anext(changes)).id} == {7, 9}


# Shutdown

SHUTDOWN = """
import asyncio, os, signal, sys
from tests.support.byte_server import serve
from tests.support.stub_clients import SYSTEMS, client_of, workflow
from workflow_async import Poll

OFTEN = Poll(interval=0.01, ceiling=0.01)

def running(system):
    from tests.support.byte_server import http
    from tests.support.stub_clients import page, row, with_login
    def answer(seen):
        last = seen.target.partition("?")[0].rpartition("/")[2]
        return http(200, workflow(system, int(last)) if last.isdigit() else page(system, [row(system, 7)], 1))
    return with_login(answer)

async def watch(client, **what):
    async with client.workflows.watch(**what, poll=OFTEN) as changes:
        async for change in changes:
            pass

async def main(system, how):
    async with serve(running(system)) as wire:
        async with client_of(system, wire.url) as client:
            filter = {"state": "running"} if system == "opencast" else {"type": "Ingest"}
            tasks = [asyncio.ensure_future(one) for one in (
                watch(client, workflow_ids=[7, 8]), watch(client, **filter), client.workflows.wait(9, poll=OFTEN))]
            outcomes = client.workflows.as_completed([7, 9], poll=OFTEN)
            tasks.append(asyncio.ensure_future(anext(outcomes)))
            for task in tasks:
                task.add_done_callback(lambda task: task.cancelled() or task.exception())
            await asyncio.sleep(0.1)
            if how == "returns":
                return
            if how == "fails":
                raise ZeroDivisionError
            asyncio.get_running_loop().call_later(0.05, os.kill, os.getpid(), signal.SIGINT)
            await watch(client, workflow_ids=[7])

for system in SYSTEMS:
    try:
        asyncio.run(main(system, sys.argv[1]))
    except (KeyboardInterrupt, ZeroDivisionError) as error:
        print(type(error).__name__)
    else:
        print("returned")
"""


@pytest.mark.parametrize(
    ("how", "ends"), [("returns", "returned"), ("fails", "ZeroDivisionError"), ("is interrupted", "KeyboardInterrupt")]
)
def test_a_program_that_ends_while_watchers_are_open_says_nothing_of_tasks(how: str, ends: str) -> None:
    command = [sys.executable, "-W", "always", "-c", SHUTDOWN, how]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stderr, ran.stdout.split()) == (0, "", [ends] * 2)


ABANDONED = """
import asyncio, os, signal, sys
from tests.support.stub_clients import client_of
from tests.unit.monitor.test_opening import carried

async def main():
    client = await carried("opencast").open()
    changes = await client.workflows.watch([7, 8]).__aenter__()
    await anext(changes)
    if sys.argv[1] == "is interrupted":
        asyncio.get_running_loop().call_later(0.05, os.kill, os.getpid(), signal.SIGINT)
        while True:
            await anext(changes)

try:
    asyncio.run(main())
except KeyboardInterrupt:
    pass
"""


@pytest.mark.parametrize("how", ["returns", "is interrupted"])
def test_a_program_that_closes_neither_watch_nor_client_says_nothing_of_tasks(how: str) -> None:
    command = [sys.executable, "-W", "always", "-c", ABANDONED, how]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
