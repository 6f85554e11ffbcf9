"""Tracks every watched workflow: takes list rows and GET results, and emits what changed."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from operator import attrgetter, is_
from typing import Generic, TypeVar

from attrs import define, evolve, field

from workflow_async.errors import CallError
from workflow_async.monitor._engine.backoff import OutageClock
from workflow_async.monitor._engine.estimates import Estimates
from workflow_async.monitor._engine.keys import with_key
from workflow_async.monitor._engine.observation import (
    Identity,
    Observation,
    apply_error,
    apply_record,
    conflicting,
    goes_back,
    reset_failures,
    same,
)
from workflow_async.monitor._engine.operations import operation_changes
from workflow_async.monitor._engine.pauses import AnsweredPauses
from workflow_async.monitor._engine.shown_rows import ShownRows
from workflow_async.monitor._engine.subscription import WatchEvent, copy_error
from workflow_async.monitor._engine.tracking import TrackedWorkflows, Tracking
from workflow_async.monitor.events import Change, Stalled
from workflow_async.monitor.source import Source
from workflow_async.phase import Phase, Workflow
from workflow_async.settings import Clock, Poll

W = TypeVar("W", bound=Workflow)

ROW_ID = attrgetter("id")
MAX_REMEMBERED = 10_000
"""Workflows that are remembered although they are not watched. The oldest is forgotten first."""


@define(eq=False)
class Tracker(Generic[W]):
    """What one client knows of each watched workflow."""

    source: Source[W]
    clock: Clock
    _on_event: Callable[[WatchEvent[W]], None]
    tracked: TrackedWorkflows = field(factory=TrackedWorkflows)
    observations: dict[int, Observation[W]] = field(factory=dict, init=False)
    answered_pauses: AnsweredPauses = field(factory=AnsweredPauses, init=False)
    """Pauses that a resume of this client has answered."""
    outages: OutageClock = field(factory=OutageClock, init=False)
    changes: int = field(default=0, init=False)
    """Number of changes so far."""
    estimates: Estimates[W] = field(init=False)
    _existing: OrderedDict[int, Identity] = field(factory=OrderedDict, init=False)
    """Identities of workflows that were started or seen, and are not watched."""
    _got_at: OrderedDict[int, float] = field(factory=OrderedDict, init=False)
    """The last GET of workflows that are not watched any more. A list that may be older than it is not believed."""
    _errors: dict[int, CallError] = field(factory=dict, init=False)
    """The error of the last check of each workflow that failed."""
    _settled: dict[int, W] = field(factory=dict, init=False)
    """The list row of each workflow that changed nothing, until something else becomes known of the workflow."""

    def __attrs_post_init__(self) -> None:
        self.estimates = Estimates(self.source)

    # Workflows

    def watch(self, id: int) -> bool:
        """Track a workflow. Return True if its checks have to start again, because they had been given up."""
        observation = self.observations.get(id)
        if observation is None:
            self.store(self._new_observation(id))
            return False
        self._settled.pop(id, None)  # the new watcher may ask for more
        given_up = observation.over and not _is_final(observation)
        if given_up:
            self.store(reset_failures(observation, over=False))
        return given_up

    def store(self, observation: Observation[W]) -> Observation[W]:
        """Note what is known of a workflow. The next row of a list is compared with it."""
        self._settled.pop(observation.id, None)
        self.observations[observation.id] = observation
        return observation

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
        """Remember that a workflow exists although no check has shown it: a start was answered with it."""
        self._remember(id, () if workflow is None else self.source.identity(workflow))
        if id in self.observations:
            self.store(evolve(self.observations[id], expected=True))

    def _remember(self, id: int, identity: Identity) -> None:
        before = self._existing.pop(id, ())
        self._existing[id] = identity or before
        if len(self._existing) > MAX_REMEMBERED:
            self._existing.popitem(last=False)

    def forget(self, id: int) -> None:
        """Stop tracking a workflow. If it was seen and has not ended, remember that it exists."""
        self._settled.pop(id, None)
        self._errors.pop(id, None)
        observation = self.observations.pop(id)
        if observation.got_at is not None:
            self._got_at[id] = observation.got_at
            if len(self._got_at) > MAX_REMEMBERED:
                self._got_at.popitem(last=False)
        if observation.over and not observation.failures:
            self._existing.pop(id, None)
        elif observation.workflow is not None:
            self._remember(id, ())

    def last_record(self, id: int) -> W | None:
        """Return the last record of a workflow. None if the workflow was not seen yet."""
        observation = self.observations.get(id)
        return None if observation is None else observation.workflow

    def last_error(self, id: int) -> CallError | None:
        """Return why the last check of a workflow failed. None if it did not fail."""
        observation = self.observations.get(id)
        failing = observation is not None and (observation.failures or observation.misses)
        return self._errors.get(id) if failing else None

    def is_done(self, id: int) -> bool:
        """Return True if no check of a workflow is needed: it has an outcome, or it is not tracked."""
        observation = self.observations.get(id)
        return observation is None or observation.over

    # Lists

    def apply_page(self, rows: Sequence[W], asked: float) -> set[int]:
        """Apply the rows of a page that was requested at `asked`. Return the workflows that need no GET."""
        ids, settled = list(map(ROW_ID, rows)), self._settled.get
        if all(map(is_, map(settled, ids), rows)):  # most pages, so this runs no bytecode per row
            return set(ids)
        return {row.id for row in rows if settled(row.id) is row or self.apply_row(row, asked)}

    def apply_row(self, workflow: W, asked: float) -> bool:
        """Apply a list row that was requested at `asked`. Return False if a GET is needed as well."""
        observation = self.observations.get(workflow.id)
        if observation is None or (self.tracked.is_detailed(workflow.id) and not self.source.is_complete(workflow)):
            return False
        if self.answered_pauses.unclear(workflow):
            return False
        if self._is_unchanged(observation, workflow):
            if workflow.phase is not Phase.PARKED:  # whether a pause is answered is not part of the observation
                self._settled[workflow.id] = workflow
            return True
        if conflicting(observation.identity, self.source.identity(workflow)):
            return False  # a list can be wrong, so only a GET shows that another workflow has the id
        if _needs_get(observation, workflow) or goes_back(observation, workflow):
            return not workflow.phase.final and self._may_be_stale(observation, asked)
        if not self._may_be_stale(observation, asked):
            self._apply(evolve(observation, listed_at=self.clock.now()), workflow)
        return True

    def _is_unchanged(self, observation: Observation[W], workflow: W) -> bool:
        """Return True if applying a row would change nothing."""
        # Most rows of a long list are like that, so this comes before all that is more expensive.
        known, tracking = observation.workflow, self.tracked.get(observation.id)
        if known is None or observation.over or observation.misses or observation.failures:
            return False
        if tracking is not None and tracking.stalled_after is not None:
            return False
        if not same(known, workflow, operations=tracking is not None and tracking.operations):
            return False
        if self.source.same_identity(known, workflow):
            return True
        if not observation.identity:
            return False  # saved by a process that did not know it, so this row shows it first
        return not conflicting(observation.identity, self.source.identity(workflow))

    def _may_be_stale(self, observation: Observation[W], asked: float) -> bool:
        """Return True if a list that was requested at `asked` may be older than what is known."""
        after_get = observation.got_at is None or asked - self.source.list_lag >= observation.got_at
        after_list = observation.listed_at is None or asked >= observation.listed_at
        return not (after_get and after_list)

    def recently_got(self, ids: set[int], began: float, last: ShownRows) -> set[int]:
        """Return the workflows whose last GET is so recent that a list read since `began` need not show them.

        A workflow that the `last` list has shown since that GET is not among them.
        """
        since = began - self.source.list_lag
        gets = {id: self.observations[id].got_at for id in ids if id in self.observations}
        return {id for id, at in gets.items() if at is not None and at >= since and not last.showed_after(id, at)}

    def seen_count(self, ids: set[int]) -> int:
        """Return how many of these workflows have been seen."""
        return sum(self.last_record(id) is not None for id in ids)

    # Single workflows

    def apply_get(self, workflow: W, asked: float) -> bool:
        """Apply a GET that was sent at `asked`. Return False if another GET is needed immediately."""
        now, observation = self.clock.now(), self.observations.get(workflow.id)
        if observation is None:
            return True
        complete = self.source.is_complete(workflow)
        overtaken = observation.listed_at is not None and asked < observation.listed_at and not workflow.phase.final
        if overtaken or (not complete and self.tracked.is_detailed(workflow.id)):
            return False
        unclear = self.answered_pauses.unclear(workflow)
        replaced = conflicting(observation.identity, self.source.identity(workflow))
        ending = (_needs_get(observation, workflow) or unclear or replaced) and not complete
        observation = self.store(evolve(observation, got_at=now, ending=ending))
        if self.answered_pauses.covers(workflow) and not replaced:
            unchanged = observation.unchanged + 1
            self.store(reset_failures(observation, unchanged=unchanged, ending=True))
        elif not ending:
            self.answered_pauses.forget(workflow.id)
            self._apply(observation, workflow, is_change=unclear)
        return not ending

    def apply_unchanged(self, id: int) -> None:
        """Apply a bulk check that showed no change of a workflow."""
        observation = self.observations[id]
        self._check_stall(self.store(reset_failures(observation, unchanged=observation.unchanged + 1)))

    def apply_failure(self, id: int, error: CallError, poll: Poll) -> None:
        """Apply a check that failed."""
        now = self.outages.read(self.clock.now())
        self._errors[id] = copy_error(error)
        failing, outcome = apply_error(self.observations[id], error, now, poll, self.outages.announced)
        self.store(failing if outcome is None else evolve(failing, over=True))
        if outcome is not None:
            self._emit(outcome)

    def _apply(self, observation: Observation[W], workflow: W, *, is_change: bool = False) -> None:
        now, detailed = self.clock.now(), self.tracked.is_detailed(observation.id)
        applied, event = apply_record(
            observation,
            workflow,
            now,
            self.utc_now(),
            operations=detailed,
            identity=self.source.identity(workflow),
            is_change=is_change,
        )
        self.store(applied)
        if event is None:
            self._check_stall(applied)
            return
        if isinstance(event, Change):
            self.estimates.learn(observation, workflow, now)
        self.changes += 1
        self._emit(event)

    # Events

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

    def _emit(self, event: WatchEvent[W]) -> None:
        self._on_event(with_key(event, self.source.server_key, operations=self.tracked.is_detailed(event.id)))

    def _check_stall(self, observation: Observation[W]) -> None:
        """Emit `Stalled` once if a step takes longer than its watcher allows."""
        tracking, workflow = self.tracked.get(observation.id), observation.workflow
        allowed = None if tracking is None else tracking.stalled_after
        if allowed is None or workflow is None or observation.changed_at is None:
            return
        if observation.over or observation.stalled:
            return
        usual, seconds = self.estimates.usual_step(workflow), self.clock.now() - observation.changed_at
        if _is_stalled(seconds, usual, allowed):
            self.store(evolve(observation, stalled=True))
            self._emit(Stalled(workflow=workflow, seen_at=self.utc_now(), seconds=seconds, usual=usual))

    def utc_now(self) -> datetime:
        """Return the wall clock's time in UTC."""
        return datetime.fromtimestamp(self.clock.wall(), UTC)

    # Estimates

    def eta(self, id: int) -> float | None:
        """Return the seconds that a workflow usually still takes to its end. None if that is not known."""
        observation = self.observations.get(id)
        return None if observation is None else self.estimates.until_end(observation, self.clock.now())

    def remaining(self, id: int) -> float | None:
        """Return the seconds until a workflow's next change, usually. None if that is not known."""
        return self.estimates.until_change(self.observations[id], self.clock.now())


def _is_stalled(seconds: float, usual: float | None, allowed: float | timedelta) -> bool:
    if isinstance(allowed, timedelta):
        return seconds >= allowed.total_seconds()
    return usual is not None and seconds > allowed * usual


def _is_final(observation: Observation[W]) -> bool:
    return observation.workflow is not None and observation.workflow.phase.final


def _needs_get(observation: Observation[W], workflow: W) -> bool:
    """Return True if a record has ended or has just been parked: watchers are notified, so it has to be complete."""
    known, phase = observation.workflow, workflow.phase
    return phase.final or (phase is Phase.PARKED and (known is None or known.phase is not Phase.PARKED))
