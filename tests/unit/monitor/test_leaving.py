"""Watches that end before their workflows."""

import asyncio
from collections.abc import AsyncIterator

import anyio
import pytest

from workflow_async import OpencastClient, Poll, PreservicaClient
from workflow_async.errors import ClientClosed, WrongEventLoop
from workflow_async.monitor import Stalled, WatchEvent
from workflow_async.monitor.events import Change
from workflow_async.opencast import Workflow
from workflow_async.sandbox import ManualClock, Sandbox

OFTEN = Poll(interval=0.02, ceiling=0.05)
SELDOM = Poll(interval=30)


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox(clock=ManualClock())


@pytest.fixture
async def served(sandbox: Sandbox) -> AsyncIterator[tuple[OpencastClient, int]]:
    with sandbox:
        id = sandbox.opencast.start(sandbox.opencast.event(), "fast")
        async with OpencastClient(sandbox.opencast.url, auth=sandbox.opencast.auth) as oc:
            yield oc, id


async def all_of(oc: OpencastClient, id: int, begun: asyncio.Event) -> list[WatchEvent[Workflow]]:
    events = []
    async with oc.workflows.watch([id], poll=OFTEN) as changes:
        async for event in changes:
            events.append(event)
            begun.set()
    return events


async def test_dropping_the_last_id_ends_the_iteration_of_every_reader(served: tuple[OpencastClient, int]) -> None:
    oc, id = served
    async with oc.workflows.watch([id], poll=OFTEN) as changes:
        begun = asyncio.Event()

        async def read() -> int:
            events = 0
            async for _ in changes:
                events += 1
                begun.set()
            return events

        reader = asyncio.create_task(read())
        await begun.wait()
        changes.drop(id)
        with anyio.fail_after(30):
            assert await reader == 1


async def test_closing_the_client_ends_every_wait_and_watch_immediately(served: tuple[OpencastClient, int]) -> None:
    oc, id = served
    waiters = [asyncio.create_task(oc.workflows.wait(id, poll=SELDOM)) for _ in range(3)]
    while not (observation := oc.workflows._poller.engine.observations.get(id)) or not observation.changes:
        await anyio.sleep(0.005)
    await oc.aclose()
    with anyio.fail_after(30):
        ends = await asyncio.gather(*waiters, return_exceptions=True)
    assert all(isinstance(end, ClientClosed) for end in ends)


async def test_a_wait_in_another_loop_raises_although_the_client_is_in_use_in_its_own(
    served: tuple[OpencastClient, int],
) -> None:
    oc, id = served
    begun = asyncio.Event()
    home = asyncio.create_task(all_of(oc, id, begun))
    await begun.wait()
    with pytest.raises(WrongEventLoop):
        await asyncio.to_thread(asyncio.run, oc.workflows.wait(id))
    home.cancel()
    with pytest.raises(asyncio.CancelledError):
        await home


async def test_a_wait_on_a_client_that_is_not_open_raises() -> None:
    oc = OpencastClient("https://oc.example.org", auth=("a", "b"))
    with pytest.raises(ClientClosed):
        await oc.workflows.wait(1)
    pv = PreservicaClient("eu.preservica.com", username="u", password="p")
    with pytest.raises(ClientClosed):
        async with pv.workflows.watch([1]):
            pass


async def test_an_event_whose_hook_was_cancelled_is_returned_to_the_next_reader(
    served: tuple[OpencastClient, int],
) -> None:
    oc, id = served
    watch = oc.workflows.watch([id], poll=OFTEN)
    slow = asyncio.Event()

    async def remedy(event: WatchEvent[Workflow]) -> WatchEvent[Workflow]:
        await slow.wait()
        return event

    watch._hook = remedy
    async with watch as changes:
        with anyio.move_on_after(0.2):
            await anext(changes)
        slow.set()
        event = await anext(changes)
        assert isinstance(event, Change)
        assert not isinstance(event, Stalled)
        assert event.was is None
