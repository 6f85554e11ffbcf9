"""Hints from outside: how often they cause checks, and what happens if they come early."""

import asyncio
import threading

import anyio
import pytest

from tests.support import virtual_time as virtual
from tests.support.monitored_server import Record, Server, new_poller
from tests.unit.monitor.test_poller import watch
from workflow_async import OpencastClient, Poll
from workflow_async.errors import WrongEventLoop
from workflow_async.monitor._engine.wakes import HINT_SECONDS, MAX_HINTS, MIN_SPACING, EarlyWakes, WakeTimes

RARE = Poll(interval=100.0, ceiling=100.0, jitter=0)


def test_a_hint_is_obeyed_immediately_and_the_next_ones_a_second_later() -> None:
    times = WakeTimes()
    assert [times.next(7, at) for at in (10.0, 10.1, 10.9, 11.0, 11.5, 14.0)] == [10, 11, 11, 12, 12, 14]
    assert times.next(8, 10.2) == 10.2
    times.forget(7)
    assert times.next(7, 14.1) == 14.1


def test_a_hint_that_comes_early_is_kept_for_a_few_seconds_and_taken_once() -> None:
    early = EarlyWakes()
    early.note(7, 10.0)
    assert early.take(7, 10.0 + HINT_SECONDS)
    assert not early.take(7, 10.0)
    early.note(7, 10.0)
    assert not early.take(7, 10.1 + HINT_SECONDS)


def test_no_more_than_a_thousand_early_hints_are_kept() -> None:
    early = EarlyWakes()
    for id in range(2 * MAX_HINTS):
        early.note(id, 10.0)
    assert not early.take(MAX_HINTS - 1, 10.0)
    assert early.take(MAX_HINTS, 10.0)


def test_hundreds_of_hints_are_one_check_a_second() -> None:
    async def main() -> None:
        server = Server(workflows={7: Record(7)})
        poller = new_poller(server)
        async with watch(poller, 7, poll=RARE) as changes:
            await anext(changes)
            before = server.requests
            for _ in range(600):
                assert poller.wake(7)
                await anyio.sleep(0.005)
            assert server.requests - before <= 3 / MIN_SPACING + 1

    virtual.run(main())


def test_a_hint_during_a_request_is_followed_by_another_check() -> None:
    async def main() -> None:
        server = Server(workflows={7: Record(7)}, seconds=0.5)
        poller = new_poller(server)
        async with watch(poller, 7, poll=RARE) as changes:
            asyncio.get_running_loop().call_later(0.25, poller.wake, 7)
            await anext(changes)
            await anyio.sleep(2)
            assert server.requests == 2

    virtual.run(main())


def test_a_hint_says_whether_its_workflow_is_watched_here() -> None:
    async def main() -> None:
        poller = new_poller(Server(workflows={7: Record(7)}))
        assert not poller.wake(7)
        assert not poller.wake()
        async with watch(poller, 7) as changes:
            await anext(changes)
            assert poller.wake(7)
            assert poller.wake()
            assert not poller.wake(8)
        assert not poller.wake(7)

    virtual.run(main())


def test_a_hint_without_an_id_checks_everything() -> None:
    async def main() -> None:
        server = Server(workflows={id: Record(id) for id in (1, 2, 3)})
        poller = new_poller(server)
        async with watch(poller, 1, 2, 3, poll=RARE) as changes:
            for _ in range(3):
                await anext(changes)
            before = server.requests
            await anyio.sleep(5)
            assert server.requests == before
            poller.wake()
            await anyio.sleep(1)
            assert server.requests == before + 3

    virtual.run(main())


def test_a_hint_that_overtakes_its_watch_is_obeyed_when_the_watch_begins() -> None:
    async def main() -> None:
        server = Server(workflows={7: Record(7)})
        poller = new_poller(server)
        assert not poller.wake(7)
        slow = Poll(initial=50.0, interval=100.0, ceiling=100.0, jitter=0)
        async with watch(poller, 7, poll=slow) as changes:
            await anext(changes)
            assert asyncio.get_running_loop().time() < 1

    virtual.run(main())


async def test_a_hint_from_another_thread_says_so() -> None:
    async with OpencastClient("http://127.0.0.1:9", auth=("u", "p")) as client:
        raised: list[BaseException] = []

        def call() -> None:
            try:
                client.workflows.wake(7)
            except WrongEventLoop as error:
                raised.append(error)

        thread = threading.Thread(target=call)
        thread.start()
        await asyncio.to_thread(thread.join)
        assert len(raised) == 1


@pytest.mark.parametrize("count", [1, 3])
async def test_a_watch_can_be_added_to_in_a_callback_of_the_loop(count: int) -> None:
    async with (
        OpencastClient("http://127.0.0.1:9", auth=("u", "p")) as client,
        client.workflows.watch([], poll=RARE) as changes,
    ):
        called = asyncio.Event()

        def add() -> None:
            changes.add(*range(count))
            called.set()

        asyncio.get_running_loop().call_soon(add)
        await called.wait()
        assert changes.ids == frozenset(range(count))
