"""The coordinator of workers that share a NATS server with JetStream."""

import os
import secrets
import socket
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self

from attrs import define, evolve, field
from nats.aio.client import Client

from workflow_async._core.cancellation import shielded_close
from workflow_async.distributed.coordinator import LEASE_SECONDS, Claim, Lease, check_shard_name
from workflow_async.distributed.nats.broker_calls import BrokerCalls
from workflow_async.distributed.nats.connection import connected
from workflow_async.distributed.nats.event_stream import EventStream
from workflow_async.distributed.nats.shard_bucket import ShardBucket
from workflow_async.distributed.nats.shard_feed import ShardFeed
from workflow_async.distributed.nats.shard_info import ShardInfo, shard_info
from workflow_async.distributed.nats.shard_view import ShardEntry, ShardView
from workflow_async.errors import ClientClosed
from workflow_async.monitor import WatchEvent
from workflow_async.settings import Clock, check_timeout

CALL_SHARE = 0.3
"""The time of a call in leases. `distribute` cancels a call after a third of a lease."""
ALIVE_SHARE = 0.3
"""The time between two signs of life in leases."""


@define(eq=False)
class NatsCoordinator:
    """A `Coordinator` in NATS JetStream. Enter it with `async with`. One object stands for one worker.

    It keeps the shards in the key-value bucket `NAME`, and publishes events to the stream `NAME-events` under the
    subjects `NAME.events.SHARD`. Both are created if they do not exist. Existing ones are used as they are.

    Args:
        client: a connected client of nats-py. It stays open when the coordinator is left. Connect it with
            `max_reconnect_attempts=-1`, so that it survives any outage of the broker.
        name: the name of the distribution: letters, digits, `-` and `_`. The same for all workers.
        lease_seconds: seconds that a lease lasts. The same for all workers.
        clock: the source of time.
    """

    client: Client
    name: str
    lease_seconds: float = field(default=LEASE_SECONDS, kw_only=True)
    clock: Clock = field(factory=Clock, kw_only=True)
    worker: str = field(init=False)
    """The identity of this worker, which no other has: host, process and a random number."""
    _bucket: ShardBucket = field(init=False)
    _events: EventStream = field(init=False)
    _view: ShardView = field(init=False)
    _feed: ShardFeed = field(init=False)
    _is_open: bool = field(default=False, init=False)
    _said_alive_at: float | None = field(default=None, init=False)
    _leaving: set[str] = field(factory=set, init=False)
    """Shards that are being released."""

    def __attrs_post_init__(self) -> None:
        check_shard_name("name", self.name)
        check_timeout("lease_seconds", self.lease_seconds)
        self.worker = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        calls = BrokerCalls(self.client, self.lease_seconds * CALL_SHARE, self.clock)
        self._bucket = ShardBucket(calls, self.name, self.worker)
        self._events = EventStream(calls, self.name, self.lease_seconds)
        self._view = ShardView(self.worker, self.lease_seconds)
        self._feed = ShardFeed(calls, self._bucket, self._view)

    @classmethod
    @asynccontextmanager
    async def connect(cls, url: str, name: str, *, lease_seconds: float = LEASE_SECONDS) -> AsyncIterator[Self]:
        """Connect to NATS, and return an open coordinator. The connection survives restarts of the broker.

        Args:
            url: such as `nats://user:password@broker.example.org`. Several are separated by commas.
            name: as of the class.
            lease_seconds: as of the class.

        Raises:
            CoordinatorUnavailable: no server can be reached.
        """
        async with connected(url, lease_seconds) as client, cls(client, name, lease_seconds=lease_seconds) as opened:
            yield opened

    async def __aenter__(self) -> Self:
        await self._bucket.create()
        await self._events.create()
        await self._feed.ensure()
        self._is_open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_open = False
        await shielded_close(self._feed.stop)

    # The calls of `distribute`

    async def claim(self, held: Collection[str]) -> Claim:
        """Claim shards up to the fair share. Two operations for each shard, none if there is nothing to claim."""
        self._check_open()
        await self._feed.ensure()
        now = self.clock.now()
        await self._say_alive(now)
        free = self._view.fair_share(now) - len(held)
        leases: list[Lease] = []
        for entry in self._view.claimable({*held, *self._leaving}, now):
            if len(leases) >= free:
                break
            if (lease := await self._claim(entry)) is not None:
                leases.append(lease)
        return Claim(tuple(leases), surplus=max(0, -free))

    async def renew(self, lease: Lease) -> Lease | None:
        """Extend a lease by one operation. The broker gets the watch again, because a key has one value."""
        self._check_open()
        return await self._write(ShardEntry(lease.shard, lease.token, owner=self.worker), lease.spec)

    async def save(self, lease: Lease, spec: bytes, events: Sequence[WatchEvent[Any]]) -> Lease | None:
        """Publish the events without waiting for each other, then save the watch by one operation.

        Raises:
            InvalidArgument: the watch has grown larger than the server's `max_payload`.
        """
        self._check_open()
        self._bucket.check_size("spec", lease.shard, spec)
        await self._events.store(lease.shard, events)
        return await self._write(ShardEntry(lease.shard, lease.token, owner=self.worker), spec)

    async def release(self, lease: Lease, *, finished: bool) -> None:
        """Give a shard back by one operation. A finished shard loses its watch and keeps its entry."""
        self._check_open()
        self._leaving.add(lease.shard)
        try:
            entry = ShardEntry(lease.shard, lease.token, finished=finished)
            await self._write(entry, b"" if finished else lease.spec)
        finally:
            self._leaving.discard(lease.shard)

    async def leave(self) -> None:
        """Tell the other workers that this one has left."""
        self._check_open()
        await self._feed.say("left")
        await self.client.flush()

    async def over(self) -> bool:
        """Return True if there is a shard and every shard is finished. Without an operation."""
        self._check_open()
        await self._feed.ensure()
        return self._view.over()

    # The work

    async def put(self, shards: Mapping[str, bytes]) -> tuple[str, ...]:
        """Add the shards that do not exist yet, such as those of `shards_of`. Return their names.

        Raises:
            InvalidArgument: a name is wrong, or a shard is larger than the server's `max_payload`.
            CoordinatorUnavailable: NATS does not answer. Some shards may have been added. Repeat the call.
        """
        self._check_open()
        for shard, spec in shards.items():
            check_shard_name("shards", shard)
            self._bucket.check_size("shards", shard, spec)
        return tuple([shard for shard, spec in shards.items() if await self._add(shard, spec)])

    def owners(self) -> Mapping[str, str]:
        """Return the worker that has each shard, as far as this one has seen. "" if none has. Sends nothing."""
        return {entry.shard: entry.owner for entry in self._view.entries}

    async def shards(self) -> tuple[ShardInfo, ...]:
        """Return what is known of every shard, sorted by name. Reads every watch, one operation for each."""
        self._check_open()
        await self._feed.ensure()
        now = await self._bucket.broker_time()
        found = [await self._bucket.read(entry.shard) for entry in self._view.entries]
        return tuple(shard_info(stored, now) for stored in found if stored is not None)

    async def remove_finished(self) -> int:
        """Remove the entries of finished shards. Return their number. `put` adds shards of these names again."""
        self._check_open()
        await self._feed.ensure()
        finished = [entry.shard for entry in self._view.entries if entry.finished]
        for shard in finished:
            await self._bucket.delete(shard)
            self._view.remove(shard)
        return len(finished)

    # Parts

    def _check_open(self) -> None:
        if not self._is_open:
            raise ClientClosed("the coordinator is not open: enter it with `async with`")

    async def _say_alive(self, now: float) -> None:
        if self._said_alive_at is None or now - self._said_alive_at >= self.lease_seconds * ALIVE_SHARE:
            await self._feed.say("alive")
            self._said_alive_at = now

    async def _add(self, shard: str, spec: bytes) -> bool:
        return await self._write(ShardEntry(shard, 0), spec, follow_own=False) is not None

    async def _claim(self, entry: ShardEntry) -> Lease | None:
        """Claim a shard if its newest entry is the one that this worker has judged."""
        stored = await self._bucket.read(entry.shard)
        if stored is None:
            self._view.remove(entry.shard)
            return None
        if stored.entry.revision != entry.revision:
            self._view.observe(stored.entry, self.clock.now())
            return None
        return await self._write(evolve(entry, owner=self.worker), stored.spec, follow_own=False)

    async def _write(self, entry: ShardEntry, spec: bytes, *, follow_own: bool = True) -> Lease | None:
        """Write an entry over the revision that it names. Return the lease. None if another worker was faster."""
        written = await self._bucket.write(entry, spec, entry.revision, follow_own=follow_own)
        if written is None:
            return None
        self._view.observe(written, self.clock.now())
        return Lease(entry.shard, written.revision, spec)
