"""A client belongs to one event loop. These tests use it from several loops, and from threads without a loop."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

import anyio
import pytest
from anyio.from_thread import start_blocking_portal

from tests.apps.conftest import LONG_TIME
from workflow_async import OpencastClient, Phase, Poll
from workflow_async.errors import ClientClosed, WrongEventLoop
from workflow_async.opencast import Workflow
from workflow_async.sandbox import ManualClock, Sandbox

FAST_POLL = Poll(interval=0.02, ceiling=0.05)
UseClient = Callable[[OpencastClient, int], Awaitable[object]]


def client(sandbox: Sandbox) -> OpencastClient:
    return OpencastClient(sandbox.opencast.url, auth=sandbox.opencast.auth)


def start_workflow(sandbox: Sandbox) -> int:
    return sandbox.opencast.start(sandbox.opencast.event(), "publish")


async def get(oc: OpencastClient, id: int) -> object:
    return await oc.workflows.get(id)


async def wait(oc: OpencastClient, id: int) -> object:
    return await oc.workflows.wait(id, poll=FAST_POLL)


async def wait_all(oc: OpencastClient, id: int) -> object:
    return await oc.workflows.wait_all([id], poll=FAST_POLL)


async def watch(oc: OpencastClient, id: int) -> object:
    async with oc.workflows.watch([id], poll=FAST_POLL) as changes:
        return [change async for change in changes]


async def list_definitions(oc: OpencastClient, _: int) -> object:
    return await oc.definitions.list().first()


@pytest.mark.parametrize("use", [get, wait, wait_all, watch, list_definitions])
def test_a_client_used_in_two_loops_raises_wrong_event_loop(sandbox: Sandbox, use: UseClient) -> None:
    id = start_workflow(sandbox)

    async def at_home() -> None:
        async with client(sandbox) as oc:
            await oc.version()
            with pytest.raises(WrongEventLoop, match="open one for each"):
                await asyncio.to_thread(asyncio.run, elsewhere(oc))
            assert (await oc.workflows.get(id)).id == id

    async def elsewhere(oc: OpencastClient) -> None:
        await use(oc, id)

    asyncio.run(at_home())
    assert len(sandbox.opencast.requests) == 2


@pytest.mark.parametrize("use", [get, wait, wait_all, watch, list_definitions])
def test_a_client_used_after_its_loop_raises_client_closed(sandbox: Sandbox, use: UseClient) -> None:
    oc = client(sandbox)

    async def first() -> None:
        async with oc:
            await oc.version()

    async def second() -> None:
        await use(oc, 1)

    asyncio.run(first())
    with pytest.raises(ClientClosed):
        asyncio.run(second())


def test_one_client_for_each_of_two_loops_works(sandbox: Sandbox, clock: ManualClock) -> None:
    ids = [start_workflow(sandbox), start_workflow(sandbox)]

    async def watch(id: int) -> Phase:
        async with client(sandbox) as oc:
            return (await oc.workflows.wait(id, poll=FAST_POLL)).phase

    async def both() -> list[Phase]:
        loops = [asyncio.to_thread(asyncio.run, watch(id)) for id in ids]
        clock.advance(LONG_TIME)
        return await asyncio.gather(*loops)

    assert asyncio.run(both()) == [Phase.SUCCEEDED] * 2


def test_a_client_can_be_opened_again_in_the_next_loop(sandbox: Sandbox) -> None:
    id, oc = start_workflow(sandbox), client(sandbox)

    async def once() -> int:
        async with oc:
            return (await oc.workflows.get(id)).id

    assert [asyncio.run(once()), asyncio.run(once())] == [id, id]


async def test_a_worker_thread_calls_into_the_loop_of_its_client(sandbox: Sandbox) -> None:
    event = sandbox.opencast.event()

    def work(oc: OpencastClient) -> Workflow:
        started = anyio.from_thread.run(oc.workflows.start, event, "publish")
        return anyio.from_thread.run(partial(oc.workflows.get, started.id, with_operations=True))

    async with client(sandbox) as oc:
        found = await anyio.to_thread.run_sync(work, oc)
    assert found.event_id == event
    assert found.operations


def test_a_program_without_a_loop_uses_a_portal(sandbox: Sandbox, clock: ManualClock) -> None:
    event = sandbox.opencast.event()
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(client(sandbox)) as oc:
        started = portal.call(oc.workflows.start, event, "publish")
        clock.advance(LONG_TIME)
        done = portal.call(partial(oc.workflows.wait, started.id, poll=FAST_POLL))
        with portal.wrap_async_context_manager(oc.workflows.watch([started.id])) as changes:
            last = portal.call(changes.__anext__)
    assert (done.phase, last.id) == (Phase.SUCCEEDED, started.id)
