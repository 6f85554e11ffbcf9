"""Estimates how long workflows and their steps still take."""

from typing import Generic, TypeVar

from attrs import define, field

from workflow_async.monitor._engine.durations import DurationStats
from workflow_async.monitor._engine.observation import Observation
from workflow_async.monitor.source import Source
from workflow_async.phase import Workflow

W = TypeVar("W", bound=Workflow)


@define
class Estimates(Generic[W]):
    """The durations of ended workflows and steps, and what they say about running ones."""

    source: Source[W]
    durations: DurationStats = field(factory=DurationStats, init=False)

    def learn(self, before: Observation[W], workflow: W, now: float) -> None:
        """Remember the durations that end with a change from `before` to this record."""
        if workflow.phase.final:
            self.durations.learn(self.source.durations(workflow))
        step = before.workflow.step if before.workflow is not None else None
        if step is not None and before.changes > 1 and before.changed_at is not None and step != workflow.step:
            self.durations.learn([(self._step_key(workflow, step), now - before.changed_at)])

    def until_end(self, observation: Observation[W], now: float) -> float | None:
        """Return the seconds until the usual end of a workflow. None if that is not known, or has passed."""
        if observation.over or observation.workflow is None:
            return None
        return self.durations.remaining(self.source.duration_key(observation.workflow), now - observation.since)

    def until_change(self, observation: Observation[W], now: float) -> float | None:
        """Return the seconds until the usual end of a workflow's step. If that is not known, until its own end."""
        workflow = observation.workflow
        if workflow is not None and workflow.step is not None and observation.changed_at is not None:
            key = self._step_key(workflow, workflow.step)
            seconds = self.durations.remaining(key, now - observation.changed_at)
            if seconds is not None:
                return seconds
        return self.until_end(observation, now)

    def usual_step(self, workflow: W) -> float | None:
        """Return the usual seconds of the step that a record shows. None if that is not known."""
        return self.durations.usual(self._step_key(workflow, workflow.step))

    def _step_key(self, workflow: W, step: str | None) -> str:
        return f"{self.source.duration_key(workflow)}/{step}"
