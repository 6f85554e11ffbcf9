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


class StepResult(enum.Enum):
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
    RETRIED = "retried"
    """The step fails at its first run and succeeds at its second, which follows by itself."""


class SecondResumeEffect(enum.Enum):
    """The effect of a second resume while the first is still queued."""

    TWICE = "twice"
    """The step after the parked one runs twice."""
    LOST = "lost"
    """The step after the parked one never runs."""
    HANGS = "hangs"
    """The step after the parked one never ends."""


FINAL_STATUS = {
    StepResult.DONE: Status.SUCCEEDED,
    StepResult.PARTIAL: Status.SUCCEEDED,
    StepResult.SKIPPED: Status.SKIPPED,
    StepResult.FAILED: Status.FAILED,
    StepResult.HELD: Status.PARKED,
    StepResult.STUCK: Status.FAILED,
    StepResult.RETRIED: Status.SUCCEEDED,
}
"""What a step comes to, by its fate."""
REPAIR_STEP = "error-resolution"
"""The step that is put in before one that is STUCK."""


@frozen
class Step:
    """One step of a plan: what it is called, how many seconds it takes, how it ends."""

    name: str
    seconds: float = 1.0
    result: StepResult = StepResult.DONE
    handlers: tuple["Step", ...] = ()
    """Steps that run, with the workflow FAILING, after this one has failed."""


@define(eq=False)
class FakeStep:
    """A step of one workflow, as far as it got."""

    step: Step
    id: int | None = None
    status: Status = Status.WAITING
    started: float | None = None
    finished: float | None = None
    """When the step last ended. A second run keeps it until that ends."""
    attempts: int = 0
    failures: int = 0
    second_resume: SecondResumeEffect | None = None
    """What a second resume does to it."""

    def copy(self) -> "FakeStep":
        """The step as it is at this instant."""
        return FakeStep(
            self.step,
            self.id,
            self.status,
            self.started,
            self.finished,
            self.attempts,
            self.failures,
            self.second_resume,
        )


@define(eq=False)
class FakeWorkflow:
    """One workflow of the engine; only the engine changes it."""

    id: int
    definition: str
    subject: str
    """What it works on: an event of Opencast, a context of Preservica."""
    created: float
    steps: list[FakeStep]
    creator: str = ""
    parameters: dict[str, str] = field(factory=dict)
    correlation: str | None = None
    status: Status = Status.WAITING
    started: float | None = None
    finished: float | None = None
    changed: float = 0.0
    """When its status last changed."""
    partial: bool = False
    resuming: bool = False
    """True while a resume is queued."""
    executed: list[str] = field(factory=list)
    """The name of each step that began, in order. A step that ran twice is in the list twice."""

    def copy(self) -> "FakeWorkflow":
        """The workflow as it is at this instant, for somebody who must not see it change."""
        steps = [step.copy() for step in self.steps]
        return evolve(self, steps=steps, parameters=dict(self.parameters), executed=list(self.executed))

    @property
    def active(self) -> bool:
        """Whether it is not at its end."""
        return not self.status.final

    @property
    def current(self) -> FakeStep | None:
        """The step that is executing or parked, or waits to be next."""
        return next(
            (s for s in self.steps if not s.status.final and s.second_resume is not SecondResumeEffect.LOST), None
        )
