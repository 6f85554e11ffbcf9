"""A coordinator in memory, for tests and for several workers of one process."""

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import anyio.lowlevel
from attrs import define, evolve, field, frozen

from workflow_async.distributed.coordinator import LEASE_SECONDS, Claim, Lease, check_shard_name
from workflow_async.monitor import WatchEvent
from workflow_async.settings import Clock, check_positive


@frozen
class _Entry:
    """A shard: its saved watch, and who holds it until when."""

    spec: bytes
    token: int = 0
    owner: int | None = None
    ends_at: float = 0.0
    finished: bool = False

    def claimable(self, now: float) -> bool:
        return not self.finished and (self.owner is None or now >= self.ends_at)


@define(eq=False)
class MemoryStore:
    """What the coordinators of one process share: shards, leases and events.

    Args:
        lease_seconds: how long a lease lasts.
        clock: the time by which leases end.
    """

    lease_seconds: float = LEASE_SECONDS
    clock: Clock = field(factory=Clock)
    events: dict[str, WatchEvent[Any]] = field(factory=dict, init=False)
    """The delivered events by their keys, each once."""
    repeats: int = field(default=0, init=False)
    """Number of events that were delivered again."""
    _shards: dict[str, _Entry] = field(factory=dict, init=False)
    _alive: dict[int, float] = field(factory=dict, init=False)
    """When a worker counts as gone unless it claims before."""
    _workers: Iterator[int] = field(factory=lambda: itertools.count(1), init=False)

    def __attrs_post_init__(self) -> None:
        check_positive("lease_seconds", self.lease_seconds)

    async def put(self, shards: Mapping[str, bytes]) -> None:
        """Add shards that do not exist yet, as of `shards_of`.

        Raises:
            InvalidArgument: a name cannot be that of a shard. No shard is added then.
        """
        for name in shards:
            check_shard_name("shards", name)
        for name, spec in shards.items():
            self._shards.setdefault(name, _Entry(spec))

    @property
    def owners(self) -> dict[str, int | None]:
        """The number of the worker that holds each unfinished shard. None if the shard is free."""
        now = self.clock.now()
        return {
            name: None if entry.claimable(now) else entry.owner
            for name, entry in self._shards.items()
            if not entry.finished
        }

    def deliver(self, event: WatchEvent[Any]) -> None:
        """Store an event unless its key is known."""
        if event.key in self.events:
            self.repeats += 1
        self.events.setdefault(event.key, event)


@define(eq=False)
class MemoryCoordinator:
    """The coordinator of one worker, on a store that the workers share."""

    store: MemoryStore
    number: int = field(init=False)
    """The identity of the worker."""

    def __attrs_post_init__(self) -> None:
        self.number = next(self.store._workers)  # noqa: SLF001 - one unit with its store

    @property
    def lease_seconds(self) -> float:
        """Seconds that a lease lasts."""
        return self.store.lease_seconds

    @property
    def _shards(self) -> dict[str, _Entry]:
        return self.store._shards  # noqa: SLF001 - as above

    @property
    def _alive(self) -> dict[int, float]:
        return self.store._alive  # noqa: SLF001 - as above

    async def claim(self, held: Collection[str]) -> Claim:
        """Claim free shards up to the fair share of this worker."""
        await anyio.lowlevel.checkpoint()
        now = self.store.clock.now()
        self._alive[self.number] = now + self.lease_seconds
        unfinished = {name: entry for name, entry in self._shards.items() if not entry.finished}
        workers = sum(until > now for until in self._alive.values())
        share = -(-len(unfinished) // workers)
        free = [
            name
            for name, entry in unfinished.items()
            if name not in held and (entry.claimable(now) or entry.owner == self.number)
        ]
        leases = tuple(self._write(name, unfinished[name].spec) for name in free[: max(0, share - len(held))])
        return Claim(leases, max(0, len(held) - share))

    async def renew(self, lease: Lease) -> Lease | None:
        """Extend a lease. Return None if the worker is fenced off."""
        await anyio.lowlevel.checkpoint()
        return self._write(lease.shard, lease.spec) if self._holds(lease) else None

    async def save(self, lease: Lease, spec: bytes, events: Sequence[WatchEvent[Any]]) -> Lease | None:
        """Deliver the events, then save the watch. Return None if the worker is fenced off."""
        for event in events:
            await anyio.lowlevel.checkpoint()
            self.store.deliver(event)
        await anyio.lowlevel.checkpoint()
        return self._write(lease.shard, spec) if self._holds(lease) else None

    async def release(self, lease: Lease, *, finished: bool) -> None:
        """Give a shard back."""
        await anyio.lowlevel.checkpoint()
        if self._holds(lease):
            entry = self._shards[lease.shard]
            self._shards[lease.shard] = evolve(entry, owner=None, token=entry.token + 1, finished=finished)

    async def leave(self) -> None:
        """Count this worker as gone."""
        await anyio.lowlevel.checkpoint()
        self._alive.pop(self.number, None)

    async def over(self) -> bool:
        """Return True if there is a shard and every shard is finished."""
        await anyio.lowlevel.checkpoint()
        return bool(self._shards) and all(entry.finished for entry in self._shards.values())

    def _holds(self, lease: Lease) -> bool:
        return self._shards[lease.shard].token == lease.token

    def _write(self, name: str, spec: bytes) -> Lease:
        token = self._shards[name].token + 1
        ends_at = self.store.clock.now() + self.lease_seconds
        self._shards[name] = _Entry(spec, token, self.number, ends_at)
        return Lease(name, token, spec)
