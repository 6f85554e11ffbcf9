"""`as_completed` survives a cancelled step, and stops watching when its iteration ends."""

import asyncio
import gc
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import anyio
import pytest

from tests.support import virtual_time as virtual
from tests.support.leftovers import assert_all_gone
from tests.support.monitored_server import Server, new_poller, running
from tests.unit.monitor.test_poller import STEADY, later
from workflow_async import Phase
from workflow_async.errors import ClientClosed, NotFound, WorkflowFailed
from workflow_async.monitor import OutcomeStream
from workflow_async.monitor.waits import WaitOptions


def test_as_completed_continues_after_a_step_that_was_cancelled() -> None:
    async def main() -> None:
        server = Server(workflows=running(*range(10)))
        poller = new_poller(server)
        for id in range(10):
            later(40.0 + 25.0 * id, partial(server.set_phase, Phase.SUCCEEDED, id))
        outcomes, events, given_up = OutcomeStream(poller, WaitOptions(poll=STEADY), range(10)), [], 0
        while True:
            try:
                async with asyncio.timeout(15):
                    events.append((await anext(outcomes)).id)
            except TimeoutError:
                given_up += 1
            except StopAsyncIteration:
                break
        assert events == [*range(10)]
        assert given_up > 10
        assert_all_gone(poller, server)

    virtual.run(main())


async def each(outcomes: AsyncIterator[Any], k: int) -> list[int]:
    """Return the ids of all outcomes. Each step is cancelled in its k-th turn of the loop and then repeated."""
    events = []
    while True:
        step = asyncio.ensure_future(anext(outcomes))
        for _ in range(k):
            await asyncio.sleep(0)
        step.cancel()
        try:
            events.append((await step).id)
        except asyncio.CancelledError:
            await asyncio.sleep(0.1)
        except StopAsyncIteration:
            return events


@pytest.mark.parametrize("deadline", [None, 6.0])
@pytest.mark.parametrize("k", range(6))
def test_wherever_a_step_of_as_completed_is_cancelled_each_outcome_comes_once(k: int, deadline: float | None) -> None:
    async def main() -> None:
        server = Server(seconds=0.5, workflows=running(*range(10)))
        poller = new_poller(server)
        for id in range(10):
            later(1.0 + id, partial(server.set_phase, Phase.SUCCEEDED, id))
        events = await each(OutcomeStream(poller, WaitOptions(poll=STEADY, timeout=deadline), range(10)), k + 1)
        assert sorted(events) == [*range(10)]
        assert_all_gone(poller, server)

    virtual.run(main())


def test_as_completed_that_nothing_refers_to_stops_watching() -> None:
    async def main() -> None:
        server = Server(workflows=running(1, 2))
        poller = new_poller(server)
        later(5, lambda: server.set_phase(Phase.SUCCEEDED, 1))
        async for outcome in OutcomeStream(poller, WaitOptions(poll=STEADY), [1, 2]):
            assert outcome.id == 1
            break
        gc.collect()
        await asyncio.sleep(0.1)
        assert_all_gone(poller, server)

    virtual.run(main())


def test_as_completed_whose_task_was_cancelled_stops_watching_though_the_task_is_kept() -> None:
    async def main() -> None:
        server = Server(workflows=running(1, 2))
        poller = new_poller(server)

        async def completes() -> None:
            async for _ in OutcomeStream(poller, WaitOptions(poll=STEADY), [1, 2]):
                pass

        kept = asyncio.create_task(completes())
        later(5, kept.cancel)
        await asyncio.wait([kept])
        await asyncio.sleep(0.1)
        assert kept.cancelled()
        assert_all_gone(poller, server)

    virtual.run(main())


def test_as_completed_can_be_closed_before_during_and_after() -> None:
    async def main() -> None:
        server = Server(workflows=running(1, 2))
        poller = new_poller(server)
        unused = OutcomeStream(poller, WaitOptions(poll=STEADY), [1])
        await unused.aclose()
        assert [outcome async for outcome in unused] == []
        used = OutcomeStream(poller, WaitOptions(poll=STEADY), [1, 2])
        with anyio.move_on_after(3):
            await anext(used)
        await used.aclose()
        assert_all_gone(poller, server)
        assert [outcome async for outcome in used] == []

    virtual.run(main())


def test_as_completed_that_outlives_its_loop_is_dropped_silently() -> None:
    kept = []

    async def main() -> None:
        kept.append(OutcomeStream(new_poller(Server(workflows=running(1))), WaitOptions(poll=STEADY), [1]))
        with anyio.move_on_after(3):
            await anext(kept[0])

    virtual.run(main())
    kept.clear()
    gc.collect()


def test_as_completed_raises_the_error_that_has_ended_it_at_every_step() -> None:
    async def main() -> None:
        poller = new_poller(Server(workflows=running(1)))
        outcomes = OutcomeStream(poller, WaitOptions(poll=STEADY), [1])
        later(5, lambda: asyncio.ensure_future(poller.aclose()))
        for _ in range(3):
            with pytest.raises(ClientClosed):
                await anext(outcomes)

    virtual.run(main())


def test_a_checked_step_raises_in_place_of_the_outcome_and_the_next_one_continues() -> None:
    async def main() -> None:
        server = Server(workflows=running(1, 2, 3))
        poller = new_poller(server)
        later(5, lambda: server.set_phase(Phase.FAILED, 1))
        later(20, lambda: server.set_phase(Phase.SUCCEEDED, 2))
        later(30, lambda: setattr(server, "get_error", NotFound(404)))
        outcomes = OutcomeStream(poller, WaitOptions(poll=STEADY), [1, 2, 3], check=True)
        with pytest.raises(WorkflowFailed) as caught:
            await anext(outcomes)
        assert caught.value.workflow.id == 1
        assert (await anext(outcomes)).id == 2
        with pytest.raises(NotFound):
            await anext(outcomes)
        assert [outcome async for outcome in outcomes] == []
        assert_all_gone(poller, server)

    virtual.run(main())


def test_a_checked_iteration_that_has_raised_stops_watching_though_its_error_is_kept() -> None:
    async def main() -> None:
        server = Server(workflows=running(1, 2))
        poller = new_poller(server)
        later(5, lambda: server.set_phase(Phase.FAILED, 1))
        kept = None
        try:
            async for _ in OutcomeStream(poller, WaitOptions(poll=STEADY), [1, 2], check=True):
                pass
        except WorkflowFailed as error:
            kept = error
        await asyncio.sleep(0.1)
        assert kept is not None
        assert_all_gone(poller, server)

    virtual.run(main())
