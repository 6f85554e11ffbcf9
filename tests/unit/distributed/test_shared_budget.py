"""One budget for several processes: the turns over any 5 seconds, what the broker has to do, and what it may lose."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from itertools import pairwise

import pytest

from tests.support import virtual_time
from tests.support.arrivals import fewest, most
from tests.support.shared_register import PacedProcess, SharedRegister
from workflow_async.distributed.slices import HORIZON

WINDOW = 5.0
RATE = 200.0
Script = Callable[[SharedRegister, list[PacedProcess]], Awaitable[None]]


def simulated(
    demands: list[tuple[int, float]], script: Script, register: SharedRegister | None = None, rate: float = RATE
) -> tuple[list[float], SharedRegister]:
    """Run a process for each number of tasks and mean pause. Return the times of all requests, and the register."""
    shared, sent = register or SharedRegister(), list[float]()

    async def main() -> None:
        group = [PacedProcess(shared.budget(rate), sent) for _ in demands]
        for process, (tasks, pause) in zip(group, demands, strict=True):
            process.run(tasks, lambda pause=pause: shared.rng.uniform(0, 2) * pause)  # type: ignore[misc]  # a default
        await script(shared, group)
        for process in group:
            await process.kill()

    virtual_time.run(main())
    return sent, shared


def lasting(seconds: float) -> Script:
    async def script(register: SharedRegister, group: list[PacedProcess]) -> None:
        await asyncio.sleep(seconds)

    return script


@pytest.mark.parametrize("latency", [0.004, 0.025])
def test_processes_with_unequal_demand_use_up_the_budget_and_not_more(latency: float) -> None:
    demands = [(16, 0.01), (8, 0.05), (4, 0.1), (20, 1.0)]
    sent, _ = simulated(demands, lasting(14), SharedRegister(latency=latency))
    assert most(sent, WINDOW) <= 1.05 * RATE * WINDOW
    assert fewest(sent, WINDOW, 3.0, 14.0) >= 0.95 * RATE * WINDOW


def test_processes_that_are_killed_and_come_back_change_nothing() -> None:
    async def script(register: SharedRegister, group: list[PacedProcess]) -> None:
        for number in range(3):
            await asyncio.sleep(5.1)
            await group[number].kill()
            group[number] = PacedProcess(register.budget(RATE), group[number].sent)
            group[number].run(16, lambda: 0.01)
        await asyncio.sleep(4)

    sent, _ = simulated([(16, 0.01)] * 4, script)
    assert most(sent, WINDOW) <= 1.05 * RATE * WINDOW
    assert fewest(sent, WINDOW, 3.0, 19.0) >= 0.95 * RATE * WINDOW


@pytest.mark.parametrize(("processes", "most_operations"), [(1, 12), (4, 15), (30, 12)])
def test_the_broker_has_few_operations_a_second_for_each_process(processes: int, most_operations: int) -> None:
    sent, register = simulated([(16, 0.01)] * processes, lasting(10))
    assert register.operations / 10 / processes <= most_operations
    assert most(sent, WINDOW) <= 1.05 * RATE * WINDOW
    assert fewest(sent, WINDOW, 2.0, 10.0) >= 0.95 * RATE * WINDOW


def test_less_demand_than_budget_is_served_at_once() -> None:
    sent, _ = simulated([(4, 0.2), (4, 0.2)], lasting(10))
    assert len(sent) / 10 == pytest.approx(40, rel=0.25)  # without a budget 40 a second
    assert len(sent) / 10 >= 30


@pytest.mark.parametrize("rate", [1.0, 4.0])
def test_a_low_rate_is_kept(rate: float) -> None:
    sent, _ = simulated([(4, 0.0)] * 3, lasting(20), rate=rate)
    assert [round(after - before, 1) for before, after in pairwise(sent)] == pytest.approx(
        [1 / rate] * (len(sent) - 1), abs=0.3 / rate
    )


@pytest.mark.parametrize("latency", [0.1, 0.4])
def test_a_slow_broker_lowers_the_rate_and_never_raises_it(latency: float) -> None:
    sent, _ = simulated([(16, 0.01)] * 3, lasting(30), SharedRegister(latency=latency))
    assert most(sent, WINDOW) <= 1.05 * RATE * WINDOW
    assert fewest(sent, WINDOW, 10.0, 30.0) > 0


def test_while_the_broker_is_away_only_what_was_reserved_is_used(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "workflow_async")

    async def script(register: SharedRegister, group: list[PacedProcess]) -> None:
        await asyncio.sleep(6)
        register.away = True
        await asyncio.sleep(10)
        register.away = False
        await asyncio.sleep(8)

    sent, _ = simulated([(16, 0.01)] * 2, script)
    assert not [time for time in sent if 6 + HORIZON + 0.1 < time < 16]
    assert most(sent, WINDOW) <= 1.05 * RATE * WINDOW
    assert fewest(sent, WINDOW, 18.0, 24.0) >= 0.95 * RATE * WINDOW
    texts = [record.getMessage() for record in caplog.records]
    unavailable, again = "the shared budget is unavailable, so requests wait", "the shared budget is available again"
    assert texts == [unavailable, unavailable, again, again]
    assert caplog.records[0].__dict__["error"] == "TimeoutError"


@pytest.mark.parametrize("seconds", [-1000.0, 1000.0])
def test_a_broker_whose_clock_is_set_goes_on_soon(seconds: float) -> None:
    async def script(register: SharedRegister, group: list[PacedProcess]) -> None:
        await asyncio.sleep(6)
        register.away, register.set_by = True, seconds  # another machine takes over
        await asyncio.sleep(1)
        register.away = False
        await asyncio.sleep(9)

    sent, _ = simulated([(16, 0.01)] * 2, script)
    assert most(sent, WINDOW) <= 1.05 * RATE * WINDOW
    assert fewest(sent, WINDOW, 10.0, 16.0) >= 0.95 * RATE * WINDOW


def test_a_request_that_is_cancelled_takes_no_turn() -> None:
    async def main() -> tuple[int, list[float]]:
        register = SharedRegister()
        budget, times = register.budget(2.0), list[float]()
        await budget.acquire()
        waiting = [asyncio.create_task(budget.acquire()) for _ in range(20)]
        await asyncio.sleep(0.2)
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)
        for _ in range(3):
            await budget.acquire()
            times.append(asyncio.get_running_loop().time())
        return budget._waiting, times

    waiting, times = virtual_time.run(main())
    assert waiting == 0
    assert times[-1] < 3.0


def test_requests_get_their_turns_in_the_order_in_which_they_ask() -> None:
    async def main() -> list[int]:
        budget, order = SharedRegister().budget(50.0), list[int]()

        async def take(number: int) -> None:
            await budget.acquire()
            order.append(number)

        async with asyncio.TaskGroup() as group:
            for number in range(30):
                group.create_task(take(number))
        return order

    assert virtual_time.run(main()) == [*range(30)]


def test_nothing_runs_while_no_request_waits() -> None:
    async def main() -> tuple[int, int]:
        register = SharedRegister()
        await register.budget(50.0).acquire()
        await asyncio.sleep(2)
        before = register.operations
        await asyncio.sleep(100)
        return len(asyncio.all_tasks()), register.operations - before

    assert virtual_time.run(main()) == (1, 0)


def test_after_a_long_pause_the_brokers_time_is_measured_first() -> None:
    async def main() -> float:
        register = SharedRegister()
        budget = register.budget(50.0)
        await budget.acquire()
        register.set_by = -500.0
        await asyncio.sleep(1000)
        began = asyncio.get_running_loop().time()
        await budget.acquire()
        return asyncio.get_running_loop().time() - began

    assert virtual_time.run(main()) < 0.1


def test_an_error_that_is_no_outage_is_raised_and_the_next_request_asks_again() -> None:
    async def main() -> list[BaseException | None]:
        register = SharedRegister(error=PermissionError("no"))
        budget = register.budget(50.0)
        failed = await asyncio.gather(*(budget.acquire() for _ in range(3)), return_exceptions=True)
        register.error = None
        await budget.acquire()
        return failed

    assert {type(error) for error in virtual_time.run(main())} == {PermissionError}


def test_an_error_after_the_last_request_does_not_fail_the_next_one() -> None:
    async def main() -> None:
        register = SharedRegister(latency=0.5)
        budget = register.budget(50.0)
        waiting = asyncio.create_task(budget.acquire())
        await asyncio.sleep(0.1)
        register.error = PermissionError("no")
        waiting.cancel()
        await asyncio.sleep(5)
        register.error = None
        await budget.acquire()

    virtual_time.run(main())
