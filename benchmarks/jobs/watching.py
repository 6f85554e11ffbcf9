"""Watching a stub in another process: the cost of a poll, of one GET each, and of a waiter."""

import asyncio
import gc
import tracemalloc
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from attrs import define

from benchmarks.jobs.clients import FIRST_ID, INTERVAL, POLL, client, ids
from benchmarks.jobs.stepped_clock import SteppedClock
from benchmarks.meter import Meter
from benchmarks.serving import command, take_requests
from workflow_async import Limits, Poll

PAGE_BYTES = 4096
"""Bytes of a page of memory."""
ENDS = {"poll": Poll(interval=INTERVAL, backoff=1, ceiling=20 * INTERVAL, jitter=0), "parked": "wait"}
"""Options of waits that only need ends. Their list is read at the latest in every twentieth poll."""
STATES = {"poll": POLL, "parked": "return"}
"""Options of waits that need states, so every poll reads the list."""
POLL_WITHOUT_JITTER = Poll(jitter=0)
"""Without jitter, no workflow is checked twice before every workflow was checked once."""


@define
class RunningWaits:
    """Waits in progress, and the clock that they use."""

    clock: SteppedClock
    waits: list["asyncio.Task[Any]"]

    @property
    def ended(self) -> int:
        """The number of waits that have ended."""
        return sum(wait.done() for wait in self.waits)


@asynccontextmanager
async def watching(
    system: str, url: str, watched: Iterable[int], waits_for: Mapping[str, Any] = STATES, **settings: Any
) -> AsyncIterator[RunningWaits]:
    """Run `wait()` for each id. Each workflow has been checked once or twice when the block starts."""
    stepped = SteppedClock()
    async with client(system, url, stepped.clock, **settings) as one:
        stepped.attach(one.workflows._poller.engine)  # noqa: SLF001  # The engine is measured.
        waits = [asyncio.create_task(one.workflows.wait(id, **waits_for)) for id in watched]
        await stepped.wait_idle()
        await stepped.advance()
        yield RunningWaits(stepped, waits)
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)


async def poll(meter: Meter, system: str, url: str, count: int, changed: int = 0, polls: int = 1) -> None:
    """Measure polls with `count` waits, of which `changed` end in each poll."""
    command(url, f"state?count={count}")
    async with watching(system, url, ids(count)) as on:
        ended = iter(_spread_ids(count, changed * polls))
        take_requests(url)
        spent = 0.0
        for _ in range(polls):
            if changed:
                command(url, "finish?ids=" + ",".join(str(next(ended)) for _ in range(changed)))
            with meter.measuring():
                await on.clock.advance()
            spent += meter.figures["cpu"]
        meter.note(cpu=spent / polls, ended=on.ended, requests=len(take_requests(url)) / polls)


async def poll_ends(meter: Meter, system: str, url: str, count: int, polls: int) -> None:
    """Measure polls with `count` waits that only need ends, between two polls that read the whole list."""
    command(url, f"state?count={count}")
    async with watching(system, url, ids(count), ENDS) as on:
        for _ in range(2):  # the mark is requested if the last poll showed no change
            await on.clock.advance()
        take_requests(url)
        with meter.measuring(polls):
            for _ in range(polls):
                await on.clock.advance()
        meter.note(requests=len(take_requests(url)) / polls)


async def poll_rows(
    meter: Meter, system: str, url: str, count: int, polls: int, changed: int = 0, backend: str = "httpx"
) -> None:
    """Measure polls with `count` waits, of which `changed` show another state or step in each poll and none ends."""
    command(url, f"state?count={count}")
    async with watching(system, url, ids(count), http=backend) as on:
        rows = ",".join(map(str, _spread_ids(count, changed)))
        await on.clock.advance()
        spent = 0.0
        for _ in range(polls):
            if changed:
                command(url, f"change?ids={rows}")
            with meter.measuring():
                await on.clock.advance()
            spent += meter.figures["cpu"]
        meter.note(cpu=spent / polls)


def _spread_ids(count: int, changed: int) -> list[int]:
    """Return ids from all parts of the list."""
    return [FIRST_ID + place * count // changed for place in range(changed)]


async def poll_with_latency(
    meter: Meter, system: str, url: str, count: int, latency: float, connections: int, polls: int
) -> None:
    """Measure polls with `count` waits on a server with latency."""
    command(url, f"state?count={count}")
    command(url, f"latency?seconds={latency}")
    async with watching(system, url, ids(count), limits=Limits(connections=connections)) as on:
        take_requests(url)
        with meter.measuring(polls):
            for _ in range(polls):
                await on.clock.advance()
        meter.note(requests=len(take_requests(url)) / polls)


async def first_checks(meter: Meter, url: str, count: int, latency: float, connections: int, backend: str) -> None:
    """Measure a watch until each workflow was checked once, with latency and without list or bulk checks."""
    command(url, f"state?count={count}&listing=0&events_readable=0")
    command(url, f"latency?seconds={latency}")
    async with client("opencast", url, limits=Limits(connections=connections), http=backend) as one:
        with meter.measuring():
            async with one.workflows.watch(ids(count), poll=POLL_WITHOUT_JITTER) as changes:
                for _ in range(count):
                    await anext(changes)
        meter.note(requests=len(take_requests(url)))


async def poll_sandbox(meter: Meter, system: str, url: str, count: int) -> None:
    """Measure a poll with `count` waits on the sandbox."""
    found = command(url, "account")
    async with watching(system, url, found["ids"], **found["account"]) as on:
        take_requests(url)
        with meter.measuring():
            await on.clock.advance()
        meter.note(requests=len(take_requests(url)), watched=len(on.waits))
    if len(found["ids"]) != count:
        raise RuntimeError("the sandbox has another number of workflows")


async def bulk_checks(meter: Meter, system: str, url: str, count: int, interval: float, intervals: int) -> None:
    """Measure real intervals with `count` waits on a server without a list."""
    command(url, f"state?count={count}&listing=0")
    poll = Poll(interval=interval, backoff=1, ceiling=interval)
    async with client(system, url) as one:
        waits = [asyncio.create_task(one.workflows.wait(id, poll=poll)) for id in ids(count)]
        await asyncio.sleep(2 * interval)
        take_requests(url)
        with meter.measuring(intervals):
            await asyncio.sleep(intervals * interval)
        meter.note(requests=len(take_requests(url)) / intervals)
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)


async def get_each(meter: Meter, system: str, url: str, count: int) -> None:
    """Send one GET for each workflow concurrently, with the same client."""
    command(url, f"state?count={count}")
    async with client(system, url) as one:
        await asyncio.gather(*(one.workflows.get(id) for id in ids(32)))
        with meter.measuring():
            await asyncio.gather(*(one.workflows.get(id) for id in ids(count)))


async def one_workflow(meter: Meter, system: str, url: str, count: int, polls: int) -> None:
    """Measure polls with `count` waits for one workflow."""
    command(url, "state?count=10")
    async with watching(system, url, [FIRST_ID] * count) as on:
        take_requests(url)
        with meter.measuring(polls):
            for _ in range(polls):
                await on.clock.advance()
        meter.note(requests=len(take_requests(url)) / polls)


async def waiter_memory(meter: Meter, system: str, url: str, count: int) -> None:
    """Measure the bytes of a waiter without its record, as Python's allocator counts them."""
    tracemalloc.start()
    record = await _record(system, url, count)
    start = _traced()
    async with watching(system, url, ids(count)):
        meter.note(record=record, waiter=(_traced() - start) / count - record)


async def watch_memory(meter: Meter, system: str, url: str, count: int, listing: int) -> None:
    """Measure the bytes of a watch per id, without the record and without the row, when no request is in progress.

    The rows of the last list are measured separately, per byte received.
    """
    tracemalloc.start()
    record = await _record(system, url, count)
    command(url, f"state?count={count}&listing={listing}")
    start = _traced()
    async with client(system, url) as one, one.workflows.watch(ids(count)) as changes:
        for _ in range(count):
            await anext(changes)
        while not one.workflows._poller.engine.idle:  # noqa: ASYNC110, SLF001  # No event signals the end of all requests.
            await asyncio.sleep(0.01)
        watched = (_traced() - start) / count - record
        kept = _traced()
        received = _forget_rows(one.workflows._poller.source)  # noqa: SLF001  # The monitor's memory is measured.
        kept -= _traced()
        meter.note(watched=watched - kept / count, rows=kept / received if received else 0.0)


def _forget_rows(source: Any) -> int:
    """Make the monitor forget the rows of its last list. Return the bytes of their pages."""
    lists = source._lists.values() if source.system == "opencast" else (source._list,)  # noqa: SLF001
    memories = [known.memory for known in lists]
    received = sum(len(page.body) for memory in memories for page in memory._last.values())  # noqa: SLF001
    for memory in memories:
        memory.end()
    return received


async def waiter_resident(meter: Meter, system: str, url: str, count: int) -> None:
    """Measure the resident memory of a waiter with its record."""
    command(url, f"state?count={count}")
    await _records(system, url)
    start = _resident()
    async with watching(system, url, ids(count)):
        meter.note(resident=(_resident() - start) / count)


async def _record(system: str, url: str, count: int) -> float:
    """Return the bytes of a record."""
    command(url, f"state?count={count}")
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
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * PAGE_BYTES if statm.exists() else 0
