"""A budget that processes share by NATS: the requests that arrive at a server, over any 5 seconds."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from attrs import define, field

from tests.conftest import See
from tests.support.arrivals import Arrivals, fewest, most
from tests.support.nats_server import NatsServer, running_nats_server

ROOT = Path(__file__).parents[2]
WINDOW = 5.0
RATE = 300.0
WARM_UP = 8.0
"""Seconds of the budget until which all processes have started, on a busy machine too."""
UNEQUAL = ((16, 0.0), (16, 0.02), (4, 0.1), (16, 0.2))
"""The tasks of each process, and the seconds for which each pauses after a response."""


@define
class Workers:
    """Processes that share a budget."""

    server: str
    broker: NatsServer
    rate: float
    processes: dict[int, asyncio.subprocess.Process] = field(factory=dict)

    async def start(self, number: int) -> None:
        """Start a process, or one in the place of a process that was killed."""
        tasks, pause = UNEQUAL[number]
        arguments = (self.server, self.broker.url, str(self.rate), str(tasks), str(pause))
        self.processes[number] = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.support.paced_worker", *arguments, cwd=ROOT, stderr=asyncio.subprocess.DEVNULL
        )

    async def kill(self, number: int) -> None:
        """End a process with SIGKILL."""
        process = self.processes.pop(number)
        process.kill()
        await process.wait()


@asynccontextmanager
async def working(server: str, broker: NatsServer, rate: float) -> AsyncIterator[Workers]:
    """Run the four processes."""
    workers = Workers(server, broker, rate)
    try:
        for number in range(len(UNEQUAL)):
            await workers.start(number)
        yield workers
    finally:
        for number in [*workers.processes]:
            await workers.kill(number)


async def eventually_arriving(arrivals: Arrivals, count: int) -> None:
    """Wait until this number of requests has arrived from now on."""
    goal = len(arrivals.times) + count
    while len(arrivals.times) < goal:
        await asyncio.sleep(0.01)


@pytest.mark.soak
@pytest.mark.figure("T-PACE")
@pytest.mark.timeout(180)
async def test_four_processes_keep_the_budget_while_two_are_killed_and_the_broker_restarts(
    tmp_path: Path, see: See
) -> None:
    arrivals = Arrivals()
    with running_nats_server(tmp_path) as broker:
        async with arrivals.served() as server, working(server, broker, RATE) as workers:
            await eventually_arriving(arrivals, round(WARM_UP * RATE))
            begin = time.monotonic()
            await asyncio.sleep(10)
            await workers.kill(0)
            await asyncio.sleep(8)
            await workers.start(0)
            await asyncio.sleep(8)
            await workers.kill(1)
            await workers.start(1)
            await asyncio.sleep(10)
            down = time.monotonic()
            broker.kill()
            await asyncio.to_thread(broker.start)
            await eventually_arriving(arrivals, round(2 * RATE))
            up = time.monotonic()
            await asyncio.sleep(12)
            end = time.monotonic()
    highest, budget = most(arrivals.times, WINDOW), RATE * WINDOW
    lowest = min(fewest(arrivals.times, WINDOW, begin, down), fewest(arrivals.times, WINDOW, up, end))
    across = fewest(arrivals.times, WINDOW, down - WINDOW, up + WINDOW)
    pause = max(after - before for before, after in zip(arrivals.times, arrivals.times[1:], strict=False))
    see(f"budget of {budget:g} requests in 5 s: at most {highest} ({highest / budget:.1%})")
    see(f"at least {lowest} ({lowest / budget:.1%}), across the restart of the broker {across} ({across / budget:.1%})")
    see(f"longest pause {pause:.2f} s")
    assert highest <= 1.05 * budget
    assert lowest >= 0.95 * budget
