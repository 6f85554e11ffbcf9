"""Workers of a distribution on virtual time, which are killed, stopped and cut off from their coordinator."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import anyio
import httpx
from attrs import define, evolve, field

from tests.support.monitored_system import System, Wire
from workflow_async import OpencastClient, PreservicaClient
from workflow_async.distributed import Claim, Lease, MemoryCoordinator, MemoryStore, distribute
from workflow_async.errors import CoordinatorUnavailable
from workflow_async.monitor import WatchEvent
from workflow_async.sandbox.systems import FakePreservica

T = TypeVar("T")


@define(eq=False)
class Process:
    """A process that can be stopped and let go, or killed. Whatever it awaits passes the gate."""

    dead: bool = False
    _running: anyio.Event = field(factory=anyio.Event, init=False)

    def __attrs_post_init__(self) -> None:
        self._running.set()

    def stop(self) -> None:
        """Stop the process, as SIGSTOP does."""
        self._running = anyio.Event()

    def resume(self) -> None:
        """Let the process go on, as SIGCONT does."""
        self._running.set()

    async def gate(self) -> None:
        """Return when the process runs. Never return in one that was killed."""
        await self._running.wait()
        if self.dead:
            await anyio.sleep_forever()


class GatedWire(httpx.AsyncBaseTransport):
    """The transport of one process."""

    def __init__(self, wire: Wire, process: Process) -> None:
        self.wire, self.process = wire, process

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await self.process.gate()
        response = await self.wire.handle_async_request(request)
        await self.process.gate()
        return response


@define(eq=False)
class FaultyCoordinator(MemoryCoordinator):
    """A coordinator of a process, with latency, that can be unavailable before and after an operation is applied."""

    process: Process = field(kw_only=True, factory=Process)
    chance: random.Random = field(kw_only=True, factory=random.Random)
    latency: float = field(kw_only=True, default=0.01)
    cut_off: bool = field(default=False, init=False)
    operations: int = field(default=0, init=False)
    """Number of operations about one shard, of which a save with events takes two."""
    renewals: int = field(default=0, init=False)
    """Number of renewals, and of saves without events, which replace them."""
    delivering: bool = field(default=False, init=False)
    """True between two events of a save."""
    refused: list[str] = field(factory=list, init=False)
    """The shards of renewals and saves that were refused."""
    on_claim: Callable[["FaultyCoordinator", Lease], None] = field(default=lambda *_: None, kw_only=True)

    async def _faulty(self, work: Callable[[], Awaitable[T]]) -> T:
        await self._travel()
        result = await work()
        await self._travel()
        return result

    async def _travel(self) -> None:
        await anyio.sleep(self.chance.uniform(0, 2 * self.latency))
        await self.process.gate()
        if self.cut_off:
            raise CoordinatorUnavailable("cut off")

    async def claim(self, held: Collection[str]) -> Claim:
        async def work() -> Claim:
            claim = await MemoryCoordinator.claim(self, held)
            for lease in claim.leases:
                self.on_claim(self, lease)
            return claim

        return await self._faulty(work)

    async def renew(self, lease: Lease) -> Lease | None:
        self.operations += 1
        self.renewals += 1
        return self._noted(lease, await self._faulty(lambda: MemoryCoordinator.renew(self, lease)))

    async def save(self, lease: Lease, spec: bytes, events: Sequence[WatchEvent[Any]]) -> Lease | None:
        for event in events:
            await self._travel()
            self.store.deliver(event)
            self.delivering = event is not events[-1]
        self.operations += 1 + bool(events)
        self.renewals += not events
        return self._noted(lease, await self._faulty(lambda: MemoryCoordinator.save(self, lease, spec, ())))

    def _noted(self, lease: Lease, new: Lease | None) -> Lease | None:
        if new is None:
            self.refused.append(lease.shard)
        return new

    async def release(self, lease: Lease, *, finished: bool) -> None:
        self.operations += 1
        await self._faulty(lambda: MemoryCoordinator.release(self, lease, finished=finished))

    async def leave(self) -> None:
        await self._faulty(lambda: MemoryCoordinator.leave(self))

    async def over(self) -> bool:
        return await self._faulty(lambda: MemoryCoordinator.over(self))


@define(eq=False)
class SimulatedWorker:
    """A worker of a distribution, in a process of its own."""

    place: System
    coordinator: FaultyCoordinator
    task: "asyncio.Task[None]" = field(init=False)

    @classmethod
    def start(cls, place: System, store: MemoryStore, *, seed: int = 0, **options: Any) -> "SimulatedWorker":
        """Start a worker. The options are those of its coordinator."""
        worker = cls(place, FaultyCoordinator(store, chance=random.Random(seed), **options))
        worker.task = asyncio.create_task(worker._run())
        return worker

    @property
    def process(self) -> Process:
        """Its process."""
        return self.coordinator.process

    @property
    def held(self) -> set[str]:
        """The shards that it holds as the store sees it."""
        return {name for name, owner in self.coordinator.store.owners.items() if owner == self.coordinator.number}

    async def _run(self) -> None:
        async with self._client() as client:
            await distribute(client, self.coordinator)

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[Any]:
        async def sleep(seconds: float) -> None:
            await anyio.sleep(seconds)
            await self.process.gate()

        settings: dict[str, Any] = {"clock": evolve(self.place.clock, sleep=sleep)}
        name, password = self.place.system.auth
        async with httpx.AsyncClient(transport=GatedWire(self.place.wire, self.process)) as http:
            client: OpencastClient | PreservicaClient = (
                PreservicaClient("http://127.0.0.1", username=name, password=password, http=http, **settings)
                if isinstance(self.place.system, FakePreservica)
                else OpencastClient("http://127.0.0.1", auth=(name, password), http=http, **settings)
            )
            async with client:
                yield client

    async def kill(self) -> None:
        """End the process at once. It releases nothing and says nothing more."""
        self.process.dead = True
        self.process.resume()
        await self.cancel()

    async def cancel(self) -> None:
        """Cancel the worker, as SIGTERM does, and wait for its end."""
        self.task.cancel()
        await asyncio.wait([self.task])
