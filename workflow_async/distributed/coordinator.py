"""What divides the shards of a distribution among its workers."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from attrs import frozen

from workflow_async.errors import InvalidArgument
from workflow_async.monitor import WatchEvent, WatchSpec

NAME = re.compile(r"[A-Za-z0-9_-]{1,100}")
LEASE_SECONDS = 30.0
"""Seconds that a lease lasts by default. Not shorter than the default `Poll.ceiling`, so that renewals are few."""


@frozen
class Lease:
    """The right of one worker to carry on one shard, until another worker claims the shard."""

    shard: str
    """The name of the shard: up to 100 letters, digits, `-` and `_`."""
    token: int
    """The fencing token. Each claim, renewal and save of the shard gives a larger one. Only the newest is accepted."""
    spec: bytes
    """The watch as it was last saved, as of `WatchSpec.to_bytes`."""


@frozen
class Claim:
    """What `Coordinator.claim` returns."""

    leases: tuple[Lease, ...] = ()
    """New leases. None of them is for a shard that the worker holds."""
    surplus: int = 0
    """Number of shards that the worker holds above its fair share. It releases that many soon.

    0 if there are new leases.
    """


class Coordinator(Protocol):
    """The place that all workers of a distribution share: who holds which shard, its saved watch, and its events.

    One object stands for one worker. Its identity is unique: a worker that is restarted has another one. `distribute`
    calls it from one event loop. It calls methods for different shards concurrently, and never
    two for the same shard. `claim` may run concurrently with all of them.

    Time: a lease ends `lease_seconds` after its last claim, renewal or save. The worker counts from the moment before
    its call, by its own monotonic clock. An implementation counts from a moment that is not earlier, such as when it
    sees the entry change by its own monotonic clock, or the broker's time of the entry. So clocks of machines need not
    agree.

    Errors: a method raises `CoordinatorUnavailable` if it is not known whether its operation was applied: no
    connection, a timeout, a broker that restarts. `distribute` calls it again later. Any other exception ends
    `distribute`. A method may be cancelled at any await, which leaves the same doubt. `distribute` cancels a call that
    takes longer than a third of `lease_seconds`.
    """

    @property
    def lease_seconds(self) -> float:
        """Seconds that a lease lasts unless it is renewed. The same for all workers of a distribution."""
        ...

    async def claim(self, held: Collection[str]) -> Claim:
        """Claim shards up to the fair share of this worker, and mark this worker as alive.

        `distribute` calls this about every sixth of `lease_seconds`. A worker that has not called it for
        `lease_seconds`, or has left, does not count as alive.

        An unfinished shard can be claimed in each of these cases. No worker holds it, because it is new or was
        released. Its lease has ended. Or this worker has the lease and the shard is not in `held`, which happens if the
        answer of a claim, renewal or save was lost. Then no worker has to wait for the lease to end.

        The fair share is the number of unfinished shards, divided by the number of workers that are alive, rounded up.
        A worker above its share gets no leases, and learns how many shards it has to release. Two workers that claim
        the same shard concurrently: the compare-and-set lets one of them have it, and the other leaves it out.

        Args:
            held: the shards that this worker holds.
        """
        ...

    async def renew(self, lease: Lease) -> Lease | None:
        """Extend a lease. Return it with its new token. None if the worker is fenced off.

        It is fenced off if the token of the lease is not the newest of its shard. A lease that has ended can be renewed
        as long as no other worker has claimed the shard. One operation of the broker.

        If an earlier write of this worker was applied although its answer was lost, its token is not the newest. An
        implementation may compare the entry with what it wrote and accept it, or return None. Both are safe.
        """
        ...

    async def save(self, lease: Lease, spec: bytes, events: Sequence[WatchEvent[Any]]) -> Lease | None:
        """Deliver events, then save the watch that follows them. Return the new lease. None if fenced off.

        1. Deliver the events, in their order. Return from this step only once they are stored. Each event has a `key`.
           Drop an event whose key was delivered before, or let receivers drop it. An error ends the save here.
        2. Compare-and-set: save the watch if the token is the newest of the shard. This also renews the lease.

        The order matters. A worker that dies after the first step has delivered events that the next worker delivers
        again, with the same keys. In the opposite order events would be lost.

        A worker that was stopped after its last look at the clock, until another worker has claimed the shard, delivers
        events and is fenced off at the second step. What it delivers was true when it was observed (`seen_at`), has the
        key that every worker gives it, and may arrive after later events of the same workflow.

        Two operations of the broker, one if there are no events.
        """
        ...

    async def release(self, lease: Lease, *, finished: bool) -> None:
        """Give a shard back, so that another worker can claim it at once. Do nothing if the worker is fenced off.

        Args:
            lease: the lease.
            finished: True if every workflow of the shard has an outcome. The shard is never claimed again. It stays so
                that `over` knows it, and its saved watch may be dropped.
        """
        ...

    async def leave(self) -> None:
        """Mark this worker as gone, so that the others take its share at once. Called once, after the last release."""
        ...

    async def over(self) -> bool:
        """Return True if there is a shard and every shard is finished.

        Without any shard this is False, so that workers may be started before the first shard is put.
        """
        ...


def shards_of(name: str, spec: WatchSpec, shards: int = 1) -> Mapping[str, bytes]:
    """Split a watch into named shards, as the `put` of a coordinator takes them.

    A coordinator of this library has `await coordinator.put(shards)`. It adds shards that do not exist yet, while
    workers run or before. A name that exists already stays as it is, even if it is finished, so `put` can be repeated.

    Args:
        name: letters, digits, `-` and `_`. The shards are named `name-0`, `name-1`, ...
        spec: the watch. A watch of filters cannot be split.
        shards: the number of shards. Those without a workflow are left out.

    Raises:
        InvalidArgument: an argument is wrong.
    """
    check_shard_name("name", name)
    parts = (spec,) if spec.filters is not None and shards == 1 else spec.split(shards)
    check_shard_name("name", f"{name}-{shards}")
    return {f"{name}-{n}": part.to_bytes() for n, part in enumerate(parts) if part.cursors or part.filters is not None}


def check_shard_name(argument: str, name: str) -> None:
    """Raise `InvalidArgument` unless a name can be that of a shard."""
    if not isinstance(name, str) or NAME.fullmatch(name) is None:
        raise InvalidArgument(argument, "must be 1 to 100 letters, digits, `-` and `_`")
