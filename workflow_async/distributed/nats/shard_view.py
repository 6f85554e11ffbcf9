"""What a worker has seen of the shards, and which it may claim. Pure."""

import math
import zlib
from collections.abc import Collection

from attrs import define, field, frozen


@frozen
class ShardEntry:
    """The newest entry of a shard in the bucket, without its watch."""

    shard: str
    revision: int
    """The bucket's number of the entry, which grows with every write."""
    owner: str = ""
    """The worker that has the lease, "" if none has."""
    finished: bool = False
    writer: str = ""
    """The worker that wrote the entry. It differs from the owner after a release."""
    write: int = 0
    """The writer's own number of the write."""


@define(eq=False)
class ShardView:
    """The entries of all shards, and when each was seen to change, by this worker's monotonic clock.

    A lease ends once its entry has not changed for `lease_seconds` on this clock. Clocks of other machines do not
    matter. Only time in which changes would have been seen counts: see `restart`.
    """

    worker: str
    lease_seconds: float
    _entries: dict[str, ShardEntry] = field(factory=dict, init=False)
    _changed_at: dict[str, float] = field(factory=dict, init=False)
    _heard_at: dict[str, float] = field(factory=dict, init=False)
    """When each worker last said that it is alive."""

    @property
    def entries(self) -> tuple[ShardEntry, ...]:
        """The newest entries, sorted by shard."""
        return tuple(sorted(self._entries.values(), key=lambda entry: entry.shard))

    def observe(self, entry: ShardEntry, now: float) -> None:
        """Take in an entry, unless a later one of the shard is known."""
        known = self._entries.get(entry.shard)
        if known is None or known.revision < entry.revision:
            self._entries[entry.shard] = entry
            self._changed_at[entry.shard] = now

    def remove(self, shard: str) -> None:
        """Forget a shard that was deleted from the bucket."""
        self._entries.pop(shard, None)
        self._changed_at.pop(shard, None)

    def hear(self, worker: str, now: float) -> None:
        """Note that a worker is alive."""
        self._heard_at[worker] = now

    def forget(self, worker: str) -> None:
        """Note that a worker has left."""
        self._heard_at.pop(worker, None)

    def restart(self, now: float) -> None:
        """Let every lease begin now, after a time in which changes could not be seen."""
        self._changed_at = dict.fromkeys(self._changed_at, now)
        self._heard_at = dict.fromkeys(self._heard_at, now)

    def over(self) -> bool:
        """Return True if there is a shard and every shard is finished."""
        return bool(self._entries) and not self._unfinished()

    def fair_share(self, now: float) -> int:
        """Return how many shards this worker should hold."""
        return math.ceil(len(self._unfinished()) / len(self._alive(now)))

    def claimable(self, held: Collection[str], now: float) -> list[ShardEntry]:
        """Return what this worker may claim: first what it has already without knowing, then in an order of its own.

        The orders of workers differ, so that two that claim at the same time seldom claim the same.
        """
        found = [entry for entry in self._unfinished() if entry.shard not in held and self._is_free(entry, now)]
        return sorted(found, key=lambda entry: (entry.owner != self.worker, self._place(entry), entry.shard))

    def _place(self, entry: ShardEntry) -> int:
        return zlib.crc32(f"{self.worker} {entry.shard}".encode())

    def _unfinished(self) -> list[ShardEntry]:
        return [entry for entry in self._entries.values() if not entry.finished]

    def _is_free(self, entry: ShardEntry, now: float) -> bool:
        return entry.owner in {"", self.worker} or self._lease_ended(entry, now)

    def _lease_ended(self, entry: ShardEntry, now: float) -> bool:
        return now - self._changed_at[entry.shard] >= self.lease_seconds

    def _alive(self, now: float) -> set[str]:
        """Return this worker, the workers that hold a lease, and the workers that were heard within a lease."""
        self._heard_at = {name: at for name, at in self._heard_at.items() if now - at < self.lease_seconds}
        owners = {entry.owner for entry in self._unfinished() if not self._lease_ended(entry, now)}
        return {self.worker, *self._heard_at, *owners} - {""}
