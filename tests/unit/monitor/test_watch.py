"""A watch is ended from outside, and tells its reader when nothing happens."""

import asyncio
from typing import Any

import anyio
import pytest

from tests.support import virtual_time as virtual
from tests.support.monitored_server import Record, Server, new_poller, running
from tests.unit.monitor.test_poller import STEADY, assert_nothing_left, later, watch
from workflow_async import Phase
from workflow_async.errors import CallError, InvalidArgument, ServerError
from workflow_async.monitor.watch import Watch, watching


def test_a_watch_that_another_task_ends_stops_its_reader_at_once() -> None:
    async def main() -> tuple[list[Any], float]:
        poller = new_poller(server)
        async with watch(poller, 7, 8) as changes, anyio.create_task_group() as group:

            async def end() -> None:
                await anyio.sleep(5)
                await changes.aclose()

            group.start_soon(end)
            events = [event async for event in changes]
            at = asyncio.get_running_loop().time()
        assert_nothing_left(poller, server)
        return events, at

    server = Server(workflows=running(7, 8))
    events, at = virtual.run(main())
    assert sorted(event.id for event in events) == [7, 8]
    assert at == pytest.approx(5)


def watch_of_a_filter(server: Server) -> Watch[Any]:
    """Return a watch of all workflows that the server lists."""
    return watching(
        new_poller(server),
        None,
        lambda: server.list_active(operations=False),
        poll=STEADY,
        operations=False,
        stalled_after=None,
    )


def test_a_watch_of_a_filter_can_be_ended_too() -> None:
    async def main() -> list[Any]:
        server = Server(supports_listing=True, workflows=running(7))
        listed = watch_of_a_filter(server)
        async with listed as changes, anyio.create_task_group() as group:

            async def end() -> None:
                await anyio.sleep(5)
                await changes.aclose()

            group.start_soon(end)
            ids = [event.id async for event in changes]
        return sorted(ids)

    assert virtual.run(main()) == [7]


def test_ending_a_watch_twice_does_nothing() -> None:
    async def main() -> list[Any]:
        async with watch(new_poller(Server(workflows=running(7))), 7) as changes:
            await changes.aclose()
            await changes.aclose()
            return [event async for event in changes]

    assert virtual.run(main()) == []


def test_ending_one_watch_leaves_the_others() -> None:
    async def main() -> list[Any]:
        server = Server(workflows=running(7))
        later(9, lambda: server.set_phase(Phase.SUCCEEDED, 7))
        poller = new_poller(server)
        async with watch(poller, 7) as ended, watch(poller, 7) as kept:
            await ended.aclose()
            return [event.now async for event in kept]

    assert virtual.run(main()) == [Phase.RUNNING, Phase.SUCCEEDED]


def test_a_heartbeat_comes_whenever_nothing_happens_and_costs_no_request() -> None:
    async def main(seconds: float) -> tuple[list[Any], int]:
        server = Server(workflows=running(7))
        later(25, lambda: server.set_phase(Phase.SUCCEEDED, 7))
        loop = asyncio.get_running_loop()
        async with watch(new_poller(server), 7) as changes:
            beats = [(round(loop.time()), event and event.now) async for event in changes.heartbeat(seconds)]
        return beats, len(server.gets)

    beats, gets = virtual.run(main(10))
    assert beats == [(0, Phase.RUNNING), (10, None), (20, None), (26, Phase.SUCCEEDED)]
    assert gets == virtual.run(main(1000))[1]


def test_a_heartbeat_cancels_neither_a_check_nor_a_remedy() -> None:
    async def main() -> tuple[list[Any], int, int]:
        server = Server(workflows=running(7), seconds=5.0)
        later(7, lambda: server.set_phase(Phase.SUCCEEDED, 7))
        begun = 0

        async def slow(event: Any) -> Any:
            nonlocal begun
            begun += 1
            await anyio.sleep(30)
            return event

        async with watch(new_poller(server), 7, hook=slow) as changes:
            events = [event and event.now async for event in changes.heartbeat(1)]
        return events, begun, len(server.gets)

    events, begun, gets = virtual.run(main())
    assert [event for event in events if event is not None] == [Phase.RUNNING, Phase.SUCCEEDED]
    assert begun == 2
    assert gets == 2


def test_a_heartbeat_ends_with_the_watch() -> None:
    async def main() -> list[Any]:
        async with watch(new_poller(Server(workflows={7: Record(7, Phase.FAILED)})), 7) as changes:
            return [event.now async for event in changes.heartbeat(1)]

    assert virtual.run(main()) == [Phase.FAILED]


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), "5", None, True])
async def test_a_heartbeat_that_is_no_number_of_seconds_is_refused(seconds: Any) -> None:
    async with watch(new_poller(Server(workflows=running(7))), 7) as changes:
        with pytest.raises(InvalidArgument, match="seconds"):
            await anext(changes.heartbeat(seconds))


async def test_a_heartbeat_of_a_watch_that_was_not_entered_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="must be entered"):
        await anext(watch(new_poller(Server()), 7).heartbeat(1))


def test_a_watch_tells_why_the_last_check_of_a_workflow_failed() -> None:
    async def main() -> list[CallError | None]:
        server = Server(workflows=running(7, 8))
        server.workflows[8] = ServerError(503)
        told: list[CallError | None] = []
        async with watch(new_poller(server), 7, 8) as changes:
            told.append(changes.last_error(8))
            await anext(changes)
            await anyio.sleep(10)
            told += [changes.last_error(7), changes.last_error(8), changes.last_error(99), changes.last_error()]
            server.workflows |= running(8)
            await anyio.sleep(600)
            told.append(changes.last_error(8))
        return [*told, changes.last_error(8)]

    before, fine, failed, *others = virtual.run(main())
    assert isinstance(failed, ServerError)
    assert failed.__traceback__ is None
    assert [before, fine, *others] == [None] * 6


def test_a_watch_of_a_filter_tells_why_the_list_cannot_be_read() -> None:
    async def main() -> list[CallError | None]:
        server = Server(supports_listing=True, workflows=running(7), list_error=ServerError(503))
        listed = watch_of_a_filter(server)
        async with listed as changes:
            told = [changes.last_error()]
            await anyio.sleep(10)
            told.append(changes.last_error())
            server.list_error = None
            await anext(changes)
            return [*told, changes.last_error()]

    before, failed, after = virtual.run(main())
    assert isinstance(failed, ServerError)
    assert (before, after) == (None, None)
