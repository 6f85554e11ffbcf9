"""A register in memory that processes share, with the latency, the clock and the outages of a broker."""

import asyncio
import random
from collections.abc import Callable

from attrs import define, field

from workflow_async.distributed.shared_budget import Entry, RegisterUnavailable, SharedBudget
from workflow_async.settings import Clock

EPOCH = 1.8e9
MAX_TIMER_SLACK = 0.003
"""Seconds by which timers fire late."""


@define
class SharedRegister:
    """What a broker keeps. Each operation takes up to twice `latency`."""

    rng: random.Random = field(factory=lambda: random.Random(1))
    latency: float = 0.004
    entry: Entry = field(factory=Entry)
    operations: int = 0
    set_by: float = 0.0
    """Seconds by which the clock of the broker was set."""
    away: bool = False
    error: Exception | None = None
    """Raised by each operation."""
    _written: float = 0.0

    async def read(self) -> Entry:
        self.operations += 1
        await self._travel()
        entry = self.entry
        await self._travel()
        return entry

    async def write(self, entry: Entry) -> int | None:
        self.operations += 1
        await self._travel()
        revision = None
        if entry.revision == self.entry.revision:
            revision = entry.revision + 1
            self.entry = Entry(entry.until, revision)
            self._written = EPOCH + self.set_by + asyncio.get_running_loop().time()
        await self._travel()
        return revision

    async def stored_at(self, revision: int) -> float | None:
        self.operations += 1
        await self._travel()
        written = self._written if revision == self.entry.revision else None
        await self._travel()
        return written

    async def _travel(self) -> None:
        await asyncio.sleep(self.rng.uniform(0.2, 1.0) * self.latency)
        if self.away:
            await asyncio.sleep(1.0)
            raise RegisterUnavailable("TimeoutError")
        if self.error is not None:
            raise self.error

    def budget(self, rate: float) -> SharedBudget:
        """Return the budget of one process, whose clock is apart from the others and runs at another speed."""
        offset, speed = self.rng.uniform(-1e5, 1e5), 1 + self.rng.uniform(-1e-4, 1e-4)
        time = asyncio.get_running_loop().time

        async def sleep(seconds: float) -> None:
            await asyncio.sleep(max(0.0, seconds) + self.rng.uniform(0, MAX_TIMER_SLACK))

        return SharedBudget(self, rate, Clock(now=lambda: time() * speed + offset, sleep=sleep, jitter=self.rng.random))


@define(eq=False)
class PacedProcess:
    """A process that sends requests out of a budget. `sent` has the times."""

    budget: SharedBudget
    sent: list[float]
    _task: "asyncio.Task[None]" = field(init=False)

    def run(self, tasks: int, pause: Callable[[], float]) -> None:
        """Send requests from this number of tasks, each with a pause after each request."""
        self._task = asyncio.create_task(self._send(tasks, pause))

    async def _send(self, tasks: int, pause: Callable[[], float]) -> None:
        async def send() -> None:
            while True:
                await self.budget.acquire()
                self.sent.append(asyncio.get_running_loop().time())
                await asyncio.sleep(pause())

        async with asyncio.TaskGroup() as group:
            for _ in range(tasks):
                group.create_task(send())

    async def kill(self) -> None:
        """End the process, with what it has reserved."""
        tasks = [task for task in (self._task, self.budget._task) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
