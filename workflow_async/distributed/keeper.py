"""Saves a shard after its rounds, renews its lease, and releases it."""

from collections.abc import Awaitable, Callable

from attrs import define, field

from workflow_async.distributed.calls import CoordinatorCalls
from workflow_async.distributed.coordinator import Lease
from workflow_async.distributed.held_shard import HeldShard
from workflow_async.distributed.wakeup import Wakeup
from workflow_async.errors import CoordinatorUnavailable
from workflow_async.observe.log import log
from workflow_async.settings import Clock

EVENTS_PER_SAVE = 1000
"""Events that one call delivers at most. More are delivered in several calls, which renew the lease in between."""
FIRST_RETRY = 0.5
LAST_RETRY = 5.0


@define(eq=False)
class Keeper:
    """Makes all calls of the coordinator about one shard, one after the other."""

    shard: HeldShard
    calls: CoordinatorCalls
    clock: Clock
    on_saved: Callable[[], None]
    """Called after each call that extended the lease. A round may be due."""
    wakeup: Wakeup = field(init=False)
    """Set it after a round, or to release the shard."""
    _portion: int = field(factory=lambda: EVENTS_PER_SAVE, init=False)
    """Events that the next call delivers at most. Fewer after a call that took too long."""
    _failures: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self.wakeup = Wakeup(self.clock)

    async def run(self) -> None:
        """Keep the shard until it is released, or until another worker has claimed it."""
        while True:
            try:
                if await self._is_over():
                    return
            except CoordinatorUnavailable:
                self._failures += 1
                self._portion = max(1, min(self._portion, len(self.shard.events)) // 2)
                delay = min(LAST_RETRY, FIRST_RETRY * 2.0 ** min(self._failures, 10))
                await self.wakeup.wait(self.clock.now() + delay)  # a worker that ends cannot wait for long
                continue
            self._failures, self._portion = 0, min(EVENTS_PER_SAVE, 2 * self._portion)
            if not self.shard.events:
                await self.wakeup.wait(self.shard.renew_at)

    async def _is_over(self) -> bool:
        """Do what is due, in at most three calls. Return True if the shard is released or lost."""
        shard = self.shard
        leaves = shard.leaving and not shard.in_round
        fits = len(shard.events) <= self._portion
        if leaves and not fits:  # the next worker observes what these events report again
            return await self._release(finished=False)
        if shard.events or (leaves and shard.unsaved) or self.clock.now() >= shard.renew_at:
            if not await (self._store() if fits else self._deliver_portion()):
                log.warning("another worker has claimed a shard", extra={"shard": shard.name})
                return True
            self.on_saved()
        if not shard.events and (leaves or shard.spec.finished):
            return await self._release(finished=shard.spec.finished)
        return False

    async def _release(self, *, finished: bool) -> bool:
        await self.calls.bounded(self.calls.coordinator.release(self.shard.lease, finished=finished))
        log.info("a shard is finished" if finished else "released a shard", extra={"shard": self.shard.name})
        return True

    async def _store(self) -> bool:
        """Deliver the events, save the watch and renew the lease. Return False if fenced off."""
        shard = self.shard
        if not shard.unsaved:
            return await self._renew()
        if shard.is_late(self.clock.now()) and not await self._renew():
            return False
        spec, events = shard.spec, shard.events
        if not await self._extend(self.calls.coordinator.save(shard.lease, spec.to_bytes(), events)):
            return False
        shard.saved(spec, len(events))
        return True

    async def _deliver_portion(self) -> bool:
        """Deliver the first events, and save the watch from before them again. Return False if fenced off."""
        shard, first = self.shard, self.shard.events[: self._portion]
        if shard.is_late(self.clock.now()) and not await self._renew():
            return False
        if not await self._extend(self.calls.coordinator.save(shard.lease, shard.lease.spec, first)):
            return False
        shard.events = shard.events[len(first) :]
        return True

    async def _renew(self) -> bool:
        return await self._extend(self.calls.coordinator.renew(self.shard.lease))

    async def _extend(self, call: Awaitable[Lease | None]) -> bool:
        began = self.clock.now()
        lease = await self.calls.bounded(call)
        if lease is None:
            return False
        self.shard.lease, self.shard.renewed_at = lease, began
        return True
