"""Workers are killed, stopped and cut off at random: no end is lost, doubled or wrong, and shards are taken over."""

import asyncio
import random
from collections import Counter

import anyio
import pytest
from attrs import define, field

from tests.conftest import See
from tests.support import virtual_time as virtual
from tests.support.distribution import FaultyCoordinator, SimulatedWorker
from tests.support.monitored_system import System, new_system
from workflow_async.distributed import Lease, MemoryStore, shards_of
from workflow_async.monitor import Change, WatchSpec
from workflow_async.sandbox.engine import Step, StepResult

URL = "http://127.0.0.1"
LEASE = 20.0
SHARDS = 8


@define
class Cluster:
    """Workers that come and go, and what happened to them."""

    place: System
    chance: random.Random
    count: int
    latency: float
    store: MemoryStore = field(init=False)
    ids: list[int] = field(factory=list, init=False)
    workers: list[SimulatedWorker] = field(factory=list, init=False)
    all: list[SimulatedWorker] = field(factory=list, init=False)
    orphaned: dict[str, float] = field(factory=dict, init=False)
    """When the worker of a shard was killed or stopped."""
    takeovers: list[float] = field(factory=list, init=False)
    seen: Counter[str] = field(factory=Counter, init=False)

    async def populate(self, longest: float) -> None:
        """Start workflows with every kind of end, in shards."""
        self.store = MemoryStore(LEASE, self.place.clock)
        kinds = [self.place.define(f"kind-{n}", *self._steps(longest)) for n in range(20)]
        self.ids = [self.place.start(self.chance.choice(kinds)) for _ in range(self.count)]
        await self.store.put(shards_of("all", WatchSpec.of(URL, self.ids), SHARDS))

    def _steps(self, longest: float) -> list[Step]:
        result = StepResult.FAILED if self.chance.random() < 0.2 else StepResult.DONE
        return [
            Step("prepare", self.chance.uniform(1, longest / 2)),
            Step("end", self.chance.uniform(1, longest / 2), result),
        ]

    def join(self) -> None:
        """Start a worker."""
        worker = SimulatedWorker.start(
            self.place, self.store, seed=self.chance.randrange(2**32), latency=self.latency, on_claim=self._on_claim
        )
        self.workers.append(worker)
        self.all.append(worker)

    def _on_claim(self, coordinator: FaultyCoordinator, lease: Lease) -> None:
        if (since := self.orphaned.pop(lease.shard, None)) is not None:
            self.takeovers.append(asyncio.get_running_loop().time() - since)

    def _orphan(self, worker: SimulatedWorker) -> None:
        now = asyncio.get_running_loop().time()
        # A worker that is lost counts as alive for a lease, which keeps its share from the others. So the time until a
        # takeover is counted from the last loss.
        self.orphaned = dict.fromkeys({*self.orphaned, *worker.held}, now)

    # Faults

    async def disturb(self) -> None:
        """Do something to a worker at random instants, until cancelled."""
        faults = (
            self._kill,
            self._kill_delivering,
            self._leave,
            self._stop,
            self._cut_off,
            self._restart_broker,
            self._add,
        )
        while True:
            await anyio.sleep(self.chance.uniform(5, 60))
            fault = self.chance.choice(faults)
            self.seen[fault.__name__.strip("_")] += 1
            await fault()
            while len(self.workers) < 3:
                self.join()

    def _some(self) -> SimulatedWorker:
        return self.chance.choice(self.workers)

    async def _kill(self) -> None:
        await self._end(self._some())

    async def _kill_delivering(self) -> None:
        """Kill a worker that has delivered some events of a round and not yet the others."""
        while not (delivering := [worker for worker in self.workers if worker.coordinator.delivering]):
            await anyio.sleep(0.01)
        await self._end(delivering[0])

    async def _end(self, worker: SimulatedWorker) -> None:
        self.workers.remove(worker)
        self._orphan(worker)
        await worker.kill()

    async def _leave(self) -> None:
        worker = self._some()
        self.workers.remove(worker)
        await worker.cancel()
        assert not worker.held

    async def _stop(self) -> None:
        worker = self._some()
        self._orphan(worker)
        worker.process.stop()
        await anyio.sleep(self.chance.uniform(1.5, 3) * LEASE)
        worker.process.resume()
        self.orphaned.clear()

    async def _cut_off(self) -> None:
        worker = self._some()
        self.orphaned = dict.fromkeys(self.orphaned, asyncio.get_running_loop().time())
        worker.coordinator.cut_off = True
        await anyio.sleep(self.chance.uniform(0.1, 3) * LEASE)
        worker.coordinator.cut_off = False

    async def _restart_broker(self) -> None:
        for worker in self.workers:
            worker.coordinator.cut_off = True
        self.orphaned.clear()
        await anyio.sleep(self.chance.uniform(0.1, 2) * LEASE)
        for worker in self.workers:
            worker.coordinator.cut_off = False

    async def _add(self) -> None:
        new = self.place.starts(5, 20.0)
        self.ids += new
        await self.store.put(shards_of(f"more-{new[0]}", WatchSpec.of(URL, new)))

    async def run(self) -> None:
        """Run workers until every workflow has an end."""
        for _ in range(4):
            self.join()
        async with anyio.create_task_group() as group:
            group.start_soon(self.disturb)
            while not self._complete():
                await anyio.sleep(5)
                self._raise_errors()
            group.cancel_scope.cancel()
        for worker in self.workers:
            worker.process.resume()
            worker.coordinator.cut_off = False
        await asyncio.wait([worker.task for worker in self.workers])
        self._raise_errors()

    def _complete(self) -> bool:
        return not self.store.owners and not any(worker.process.dead for worker in self.workers)

    def _raise_errors(self) -> None:
        for worker in self.all:
            if worker.task.done() and not worker.task.cancelled():
                worker.task.result()

    # Proofs

    def prove(self) -> None:
        """No end is lost, doubled or wrong, and every shard of a lost worker was taken over in 1.5 leases."""
        ends = Counter[int]()
        for event in self.store.events.values():
            if isinstance(event, Change) and event.now.final:
                ends[event.id] += 1
                assert event.now is self.place.phase_of(self.place.run(event.id))
            else:
                assert isinstance(event, Change), event
        assert ends == Counter(self.ids)
        assert max(self.takeovers, default=0.0) <= 1.5 * LEASE, self.takeovers

    def figures(self) -> str:
        """Return what happened, as text."""
        refused = sum(len(worker.coordinator.refused) for worker in self.all)
        return (
            f"{self.place.kind}: {len(self.ids)} workflows, {len(self.all)} workers, {dict(self.seen)}, "
            f"{refused} writes refused, {self.store.repeats} events repeated, 0 ends lost, twice or wrong, "
            f"takeover after at most {max(self.takeovers, default=0) / LEASE:.2f} leases"
        )


async def simulate(kind: str, seed: int, count: int, longest: float, *, latency: float = 0.02) -> str:
    chance = random.Random(seed)
    place = new_system(kind, seed)
    place.wire.seconds = lambda: chance.uniform(0, 0.2)
    cluster = Cluster(place, chance, count, latency)
    await cluster.populate(longest)
    await cluster.run()
    cluster.prove()
    return cluster.figures()


@pytest.mark.figure("T-DISTRIBUTED")
def test_no_end_is_lost_doubled_or_wrong_while_workers_come_and_go(see: See) -> None:
    see(virtual.run(simulate("11", 3, 80, 600.0)))


@pytest.mark.sweep
@pytest.mark.parametrize("kind", ["11", "16", "preservica"])
@pytest.mark.parametrize("seed", range(4))
def test_no_end_is_lost_doubled_or_wrong_by_any_seed(kind: str, seed: int) -> None:
    virtual.run(simulate(kind, seed, 150, 900.0))


@pytest.mark.soak
@pytest.mark.figure("T-DISTRIBUTED")
@pytest.mark.timeout(600)
def test_no_end_of_3000_workflows_is_lost_doubled_or_wrong(see: See) -> None:
    see(virtual.run(simulate("11", 5, 3000, 900.0, latency=0.002)))
