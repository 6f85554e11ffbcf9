"""Watching on a stub in another process: what a tick, a get each, and a watcher cost."""

import asyncio
import gc
import tracemalloc
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from attrs import define

from benchmarks.jobs.gate import Gate
from benchmarks.jobs.ours import FIRST, STEADY, client, ids
from benchmarks.meter import Meter
from benchmarks.serving import asked, told
from workflow_async import Limits, Poll

PAGES = 4096
"""Bytes of a page of memory."""
EVEN = Poll(jitter=0)
"""Nobody is looked at again before everybody was looked at once."""


@define
class Watching:
    """So many waits that are on, and the gate they wait behind."""

    gate: Gate
    waits: list["asyncio.Task[Any]"]

    @property
    def over(self) -> int:
        """How many have ended."""
        return sum(wait.done() for wait in self.waits)


@asynccontextmanager
async def watching(system: str, url: str, watched: Iterable[int], **settings: Any) -> AsyncIterator[Watching]:
    """`wait()` for each of these, all looked at once or twice."""
    gate = Gate()
    async with client(system, url, gate.clock, **settings) as one:
        gate.attend(one.workflows.poller.fetcher)
        waits = [asyncio.create_task(one.workflows.wait(id, poll=STEADY)) for id in watched]
        await gate.rest()
        await gate.pass_on()
        yield Watching(gate, waits)
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)


async def tick(meter: Meter, system: str, url: str, count: int, changed: int = 0, ticks: int = 1) -> None:
    """Ticks with so many waits, `changed` of which end in each."""
    told(url, f"world?count={count}")
    async with watching(system, url, ids(count)) as on:
        ended = iter(_apart(count, changed * ticks))
        asked(url)
        spent = 0.0
        for _ in range(ticks):
            if changed:
                told(url, "finish?ids=" + ",".join(str(next(ended)) for _ in range(changed)))
            with meter.measuring():
                await on.gate.pass_on()
            spent += meter.figures["cpu"]
        meter.note(cpu=spent / ticks, ended=on.over, requests=len(asked(url)) / ticks)


def _apart(count: int, changed: int) -> list[int]:
    """Ids from all over the list."""
    return [FIRST + (place + 1) * (count // (changed + 1)) for place in range(changed)]


async def far(meter: Meter, system: str, url: str, count: int, latency: float, connections: int, ticks: int) -> None:
    """Ticks with so many waits, on a server that is far away."""
    told(url, f"world?count={count}")
    told(url, f"latency?seconds={latency}")
    async with watching(system, url, ids(count), limits=Limits(connections=connections)) as on:
        asked(url)
        with meter.measuring(ticks):
            for _ in range(ticks):
                await on.gate.pass_on()
        meter.note(requests=len(asked(url)) / ticks)


async def first_looks(meter: Meter, url: str, count: int, latency: float, connections: int, carrier: str) -> None:
    """A watch of so many on a server that is far away and can neither list nor glance, until each was seen once."""
    told(url, f"world?count={count}&lists=0&glances=0")
    told(url, f"latency?seconds={latency}")
    async with client("opencast", url, limits=Limits(connections=connections), http=carrier) as one:
        with meter.measuring():
            async with one.workflows.watch(ids(count), poll=EVEN) as changes:
                for _ in range(count):
                    await anext(changes)
        meter.note(requests=len(asked(url)))


async def real(meter: Meter, system: str, url: str, count: int) -> None:
    """Ticks with so many waits on the sandbox."""
    found = told(url, "who")
    async with watching(system, url, found["ids"], **found["account"]) as on:
        asked(url)
        with meter.measuring():
            await on.gate.pass_on()
        meter.note(requests=len(asked(url)), watched=len(on.waits))
    if len(found["ids"]) != count:
        raise RuntimeError("the sandbox has another number of workflows")


async def glancing(meter: Meter, system: str, url: str, count: int, interval: float, intervals: int) -> None:
    """Real intervals with so many waits on a server without a list, where looks come one after another."""
    told(url, f"world?count={count}&lists=0")
    poll = Poll(interval=interval, backoff=1, ceiling=interval)
    async with client(system, url) as one:
        waits = [asyncio.create_task(one.workflows.wait(id, poll=poll)) for id in ids(count)]
        await asyncio.sleep(2 * interval)
        asked(url)
        with meter.measuring(intervals):
            await asyncio.sleep(intervals * interval)
        meter.note(requests=len(asked(url)) / intervals)
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)


async def get_each(meter: Meter, system: str, url: str, count: int) -> None:
    """One get each with the same client, all at once."""
    told(url, f"world?count={count}")
    async with client(system, url) as one:
        await asyncio.gather(*(one.workflows.get(id) for id in ids(32)))
        with meter.measuring():
            await asyncio.gather(*(one.workflows.get(id) for id in ids(count)))


async def same(meter: Meter, system: str, url: str, count: int, ticks: int) -> None:
    """So many waits for one workflow."""
    told(url, "world?count=10")
    async with watching(system, url, [FIRST] * count) as on:
        asked(url)
        with meter.measuring(ticks):
            for _ in range(ticks):
                await on.gate.pass_on()
        meter.note(requests=len(asked(url)) / ticks)


async def begin(meter: Meter, system: str, url: str, count: int) -> None:
    """The beginning of so many waits, with the first looks at all of them."""
    told(url, f"world?count={count}")
    with meter.measuring():
        async with watching(system, url, ids(count)):
            pass


async def memory(meter: Meter, system: str, url: str, count: int) -> None:
    """Bytes a waiter holds above its record, as Python's allocator counts them."""
    tracemalloc.start()
    record = await _record(system, url, count)
    start = _traced()
    async with watching(system, url, ids(count)):
        meter.note(record=record, waiter=(_traced() - start) / count - record)


async def watched(meter: Meter, system: str, url: str, count: int, lists: int) -> None:
    """Bytes that a watch holds for each id above its record, between requests, seen by the list or first by gets."""
    tracemalloc.start()
    record = await _record(system, url, count)
    told(url, f"world?count={count}&lists={lists}")
    start = _traced()
    async with client(system, url) as one, one.workflows.watch(ids(count)) as changes:
        for _ in range(count):
            await anext(changes)
        while not one.workflows.poller.fetcher.idle:  # noqa: ASYNC110 - nothing tells when requests are over
            await asyncio.sleep(0.01)
        meter.note(watched=(_traced() - start) / count - record)


async def resident(meter: Meter, system: str, url: str, count: int) -> None:
    """Bytes of resident memory a waiter and its record add to the process."""
    told(url, f"world?count={count}")
    await _records(system, url)
    start = _resident()
    async with watching(system, url, ids(count)):
        meter.note(resident=(_resident() - start) / count)


async def _record(system: str, url: str, count: int) -> float:
    """Bytes of a record by itself."""
    told(url, f"world?count={count}")
    records = await _records(system, url)
    before = _traced()
    records.clear()
    return (before - _traced()) / count


async def _records(system: str, url: str) -> list[Any]:
    async with client(system, url) as one:
        return [workflow async for workflow in one.workflows.list()]


def _traced() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def _resident() -> int:
    gc.collect()
    told_by = Path("/proc/self/statm")
    return int(told_by.read_text().split()[1]) * PAGES if told_by.exists() else 0
