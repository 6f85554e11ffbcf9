"""Looking: the requests of a plan, and what their answers make of what is known."""

from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from typing import Generic, TypeVar

from anyio.abc import TaskGroup
from attrs import define, evolve, field

from workflow_async._call import Replay
from workflow_async._retry import retryable
from workflow_async.errors import (
    CallError,
    ListingNotSupported,
    RateLimited,
    ServerFault,
    WorkflowAsyncError,
)
from workflow_async.monitor.experience import Experience
from workflow_async.monitor.outcomes import Stalled
from workflow_async.monitor.pace import Strain, pause
from workflow_async.monitor.plan import Plan
from workflow_async.monitor.sight import Sight, alike, missed, seen
from workflow_async.monitor.source import Source
from workflow_async.monitor.subscription import Event
from workflow_async.phase import Phase, Workflow
from workflow_async.settings import Clock, Poll

W = TypeVar("W", bound=Workflow)

GRAIN = 0.001
"""Seconds a look may be early: timers are not exact, and a loop that naps for less would spin."""


@define(eq=False)
class Looks(Generic[W]):
    """The looks of one client at its server: `begin` begins what is due, `tell` hears what is new."""

    source: Source[W]
    clock: Clock
    tell: Callable[[Event[W]], None]
    stir: Callable[[], None]
    """Called when a request is over: what is due may be another."""
    fail: Callable[[WorkflowAsyncError], None]
    """Called when no look can ever work again: the client is closed."""
    sights: dict[int, Sight[W]] = field(factory=dict, init=False)
    experience: Experience = field(factory=Experience, init=False)
    plan: Plan = field(init=False)
    detailed: set[int] = field(factory=set, init=False)
    """Watched with their operations."""
    patience: dict[int, float] = field(factory=dict, init=False)
    """After how many times its usual length a step has stalled, where anybody asks."""
    _strain: Strain = field(factory=Strain, init=False)
    _calm_sweeps: int = field(default=0, init=False)
    _told: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self.plan = Plan(lists=self.source.lists, glances=self.source.glances)

    def watch(self, id: int, poll: Poll, known: Sight[W] | None = None) -> None:
        """Look at it from here on."""
        sight = self.sights.get(id)
        if sight is None or (sight.over and not _final(sight)):
            self.sights[id] = known or Sight(id=id, since=self.clock.now())
            self.plan.renew(id)
        self.plan.add(id, poll)

    def soon(self, id: int) -> None:
        """Let the next look at it be now."""
        if not self._over(id):
            self.plan.soon(id, self.clock.now())

    def forget(self, id: int) -> None:
        """Look at it no more."""
        del self.sights[id]
        self.plan.remove(id)
        self.detailed.discard(id)
        self.patience.pop(id, None)

    def begin(self, group: TaskGroup) -> float | None:
        """Begin every look that is due, in this task group; the instant the next one is, or None."""
        asks = self.plan.ask(self.clock.now() + GRAIN, self.sights, self._strain.factor)
        if asks.sweep:
            group.start_soon(self._sweep)
        for chunk in asks.glances:
            group.start_soon(self._glance, chunk)
        for id in asks.gets:
            group.start_soon(self._get, id, id in asks.confirms)
        return asks.next

    @property
    def idle(self) -> bool:
        """Whether no request is on its way."""
        return not self.plan.flights and not self.plan.sweeping

    def eta(self, id: int) -> float | None:
        """Seconds it usually still takes; None where nothing is known."""
        sight = self.sights.get(id)
        return None if sight is None or sight.over else self._remaining(sight)

    # Requests

    async def _get(self, id: int, confirming: bool) -> None:  # noqa: FBT001 - a task group passes by position
        due = self.clock.now()
        try:
            sight = self.sights.get(id)
            whole = confirming or id in self.detailed or (sight is not None and sight.ending)
            workflow = await self.source.get(id, operations=whole)
        except CallError as error:
            due = self._missed(id, error)
        except WorkflowAsyncError as error:
            self.fail(error)
        else:
            self._strain.answered()
            due = self._got(workflow)
        finally:
            self.plan.answered((id,), {} if self._over(id) else {id: due})
            self.stir()

    async def _glance(self, ids: Sequence[int]) -> None:
        suspects: Collection[int] = ()
        known = [sight.workflow for id in ids if (sight := self.sights.get(id)) and sight.workflow is not None]
        try:
            suspects = await self.source.suspects(known)
        except CallError as error:
            self._strained(error)
            if not retryable(error, Replay.SAFE):
                self.plan.without_glances()
        except WorkflowAsyncError as error:
            self.fail(error)
        else:
            self._strain.answered()
        finally:
            self.plan.answered(ids, {id: self._glanced(id) for id in ids if not self._over(id)})
            self.plan.doubted(suspects, self.clock.now())
            self.stir()

    def _glanced(self, id: int) -> float:
        sight = self.sights[id]
        self.sights[id] = evolve(sight, unchanged=sight.unchanged + 1)
        self._check_stall(self.sights[id])
        return self._unchanged(id)

    async def _sweep(self) -> None:
        began, told, covered = self.clock.now(), self._told, set(self.plan.covered)
        shown: set[int] = set()
        pages = 0
        try:
            async for page in self.source.active(operations=bool(self.detailed)).pages():
                pages += 1
                shown.update(workflow.id for workflow in page.items if self._listed(workflow))
        except ListingNotSupported:
            self.plan.without_list()
        except CallError as error:
            self._strained(error)
        except WorkflowAsyncError as error:
            self.fail(error)
        else:
            self._strain.answered()
            self._calm_sweeps = self._calm_sweeps + 1 if told == self._told else 0
            lost = covered - shown - self._sure(began)
            self.plan.swept(pages, shown, lost, self.clock.now(), self._next_sweep(began))
        finally:
            if self.plan.sweeping:
                self.plan.unswept(self._next_sweep(began))
            self.stir()

    def shown(self, workflow: W) -> None:
        """Take a row of a list that is not the plan's; as long as it shows the workflow, nothing else need ask."""
        self.plan.rest(workflow.id)
        if not self._listed(workflow):
            self.soon(workflow.id)

    # What answers make of what is known

    def _listed(self, workflow: W) -> bool:
        """Take a row of the list; whether it shows that the workflow is watched and active."""
        sight = self.sights.get(workflow.id)
        if sight is None:
            return False
        if _stops(sight, workflow):
            return workflow.phase is Phase.PARKED and self._behind(sight)
        known = sight.workflow
        if known is not None and alike(known, workflow) and not sight.misses and workflow.id not in self.patience:
            return True
        if not self._behind(sight):
            self._take(sight, workflow)
        return True

    def _behind(self, sight: Sight[W]) -> bool:
        """Whether the list may be older than what is known."""
        return sight.got_at is not None and self.clock.now() - sight.got_at < self.source.lag

    def _sure(self, began: float) -> set[int]:
        """Whom the list need not show yet, because they were got while it was read, or shortly before."""
        since = began - self.source.lag
        return {id for id in self.plan.covered if (at := self.sights[id].got_at) is not None and at >= since}

    def _got(self, workflow: W) -> float:
        """Take a workflow that was got; the instant to look again."""
        now = self.clock.now()
        sight = self.sights.get(workflow.id)
        if sight is None:
            return now
        ending = _stops(sight, workflow) and not self.source.whole(workflow)
        sight = self.sights[sight.id] = evolve(sight, got_at=now, ending=ending)
        if ending:
            return now
        self._take(sight, workflow)
        return self._unchanged(workflow.id)

    def _take(self, sight: Sight[W], workflow: W) -> None:
        now = self.clock.now()
        self.sights[sight.id], change = seen(sight, workflow, now, self.wall())
        if change is None:
            self._check_stall(self.sights[sight.id])
            return
        self._learn(sight, workflow, now)
        if workflow.phase.final:
            self.plan.rest(sight.id)
        self._told += 1
        self.tell(change)

    def _missed(self, id: int, error: CallError) -> float:
        """Take a look that failed; the instant to look again."""
        self._strained(error)
        sight = self.sights.get(id)
        if sight is None:
            return self.clock.now()
        self.sights[id], outcome = missed(sight, error, self.clock.now(), self.plan.polls[id])
        if outcome is not None:
            self.sights[id] = evolve(self.sights[id], over=True)
            self.plan.rest(id)
            self.tell(outcome)
        return self._unchanged(id)

    def _over(self, id: int) -> bool:
        sight = self.sights.get(id)
        return sight is None or sight.over

    def _unchanged(self, id: int) -> float:
        """The instant to look again, by what was seen of it so far."""
        sight, poll = self.sights.get(id), self.plan.polls.get(id)
        now = self.clock.now()
        if sight is None or poll is None:
            return now
        return now + self._strain.factor * pause(poll, sight.unchanged, self.clock.jitter(), self._remaining(sight))

    def _next_sweep(self, began: float) -> float:
        return began + self._strain.factor * pause(self.plan.fastest, self._calm_sweeps, self.clock.jitter())

    def _strained(self, error: CallError) -> None:
        if isinstance(error, RateLimited | ServerFault):
            self._strain.refused(self.clock.now(), self.plan.fastest.interval)

    # How long things take

    def _learn(self, before: Sight[W], workflow: W, now: float) -> None:
        if workflow.phase.final:
            self.experience.learn(self.source.durations(workflow))
        step = before.workflow.step if before.workflow is not None else None
        if step is not None and before.changes > 1 and before.changed_at is not None and step != workflow.step:
            self.experience.learn([(f"{self.source.kind(workflow)}/{step}", now - before.changed_at)])

    def _remaining(self, sight: Sight[W]) -> float | None:
        known, now = sight.workflow, self.clock.now()
        if known is None or known.phase.final:
            return None
        kind = self.source.kind(known)
        if known.step is not None and sight.changed_at is not None:
            step = self.experience.remaining(f"{kind}/{known.step}", now - sight.changed_at)
            if step is not None:
                return step
        return self.experience.remaining(kind, now - sight.since)

    def _check_stall(self, sight: Sight[W]) -> None:
        """Tell once that a step takes much longer than usual."""
        times, known = self.patience.get(sight.id), sight.workflow
        if times is None or known is None or sight.stalled or sight.changed_at is None:
            return
        usual = self.experience.usual(f"{self.source.kind(known)}/{known.step}")
        waited = self.clock.now() - sight.changed_at
        if usual is not None and waited > times * usual:
            self.sights[sight.id] = evolve(sight, stalled=True)
            key = f"{sight.id}/{sight.changes}/stalled"
            self.tell(Stalled(workflow=known, seen_at=self.wall(), seconds=waited, usual=usual, key=key))

    def wall(self) -> datetime:
        """Now, by the wall clock, UTC."""
        return datetime.fromtimestamp(self.clock.wall(), UTC)


def _final(sight: Sight[W]) -> bool:
    return sight.workflow is not None and sight.workflow.phase.final


def _stops(sight: Sight[W], workflow: W) -> bool:
    """Whether it has ended or has just been parked: those who wait may be told, so its record is wanted whole."""
    known = sight.workflow
    parked = workflow.phase is Phase.PARKED and (known is None or known.phase is not Phase.PARKED)
    return workflow.phase.final or parked
