"""When the last watcher has left, nothing is left."""

import asyncio
from typing import Any

import anyio
import pytest
from attrs import define

from tests.support import virtual_time as virtual
from tests.support.leftovers import assert_all_gone, now, reads
from tests.support.monitored_server import Server, new_poller, running
from tests.unit.monitor.test_fetcher import watch_list
from tests.unit.monitor.test_poller import later, waiting, watch
from workflow_async import Phase, Poll
from workflow_async.errors import (
    Forbidden,
    InvalidArgument,
)

CUTS = ["break", "native", "scope", "fails", "native, then native again"]


@pytest.mark.parametrize("lists", [False, True])
@pytest.mark.parametrize(
    ("how", "seconds"), [*((how, seconds) for how in CUTS for seconds in (0.0, 1.0, 1e6)), ("ends", 0.0), ("ends", 1.0)]
)
def test_when_the_last_watcher_has_left_nothing_is_left(how: str, seconds: float, lists: bool) -> None:  # noqa: FBT001 - a case
    async def main() -> None:
        server = Server(supports_listing=lists, seconds=seconds, workflows=running(*range(5)))
        poller = new_poller(server)

        async def last() -> None:
            with anyio.CancelScope() as scope:
                async with watch(poller, *range(5)) as changes:
                    if how == "scope":
                        later(2.5, scope.cancel)
                    if how == "break":
                        await asyncio.sleep(2.5)
                        return
                    if how == "fails":
                        await asyncio.sleep(2.5)
                        raise ZeroDivisionError
                    await reads(changes)

        leaving = asyncio.create_task(last())
        later(8.0, lambda: server.set_phase(Phase.SUCCEEDED, *range(5)))
        if how.startswith("native"):
            later(2.5, leaving.cancel)
        if how.endswith("again"):
            later(2.5, leaving.cancel, leaving.cancel)
        await asyncio.wait([leaving])
        assert leaving.cancelled() is how.startswith("native")
        assert_all_gone(poller, server)

    virtual.run(main())


@define
class Reluctant(Server):
    """A server whose requests take a second to end after a cancellation, because a connection is closed."""

    async def get(self, id: int, *, operations: bool) -> Any:
        try:
            return await super().get(id, operations=operations)
        except asyncio.CancelledError:
            self.in_flight += 1
            with anyio.CancelScope(shield=True):
                await asyncio.sleep(1.0)
            self.in_flight -= 1
            raise


@pytest.mark.parametrize("again", [[], [0.0], [0.5], [0.0, 0.3, 0.9]], ids=str)
@pytest.mark.parametrize("how", ["native", "scope", "neither"])
def test_leaving_waits_for_the_last_request_and_swallows_no_cancellation(how: str, again: list[float]) -> None:
    async def main() -> None:
        server = Reluctant(seconds=1e6, workflows=running(1))
        poller, after, scope = new_poller(server), False, anyio.CancelScope()

        async def last() -> None:
            nonlocal after
            with scope:
                async with watch(poller, 1) as changes:
                    with anyio.move_on_after(2.0 if how == "neither" else None):
                        await anext(changes)
                await anyio.lowlevel.checkpoint()
                after = True

        leaving = asyncio.create_task(last())
        cancel = leaving.cancel if how == "native" else scope.cancel
        if how != "neither":
            later(2.0, cancel)
        for seconds in again:
            later(2.0 + seconds, cancel)
        await asyncio.wait([leaving])
        assert now() == pytest.approx(3.0)
        cut = how != "neither" or bool(again)
        assert (after, leaving.cancelled()) == (not cut, how == "native")
        assert_all_gone(poller, server)

    virtual.run(main())


def test_a_watcher_that_joins_while_the_last_request_ends_is_served_and_delays_no_other() -> None:
    async def main() -> None:
        server = Reluctant(seconds=1e6, workflows=running(1, 2))
        poller = new_poller(server)

        async def leaves() -> float:
            async with watch(poller, 1):
                await asyncio.sleep(2.0)
            return now()

        leaving = asyncio.create_task(leaves())
        await asyncio.sleep(2.5)
        server.seconds = 0.1
        server.set_phase(Phase.SUCCEEDED, 1)
        later(10.0, lambda: server.set_phase(Phase.SUCCEEDED, 2))
        stays = asyncio.create_task(waiting(poller, 2))
        assert (await waiting(poller, 1)).phase is Phase.SUCCEEDED
        assert now() == pytest.approx(3.1)
        assert await leaving == pytest.approx(3.0)
        assert (await stays).phase is Phase.SUCCEEDED
        assert_all_gone(poller, server)

    virtual.run(main())


def test_workflows_of_a_closed_filter_are_checked_immediately_for_other_watchers() -> None:
    async def main() -> None:
        server = Server(supports_listing=True, workflows=running(1))
        poller = new_poller(server)
        async with (
            watch_list(poller, server) as changes,
            watch_list(poller, server, poll=Poll(interval=100, ceiling=100)),
        ):
            await anext(changes)
            waits = asyncio.create_task(waiting(poller, 1))
            await asyncio.sleep(5.0)
            assert server.gets == []
            await changes.__aexit__(None, None, None)
            await asyncio.sleep(0.1)
            assert [at for at, _, _ in server.gets] == pytest.approx([5.0])
            waits.cancel()
            await asyncio.wait([waits])
        assert_all_gone(poller, server)

    virtual.run(main())


def test_a_closed_filter_cancels_its_request_although_other_watchers_go_on() -> None:
    async def main() -> None:
        server = Server(supports_listing=True, workflows=running(1))
        poller = new_poller(server)
        goes_on = asyncio.create_task(waiting(poller, 1))
        await asyncio.sleep(1.0)
        server.seconds = 1e6
        async with watch_list(poller, server):
            await asyncio.sleep(0.1)
            assert server.in_flight == 1
        await asyncio.sleep(0.1)
        assert (server.in_flight, poller._lists) == (0, {})
        goes_on.cancel()
        await asyncio.wait([goes_on])
        assert_all_gone(poller, server)

    virtual.run(main())


def test_a_filter_that_is_closed_before_it_was_read_is_not_read() -> None:
    async def main() -> None:
        server = Server(supports_listing=True, workflows=running(1))
        poller = new_poller(server)
        goes_on = asyncio.create_task(waiting(poller, 1))
        await asyncio.sleep(1.0)
        async with watch_list(poller, server):
            pass
        await asyncio.sleep(1.0)
        assert server.pages == []
        goes_on.cancel()
        await asyncio.wait([goes_on])

    virtual.run(main())


def test_workflows_of_a_filter_are_not_polled_after_the_filter_has_failed() -> None:
    async def main() -> None:
        server = Server(supports_listing=True, workflows=running(1, 2))
        poller = new_poller(server)
        async with watch_list(poller, server) as changes:
            assert {(await anext(changes)).id, (await anext(changes)).id} == {1, 2}
            server.list_error = Forbidden(403)
            for _ in range(2):
                with pytest.raises(Forbidden):
                    await anext(changes)
            sent = server.requests
            await asyncio.sleep(100.0)
            assert server.requests == sent
            assert changes.ids == {1, 2}
            assert_all_gone(poller, server)
        assert changes.ids == frozenset()

    virtual.run(main())


def test_a_closed_watch_has_ended_and_can_be_entered_again() -> None:
    async def main() -> None:
        server = Server(supports_listing=True, workflows=running(1, 2))
        poller = new_poller(server)
        for changes in (watch(poller, 1, 2), watch_list(poller, server)):
            with pytest.raises(InvalidArgument, match="async with"):
                await anext(changes)
            for _ in range(2):
                async with changes:
                    assert {(await anext(changes)).id, (await anext(changes)).id} == {1, 2}
                assert [event async for event in changes] == []
        assert_all_gone(poller, server)

    virtual.run(main())


def test_two_readers_of_one_watch_are_both_woken() -> None:
    async def main() -> None:
        server = Server(workflows=running(1, 2))
        poller = new_poller(server)
        later(5, lambda: server.set_phase(Phase.SUCCEEDED, 1))
        later(9, lambda: server.set_phase(Phase.SUCCEEDED, 2))
        async with watch(poller, 1, 2) as changes:
            shares = await asyncio.gather(reads(changes), reads(changes))
        events = [(event.id, event.now) for share in shares for event in share]
        assert len(events) == len(set(events)) == 4
        assert_all_gone(poller, server)

    virtual.run(main())
