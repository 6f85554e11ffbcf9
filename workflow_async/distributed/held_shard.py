"""What a worker knows of a shard that it holds. Pure."""

import math
from typing import Any

from attrs import define, field

from workflow_async.distributed.coordinator import Lease
from workflow_async.monitor import PollResult, WatchEvent, WatchSpec

SHARE = 3
"""A call of the coordinator takes at most a third of a lease."""
RENEWED = 0.55
"""The part of a lease after which it is renewed. A renewal without an answer can be repeated before the lease ends."""
LONGEST_ROUND = 300.0
"""Seconds that a round takes at most. The lease is renewed while it runs."""
FIRST_RETRY = 1.0
LAST_RETRY = 60.0


@define(eq=False)
class HeldShard:
    """A shard that a worker holds. Instants are seconds of the worker's monotonic clock."""

    lease: Lease
    spec: WatchSpec
    """The watch after the last round."""
    renewed_at: float
    """The instant before the last call that extended the lease."""
    lease_seconds: float
    due: float
    """When the next round begins."""
    polled_at: float = field(default=-math.inf, init=False)
    """When the last round ended. Taken over shards come first, because no worker has polled them for a while."""
    events: tuple[WatchEvent[Any], ...] = field(default=(), init=False)
    """Events of the last round that are not delivered."""
    unsaved: bool = field(default=False, init=False)
    """True if `spec` is newer than the saved watch."""
    in_round: bool = field(default=False, init=False)
    leaving: bool = field(default=False, init=False)
    """True if the shard is to be released."""
    failures: int = field(default=0, init=False)
    """Failed rounds in a row."""
    round_seconds: float = field(init=False)
    """Seconds that the next round may take. A server that needs longer gets twice as long in the round after it."""

    def __attrs_post_init__(self) -> None:
        self.round_seconds = self._shortest_round

    @property
    def _shortest_round(self) -> float:
        return self.lease_seconds / SHARE

    @property
    def name(self) -> str:
        """The name of the shard."""
        return self.lease.shard

    @property
    def ends_at(self) -> float:
        """When the lease ends."""
        return self.renewed_at + self.lease_seconds

    @property
    def renew_at(self) -> float:
        """When to renew the lease."""
        return self.renewed_at + self.lease_seconds * RENEWED

    def is_late(self, now: float) -> bool:
        """Return True if the lease could end during a call. It has to be renewed before events are delivered."""
        return now >= self.ends_at - self.lease_seconds / SHARE

    def is_pollable(self, now: float) -> bool:
        """Return True if a round may begin: the last one is saved, and the lease has not ended."""
        return not (self.in_round or self.events or self.leaving or self.spec.finished) and now < self.ends_at

    def is_past_half(self, now: float) -> bool:
        """Return True if more than half of the delay between two rounds has passed."""
        return now >= self.due - (self.due - self.polled_at) / 2

    @property
    def active(self) -> int:
        """Number of workflows that have not ended."""
        return sum(not cursor.over for cursor in self.spec.cursors)

    def polled(self, result: PollResult[Any], due: float, now: float) -> None:
        """Take over the result of a round."""
        self.spec, self.events, self.unsaved = result.spec, result.events, True
        self.due, self.polled_at, self.failures = due, now, 0
        longer = min(LONGEST_ROUND, 2 * self.round_seconds)
        self.round_seconds = longer if result.remaining else self._shortest_round

    def failed(self, now: float, retry_after: float | None) -> None:
        """Plan the next round after one that failed."""
        self.failures += 1
        delay = min(LAST_RETRY, FIRST_RETRY * 2.0 ** min(self.failures, 10))
        self.due, self.polled_at = now + max(delay, retry_after or 0.0), now

    def saved(self, spec: WatchSpec, events: int) -> None:
        """Note that this watch is saved, and that the first events are delivered. A round may have ended since."""
        self.events = self.events[events:]
        self.unsaved = self.spec is not spec
