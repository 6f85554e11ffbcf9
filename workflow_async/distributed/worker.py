"""One worker of a distribution: claims shards, polls them, and gives them back."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

import anyio
import anyio.abc
from attrs import define, field

from workflow_async._core.origin import same_server
from workflow_async.distributed.calls import CoordinatorCalls
from workflow_async.distributed.coordinator import Lease
from workflow_async.distributed.held_shard import HeldShard
from workflow_async.distributed.keeper import Keeper
from workflow_async.distributed.server_rounds import ServerRounds
from workflow_async.distributed.wakeup import Wakeup
from workflow_async.errors import CoordinatorUnavailable, DecodeError, InvalidArgument
from workflow_async.monitor import WatchSpec
from workflow_async.monitor.spec.client import Client
from workflow_async.observe.log import log
from workflow_async.settings import Clock

CLAIMS_PER_LEASE = 6
RELEASE_TIMEOUT = 5.0
"""Seconds in which a worker that ends saves and releases its shards."""


@define(eq=False)
class Worker:
    """The shards that one worker holds, and the tasks that carry them on."""

    clients: Sequence[Client[Any]]
    calls: CoordinatorCalls
    clock: Clock
    shards: dict[str, Keeper] = field(factory=dict, init=False)
    _servers: list[ServerRounds] = field(init=False)
    _wakeup: Wakeup = field(init=False)
    _rounds: anyio.abc.TaskGroup = field(init=False)
    _keepers: anyio.abc.TaskGroup = field(init=False)
    _scopes: dict[str, anyio.CancelScope] = field(factory=dict, init=False)
    _unusable: set[str] = field(factory=set, init=False)
    """Shards that this worker cannot carry on. Each is logged once."""
    _errors: list[Exception] = field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        self._wakeup = Wakeup(self.clock)
        self._servers = [ServerRounds(client, self._spawn_round) for client in self.clients]

    async def run(self) -> None:
        """Work until every shard is finished. If cancelled, release the shards before."""
        try:
            async with anyio.create_task_group() as self._keepers:
                try:
                    await self._work()
                finally:
                    self._stop()
        finally:
            with anyio.move_on_after(RELEASE_TIMEOUT, shield=True), suppress(CoordinatorUnavailable):  # it is logged
                await self.calls.bounded(self.calls.coordinator.leave())
        if self._errors:
            raise self._errors[0]

    async def _work(self) -> None:
        async with anyio.create_task_group() as self._rounds:
            for server in self._servers:
                self._spawn_round(server.run)
            await self._guarded(self._claim_until_over)
            self._rounds.cancel_scope.cancel()

    def _spawn_round(self, work: Callable[[], Awaitable[None]]) -> None:
        self._rounds.start_soon(self._guarded, work)

    async def _guarded(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except Exception as error:  # noqa: BLE001 - `run` raises it, once the shards are released
            self._errors.append(error)
            self._rounds.cancel_scope.cancel()

    def _stop(self) -> None:
        """Let the keepers release their shards in a bounded time."""
        end = anyio.current_time() + RELEASE_TIMEOUT
        for name, keeper in self.shards.items():
            keeper.shard.leaving = True
            keeper.wakeup.set()
            self._scopes[name].deadline = end

    # Claims

    async def _claim_until_over(self) -> None:
        while True:
            began = self.clock.now()
            with suppress(CoordinatorUnavailable):  # it is logged, and the next claim follows soon
                if await self._claim(began):
                    return
            await self._wakeup.wait(began + self.calls.lease_seconds / CLAIMS_PER_LEASE)

    async def _claim(self, began: float) -> bool:
        """Claim shards once. Return True if every shard is finished."""
        claim = await self.calls.bounded(self.calls.coordinator.claim(tuple(self.shards)))
        for lease in claim.leases:
            await self._adopt(lease, began)
        self._give_back(claim.surplus)
        return not self.shards and await self.calls.bounded(self.calls.coordinator.over())

    def _give_back(self, surplus: int) -> None:
        """Release shards above the fair share: idle ones first, whose next round is the latest."""
        kept = [keeper for keeper in self.shards.values() if not keeper.shard.leaving]
        count = surplus - (len(self.shards) - len(kept))
        kept.sort(key=lambda keeper: (keeper.shard.in_round, -keeper.shard.due))
        for keeper in kept[: max(0, count)]:
            keeper.shard.leaving = True
            keeper.wakeup.set()

    async def _adopt(self, lease: Lease, began: float) -> None:
        try:
            spec = WatchSpec.from_bytes(lease.spec)
            server = self._server_of(spec)
        except (InvalidArgument, DecodeError) as error:
            self._log_unusable(lease.shard, error)
            await self.calls.bounded(self.calls.coordinator.release(lease, finished=False))
            return
        shard = HeldShard(lease, spec, began, self.calls.lease_seconds, self.clock.now())
        keeper = Keeper(shard, self.calls, self.clock, server.wakeup.set)
        self.shards[shard.name] = server.shards[shard.name] = keeper
        scope = self._scopes[shard.name] = anyio.CancelScope(shield=True)
        self._keepers.start_soon(self._keep, keeper, server, scope)
        server.wakeup.set()
        log.info("claimed a shard", extra={"shard": shard.name})

    def _server_of(self, spec: WatchSpec) -> ServerRounds:
        found = next((server for server in self._servers if same_server(server.client.url, spec.url)), None)
        if found is None:
            raise InvalidArgument("clients", f"must have a client of {spec.url}, to which a shard belongs")
        return found

    def _log_unusable(self, shard: str, error: Exception) -> None:
        if shard not in self._unusable:
            log.error("a shard cannot be polled by this worker", extra={"shard": shard, "error": str(error)})
        self._unusable.add(shard)

    async def _keep(self, keeper: Keeper, server: ServerRounds, scope: anyio.CancelScope) -> None:
        """Run a keeper in a scope that outlives a cancellation, until the shard is released."""
        name = keeper.shard.name
        with scope:
            await self._guarded(keeper.run)
        keeper.shard.leaving = True  # a round that still runs is dropped
        del self.shards[name], server.shards[name], self._scopes[name]
        if not self.shards:
            self._wakeup.set()
