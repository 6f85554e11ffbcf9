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
"""Events that one call delivers. More are delivered in several calls, which renew the lease in between."""
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
                await self.clock.sleep(min(LAST_RETRY, FIRST_RETRY * 2.0 ** min(self._failures, 10)))
            else:
                self._failures = 0
                await self.wakeup.wait(self.shard.renew_at)

    async def _is_over(self) -> bool:
        """Do what is due. Return True if the shard is released or lost."""
        shard = self.shard
        leaves = shard.leaving and not shard.in_round
        if shard.events or (leaves and shard.unsaved) or self.clock.now() >= shard.renew_at:
            if not await self._store():
                log.warning("another worker has claimed a shard", extra={"shard": shard.name})
                return True
            self.on_saved()
        if shard.events:  # a round has ended during the call
            return False
        finished = shard.spec.finished
        if finished or leaves:
            await self._release(finished=finished)
        return finished or leaves

    async def _release(self, *, finished: bool) -> None:
        await self.calls.bounded(self.calls.coordinator.release(self.shard.lease, finished=finished))
        log.info("a shard is finished" if finished else "released a shard", extra={"shard": self.shard.name})

    async def _store(self) -> bool:
        """Deliver the events, save the watch and renew the lease. Return False if fenced off."""
        shard, coordinator = self.shard, self.calls.coordinator
        if not shard.unsaved or shard.is_late(self.clock.now()):
            if not await self._extend(coordinator.renew(shard.lease)):
                return False
            if not shard.unsaved:
                return True
        while len(shard.events) > EVENTS_PER_SAVE:
            first = shard.events[:EVENTS_PER_SAVE]
            if not await self._extend(coordinator.save(shard.lease, shard.lease.spec, first)):
                return False
            shard.events = shard.events[EVENTS_PER_SAVE:]
        spec, events = shard.spec, shard.events
        if not await self._extend(coordinator.save(shard.lease, spec.to_bytes(), events)):
            return False
        shard.saved(spec, len(events))
        return True

    async def _extend(self, call: Awaitable[Lease | None]) -> bool:
        began = self.clock.now()
        lease = await self.calls.bounded(call)
        if lease is None:
            return False
        self.shard.lease, self.shard.renewed_at = lease, began
        return True
