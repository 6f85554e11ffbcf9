"""`python -m benchmarks.distribution`: how many requests a large distribution sends, on virtual time, without sockets.

The server is a table in memory that counts pages, bulk checks and GETs. All workers run in this process.
"""

# ruff: noqa: D102 - most methods are those of `Source` and `Coordinator`, which describe them

import argparse
import asyncio
import resource
import time
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, cast

from attrs import define, evolve, field

from tests.support.virtual_time import run
from workflow_async import Clock, Phase
from workflow_async._core.call import Page
from workflow_async._core.observer import Observer
from workflow_async._listing.listing import Listing
from workflow_async.distributed import MemoryCoordinator, MemoryStore, distribute, shards_of
from workflow_async.monitor import Change, WatchSpec
from workflow_async.opencast import State, Workflow

URL = "http://127.0.0.1"
PAGE_ROWS = 100
LATENCY = 0.05
CONNECTIONS = 16
EPOCH = 1_700_000_000.0


@define
class Server:
    """Workflows of which some end in every second."""

    lists: bool
    count: int
    ended_a_second: float
    table: dict[int, Workflow] = field(init=False)
    requests: Counter[str] = field(factory=Counter, init=False)

    def __attrs_post_init__(self) -> None:
        first = Workflow(id=1, event_id="e1", state=State.RUNNING, state_text="running", definition_id="publish")
        self.table = {id: evolve(first, id=id, event_id=f"e{id}") for id in range(1, self.count + 1)}

    async def run(self) -> None:
        """Let the workflows end in the order of their ids."""
        ended = 0
        while ended < self.count:
            await asyncio.sleep(1)
            due = min(self.count, int(asyncio.get_running_loop().time() * self.ended_a_second))
            for id in range(ended + 1, due + 1):
                self.table[id] = evolve(self.table[id], state=State.SUCCEEDED, state_text="succeeded")
            ended = due

    async def answer(self, kind: str) -> None:
        """Count a request."""
        self.requests[kind] += 1
        await asyncio.sleep(LATENCY)


@define
class Report:
    """What a listing has read."""

    pages: int = 0
    requests: int = 0
    rows: int = 0


@define
class ListOfActive:
    """One read of the list, as the monitor uses it."""

    server: Server
    report: Report = field(factory=Report)

    async def pages(self) -> AsyncIterator[Page[Workflow]]:
        """Yield the pages. `CONNECTIONS` of them are requested at the same time."""
        active = [each for each in self.server.table.values() if not each.phase.final]
        for first in range(0, max(1, len(active)), PAGE_ROWS):
            if self.report.pages % CONNECTIONS == 0:
                await asyncio.sleep(LATENCY)
            self.server.requests["page"] += 1
            rows = tuple(active[first : first + PAGE_ROWS])
            self.report.pages, self.report.requests = self.report.pages + 1, self.report.requests + 1
            self.report.rows += len(rows)
            yield Page(rows, None)


@define
class TableSource:
    """The source of a client of this server."""

    server: Server
    server_key: str = "opencast:127.0.0.1"
    connections: int = CONNECTIONS
    list_lag: float = 0.0

    @property
    def supports_listing(self) -> bool:
        return self.server.lists

    @property
    def supports_bulk_check(self) -> bool:
        return not self.server.lists

    def list_active(self, *, operations: bool, rows: int = 0) -> Listing[Workflow]:
        return cast("Listing[Workflow]", ListOfActive(self.server))

    async def get(self, id: int, *, operations: bool) -> Workflow:
        await self.server.answer("GET")
        return self.server.table[id]

    async def find_changed(self, known: Sequence[Workflow]) -> Collection[int]:
        await self.server.answer("bulk check")
        return [each.id for each in known if self.server.table[each.id].state_text != each.state_text]

    def recalled(self, id: int, state_text: str, identity: tuple[str | None, ...]) -> Workflow:
        return Workflow(id=id, state=State.read(state_text), state_text=state_text, event_id="")

    def is_complete(self, workflow: Workflow) -> bool:
        return True

    def identity(self, workflow: Workflow) -> tuple[str | None, ...]:
        return workflow.event_id, workflow.definition_id

    def same_identity(self, known: Workflow, found: Workflow) -> bool:
        return known.event_id == found.event_id

    def ended_at(self, workflow: Workflow) -> datetime | None:
        return None

    def duration_key(self, workflow: Workflow) -> str:
        return workflow.definition_id

    def durations(self, workflow: Workflow) -> Iterable[tuple[str, float]]:
        return ()


@define
class TablePoller:
    """The part of a client's poller that rounds use."""

    source: TableSource
    clock: Clock
    observer: Observer = field(factory=Observer)


@define
class TableService:
    """The part of a client's service that rounds use."""

    _poller: TablePoller


@define
class TableClient:
    """The part of a client that rounds use."""

    workflows: TableService
    url: str = URL


@define(eq=False)
class CountingCoordinator(MemoryCoordinator):
    """Counts operations about shards."""

    counts: Counter[str] = field(factory=Counter, kw_only=True)

    async def renew(self, lease: Any) -> Any:
        self.counts["operations"] += 1
        return await MemoryCoordinator.renew(self, lease)

    async def save(self, lease: Any, spec: bytes, events: Any) -> Any:
        self.counts["operations"] += 1 + bool(events)
        self.counts["saves with events"] += bool(events)
        return await MemoryCoordinator.save(self, lease, spec, events)


async def measure(options: argparse.Namespace) -> str:
    """Run a distribution for some minutes. Return the figures."""
    loop = asyncio.get_running_loop()
    clock = Clock(now=loop.time, sleep=asyncio.sleep, wall=lambda: EPOCH + loop.time())
    server = Server(options.lists, options.workflows, options.workflows / options.hours / 3600)
    store, counts = MemoryStore(options.lease, clock), Counter[str]()
    await store.put(shards_of("all", WatchSpec.of(URL, server.table), options.shards))
    ends = asyncio.create_task(server.run())
    workers = []
    for _ in range(options.workers):
        client: Any = TableClient(TableService(TablePoller(TableSource(server), clock)))
        workers.append(asyncio.create_task(distribute(client, CountingCoordinator(store, counts=counts))))
    await asyncio.sleep(options.warm)
    server.requests.clear()
    counts.clear()
    began = loop.time()
    await asyncio.sleep(options.seconds)
    figures = describe(server, counts, store, options, loop.time() - began)
    for task in (*workers, ends):
        task.cancel()
    await asyncio.wait([*workers, ends])
    return figures


def describe(server: Server, counts: Counter[str], store: MemoryStore, options: Any, seconds: float) -> str:
    """Return the figures as text."""
    ended = {id for id, each in server.table.items() if each.phase is Phase.SUCCEEDED}
    seen = [event.id for event in store.events.values() if isinstance(event, Change) and event.now.final]
    pages = -(-(server.count - len(ended)) // PAGE_ROWS)
    wrong = len(set(seen) - ended) + len(seen) - len(set(seen))
    sent = ", ".join(f"{number / seconds:,.0f} {kind}s" for kind, number in server.requests.most_common())
    return (
        f"{server.count:,} workflows ({pages:,} pages), {options.shards} shards, {options.workers} workers, "
        f"{'with' if server.lists else 'without'} a list: {sent} a second; "
        f"{counts['operations'] / seconds:,.1f} operations of the broker a second; "
        f"{len(ended):,} ended, {len(seen):,} ends delivered, {wrong} twice or wrong"
    )


def main() -> None:
    """Print the figures, the time and the memory that the simulation took."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.distribution", description=__doc__)
    parser.add_argument("--workflows", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=10)
    parser.add_argument("--shards", type=int, default=40)
    parser.add_argument("--lists", action="store_true", help="the server has a list, as Opencast up to 11")
    parser.add_argument("--lease", type=float, default=60.0)
    parser.add_argument("--warm", type=float, default=120.0, help="virtual seconds before the measured ones")
    parser.add_argument("--seconds", type=float, default=120.0, help="measured virtual seconds")
    parser.add_argument("--hours", type=float, default=10.0, help="in which all workflows end")
    options = parser.parse_args()
    began = time.process_time()
    print(run(measure(options)))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"took {time.process_time() - began:,.0f} s of CPU, {memory:,.0f} MB")


if __name__ == "__main__":
    main()
