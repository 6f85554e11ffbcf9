"""Rows 60 to 62: readers that leave, are slow, fail or block the loop."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any, cast
from urllib.parse import parse_qsl

import anyio
import pytest
from blockbuster import BlockingError, blockbuster_ctx

from tests.conftest import See
from tests.support import virtual_time as virtual
from tests.support.byte_server import ReceivedRequest, http, serve, until
from tests.support.monitored_server import Detailed, Operation, Server, new_poller, running
from tests.support.stub_clients import SYSTEMS, client_of, page, row, with_login, workflow
from tests.unit.monitor.test_poller import assert_nothing_left, later, waiting, watch
from workflow_async import Clock, Limits, Phase
from workflow_async.monitor import Change

ONE = Limits(connections=1)


# Row 60: who stops reading


def answers(system: str) -> Callable[[ReceivedRequest], bytes]:
    """Return the responses of a list without end and of workflows that have ended."""

    def answer(seen: ReceivedRequest) -> bytes:
        path, _, query = seen.target.partition("?")
        if path.endswith(("/workflows", "/instances")):
            place = 1000 + int(dict(parse_qsl(query))["offset" if system == "opencast" else "start"])
            return http(200, page(system, [row(system, id) for id in range(place, place + 100)], 1000))
        return http(200, workflow(system, int(path.rpartition("/")[2]), "succeeded"))

    return with_login(answer)


def iterators(client: Any) -> dict[str, AsyncIterator[Any]]:
    """Return everything that can be iterated without an `async with`."""
    return {
        "list": aiter(client.workflows.list()),
        "pages": client.workflows.list().pages(),
        "as_completed": client.workflows.as_completed([1, 2, 3]),
    }


async def breaks(client: Any, name: str) -> None:
    async for _ in iterators(client)[name]:
        break


async def fails(client: Any, name: str) -> None:
    async def reads() -> None:
        async for _ in iterators(client)[name]:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await reads()


async def forgets(client: Any, name: str) -> None:
    iterator: Any = iterators(client)[name]
    await anext(iterator)
    del iterator
    gc.collect()


async def is_cancelled(client: Any, name: str) -> None:
    begun = asyncio.Event()

    async def reads() -> None:
        async for _ in iterators(client)[name]:
            begun.set()
            await asyncio.Event().wait()

    reading = asyncio.create_task(reads())
    await begun.wait()
    reading.cancel()
    await asyncio.wait([reading])


@pytest.mark.row(60)
@pytest.mark.parametrize("leaves", [breaks, fails, forgets, is_cancelled])
@pytest.mark.parametrize("name", ["list", "pages", "as_completed"])
@pytest.mark.parametrize("system", SYSTEMS)
async def test_a_reader_that_stops_holds_no_connection_and_leaves_no_task(
    system: str, name: str, leaves: Callable[[Any, str], Any], see: See
) -> None:
    async with serve(answers(system)) as wire:
        async with client_of(system, wire.url, limits=ONE) as client:
            await leaves(client, name)
            gc.collect()
            await until(lambda: asyncio.all_tasks() - wire.tasks == {asyncio.current_task()})
            assert (await client.workflows.get(7)).id == 7
            assert not client.workflows._poller.engine.observations
            assert wire.open <= 1
        await until(lambda: not wire.open)
    see("break, exception, cancellation, garbage collection: no connection held, no task, nothing watched")


@pytest.mark.row(60)
@pytest.mark.parametrize("system", SYSTEMS)
async def test_between_two_items_no_connection_is_held(system: str) -> None:
    async with serve(answers(system)) as wire, client_of(system, wire.url, limits=ONE) as client:
        got = 0
        async for _ in client.workflows.list(limit=300):
            got += (await client.workflows.get(7)).id == 7
            if got == 150:
                break
        assert got > 99


# Row 61: a slow reader


@pytest.mark.row(61)
def test_a_slow_reader_gets_the_latest_state_and_every_transition_and_every_end(see: See) -> None:
    async def main() -> None:
        server = Server(workflows={id: Detailed(id, operations=(Operation("a"),)) for id in range(50)})
        poller = new_poller(server)
        keeping = asyncio.create_task(waiting(poller, 49))
        for n in range(60):
            word = f"state-{n}"
            for id in range(50):
                record = Detailed(id, operations=(Operation("a", word),), step=word)
                later(3 + 3 * n, partial(server.put, record))
        later(200, lambda: server.set_phase(Phase.SUCCEEDED, *range(50)))
        async with watch(poller, *range(50), operations=True) as changes:
            await anyio.sleep(400)
            assert max(len(mail) for mail in changes._subscription._queue.values()) <= 2
            events = [event async for event in changes]
        assert await keeping
        assert [event.id for event in events] == [*dict.fromkeys(event.id for event in events)]
        assert {event.now for event in events} == {Phase.SUCCEEDED}
        for event in events:
            assert [one.now for one in event.operations] == ["instantiated", *(f"state-{n}" for n in range(60))]
        assert_nothing_left(poller, server)

    virtual.run(main())
    see("50 workflows x 61 changes unread for 400 s: one change each with all 61 transitions, every end told")


# Row 62: readers that fail or hold up the loop


@pytest.mark.row(62)
@pytest.mark.parametrize("how", ["raises", "is cancelled", "has a condition that raises"])
def test_a_reader_that_fails_affects_no_other_watch(how: str, see: See) -> None:
    async def bad(poller: Any) -> None:
        async with watch(poller, *range(20)) as changes:
            async for _ in changes:
                await anyio.sleep(7)
                if how == "raises":
                    raise ZeroDivisionError
                await asyncio.Event().wait()

    async def main() -> None:
        server = Server(workflows=running(*range(20)))
        poller = new_poller(server)

        def condition(_: Any) -> bool:
            raise ZeroDivisionError

        conditional = how.startswith("has")
        first = asyncio.create_task(waiting(poller, 3, until=condition) if conditional else bad(poller))
        await asyncio.sleep(0)
        others = [asyncio.create_task(waiting(poller, id)) for id in range(20)]
        later(20, first.cancel if how == "is cancelled" else lambda: None)
        later(60, lambda: server.set_phase(Phase.SUCCEEDED, *range(20)))
        assert {found.phase for found in await asyncio.gather(*others)} == {Phase.SUCCEEDED}
        await asyncio.wait([first])
        assert first.cancelled() or isinstance(first.exception(), ZeroDivisionError)
        assert_nothing_left(poller, server)

    virtual.run(main())
    see("a reader that raises, is cancelled or whose condition raises: its own error, the others go on")


@pytest.mark.row(62)
@pytest.mark.parametrize("lists", [False, True])
def test_a_reader_that_blocks_the_loop_only_delays_the_others(lists: bool) -> None:  # noqa: FBT001 - a case
    async def main() -> None:
        server = Server(supports_listing=lists, seconds=0.1, workflows=running(*range(40)))
        poller = new_poller(server)

        async def holds_up() -> None:
            async with watch(poller, *range(40)) as changes:
                async for _ in changes:
                    cast("virtual.VirtualLoop", asyncio.get_running_loop()).passed += 20.0

        async def reads() -> list[Any]:
            async with watch(poller, *range(40)) as changes:
                return [event async for event in changes]

        later(100, lambda: server.set_phase(Phase.SUCCEEDED, *range(40)))
        events, _ = await asyncio.gather(reads(), holds_up())
        ends = [event.id for event in events if isinstance(event, Change) and event.now.final]
        assert sorted(ends) == list(range(40))
        assert len({(event.id, event.key) for event in events}) == len(events)
        assert_nothing_left(poller, server)

    virtual.run(main())


@pytest.mark.row(62)
@pytest.mark.parametrize("system", SYSTEMS)
async def test_the_library_never_blocks_the_loop(system: str, see: See) -> None:
    async with serve(answers(system)) as wire:
        with blockbuster_ctx(scanned_modules=["workflow_async"]):
            async with client_of(system, wire.url) as client:
                assert len([workflow async for workflow in client.workflows.list(limit=300)]) == 300
                assert (await client.workflows.get(7)).id == 7
                await client.workflows.wait_all(range(1, 20))
                async with client.workflows.watch(range(1, 20)) as changes:
                    assert len([change async for change in changes]) == 19
    see("blockbuster finds no blocking call in list, get, wait and watch")


@pytest.mark.row(62)
async def test_a_call_that_blocks_the_loop_would_be_found() -> None:
    async def sleep(seconds: float) -> None:
        time.sleep(seconds / 1000)  # noqa: ASYNC251 - what must be found

    async with serve(http(503)) as wire, client_of("opencast", wire.url, clock=Clock(sleep=sleep)) as client:
        with blockbuster_ctx(scanned_modules=["workflow_async"]), pytest.raises(BlockingError):
            await client.workflows.get(7)
