"""Watching a source in this process, on virtual time: the spread of requests, and a million checks."""

import asyncio
import gc
import itertools
import random
import tracemalloc
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
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
from workflow_async.monitor._engine.poller import Poller
from workflow_async.monitor.service import MonitoringMixin
from workflow_async.opencast.records import State, Workflow

LATENCY = 0.05
WINDOWS_PER_INTERVAL = 10
"""The number of windows that an interval is divided into."""
SAMPLES = 50
"""The number of samples of the memory in a soak."""
WARM_UP_SAMPLES = 10
"""The number of samples that are not counted."""
MEDIAN_SAMPLES = 10
"""The number of samples of a median. Memory varies by some per cent within an interval."""
CHECKS_PER_WORKFLOW = 50
"""The number of checks after which a workflow of the soak ends."""


@define
class Source:
    """A source of workflows. A check takes 50 ms and sends no request."""

    on_check: Callable[[int], bool]
    """Called for every check of a workflow. It returns True if the workflow has ended."""
    supports_listing: bool = False
    supports_bulk_check: bool = False
    list_lag: float = 0.0
    alive: set[int] = field(factory=set)

    @property
    def server_key(self) -> str:
        """The name of the server in keys."""
        return "opencast:oc.example.org"

    @property
    def connections(self) -> int:
        """The default number of connections of a client."""
        return 16

    async def get(self, id: int, *, operations: bool) -> Workflow:
        """Return one workflow."""
        await anyio.sleep(LATENCY)
        return self._workflow(id)

    def list_active(self, *, operations: bool, rows: int = 0) -> Listing[Workflow]:
        """List the active workflows on one page."""
        return Listing(self._page, Call("GET", "/", lambda _: Page[Workflow](())), lambda workflow: workflow.id)

    async def list_mark(self, rows: int) -> int:
        """Return the number of active workflows."""
        await anyio.sleep(LATENCY)
        return len(self.alive)

    async def _page(self, _: Call[Any], /) -> Any:
        await anyio.sleep(LATENCY)
        workflows = [self._workflow(id) for id in sorted(self.alive)]
        return Page(tuple(workflow for workflow in workflows if workflow.state is State.RUNNING))

    def _workflow(self, id: int) -> Workflow:
        ended = self.on_check(id) or id not in self.alive
        if ended:
            self.alive.discard(id)
        state = State.SUCCEEDED if ended else State.RUNNING
        return Workflow(id=id, state=state, state_text=state.value, event_id=f"event-{id}", operations=())

    async def find_changed(self, known: Sequence[Workflow]) -> Collection[int]:
        """Return every id, because there is no bulk check."""
        return [workflow.id for workflow in known]

    def recalled(self, id: int, state_text: str, identity: tuple[str | None, ...]) -> Workflow:
        """Return a record with its state."""
        return Workflow(id=id, state=State.read(state_text), state_text=state_text, event_id=identity[0] or "")

    def is_complete(self, workflow: Workflow) -> bool:
        """Return True if the workflow has its operations."""
        return workflow.operations is not None

    def identity(self, workflow: Workflow) -> tuple[str | None, ...]:
        """Return the event of the workflow."""
        return (workflow.event_id,)

    def same_identity(self, known: Workflow, found: Workflow) -> bool:
        """As of Opencast."""
        return known.event_id == found.event_id and known.definition_id == found.definition_id

    def ended_at(self, workflow: Workflow) -> datetime | None:
        """Return None: the records do not say when they ended."""
        return None

    def duration_key(self, workflow: Workflow) -> str:
        """Return the definition id, which is the same for all workflows."""
        return workflow.definition_id

    def durations(self, workflow: Workflow) -> Iterable[tuple[str, float]]:
        """Return a constant, so that nothing is learned."""
        return [(workflow.definition_id, 1e9)]


def monitored(source: Source) -> MonitoringMixin[Workflow]:
    """Return a service that waits on the time of the running loop, with reproducible jitter."""
    clock = Clock(now=asyncio.get_running_loop().time, sleep=anyio.sleep, jitter=random.Random(3).random)
    return MonitoringMixin(Poller(source, clock))


def spread(meter: Meter, count: int, interval: float, intervals: int) -> None:
    """Measure the highest rate of requests in any tenth of an interval, divided by the mean rate."""
    windows = run(_requests_per_window(count, interval, intervals))
    rates = [windows[place] for place in range(intervals * WINDOWS_PER_INTERVAL)]
    meter.note(peak=max(rates) / (sum(rates) / len(rates)), requests=sum(rates) / intervals)


async def _requests_per_window(count: int, interval: float, intervals: int) -> Counter[int]:
    windows: Counter[int] = Counter()
    now = asyncio.get_running_loop().time

    def on_check(_: int) -> bool:
        windows[int(now() / interval * WINDOWS_PER_INTERVAL)] += 1
        return False

    workflows = monitored(Source(on_check, alive=set(range(count))))
    poll = Poll(interval=interval, backoff=1, ceiling=interval)
    async with anyio.create_task_group() as group:
        for id in range(count):
            group.start_soon(partial(workflows.wait, id, poll=poll))
        await anyio.sleep(interval * intervals)
        group.cancel_scope.cancel()
    return windows


def soak(meter: Meter, count: int, polls: int, *, by_list: bool) -> None:
    """Measure the memory after the warm-up and at the end of `polls` checks. Workflows end after 50 checks or more."""
    tracemalloc.start()
    samples = run(_soak(count, polls, by_list=by_list))
    warm, end = median(samples[WARM_UP_SAMPLES : WARM_UP_SAMPLES + MEDIAN_SAMPLES]), median(samples[-MEDIAN_SAMPLES:])
    meter.note(warm=warm, end=end, growth=end / warm)


async def _soak(count: int, polls: int, *, by_list: bool) -> list[int]:
    """Return the memory in bytes at every fiftieth part of the checks."""
    samples: list[int] = []
    done = asyncio.Event()
    numbers, checks, ages = itertools.count(), itertools.count(1), Counter[int]()

    def on_check(id: int) -> bool:
        if next(checks) % (polls // SAMPLES) == 0:
            gc.collect()
            samples.append(tracemalloc.get_traced_memory()[0])
            if len(samples) == SAMPLES:
                done.set()
        ages[id] += 1
        return ages[id] > CHECKS_PER_WORKFLOW + id % CHECKS_PER_WORKFLOW

    source = Source(on_check, supports_listing=by_list)
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
    return samples[:SAMPLES]
