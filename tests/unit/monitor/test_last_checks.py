"""Deadlines come on time, after one last check."""

import asyncio
from typing import Any

import anyio
import pytest

from tests.support import virtual_time as virtual
from tests.support.leftovers import assert_all_gone, now, timers
from tests.support.monitored_server import Record, Server, new_poller, running
from tests.unit.monitor.test_poller import STEADY, later, waiting
from workflow_async import Clock, Phase, Poll
from workflow_async.errors import (
    WaitTimeout,
)
from workflow_async.monitor._engine.poller import Poller
from workflow_async.monitor._engine.scheduler import MAX_IN_FLIGHT
from workflow_async.monitor.waits import WaitOptions, wait_all


def test_a_deadline_comes_exactly_although_requests_of_others_never_end() -> None:
    async def main() -> None:
        server = Server(workflows=running(1, 2))
        poller = new_poller(server)
        other = asyncio.create_task(waiting(poller, 2))
        server.seconds = 1e6
        await asyncio.sleep(1.0)
        server.seconds = 0.0
        with pytest.raises(WaitTimeout):
            await waiting(poller, 1, timeout=4.5)
        assert now() == pytest.approx(5.5)
        other.cancel()
        await asyncio.wait([other])
        assert_all_gone(poller, server)

    virtual.run(main())


def test_a_wait_that_ends_before_its_deadline_leaves_no_timer() -> None:
    async def main() -> None:
        server = Server(workflows=running(1, 2))
        poller = new_poller(server)
        later(5, lambda: server.set_phase(Phase.SUCCEEDED, 1))
        cut = asyncio.create_task(waiting(poller, 2, timeout=500.0))
        assert (await waiting(poller, 1, timeout=1000.0)).phase is Phase.SUCCEEDED
        assert len(timers()) > 0
        cut.cancel()
        await asyncio.wait([cut])
        assert_all_gone(poller, server)

    virtual.run(main())


def test_deadlines_of_ended_waits_do_not_pile_up_behind_a_long_one() -> None:
    async def main() -> None:
        server = Server(workflows={1: Record(1)} | {id: Record(id, Phase.SUCCEEDED) for id in range(2, 1002)})
        poller = new_poller(server)
        goes_on = asyncio.create_task(waiting(poller, 1, timeout=100.0))
        for id in range(2, 1002):
            await waiting(poller, id, timeout=200.0)
        assert len(poller._deadlines._heap) <= 2 * 64
        with pytest.raises(WaitTimeout):
            await goes_on
        assert now() == pytest.approx(100.0)
        assert_all_gone(poller, server)

    virtual.run(main())


def test_a_last_check_comes_before_every_other_one() -> None:
    async def main() -> None:
        count = 100 * MAX_IN_FLIGHT
        server = Server(seconds=0.1, workflows=running(*range(count)))
        poller = new_poller(server)
        crowd = asyncio.create_task(wait_all(poller, range(1, count), WaitOptions(poll=STEADY)))
        await asyncio.sleep(0)
        server.set_phase(Phase.SUCCEEDED, 0)
        assert (await waiting(poller, 0, timeout=2.0, poll=Poll(initial=500.0))).phase is Phase.SUCCEEDED
        assert now() <= 2.0 + 2 * 0.1 + 0.01
        crowd.cancel()
        await asyncio.wait([crowd])
        assert_all_gone(poller, server)

    virtual.run(main())


def test_a_clock_that_jumps_forward_does_not_cut_off_a_check_in_flight() -> None:
    async def main() -> None:
        time = 0.0

        async def sleep(seconds: float) -> None:
            nonlocal time
            time += seconds
            await anyio.lowlevel.checkpoint()

        server = Server(seconds=0.2, workflows=running(1))
        poller: Poller[Any] = Poller(
            server, Clock(now=lambda: time, sleep=sleep, jitter=lambda: 0.5, wall=lambda: time)
        )
        with pytest.raises(WaitTimeout) as caught:
            await waiting(poller, 1, timeout=0.5)
        assert caught.value.workflow == Record(1)
        later(1.5, lambda: server.set_phase(Phase.SUCCEEDED, 1))
        assert (await waiting(poller, 1, timeout=60.0)).phase is Phase.SUCCEEDED
        assert_all_gone(poller, server)

    virtual.run(main())
