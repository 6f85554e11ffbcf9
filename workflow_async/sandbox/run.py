"""A workflow of the sandbox: what its steps are to do, and how far it got."""

import enum

from attrs import define, evolve, field, frozen


class Status(enum.Enum):
    """Where a workflow, or one of its steps, stands."""

    WAITING = "waiting"
    RUNNING = "running"
    FAILING = "failing"
    PARKED = "parked"
    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    FAILED = "failed"
    STOPPED = "stopped"
    SKIPPED = "skipped"

    @property
    def final(self) -> bool:
        """Whether the engine leaves it alone from here on."""
        return self in FINAL


FINAL = frozenset({Status.SUCCEEDED, Status.PARTIAL, Status.FAILED, Status.STOPPED, Status.SKIPPED})


class Fate(enum.Enum):
    """How a step ends."""

    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"
    """The workflow fails, by way of FAILING if the step names handlers."""
    PARTIAL = "partial"
    """The step succeeds and the workflow ends PARTIAL."""
    HELD = "held"
    """The step parks the workflow until somebody resumes it."""
    STUCK = "stuck"
    """The step fails, and one put in before it parks the workflow again after every resume."""


REPAIR = "error-resolution"
"""The step that is put in before one that is STUCK."""


@frozen
class Step:
    """One step of a plan: what it is called, how many seconds it takes, how it ends."""

    name: str
    seconds: float = 1.0
    fate: Fate = Fate.DONE
    handlers: tuple["Step", ...] = ()
    """Steps that run, with the workflow FAILING, after this one has failed."""


@define(eq=False)
class StepRun:
    """A step of one workflow, as far as it got."""

    step: Step
    id: int | None = None
    status: Status = Status.WAITING
    started: float | None = None
    finished: float | None = None
    attempts: int = 0


@define(eq=False)
class Run:
    """One workflow of the engine; only the engine changes it."""

    id: int
    definition: str
    subject: str
    """What it works on: an event of Opencast, a context of Preservica."""
    created: float
    steps: list[StepRun]
    creator: str = ""
    parameters: dict[str, str] = field(factory=dict)
    correlation: str | None = None
    status: Status = Status.WAITING
    started: float | None = None
    finished: float | None = None
    changed: float = 0.0
    """When its status last changed."""
    partial: bool = False

    def copy(self) -> "Run":
        """The workflow as it is at this instant, for somebody who must not see it change."""
        steps = [StepRun(s.step, s.id, s.status, s.started, s.finished, s.attempts) for s in self.steps]
        return evolve(self, steps=steps, parameters=dict(self.parameters))

    @property
    def active(self) -> bool:
        """Whether it is not at its end."""
        return not self.status.final

    @property
    def current(self) -> StepRun | None:
        """The step that is executing or parked, or waits to be next."""
        return next((s for s in self.steps if not s.status.final), None)
