"""Tells what a worker of a distribution does: claims, takeovers, ends of workflows, and releases."""

from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from attrs import define, frozen

from workflow_async.cli.messages import error_text
from workflow_async.cli.styles import word_style
from workflow_async.distributed import Claim, Lease
from workflow_async.monitor import Change, Replaced, Stalled, Vanished, WatchEvent

if TYPE_CHECKING:
    from workflow_async.distributed.nats import NatsCoordinator

CLAIMED, TAKEN_OVER, LOST = "claimed", "taken over", "lost"
RELEASED, FINISHED = "released", "finished"
CHANGED, ENDED, STALLED = "changed", "ended", "stalled"
VANISHED, REPLACED, UNOBSERVED = "vanished", "replaced", "unobserved"
ENDS = frozenset({ENDED, VANISHED, REPLACED, UNOBSERVED})
"""The events after which a workflow is not watched any more."""


@frozen(kw_only=True)
class WorkerEvent:
    """Something that a worker has done, or an event that it has delivered."""

    at: datetime
    event: str
    shard: str
    worker: str = ""
    """The worker from which the shard was taken over."""
    id: int | None = None
    """The workflow. None if the event is about a shard."""
    state: str = ""
    """The phase of the workflow."""
    error: str = ""
    key: str = ""
    """The key of the event that was delivered."""

    @property
    def is_end(self) -> bool:
        """True if a workflow is not watched any more."""
        return self.event in ENDS

    @property
    def outcome(self) -> str:
        """The phase in which the workflow ended, or why that is not known."""
        return self.state if self.event == ENDED else self.event

    @property
    def text(self) -> str:
        """The event in one line. "" if it is not worth one."""
        words = {
            CLAIMED: f"claimed {self.shard}",
            TAKEN_OVER: f"took over {self.shard} from {self.worker}",
            RELEASED: f"released {self.shard}",
            FINISHED: f"{self.shard} is finished",
        }
        line = f"{self.id} {self.outcome}" if self.is_end else words.get(self.event, "")
        return f"{self.at.astimezone():%H:%M:%S} {line}{self.error and f': {self.error}'}" if line else ""

    @property
    def style(self) -> str:
        """The style of the line, by the names of rich."""
        return word_style(self.outcome) if self.is_end else ""


@define(eq=False)
class ReportingCoordinator:
    """A coordinator that reports what a worker does through another one."""

    inner: "NatsCoordinator"
    report: Callable[[WorkerEvent], None]

    @property
    def lease_seconds(self) -> float:
        """Seconds that a lease lasts."""
        return self.inner.lease_seconds

    async def claim(self, held: Collection[str]) -> Claim:
        """Claim shards, and report each one with its last worker."""
        before = self.inner.owners()
        claim = await self.inner.claim(held)
        for lease in claim.leases:
            self._report_claim(lease.shard, before.get(lease.shard, ""))
        return claim

    async def renew(self, lease: Lease) -> Lease | None:
        """Extend a lease."""
        return self._kept(lease, await self.inner.renew(lease))

    async def save(self, lease: Lease, spec: bytes, events: Sequence[WatchEvent[Any]]) -> Lease | None:
        """Deliver events and save the watch. Report the events that were delivered."""
        saved = self._kept(lease, await self.inner.save(lease, spec, events))
        for event in events if saved is not None else ():
            self.report(worker_event(event, lease.shard, datetime.now(UTC)))
        return saved

    async def release(self, lease: Lease, *, finished: bool) -> None:
        """Give a shard back."""
        await self.inner.release(lease, finished=finished)
        self._tell(FINISHED if finished else RELEASED, lease.shard)

    async def leave(self) -> None:
        """Mark this worker as gone."""
        await self.inner.leave()

    async def over(self) -> bool:
        """Return True if there is a shard and every shard is finished."""
        return await self.inner.over()

    def _report_claim(self, shard: str, owner: str) -> None:
        is_takeover = owner not in {"", self.inner.worker}
        self._tell(TAKEN_OVER if is_takeover else CLAIMED, shard, owner if is_takeover else "")

    def _kept(self, lease: Lease, renewed: Lease | None) -> Lease | None:
        if renewed is None:
            self._tell(LOST, lease.shard)
        return renewed

    def _tell(self, event: str, shard: str, worker: str = "") -> None:
        self.report(WorkerEvent(at=datetime.now(UTC), event=event, shard=shard, worker=worker))


def worker_event(event: WatchEvent[Any], shard: str, now: datetime) -> WorkerEvent:
    """Return what to report of an event of a watch."""
    state = "" if event.workflow is None else event.workflow.phase.value
    if isinstance(event, Change):
        word = ENDED if event.now.final else CHANGED
        return WorkerEvent(at=event.seen_at, event=word, shard=shard, id=event.id, state=event.now.value, key=event.key)
    if isinstance(event, Stalled):
        return WorkerEvent(at=event.seen_at, event=STALLED, shard=shard, id=event.id, state=state, key=event.key)
    if isinstance(event, Replaced):
        return WorkerEvent(at=now, event=REPLACED, shard=shard, id=event.id, state=state, key=event.key)
    word = VANISHED if isinstance(event, Vanished) else UNOBSERVED
    return WorkerEvent(
        at=now, event=word, shard=shard, id=event.id, state=state, key=event.key, error=error_text(event.error)
    )
