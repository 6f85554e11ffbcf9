"""`python -m benchmarks.distribution`: how many requests a large distribution sends, on virtual time, without sockets.

The server is a table in memory that counts pages, bulk checks and GETs. All workers run in this process. A round of a
worker is one check of each of its shards.
"""

# ruff: noqa: D102 - most methods are those of `Source` and `Coordinator`, which describe them

import argparse
import asyncio
import gc
import resource
import time
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, cast

from attrs import define, evolve, field

from tests.support.virtual_time import run
from workflow_async import Clock
from workflow_async._core.call import Page
from workflow_async._core.observer import Observer
from workflow_async._listing.listing import Listing
from workflow_async.distributed import MemoryCoordinator, MemoryStore, distribute, server_rounds, shards_of
from workflow_async.monitor import Change, WatchSpec, poll_once
from workflow_async.monitor.spec.client import poller_of
from workflow_async.opencast import State, Workflow

URL = "http://127.0.0.1"
PAGE_ROWS = 100
LATENCY = 0.05
CONNECTIONS = 16
EPOCH = 1_700_000_000.0
WORKFLOWS_OF_A_WORKER = 20_000
COLLECT_AFTER = 500_000
"""Objects after which garbage is collected. The default of 700 would look at all workflows again and again."""


@define
class Server:
    """Workflows of which some end in every second."""

    lists: bool
    count: int
    ended_a_second: float
    active: dict[int, Workflow] = field(init=False)
    ended: dict[int, Workflow] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self.active = {
            id: Workflow(id=id, event_id=f"e{id}", state=State.RUNNING, state_text="running", definition_id="publish")
            for id in range(1, self.count + 1)
        }

    async def run(self) -> None:
        """Let the workflows end in the order of their ids."""
        while self.active:
            await asyncio.sleep(1)
            due = min(self.count, int(asyncio.get_running_loop().time() * self.ended_a_second))
            for id in range(len(self.ended) + 1, due + 1):
                self.ended[id] = evolve(self.active.pop(id), state=State.SUCCEEDED, state_text="succeeded")

    def __getitem__(self, id: int) -> Workflow:
        return self.active[id] if id in self.active else self.ended[id]


@define
class Mark:
    """What a worker had done when a round of a shard began."""

    requests: Counter[str]
    operations: int
    """Operations of the broker about shards."""
    pages: int
    """Pages of the list."""


@define
class Report:
    """What a listing has read."""

    pages: int = 0
    requests: int = 0
    rows: int = 0


@define
class ListOfActive:
    """One read of the list, as the monitor uses it."""

    source: "TableSource"
    rows: list[Workflow]
    report: Report = field(factory=Report)

    async def pages(self) -> AsyncIterator[Page[Workflow]]:
        """Yield the pages. `CONNECTIONS` of them are requested at the same time."""
        for first in range(0, max(1, len(self.rows)), PAGE_ROWS):
            if self.report.pages % CONNECTIONS == 0:
                await asyncio.sleep(LATENCY)
            self.source.requests["page"] += 1
            rows = tuple(self.rows[first : first + PAGE_ROWS])
            self.report.pages, self.report.requests = self.report.pages + 1, self.report.requests + 1
            self.report.rows += len(rows)
            yield Page(rows, None)


@define
class TableSource:
    """The source of the client of one worker."""

    server: Server
    server_key: str = "opencast:127.0.0.1"
    connections: int = CONNECTIONS
    list_lag: float = 0.0
    requests: Counter[str] = field(factory=Counter)
    operations: int = 0
    marks: list[Mark] = field(factory=list)
    """One for each round of a shard."""

    @property
    def supports_listing(self) -> bool:
        return self.server.lists

    @property
    def supports_bulk_check(self) -> bool:
        return not self.server.lists

    def list_active(self, *, operations: bool, rows: int = 0) -> Listing[Workflow]:
        return cast("Listing[Workflow]", ListOfActive(self, list(self.server.active.values())))

    def begin_round(self) -> None:
        """Note what was done until now."""
        pages = -(-len(self.server.active) // PAGE_ROWS)
        self.marks.append(Mark(Counter(self.requests), self.operations, pages))

    async def get(self, id: int, *, operations: bool) -> Workflow:
        self.requests["GET"] += 1
        await asyncio.sleep(LATENCY)
        return self.server[id]

    async def find_changed(self, known: Sequence[Workflow]) -> Collection[int]:
        self.requests["bulk check"] += 1
        await asyncio.sleep(LATENCY)
        return [each.id for each in known if self.server[each.id].state_text != each.state_text]

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

    source: TableSource = field(kw_only=True)

    async def renew(self, lease: Any) -> Any:
        self.source.operations += 1
        return await MemoryCoordinator.renew(self, lease)

    async def save(self, lease: Any, spec: bytes, events: Any) -> Any:
        self.source.operations += 1 + bool(events)
        return await MemoryCoordinator.save(self, lease, spec, events)


def count_rounds() -> None:
    """Count the rounds of shards with the requests of their worker."""

    async def counted(client: Any, *args: Any, **options: Any) -> Any:
        cast("TableSource", poller_of(client).source).begin_round()
        return await poll_once(client, *args, **options)

    server_rounds.__dict__["poll_once"] = counted


async def measure(options: argparse.Namespace) -> str:
    """Run a distribution until every worker has done the rounds. Return the figures."""
    loop = asyncio.get_running_loop()
    clock = Clock(now=loop.time, sleep=asyncio.sleep, wall=lambda: EPOCH + loop.time())
    server = Server(options.lists, options.workflows, options.workflows / options.hours / 3600)
    store = MemoryStore(options.lease, clock)
    sources = [TableSource(server) for _ in range(options.workers)]
    tasks = [asyncio.create_task(server.run())]
    for source in sources:
        client: Any = TableClient(TableService(TablePoller(source, clock)))
        tasks.append(asyncio.create_task(distribute(client, CountingCoordinator(store, source=source))))
    await asyncio.sleep(1)  # all workers count as alive, so each claims its share at once
    await store.put(shards_of("all", WatchSpec.of(URL, server.active), options.shards * options.workers))
    while min(len(source.marks) for source in sources) <= options.shards * (1 + options.rounds):  # noqa: ASYNC110
        await asyncio.sleep(1)
    figures = describe(sources, store, options)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    return figures


def describe(sources: Sequence[TableSource], store: MemoryStore, options: Any) -> str:
    """Return the figures as text. The first round of each worker does not count."""
    server, sent, operations, pages = sources[0].server, Counter[str](), 0, 0
    for source in sources:
        begin, end = source.marks[options.shards], source.marks[options.shards * (1 + options.rounds)]
        sent += end.requests - begin.requests
        operations += end.operations - begin.operations
        pages += begin.pages
    rounds = options.rounds * options.workers
    ends = [event.id for event in store.events.values() if isinstance(event, Change) and event.now.final]
    wrong = len(set(ends) - server.ended.keys()) + len(ends) - len(set(ends))
    each = {kind: number / rounds for kind, number in sent.items()}
    of_a_page = sum(each.values()) / (pages / options.workers)
    return (
        f"{server.count:,} workflows ({pages / options.workers:,.0f} pages), {options.workers} workers with "
        f"{options.shards} shards each, {'with' if server.lists else 'without'} a list, {options.rounds} rounds: "
        f"a round of a worker sends {', '.join(f'{number:,.1f} {kind}s' for kind, number in each.items())}, "
        f"{of_a_page:.3f} requests for each page; {operations / rounds / options.shards:.2f} operations of the broker "
        f"a shard and round; {len(server.ended):,} ended, {len(ends):,} ends delivered, {wrong} twice or wrong"
    )


def main() -> None:
    """Print the figures, the time and the memory that the simulation took."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.distribution", description=__doc__)
    parser.add_argument("--workflows", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--workers", type=int, help="one for each 20,000 workflows by default")
    parser.add_argument("--shards", type=int, default=8, help="shards of each worker")
    parser.add_argument("--lists", action="store_true", help="the server has a list, as Opencast up to 11")
    parser.add_argument("--lease", type=float, default=60.0)
    parser.add_argument("--rounds", type=int, default=1, help="measured rounds of each worker, after a first one")
    parser.add_argument("--hours", type=float, default=10.0, help="in which all workflows end")
    options = parser.parse_args()
    gc.set_threshold(COLLECT_AFTER, 10, 10)
    count_rounds()
    for workflows in options.workflows:
        began, wall = time.process_time(), time.monotonic()
        workers = options.workers or max(1, workflows // WORKFLOWS_OF_A_WORKER)
        print(run(measure(argparse.Namespace(**{**vars(options), "workflows": workflows, "workers": workers}))))
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        took, wall = time.process_time() - began, time.monotonic() - wall
        print(f"took {took:,.0f} s of CPU in {wall:,.0f} s, {memory:,.0f} MB", flush=True)
        gc.collect()


if __name__ == "__main__":
    main()
