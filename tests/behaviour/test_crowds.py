"""Rows 66 and 67: ten thousand waiting calls."""

import asyncio
import gc
import tracemalloc
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

import anyio
import httpx
import pytest

from tests.conftest import See
from tests.support import virtual_time as virtual
from tests.support.stub_clients import SYSTEMS, MockServer, client_of, running_clock, workflow
from tests.unit.monitor.test_poller import STEADY
from workflow_async import Phase

CROWD = 10_000
KIB = 1024


def number(request: httpx.Request) -> int:
    return int(request.url.path.rpartition("/")[2])


@pytest.mark.row(66)
def test_ten_thousand_calls_are_answered_in_the_order_they_were_made(see: See) -> None:
    async def main() -> tuple[list[int], int]:
        order, pending, most = list[int](), 0, 0

        async def answer(request: httpx.Request) -> httpx.Response:
            nonlocal pending, most
            order.append(number(request))
            pending += 1
            most = max(most, pending)
            await anyio.sleep(0.01)
            pending -= 1
            return httpx.Response(200, content=workflow("opencast", number(request)))

        async with (
            httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http_client,
            client_of("opencast", "http://127.0.0.1", http=http_client, clock=running_clock()) as client,
        ):
            found = await asyncio.gather(*(client.workflows.get(id) for id in range(CROWD)))
        assert [one.id for one in found] == list(range(CROWD))
        return order, most

    order, most = virtual.run(main())
    late = max(abs(position - id) for position, id in enumerate(order))
    assert (len(order), most) == (CROWD, 16)
    assert late < 8
    see(f"{CROWD} calls over 8 connections: answered in their order")


def get(client: Any, id: int) -> Coroutine[Any, Any, Any]:
    return client.workflows.get(id)  # type: ignore[no-any-return]  # either client


def wait(client: Any, id: int) -> Coroutine[Any, Any, Any]:
    return client.workflows.wait(id)  # type: ignore[no-any-return]  # either client


def wait_for_the_same(client: Any, _: int) -> Coroutine[Any, Any, Any]:
    return client.workflows.wait(7)  # type: ignore[no-any-return]  # either client


@pytest.mark.row(66)
@pytest.mark.parametrize("send", [get, wait, wait_for_the_same])
def test_a_waiting_call_costs_a_few_kib(send: Callable[[Any, int], Any], see: See) -> None:
    async def main() -> float:
        async def never(_: httpx.Request) -> httpx.Response:
            await anyio.sleep_forever()
            raise AssertionError

        async with (
            httpx.AsyncClient(transport=httpx.MockTransport(never)) as http_client,
            client_of("opencast", "http://127.0.0.1", http=http_client, clock=running_clock()) as client,
        ):
            gc.collect()
            tracemalloc.start()
            waiters = [asyncio.create_task(send(client, id)) for id in range(1000, 1000 + CROWD // 5)]
            for _ in range(10):
                await asyncio.sleep(0)
            gc.collect()
            used, _ = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            for waiter in waiters:
                waiter.cancel()
            await asyncio.gather(*waiters, return_exceptions=True)
        return used / len(waiters) / KIB

    each = virtual.run(main())
    assert each < 7.5, "half more than is promised"
    see(f"{send.__name__}: {each:.1f} KiB each")


@pytest.mark.row(67)
@pytest.mark.parametrize("system", SYSTEMS)
def test_ten_thousand_waits_for_one_workflow_cost_one_check_per_interval(system: str, see: See) -> None:
    async def main() -> Counter[int]:
        clock = running_clock()
        checks = Counter[int]()

        def answer(_: httpx.Request) -> httpx.Response:
            checks[int(clock.now() / STEADY.interval)] += 1
            return httpx.Response(200, content=workflow(system, 7, "running" if clock.now() < 61 else "succeeded"))

        async with MockServer(system, answer).client(clock) as client:
            found = await asyncio.gather(*(client.workflows.wait(7, poll=STEADY) for _ in range(CROWD)))
        assert {one.phase for one in found} == {Phase.SUCCEEDED}
        return checks

    checks = virtual.run(main())
    assert max(list(checks.values())[:-1]) == 1
    assert checks.total() <= 61 / STEADY.interval + 3
    see(f"{CROWD} waits of 60 s: {checks.total()} requests, one an interval")
