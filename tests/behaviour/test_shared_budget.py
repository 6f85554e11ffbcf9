"""A budget that processes share by NATS: the requests that arrive at a server, over any 5 seconds."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from attrs import define, field

from tests.conftest import See
from tests.support.arrivals import Arrivals, Stalls, fewest, most, without
from tests.support.nats_server import NatsServer, running_nats_server

ROOT = Path(__file__).parents[2]
WINDOW = 5.0
RATE = 300.0
WARM_UP = 8.0
"""Seconds of the budget until which all processes have started, on a busy machine too."""
STALL = 0.05
"""Seconds for which this process is late on a machine that has no processor for the others either."""
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


def lowest_of(spans: Sequence[tuple[float, float]], arrivals: Arrivals) -> tuple[int, float]:
    """Return the fewest requests of any window within the spans, and the seconds of the spans that have one."""
    long = [(began, ended) for began, ended in spans if ended - began >= WINDOW]
    lowest = min((fewest(arrivals.times, WINDOW, *span) for span in long), default=0)
    return lowest, sum(ended - began for began, ended in long)


@pytest.mark.soak
@pytest.mark.figure("T-PACE")
@pytest.mark.timeout(180)
async def test_four_processes_keep_the_budget_while_two_are_killed_and_the_broker_restarts(
    tmp_path: Path, see: See
) -> None:
    arrivals, stalls = Arrivals(), Stalls(STALL)
    with running_nats_server(tmp_path) as broker:
        async with stalls.noted(), arrivals.served() as server, working(server, broker, RATE) as workers:
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
    lowest, seconds = lowest_of([(begin, down), (up, end)], arrivals)
    ready = [span for phase in ((begin, down), (up, end)) for span in without(*phase, stalls.times)]
    of_ready, seconds_ready = lowest_of(ready, arrivals)
    across = fewest(arrivals.times, WINDOW, down - WINDOW, up + WINDOW)
    pause = max(after - before for before, after in zip(arrivals.times, arrivals.times[1:], strict=False))
    see(f"budget of {budget:g} requests in 5 s: at most {highest} ({highest / budget:.1%})")
    free = f"in {seconds_ready:.0f} s in which the processors were free"
    see(
        f"at least {of_ready} ({of_ready / budget:.1%}) {free}, {lowest} ({lowest / budget:.1%}) in all {seconds:.0f} s"
    )
    see(f"across the restart of the broker {across} ({across / budget:.1%})")
    see(f"longest pause {pause:.2f} s")
    assert highest <= 1.05 * budget
    assert of_ready >= 0.95 * budget
