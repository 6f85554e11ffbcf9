"""What is known of all that is watched, and what the answers of the server make of it."""

from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar

from attrs import define, evolve, field

from workflow_async.errors import CallError
from workflow_async.monitor._engine.backoff import OutageClock
from workflow_async.monitor._engine.durations import DurationStats
from workflow_async.monitor._engine.keys import with_key
from workflow_async.monitor._engine.observation import (
    Identity,
    Observation,
    apply_error,
    apply_record,
    conflicting,
    reset_failures,
    same,
)
from workflow_async.monitor._engine.operations import operation_changes
from workflow_async.monitor._engine.pauses import AnsweredPauses
from workflow_async.monitor._engine.subscription import WatchEvent
from workflow_async.monitor._engine.tracking import TrackedWorkflows, Tracking
from workflow_async.monitor.events import Change, Stalled
from workflow_async.monitor.source import Source
from workflow_async.phase import Phase, Workflow
from workflow_async.settings import Clock, Poll

W = TypeVar("W", bound=Workflow)

MAX_REMEMBERED = 10_000
"""Workflows that are known to exist although they are not watched; beyond, the oldest is forgotten."""

EARLIER_PHASES = {Phase.RUNNING: (Phase.WAITING,), Phase.PARKED: (Phase.WAITING, Phase.RUNNING)}
"""Phases that usually come before each phase."""


@define(eq=False)
class Tracker(Generic[W]):
    """The sights of a client: rows of lists and answers to gets go in, and what is new is told."""

    source: Source[W]
    clock: Clock
    _on_event: Callable[[WatchEvent[W]], None]
    tracked: TrackedWorkflows = field(factory=TrackedWorkflows)
    observations: dict[int, Observation[W]] = field(factory=dict, init=False)
    durations: DurationStats = field(factory=DurationStats, init=False)
    answered_pauses: AnsweredPauses = field(factory=AnsweredPauses, init=False)
    """Pauses that a resume of this client has answered."""
    outages: OutageClock = field(factory=OutageClock, init=False)
    _existing: OrderedDict[int, Identity] = field(factory=OrderedDict, init=False)
    """What is known of workflows that were started or seen, and are not watched."""
    _got_at: OrderedDict[int, float] = field(factory=OrderedDict, init=False)
    """When workflows that are not watched any more were last got. A list that lags behind that is not believed."""
    changes: int = field(default=0, init=False)
    """Changes so far."""

    def watch(self, id: int) -> bool:
        """Know of it from here on; whether it has to be looked at anew, because it had been given up."""
        sight = self.observations.get(id)
        if sight is None:
            self.observations[id] = self._new_observation(id)
        elif sight.over and not _is_final(sight):
            self.observations[id] = reset_failures(sight, over=False)
        return sight is not None and sight.over and not _is_final(sight)

    def _new_observation(self, id: int) -> Observation[W]:
        identity = self._existing.get(id)
        return Observation(
            id=id,
            since=self.clock.now(),
            expected=identity is not None,
            identity=identity or (),
            got_at=self._got_at.pop(id, None),
        )

    def note_existing(self, id: int, workflow: W | None = None) -> None:
        """Remember that there is such a workflow, though no check has shown it: a start was answered with it."""
        self._remember(id, () if workflow is None else self.source.identity(workflow))
        if id in self.observations:
            self.observations[id] = evolve(self.observations[id], expected=True)

    def _remember(self, id: int, identity: Identity) -> None:
        before = self._existing.pop(id, ())
        self._existing[id] = identity or before
        if len(self._existing) > MAX_REMEMBERED:
            self._existing.popitem(last=False)

    def forget(self, id: int) -> None:
        """Watch it no more. Remember only that there is such a workflow, if it was seen and has no end."""
        sight = self.observations.pop(id)
        if sight.got_at is not None:
            self._got_at[id] = sight.got_at
            if len(self._got_at) > MAX_REMEMBERED:
                self._got_at.popitem(last=False)
        if sight.over and not sight.failures:
            self._existing.pop(id, None)
        elif sight.workflow is not None:
            self._remember(id, ())

    def last_record(self, id: int) -> W | None:
        """Return the last record of a workflow. None if it was not seen yet."""
        observation = self.observations.get(id)
        return None if observation is None else observation.workflow

    def is_over(self, id: int) -> bool:
        """Whether there is nothing to look for."""
        sight = self.observations.get(id)
        return sight is None or sight.over

    def apply_row(self, workflow: W, asked: float) -> bool:
        """Take a row of a list that was asked for then; whether it shows all that is wanted of one that is active."""
        sight = self.observations.get(workflow.id)
        if sight is None or (self.tracked.is_detailed(workflow.id) and not self.source.is_complete(workflow)):
            return False
        if self.answered_pauses.unclear(workflow):
            return False
        if self._is_unchanged(sight, workflow):
            return True
        if conflicting(sight.identity, self.source.identity(workflow)):
            return False  # a list may be wrong: only a get tells that another workflow has the id
        if _needs_get(sight, workflow) or _goes_back(sight, workflow):
            return not workflow.phase.final and self._may_be_stale(sight, asked)
        if not self._may_be_stale(sight, asked):
            self._apply(evolve(sight, listed_at=self.clock.now()), workflow)
        return True

    def _is_unchanged(self, sight: Observation[W], workflow: W) -> bool:
        """Whether taking the row would change nothing: most rows of a long list, which is why this is asked first."""
        known, tracking = sight.workflow, self.tracked.get(sight.id)
        if known is None or sight.over or sight.misses or sight.failures:
            return False
        if tracking is not None and tracking.stalled_after is not None:
            return False
        if not same(known, workflow, operations=tracking is not None and tracking.operations):
            return False
        if self.source.same_identity(known, workflow):
            return True
        return not conflicting(sight.identity, self.source.identity(workflow))

    def _may_be_stale(self, sight: Observation[W], asked: float) -> bool:
        """Whether a list asked for then may be older than what is known."""
        after_get = sight.got_at is None or asked - self.source.list_lag >= sight.got_at
        after_list = sight.listed_at is None or asked >= sight.listed_at
        return not (after_get and after_list)

    def recently_got(self, ids: set[int], began: float) -> set[int]:
        """Whom a list need not show yet, because they were got while it was read, or shortly before."""
        since = began - self.source.list_lag
        gets = {id: sight.got_at for id in ids if (sight := self.observations.get(id)) is not None}
        return {id for id, at in gets.items() if at is not None and at >= since}

    def seen_count(self, ids: set[int]) -> int:
        """How many of these have been seen."""
        return sum(id in self.observations and self.observations[id].workflow is not None for id in ids)

    def apply_get(self, workflow: W, asked: float) -> bool:
        """Take a workflow that was asked for then; whether that was of use, or another get is needed at once."""
        now, sight = self.clock.now(), self.observations.get(workflow.id)
        if sight is None:
            return True
        whole = self.source.is_complete(workflow)
        overtaken = sight.listed_at is not None and asked < sight.listed_at and not workflow.phase.final
        if overtaken or (not whole and self.tracked.is_detailed(workflow.id)):
            return False
        unclear = self.answered_pauses.unclear(workflow)
        replaced = conflicting(sight.identity, self.source.identity(workflow))
        ending = (_needs_get(sight, workflow) or unclear or replaced) and not whole
        sight = self.observations[sight.id] = evolve(sight, got_at=now, ending=ending)
        if self.answered_pauses.covers(workflow) and not replaced:
            self.observations[sight.id] = reset_failures(sight, unchanged=sight.unchanged + 1, ending=True)
        elif not ending:
            self.answered_pauses.forget(workflow.id)
            self._apply(sight, workflow, anew=unclear)
        return not ending

    def apply_unchanged(self, id: int) -> None:
        """A glance has shown nothing new of it."""
        self.observations[id] = reset_failures(self.observations[id], unchanged=self.observations[id].unchanged + 1)
        self._check_stall(self.observations[id])

    def apply_failure(self, id: int, error: CallError, poll: Poll) -> None:
        """Take a check that failed."""
        now = self.outages.read(self.clock.now())
        self.observations[id], outcome = apply_error(self.observations[id], error, now, poll, self.outages.announced)
        if outcome is not None:
            self.observations[id] = evolve(self.observations[id], over=True)
            self._emit(outcome)

    def _apply(self, sight: Observation[W], workflow: W, *, anew: bool = False) -> None:
        now, identity, detailed = self.clock.now(), self.source.identity(workflow), self.tracked.is_detailed(sight.id)
        self.observations[sight.id], news = apply_record(
            sight, workflow, now, self.utc_now(), operations=detailed, identity=identity, anew=anew
        )
        if news is None:
            self._check_stall(self.observations[sight.id])
            return
        if isinstance(news, Change):
            self._learn(sight, workflow, now)
        self.changes += 1
        self._emit(news)

    def _emit(self, event: WatchEvent[W]) -> None:
        self._on_event(with_key(event, self.source.server_key, operations=self.tracked.is_detailed(event.id)))

    def current_change(self, workflow: W, tracking: Tracking) -> Change[W] | None:
        """Return a change from None to a record. None if the record is not enough for a watcher that starts now."""
        incomplete = tracking.detailed and not self.source.is_complete(workflow)
        if incomplete or self.answered_pauses.unclear(workflow):
            return None
        change = Change(
            workflow=workflow,
            was=None,
            now=workflow.phase,
            seen_at=self.utc_now(),
            operations=operation_changes(None, workflow) if tracking.detailed else (),
        )
        return with_key(change, self.source.server_key, operations=self.tracked.is_detailed(change.id))

    def utc_now(self) -> datetime:
        """Now, by the wall clock, UTC."""
        return datetime.fromtimestamp(self.clock.wall(), UTC)

    # How long things take

    def eta(self, id: int) -> float | None:
        """Seconds it usually still takes to its end; None where nothing is known."""
        sight = self.observations.get(id)
        if sight is None or sight.over or sight.workflow is None:
            return None
        return self.durations.remaining(self.source.duration_key(sight.workflow), self.clock.now() - sight.since)

    def remaining(self, id: int) -> float | None:
        """Seconds it usually still takes to the end of its step, or else to its end."""
        sight = self.observations[id]
        if sight.workflow is not None and sight.workflow.step is not None and sight.changed_at is not None:
            step = f"{self.source.duration_key(sight.workflow)}/{sight.workflow.step}"
            left = self.durations.remaining(step, self.clock.now() - sight.changed_at)
            if left is not None:
                return left
        return self.eta(id)

    def _learn(self, before: Observation[W], workflow: W, now: float) -> None:
        if workflow.phase.final:
            self.durations.learn(self.source.durations(workflow))
        step = before.workflow.step if before.workflow is not None else None
        if step is not None and before.changes > 1 and before.changed_at is not None and step != workflow.step:
            self.durations.learn([(f"{self.source.duration_key(workflow)}/{step}", now - before.changed_at)])

    def _check_stall(self, sight: Observation[W]) -> None:
        """Tell once that a step takes longer than the watch allows."""
        tracking, known = self.tracked.get(sight.id), sight.workflow
        allowed = None if tracking is None else tracking.stalled_after
        if allowed is None or known is None or sight.over or sight.stalled or sight.changed_at is None:
            return
        usual = self.durations.usual(f"{self.source.duration_key(known)}/{known.step}")
        waited = self.clock.now() - sight.changed_at
        if _is_stalled(waited, usual, allowed):
            self.observations[sight.id] = evolve(sight, stalled=True)
            self._emit(Stalled(workflow=known, seen_at=self.utc_now(), seconds=waited, usual=usual))


def _is_stalled(waited: float, usual: float | None, allowed: float | timedelta) -> bool:
    if isinstance(allowed, timedelta):
        return waited >= allowed.total_seconds()
    return usual is not None and waited > allowed * usual


def _is_final(sight: Observation[W]) -> bool:
    return sight.workflow is not None and sight.workflow.phase.final


def _needs_get(sight: Observation[W], workflow: W) -> bool:
    """Whether it has ended or has just been parked: those who wait may be told, so its record is wanted whole."""
    known, phase = sight.workflow, workflow.phase
    return phase.final or (phase is Phase.PARKED and (known is None or known.phase is not Phase.PARKED))


def _goes_back(sight: Observation[W], workflow: W) -> bool:
    """Return True if a row shows a state that usually comes before the known state.

    A resume looks like that, and so does an old page from a cache. Only a GET tells which it is.
    """
    known = sight.workflow
    return known is not None and workflow.phase in EARLIER_PHASES.get(known.phase, ())
