"""`on_change` is called with each change, in order, one at a time, before the wait ends."""

import asyncio
from functools import partial
from itertools import pairwise
from typing import Any

import anyio
import pytest

from tests.support import virtual_time as virtual
from tests.support.leftovers import assert_all_gone
from tests.support.monitored_server import Detailed, Operation, Record, Server, new_poller, running
from tests.unit.monitor.test_poller import STEADY, later
from tests.unit.monitor.test_waits import DONE, PARKED, RUNNING, waited
from workflow_async import Phase
from workflow_async.errors import InvalidArgument, WaitTimeout, WorkflowParked
from workflow_async.monitor import Change, OutcomeStream
from workflow_async.monitor.waits import WaitOptions, wait, wait_all

Seen = list[tuple[Any, ...]]


def steps(changes: list[Change[Any]]) -> Seen:
    return [(change.id, change.was, change.now) for change in changes]


def test_each_change_is_reported_and_the_last_one_before_the_wait_returns() -> None:
    seen: list[Change[Any]] = []
    assert waited(RUNNING, PARKED, RUNNING, DONE, on_change=seen.append)[0] == DONE
    phases = [None, Phase.RUNNING, Phase.PARKED, Phase.RUNNING, Phase.SUCCEEDED]
    assert steps(seen) == [(7, was, now) for was, now in pairwise(phases)]


def test_a_coroutine_function_is_awaited() -> None:
    seen: Seen = []

    async def note(change: Change[Any]) -> None:
        await asyncio.sleep(0.1)
        seen.append((change.was, change.now))

    assert waited(RUNNING, DONE, on_change=note)[0] == DONE
    assert seen == [(None, Phase.RUNNING), (Phase.RUNNING, Phase.SUCCEEDED)]


def test_what_the_function_returns_is_ignored() -> None:
    assert waited(RUNNING, DONE, on_change=lambda _: False)[0] == DONE


def test_changes_say_what_the_operations_did() -> None:
    seen: list[Change[Any]] = []
    first = Detailed(7, operations=(Operation("encode", "running"),))
    last = Detailed(7, Phase.SUCCEEDED, operations=(Operation("encode", "succeeded"),))
    _, server, _ = waited(first, last, on_change=seen.append)
    assert all(operations for _, _, operations in server.gets)
    assert [(step.was, step.now) for change in seen for step in change.operations] == [
        (None, "running"),
        ("running", "succeeded"),
    ]


def test_a_parked_workflow_is_reported_before_the_wait_raises() -> None:
    seen: list[Change[Any]] = []
    with pytest.raises(WorkflowParked):
        waited(RUNNING, PARKED, parked="raise", on_change=seen.append)
    assert seen[-1].now is Phase.PARKED


def test_a_wait_without_a_change_calls_nothing() -> None:
    seen: list[Change[Any]] = []
    with pytest.raises(WaitTimeout):
        waited(RUNNING, timeout=30, on_change=seen.append)
    assert steps(seen) == [(7, None, Phase.RUNNING)]


@pytest.mark.parametrize("value", ["print", 7, False])
def test_a_value_that_cannot_be_called_is_refused(value: Any) -> None:
    with pytest.raises(InvalidArgument, match="^on_change: must be a function of a change"):
        WaitOptions[Any](on_change=value)


class Unexpected(Exception):
    pass


@pytest.mark.parametrize("asynchronous", [False, True])
def test_an_exception_ends_the_wait_with_it_and_leaves_nothing_behind(*, asynchronous: bool) -> None:
    def fail(_: Change[Any]) -> None:
        raise Unexpected

    async def fail_later(_: Change[Any]) -> None:
        await asyncio.sleep(3)
        raise Unexpected

    async def main() -> None:
        server = Server(seconds=0.5, workflows=running(*range(5)))
        poller = new_poller(server)
        options = WaitOptions[Any](poll=STEADY, on_change=fail_later if asynchronous else fail)
        with pytest.raises(Unexpected):
            await wait(poller, 1, options, check=False)
        with pytest.raises(Unexpected):
            await wait_all(poller, range(5), options)
        outcomes = OutcomeStream(poller, options, range(5))
        with pytest.raises(Unexpected):
            await anext(outcomes)
        assert [outcome async for outcome in outcomes] == []
        assert_all_gone(poller, server)

    virtual.run(main())


def served(count: int) -> Server:
    """Return a server with workflows that end one after the other, each after two changes."""
    server = Server(seconds=0.2, workflows=running(*range(count)))
    for id in range(count):
        later(1.0 + id, partial(server.put, Record(id, step="encode")))
        later(6.0 + id, partial(server.set_phase, Phase.SUCCEEDED, id))
    return server


def test_calls_for_several_workflows_never_overlap_and_each_is_in_order() -> None:
    async def main() -> None:
        server = served(8)
        poller = new_poller(server)
        seen: list[Change[Any]] = []
        active = 0

        async def note(change: Change[Any]) -> None:
            nonlocal active
            active += 1
            assert active == 1
            await asyncio.sleep(0.3)
            active -= 1
            seen.append(change)

        outcomes = await wait_all(poller, range(8), WaitOptions[Any](poll=STEADY, on_change=note))
        assert all(outcome.succeeded for outcome in outcomes)
        for id in range(8):
            of_one = [change for change in seen if change.id == id]
            assert of_one[0].was is None
            assert of_one[-1].now is Phase.SUCCEEDED
            assert [change.was for change in of_one[1:]] == [change.now for change in of_one[:-1]]
        assert_all_gone(poller, server)

    virtual.run(main())


def test_calls_do_not_overlap_if_several_tasks_share_a_stream() -> None:
    async def main() -> None:
        server = served(6)
        poller = new_poller(server)
        active, found = 0, list[int]()

        async def note(_: Change[Any]) -> None:
            nonlocal active
            active += 1
            assert active == 1
            await asyncio.sleep(0.3)
            active -= 1

        outcomes = OutcomeStream(poller, WaitOptions[Any](poll=STEADY, timeout=60, on_change=note), range(6))

        async def read() -> None:
            async for outcome in outcomes:
                found.append(outcome.id)

        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(read)
        assert sorted(found) == [*range(6)]
        assert_all_gone(poller, server)

    virtual.run(main())


def test_tasks_that_share_a_stream_get_each_timed_out_workflow_once() -> None:
    async def main() -> None:
        server = Server(workflows=running(1))
        poller = new_poller(server)
        outcomes = OutcomeStream(poller, WaitOptions[Any](poll=STEADY, timeout=5, on_change=slow), [1])
        first, second = await asyncio.gather(anext(outcomes, None), anext(outcomes, None))
        assert [outcome.id for outcome in (first, second) if outcome is not None] == [1]
        assert_all_gone(poller, server)

    async def slow(_: Change[Any]) -> None:
        await asyncio.sleep(9)

    virtual.run(main())


@pytest.mark.parametrize("seconds", [0.2, 0.5, 0.7, 1.1])
def test_a_step_that_is_cancelled_during_a_call_calls_again_with_the_same_change(seconds: float) -> None:
    async def main() -> None:
        server = served(3)
        poller = new_poller(server)
        begun: list[Change[Any]] = []
        finished: list[Change[Any]] = []

        async def note(change: Change[Any]) -> None:
            begun.append(change)
            await asyncio.sleep(0.4)
            finished.append(change)

        outcomes, ended = OutcomeStream(poller, WaitOptions[Any](poll=STEADY, on_change=note), range(3)), list[int]()
        while len(ended) < 3:
            with anyio.move_on_after(seconds if len(begun) < 40 else 10):
                ended.append((await anext(outcomes)).id)
        await outcomes.aclose()
        assert sorted(ended) == [0, 1, 2]
        for id in range(3):
            of_one = [change for change in finished if change.id == id]
            assert of_one[0].was is None
            assert of_one[-1].now is Phase.SUCCEEDED
            assert [change.was for change in of_one[1:]] == [change.now for change in of_one[:-1]]
        assert len(begun) > len(finished)
        assert_all_gone(poller, server)

    virtual.run(main())
