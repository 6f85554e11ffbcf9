"""Rows 63 to 65: other loops, threads and processes, and closing a client."""

import asyncio
import subprocess
import sys
from typing import Any

import anyio
import httpx
import pytest

from tests.behaviour.test_cancelling import CASES, SHARED_CALLS, SYSTEM_CALLS, answers
from tests.conftest import See
from tests.support import virtual_time as virtual
from tests.support.byte_server import serve, until
from tests.support.stub_clients import SYSTEMS, MockServer, client_of, running_clock, workflow
from workflow_async import Limits, Timeouts
from workflow_async.errors import ClientClosed, WrongEventLoop

ONE = Limits(connections=1)


# Row 63


@pytest.mark.row(63)
@pytest.mark.parametrize(("system", "name"), CASES)
async def test_a_client_in_another_loop_raises_and_sends_nothing(system: str, name: str, see: See) -> None:
    call = SHARED_CALLS.get(name) or SYSTEM_CALLS[system][name]
    async with serve(answers(system)) as server, client_of(system, server.url) as client:
        assert (await client.workflows.get(7)).id == 7
        sent = len(server.requests)
        with pytest.raises(WrongEventLoop):
            await asyncio.to_thread(asyncio.run, call(client))
        assert len(server.requests) == sent
        assert (await client.workflows.get(7)).id == 7
    see(f"{len(CASES)} calls in another thread's loop: WrongEventLoop, nothing sent, at home all is well")


@pytest.mark.row(63)
@pytest.mark.parametrize(("system", "name"), CASES)
def test_a_client_whose_loop_is_closed_raises(system: str, name: str) -> None:
    call = SHARED_CALLS.get(name) or SYSTEM_CALLS[system][name]
    left: list[Any] = []

    async def first() -> None:
        async with serve(answers(system)) as server:
            client = client_of(system, server.url)
            await client.__aenter__()
            await client.workflows.get(7)
            left.append(client)
            await client._transport.backend.aclose()  # unclosed sockets would warn

    asyncio.run(first())
    with pytest.raises(WrongEventLoop):
        asyncio.run(call(left[0]))


# Row 64

FORK = """
import asyncio, os, sys
from tests.support.byte_server import http, serve
from tests.behaviour.test_cancelling import SYSTEM_CALLS, SHARED_CALLS, CASES, answers
from tests.support.stub_clients import SYSTEMS, client_of
from workflow_async.errors import WrongEventLoop

async def refused(ask):
    try:
        await ask
    except WrongEventLoop:
        return True

async def main(system):
    async with serve(answers(system)) as wire, client_of(system, wire.url) as client:
        await client.workflows.get(7)
        for name in [name for of, name in CASES if of == system]:
            ask = (SHARED_CALLS.get(name) or SYSTEM_CALLS[system][name])(client)
            child = os.fork()
            if not child:
                try:
                    found = await refused(ask) if sys.argv[1] == "at once" else asyncio.run(refused(ask))
                    os._exit(0 if found else 1)
                finally:
                    os._exit(2)
            ask.close()
            print(name, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        assert (await client.workflows.get(7)).id == 7
        assert wire.connections == 1

for system in SYSTEMS:
    asyncio.run(main(system))
"""


@pytest.mark.row(64)
@pytest.mark.parametrize("used", ["at once", "in a loop of its own"])
def test_a_client_in_a_forked_process_raises_and_works_on_in_the_parent(used: str, see: See) -> None:
    completed = subprocess.run(
        [sys.executable, "-c", FORK, used], capture_output=True, text=True, timeout=60, check=False
    )
    assert (completed.returncode, completed.stderr) == (0, "")
    assert completed.stdout.split("\n")[:-1] == [f"{name} 0" for _, name in CASES]
    see(f"os.fork: {len(CASES)} calls raise WrongEventLoop in the child; the parent's connection goes on")


# Row 65


@pytest.mark.row(65)
@pytest.mark.parametrize("system", SYSTEMS)
async def test_closing_twice_and_concurrently_closes(system: str) -> None:
    async with serve(answers(system)) as server:
        async with client_of(system, server.url) as client:
            await client.workflows.get(7)
            await asyncio.gather(*(asyncio.create_task(client.aclose()) for _ in range(5)))
            await client.aclose()
            with pytest.raises(ClientClosed):
                await client.workflows.get(7)
        await until(lambda: not server.open)


@pytest.mark.row(65)
@pytest.mark.parametrize(("system", "name"), CASES)
async def test_a_call_returns_or_raises_client_closed_whenever_the_client_is_closed(
    system: str, name: str, see: See
) -> None:
    call, ends, turns = SHARED_CALLS.get(name) or SYSTEM_CALLS[system][name], set[str](), 0
    async with serve(answers(system)) as server:
        while turns < 40:
            turns += 1
            async with client_of(system, server.url, limits=ONE) as client:
                calls = [asyncio.create_task(call(client)) for _ in range(3)]
                for _ in range(turns):
                    await asyncio.sleep(0)
                await client.aclose()
                found = await asyncio.gather(*calls, return_exceptions=True)
                ends |= {type(end).__name__ for end in found if isinstance(end, Exception)}
            assert asyncio.all_tasks() - server.tasks == {asyncio.current_task()}
            await until(lambda: not server.open)
    assert ends == {"ClientClosed"}
    see("closed at 40 moments: answered or ClientClosed, no connection, no task")


@pytest.mark.row(65)
@pytest.mark.parametrize("system", SYSTEMS)
async def test_an_exception_in_the_block_closes_the_client_and_is_raised_unchanged(system: str) -> None:
    async def body(url: str) -> None:
        async with client_of(system, url) as client:
            await client.workflows.get(7)
            raise ZeroDivisionError

    async with serve(answers(system)) as server:
        with pytest.raises(ZeroDivisionError):
            await body(server.url)
        await until(lambda: not server.open)


@pytest.mark.row(65)
@pytest.mark.parametrize("system", SYSTEMS)
def test_a_call_without_a_response_ends_with_its_exchange_timeout_after_the_client_is_closed(
    system: str, see: See
) -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()

        async def never(request: httpx.Request) -> httpx.Response:
            if request.url.path.endswith("/7"):
                await anyio.sleep_forever()
            return await MockServer(system, lambda _: httpx.Response(200, content=workflow(system, 8)))(request)

        async with httpx.AsyncClient(transport=httpx.MockTransport(never)) as http_client:
            settings: dict[str, Any] = {
                "http": http_client,
                "clock": running_clock(),
                "timeouts": Timeouts(exchange=30),
            }
            async with client_of(system, "http://127.0.0.1", **settings) as client:
                calls = [asyncio.create_task(client.workflows.get(7)) for _ in range(3)]
                await anyio.sleep(5)
                await client.aclose()
                ends = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(end) for end in ends} == {ClientClosed}
        return loop.time()

    assert virtual.run(main()) <= 5 + 30 + 2
    see("in flight at a server that never answers: ClientClosed when its 30 s are over")
