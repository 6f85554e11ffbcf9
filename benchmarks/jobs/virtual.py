"""Watching a source in this process, on virtual time: spread, and a million polls."""

import asyncio
import gc
import itertools
import random
import tracemalloc
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from statistics import median
from typing import Any

import anyio
from attrs import define, field

from benchmarks.meter import Meter
from tests.support.virtual_time import run
from workflow_async import Clock, Poll
from workflow_async._core.call import Call, Page
from workflow_async._listing.listing import Listing
from workflow_async.monitor import MonitoringMixin, Poller
from workflow_async.opencast.records import State, Workflow

LATENCY = 0.05
WINDOWS = 10
"""An interval is cut into."""
SAMPLES = 50
"""Of the memory, in a soak."""
WARM = 10
"""Of them are not counted."""
TOGETHER = 10
"""Of them make a median: memory goes up and down by some per cent within an interval."""
LIFE = 50
"""Looks a workflow of the soak lives for."""


@define
class Source:
    """As many workflows as are asked for; each look costs 50 ms and no request."""

    looked: Callable[[int], bool]
    """Is told of every look at a workflow, and says whether it has ended."""
    supports_listing: bool = False
    supports_bulk_check: bool = False
    list_lag: float = 0.0
    alive: set[int] = field(factory=set)

    @property
    def server_key(self) -> str:
        """A name for keys."""
        return "opencast:oc.example.org"

    @property
    def connections(self) -> int:
        """As many as a client has by default."""
        return 16

    async def get(self, id: int, *, operations: bool) -> Workflow:
        """One workflow."""
        await anyio.sleep(LATENCY)
        return self._seen(id)

    def list_active(self, *, operations: bool, rows: int = 0) -> Listing[Workflow]:
        """Those that are alive, on one page."""
        return Listing(self._page, Call("GET", "/", lambda _: Page[Workflow](())), lambda workflow: workflow.id)

    async def _page(self, _: Call[Any], /) -> Any:
        await anyio.sleep(LATENCY)
        seen = [self._seen(id) for id in sorted(self.alive)]
        return Page(tuple(workflow for workflow in seen if workflow.state is State.RUNNING))

    def _seen(self, id: int) -> Workflow:
        over = self.looked(id) or id not in self.alive
        if over:
            self.alive.discard(id)
        state = State.SUCCEEDED if over else State.RUNNING
        return Workflow(id=id, state=state, state_text=state.value, event_id=f"event-{id}", operations=())

    async def find_changed(self, known: Sequence[Workflow]) -> Collection[int]:
        """Nobody: there are no glances."""
        return [workflow.id for workflow in known]

    def is_complete(self, workflow: Workflow) -> bool:
        """Whether it has its operations."""
        return workflow.operations is not None

    def identity(self, workflow: Workflow) -> tuple[str | None, ...]:
        """Its event."""
        return (workflow.event_id,)

    def duration_key(self, workflow: Workflow) -> str:
        """All are of one kind."""
        return workflow.definition_id

    def durations(self, workflow: Workflow) -> Iterable[tuple[str, float]]:
        """Nothing is learned."""
        return [(workflow.definition_id, 1e9)]


def monitored(source: Source) -> MonitoringMixin[Workflow]:
    """What can be waited for, on the running loop's time, with the same chance every time."""
    clock = Clock(now=asyncio.get_running_loop().time, sleep=anyio.sleep, jitter=random.Random(3).random)
    return MonitoringMixin(Poller(source, clock))


def spread(meter: Meter, count: int, interval: float, intervals: int) -> None:
    """The highest rate of requests in any tenth of an interval, by the mean."""
    windows = run(_windows(count, interval, intervals))
    rates = [windows[place] for place in range(intervals * WINDOWS)]
    meter.note(peak=max(rates) / (sum(rates) / len(rates)), requests=sum(rates) / intervals)


async def _windows(count: int, interval: float, intervals: int) -> Counter[int]:
    seen: Counter[int] = Counter()
    now = asyncio.get_running_loop().time

    def looked(_: int) -> bool:
        seen[int(now() / interval * WINDOWS)] += 1
        return False

    workflows = monitored(Source(looked, alive=set(range(count))))
    poll = Poll(interval=interval, backoff=1, ceiling=interval)
    async with anyio.create_task_group() as group:
        for id in range(count):
            group.start_soon(partial(workflows.wait, id, poll=poll))
        await anyio.sleep(interval * intervals)
        group.cancel_scope.cancel()
    return seen


def soak(meter: Meter, count: int, polls: int, *, lists: bool) -> None:
    """So many polls of workflows that live for 50 looks each: bytes held after the warm-up, and at the end."""
    tracemalloc.start()
    held = run(_soak(count, polls, lists=lists))
    warm, end = median(held[WARM : WARM + TOGETHER]), median(held[-TOGETHER:])
    meter.note(warm=warm, end=end, growth=end / warm)


async def _soak(count: int, polls: int, *, lists: bool) -> list[int]:
    """The bytes held at every fiftieth part of the polls."""
    held: list[int] = []
    done = asyncio.Event()
    numbers, looks, ages = itertools.count(), itertools.count(1), Counter[int]()

    def looked(id: int) -> bool:
        if next(looks) % (polls // SAMPLES) == 0:
            gc.collect()
            held.append(tracemalloc.get_traced_memory()[0])
            if len(held) == SAMPLES:
                done.set()
        ages[id] += 1
        return ages[id] > LIFE + id % LIFE

    source = Source(looked, supports_listing=lists)
    workflows = monitored(source)

    async def watch() -> None:
        while True:
            id = next(numbers)
            source.alive.add(id)
            await workflows.wait(id, poll=Poll(interval=1, backoff=1, ceiling=1))
            del ages[id]

    async with anyio.create_task_group() as group:
        for _ in range(count):
            group.start_soon(watch)
        await done.wait()
        group.cancel_scope.cancel()
    return held[:SAMPLES]
