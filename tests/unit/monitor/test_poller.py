"""One poll task for any number of watchers."""

import asyncio
import gc
import random
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from attrs import define, evolve

from tests.support import virtual_time as virtual
from tests.support.monitored_server import SERVER_KEY, Record, Server, new_poller, running
from workflow_async import Phase, Poll
from workflow_async.errors import ClientClosed, Forbidden, NotFound, ServerError, WaitTimeout
from workflow_async.monitor import Change, Finished, PollingFailed, TimedOut, Vanished
from workflow_async.monitor._engine.deadlines import LAST_CHECK
from workflow_async.monitor._engine.due_queue import DueQueue
from workflow_async.monitor._engine.poller import Poller
from workflow_async.monitor._engine.scheduler import MAX_IN_FLIGHT
from workflow_async.monitor.waits import OutcomeStream, WaitOptions, wait, wait_all
from workflow_async.monitor.watch import watching

STEADY = Poll(interval=2, backoff=1, ceiling=2, jitter=0)


def watch(poller: Poller[Any], *ids: int, **more: Any) -> Any:
    """Return a watch whose events are typed as Any."""
    settings: dict[str, Any] = {"poll": STEADY, "operations": False, "stalled_after": None}
    return watching(poller, ids, None, **settings | more)


def waiting(poller: Poller[Any], id: int, **options: Any) -> Coroutine[Any, Any, Any]:
    return wait(poller, id, WaitOptions(**{"poll": STEADY, **options}), check=False)


def later(seconds: float, *actions: Callable[[], object]) -> None:
    """Call these after some seconds."""
    for action in actions:
        asyncio.get_running_loop().call_later(seconds, action)


def assert_nothing_left(poller: Poller[Any], server: Server) -> None:
    """Assert that no watcher, observation, planned check, task or request is left."""
    plan = poller.engine.scheduler
    left = [
        poller._watchers,
        poller._lists,
        poller._task.running,
        poller._deadlines._last_checks,
        poller._deadlines._timer,
    ]
    left += [poller.engine.observations]
    assert not any(left), left
    planned = [
        plan.tracked,
        plan.new,
        plan.single,
        plan.by_list,
        plan.in_flight,
        plan.must_get,
        plan.missing_from_list,
    ]
    assert not any(planned), planned
    assert (plan.request_count, plan.list_in_flight, server.in_flight) == (0, False, 0)
    assert len(poller._deadlines._heap) <= 64
    assert asyncio.all_tasks() == {asyncio.current_task()}


# One for all


@pytest.mark.sweep
def test_ten_thousand_waits_for_a_workflow_cost_one_request_per_interval() -> None:
    async def main() -> None:
        server = Server(workflows=running(7))
        poller = new_poller(server)
        later(59, lambda: server.set_phase(Phase.SUCCEEDED, 7))
        found = await asyncio.gather(*(waiting(poller, 7) for _ in range(10_000)))
        assert {workflow.phase for workflow in found} == {Phase.SUCCEEDED}
        assert len(server.gets) <= 60 / STEADY.interval + 1
        assert_nothing_left(poller, server)

    virtual.run(main())


@pytest.mark.sweep
@pytest.mark.parametrize("lists", [False, True])
def test_a_thousand_waits_for_a_workflow_each_cost_one_request_per_workflow_and_interval(lists: bool) -> None:  # noqa: FBT001 - a case
    async def main() -> None:
        server = Server(supports_listing=lists, seconds=0.05, workflows=running(*range(1000)))
        poller = new_poller(server)
        later(19, lambda: server.set_phase(Phase.SUCCEEDED, *range(1000)))
        await asyncio.gather(*(waiting(poller, id) for id in range(1000)))
        assert len(server.gets) <= (1001 if lists else 12 * 1000)
        assert len(server.pages) <= (12 * 10 if lists else 0)
        assert_nothing_left(poller, server)

    virtual.run(main())


def test_a_slow_reader_has_each_request_sent_once() -> None:
    async def main() -> None:
        server = Server(workflows={id: Record(id, Phase.SUCCEEDED) for id in range(500)})
        chance = random.Random(1)
        server.seconds = 0.1
        poller = new_poller(server)
        events = 0
        async with watch(poller, *range(500)) as changes:
            async for _ in changes:
                events += 1
                await anyio.sleep(chance.uniform(0, 0.01))
        assert events == 500
        assert len(server.gets) <= 550
        assert_nothing_left(poller, server)

    virtual.run(main())


def test_a_watch_of_a_long_list_reads_it_once_although_its_first_page_has_changes() -> None:
    async def main() -> None:
        server = Server(supports_listing=True, seconds=0.3, workflows=running(*range(1000)))
        poller = new_poller(server)
        async with watch(poller, *range(1000)) as changes:
            for _ in range(1000):
                await anext(changes)
        assert len(server.pages) == 10
        assert_nothing_left(poller, server)

    virtual.run(main())


# Who comes and goes


@pytest.mark.parametrize("how", ["finished", "cancelled", "scope", "failed"])
def test_when_the_first_watcher_is_gone_the_others_go_on(how: str) -> None:
    async def main() -> None:
        server = Server(workflows=running(1, 2))
        poller = new_poller(server)
        first = asyncio.create_task(waiting(poller, 1))
        await anyio.sleep(3)
        second = asyncio.create_task(waiting(poller, 2))
        await anyio.sleep(3)
        if how == "finished":
            server.set_phase(Phase.SUCCEEDED, 1)
        elif how == "failed":
            server.workflows[1] = Forbidden(403)
        else:
            first.cancel()
        later(20, lambda: server.set_phase(Phase.SUCCEEDED, 2))
        assert (await second).phase is Phase.SUCCEEDED
        await asyncio.gather(first, return_exceptions=True)
        assert_nothing_left(poller, server)

    virtual.run(main())


@pytest.mark.parametrize("lists", [False, True])
@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize("steps", range(0, 40, 3))
def test_a_cancellation_at_any_point_leaves_nothing_and_affects_no_other_watcher(
    steps: int, native: bool, lists: bool  # noqa: FBT001 - cases
) -> None:  # fmt: skip
    async def main() -> None:
        server = Server(supports_listing=lists, seconds=0.7, workflows=running(1, 2, 3))
        poller = new_poller(server)
        scope = anyio.CancelScope()

        async def cut_off() -> None:
            with scope:
                await waiting(poller, 1)

        cut = asyncio.create_task(cut_off())
        others = [asyncio.create_task(waiting(poller, id)) for id in (2, 3)]
        for _ in range(steps):
            await anyio.sleep(0.1 if steps > 20 else 0)
        if native:
            cut.cancel()
        else:
            scope.cancel()
        await asyncio.gather(cut, return_exceptions=True)
        assert 1 not in poller.engine.observations
        later(10, lambda: server.set_phase(Phase.SUCCEEDED, 2, 3))
        assert [workflow.phase for workflow in await asyncio.gather(*others)] == [Phase.SUCCEEDED] * 2
        await anyio.sleep(1)
        assert_nothing_left(poller, server)

    virtual.run(main())


def test_watchers_that_come_and_go_at_random_leave_nothing_behind() -> None:
    async def main() -> None:
        server, chance = Server(supports_listing=True, seconds=0.2, workflows=running(*range(40))), random.Random(5)
        poller = new_poller(server)

        async def visit() -> None:
            await anyio.sleep(chance.uniform(0, 60))
            with anyio.move_on_after(chance.uniform(0, 10)):
                if chance.random() < 0.5:
                    await waiting(poller, chance.randrange(40), timeout=chance.uniform(1, 20))
                async with watch(poller, *chance.sample(range(40), 5)) as changes:
                    async for event in changes:
                        changes.add(chance.randrange(40))
                        changes.drop(event.id)

        for second in range(0, 60, 3):
            later(second, lambda: server.set_phase(chance.choice([*Phase]), *chance.sample(range(40), 10)))
        await asyncio.gather(*(visit() for _ in range(300)), return_exceptions=True)
        assert_nothing_left(poller, server)

    virtual.run(main())


def test_deadlines_of_watchers_that_have_left_are_removed() -> None:
    async def main() -> None:
        server = Server(workflows={7: Record(7, Phase.SUCCEEDED)})
        poller = new_poller(server)
        for _ in range(1000):
            await waiting(poller, 7, timeout=1e6)
        assert_nothing_left(poller, server)

    virtual.run(main())


# The events of each watcher


def test_a_later_watcher_gets_the_known_record_immediately() -> None:
    async def main() -> None:
        server = Server(workflows=running(7))
        poller = new_poller(server)
        first = asyncio.create_task(waiting(poller, 7))
        await anyio.sleep(1)
        asked = server.requests
        async with watch(poller, 7) as changes:
            change = await anext(changes)
            assert (change.was, change.now, change.key, server.requests) == (
                None,
                Phase.RUNNING,
                f"{SERVER_KEY}/7/running",
                asked,
            )
            server.set_phase(Phase.SUCCEEDED, 7)
            change = await anext(changes)
            assert (change.was, change.now, change.key) == (
                Phase.RUNNING,
                Phase.SUCCEEDED,
                f"{SERVER_KEY}/7/end/succeeded",
            )
        await first

    virtual.run(main())


def test_a_cancelled_watcher_ends_no_other_watch() -> None:
    async def main() -> None:
        server = Server(workflows=running(1, 2))
        poller = new_poller(server)

        async def disconnects() -> None:
            async with watch(poller, 1, 2) as changes:
                await anext(changes)
                raise ConnectionResetError

        stays = asyncio.create_task(wait_all(poller, [1, 2], WaitOptions(poll=STEADY)))
        await anyio.lowlevel.checkpoint()
        with pytest.raises(ConnectionResetError):
            await disconnects()
        server.set_phase(Phase.FAILED, 1, 2)
        assert [type(outcome) for outcome in await stays] == [Finished] * 2
        assert_nothing_left(poller, server)

    virtual.run(main())


def test_a_slow_reader_gets_one_change_for_many_and_never_misses_the_end() -> None:
    async def main() -> None:
        server = Server(workflows=running(1, 2))
        poller = new_poller(server)
        keeps_looking = asyncio.create_task(waiting(poller, 2))
        async with watch(poller, 1) as changes:
            assert (await anext(changes)).now is Phase.RUNNING
            for second, phase in enumerate([Phase.PARKED, Phase.RUNNING, Phase.PARKED, Phase.SUCCEEDED]):
                later(5 * second, partial(server.set_phase, phase, 1))
            await anyio.sleep(60)
            change = await anext(changes)
            assert (change.was, change.now, change.key) == (
                Phase.RUNNING,
                Phase.SUCCEEDED,
                f"{SERVER_KEY}/1/end/succeeded",
            )
            assert [event async for event in changes] == []
        keeps_looking.cancel()

    virtual.run(main())


def test_ids_are_added_and_dropped_while_watching() -> None:
    async def main() -> None:
        server = Server(workflows=running(1, 2, 3))
        poller = new_poller(server)
        async with watch(poller, 1) as changes:
            later(5, lambda: changes.add(2, "3"))
            later(10, lambda: changes.drop(1, 99))
            later(20, lambda: server.set_phase(Phase.SUCCEEDED, 1, 2, 3))
            events = [(change.id, change.now) async for change in changes]
            assert changes.ids == frozenset()
        assert sorted(events, key=lambda one: one[0]) == [
            (1, Phase.RUNNING), (2, Phase.RUNNING), (2, Phase.SUCCEEDED), (3, Phase.RUNNING), (3, Phase.SUCCEEDED)
        ]  # fmt: skip
        assert_nothing_left(poller, server)

    virtual.run(main())


def test_a_workflow_that_is_dropped_and_added_during_its_request_is_requested_once() -> None:
    async def main() -> None:
        server = Server(seconds=1.0, workflows=running(1, 2))
        poller = new_poller(server)
        async with watch(poller, 1, 2) as changes:
            for n in range(5):
                later(0.1 + n / 10, partial(changes.drop, 1), partial(changes.add, 1))
            assert {(await anext(changes)).id, (await anext(changes)).id} == {1, 2}
            assert sorted(id for _, id, _ in server.gets) == [1, 2]

    virtual.run(main())


# The end of everything


def test_when_the_client_is_closed_every_waiter_gets_an_error() -> None:
    async def main() -> None:
        server = Server(workflows=running(*range(50)))
        poller = new_poller(server)
        waits = [asyncio.create_task(waiting(poller, id)) for id in range(50)]
        waits += [asyncio.create_task(wait_all(poller, range(50), WaitOptions(poll=STEADY)))]
        await anyio.sleep(5)
        server.workflows = {id: ClientClosed("closed") for id in range(50)}
        found = await asyncio.gather(*waits, return_exceptions=True)
        assert {type(error) for error in found} == {ClientClosed}
        assert_nothing_left(poller, server)

    virtual.run(main())


def test_an_error_that_many_raise_does_not_grow() -> None:
    async def main() -> None:
        server = Server(workflows={7: Forbidden(403)})
        poller = new_poller(server)
        found = await asyncio.gather(*(waiting(poller, 7) for _ in range(100)), return_exceptions=True)
        frames, traceback = 0, found[-1].__traceback__
        while traceback is not None:
            frames, traceback = frames + 1, traceback.tb_next
        assert frames < 10

    virtual.run(main())
    gc.collect()


# Deadlines


def test_each_waiter_has_a_deadline_of_its_own() -> None:
    async def main() -> None:
        server, now = Server(workflows=running(7)), asyncio.get_running_loop().time
        poller = new_poller(server)

        async def until(deadline: float) -> float:
            with pytest.raises(WaitTimeout) as caught:
                await waiting(poller, 7, timeout=deadline)
            assert (caught.value.workflow_id, caught.value.workflow) == (7, Record(7))
            return now()

        assert await asyncio.gather(*map(until, (5.0, 1.5, 20.0))) == pytest.approx([5.0, 1.5, 20.0], abs=0.01)
        assert_nothing_left(poller, server)

    virtual.run(main())


def test_a_last_check_is_made_at_the_deadline() -> None:
    async def main() -> None:
        server = Server(workflows=running(7))
        poller, slow = new_poller(server), Poll(interval=100, ceiling=100, jitter=0)
        later(49, lambda: server.set_phase(Phase.SUCCEEDED, 7))
        assert (await waiting(poller, 7, timeout=50, poll=slow)).phase is Phase.SUCCEEDED
        assert [at for at, _, _ in server.gets] == pytest.approx([0, 50], abs=0.01)
        assert_nothing_left(poller, server)

    virtual.run(main())


def test_a_check_that_never_ends_delays_no_deadline() -> None:
    async def main() -> None:
        server, now = Server(seconds=1e9, workflows=running(1, 2)), asyncio.get_running_loop().time
        poller = new_poller(server)
        one = asyncio.create_task(waiting(poller, 1, timeout=10))
        other = asyncio.create_task(waiting(poller, 2, timeout=5))
        with pytest.raises(WaitTimeout):
            await other
        assert now() == pytest.approx(6.0)
        with pytest.raises(WaitTimeout):
            await one
        assert now() == pytest.approx(11.0)
        assert_nothing_left(poller, server)

    virtual.run(main())


def test_at_the_deadline_each_workflow_without_an_outcome_has_timed_out() -> None:
    async def main() -> None:
        server = Server(supports_listing=True, workflows=running(*range(300)))
        poller = new_poller(server)
        later(5, lambda: server.set_phase(Phase.SUCCEEDED, *range(0, 300, 2)))
        outcomes = await wait_all(poller, range(300), WaitOptions(timeout=30, poll=STEADY))
        assert [outcome.id for outcome in outcomes] == list(range(300))
        assert {type(outcome) for outcome in outcomes[::2]} == {Finished}
        assert {(type(outcome), outcome.workflow) for outcome in outcomes[1:2]} == {(TimedOut, Record(1))}
        assert {type(outcome) for outcome in outcomes[1::2]} == {TimedOut}

    virtual.run(main())


# Bad ones


def test_workflows_that_fail_never_affect_the_others() -> None:
    async def main() -> None:
        server = Server(workflows=running(1) | {2: Forbidden(403), 3: NotFound(404), 4: ServerError(503)})
        poller = new_poller(server)
        later(200, lambda: server.set_phase(Phase.PARTIAL, 1))
        found = [outcome async for outcome in OutcomeStream(poller, WaitOptions(poll=STEADY), [1, 2, 3, 4])]
        assert [(type(outcome), outcome.id) for outcome in found] == [
            (PollingFailed, 2), (Vanished, 3), (Finished, 1), (PollingFailed, 4)
        ]  # fmt: skip
        assert not any(outcome.succeeded for outcome in found)
        assert_nothing_left(poller, server)

    virtual.run(main())


def test_a_new_watch_checks_a_workflow_that_was_given_up() -> None:
    async def main() -> None:
        server = Server(workflows=running(7, 8))
        poller = new_poller(server)
        async with watch(poller, 7, 8) as slow:
            await anext(slow)
            await anext(slow)
            server.workflows[7] = Forbidden(403)
            keeps_looking = asyncio.create_task(waiting(poller, 8))
            await anyio.sleep(5)
            server.put(Record(7, Phase.PARKED))
            again = asyncio.create_task(waiting(poller, 7, parked="return"))
            assert (await again).phase is Phase.PARKED
            server.set_phase(Phase.SUCCEEDED, 7)
            await anyio.sleep(5)
            event = await anext(slow)
            assert isinstance(event, Change)
            assert (event.now, event.key) == (Phase.SUCCEEDED, f"{SERVER_KEY}/7/end/succeeded")
            keeps_looking.cancel()

    virtual.run(main())


# More than can be asked for at once


@define
class Uneven(Server):
    """A server whose responses take a quarter of a second, and every tenth one half a second."""

    async def get(self, id: int, *, operations: bool) -> Any:
        self.gets.append((asyncio.get_running_loop().time(), id, operations))
        self.in_flight += 1
        try:
            await anyio.sleep(0.25 if id % 10 else 0.5)
        finally:
            self.in_flight -= 1
        return self.workflows[id]


def test_every_request_slot_is_busy_while_there_is_a_backlog() -> None:
    async def main() -> None:
        count = 20 * MAX_IN_FLIGHT
        server = Uneven(workflows=running(*range(count)))
        poller = new_poller(server)
        began = asyncio.get_running_loop().time()
        async with watch(
            poller, *range(count), poll=evolve(STEADY, interval=60.0, ceiling=60.0, jitter=0.0)
        ) as changes:
            poller.engine.scheduler.single = due_now(count)
            poller.engine.scheduler.new.clear()
            seen = {(await anext(changes)).id for _ in range(count)}
        assert len(seen) == len(server.gets) == count
        bound = 1.1 * 0.25 * count / MAX_IN_FLIGHT
        assert asyncio.get_running_loop().time() - began <= 1.4 * bound
        assert_nothing_left(poller, server)

    virtual.run(main())


def due_now(count: int) -> DueQueue:
    queue = DueQueue()
    for id in range(count):
        queue.put(id, 0.0)
    return queue


def test_with_a_backlog_an_event_is_delivered_as_soon_as_it_comes() -> None:
    async def main() -> None:
        count = 100 * MAX_IN_FLIGHT
        server = Server(seconds=0.1, workflows=running(*range(count)))
        poller = new_poller(server)
        async with watch(poller, *range(count), poll=evolve(STEADY, interval=600.0, ceiling=600.0)) as changes:
            poller.engine.scheduler.single = due_now(count)
            poller.engine.scheduler.new.clear()
            began = asyncio.get_running_loop().time()
            await anext(changes)
            assert asyncio.get_running_loop().time() - began == pytest.approx(0.1)
            for _ in range(5 * MAX_IN_FLIGHT):
                await anext(changes)
            assert asyncio.get_running_loop().time() - began == pytest.approx(0.6)
        assert_nothing_left(poller, server)

    virtual.run(main())


@pytest.mark.sweep
@pytest.mark.parametrize("seconds", [0.3, 1.0])
def test_a_deadline_comes_in_time_although_there_is_a_backlog(seconds: float) -> None:
    async def main() -> None:
        count = 200 * MAX_IN_FLIGHT
        server = Server(seconds=0.1, workflows=running(*range(count)))
        poller = new_poller(server)
        slow = evolve(STEADY, interval=600.0, ceiling=600.0)
        crowd = [asyncio.create_task(waiting(poller, id, poll=slow)) for id in range(1, count)]
        await asyncio.sleep(0)
        began = asyncio.get_running_loop().time()
        with pytest.raises(WaitTimeout):
            await waiting(poller, 0, timeout=seconds)
        assert asyncio.get_running_loop().time() - began <= seconds + LAST_CHECK
        for one in crowd:
            one.cancel()
        await asyncio.gather(*crowd, return_exceptions=True)

    virtual.run(main())


def test_a_client_that_is_closed_with_a_backlog_sends_no_further_request() -> None:
    async def main() -> None:
        count = 10 * MAX_IN_FLIGHT
        server = Server(workflows={id: ClientClosed("closed") for id in range(count)})
        poller = new_poller(server)
        async with watch(poller, *range(count)) as changes:
            poller.engine.scheduler.single = due_now(count)
            poller.engine.scheduler.new.clear()
            with pytest.raises(ClientClosed):
                await anext(changes)
        assert len(server.gets) <= 2 * MAX_IN_FLIGHT
        assert_nothing_left(poller, server)

    virtual.run(main())
