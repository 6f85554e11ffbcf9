"""A workflow of the sandbox: its planned steps and their progress."""

import enum

from attrs import define, evolve, field, frozen


class Status(enum.Enum):
    """The status of a workflow or of a step."""

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
        """True if the engine does not change this status any more."""
        return self in FINAL


FINAL = frozenset({Status.SUCCEEDED, Status.PARTIAL, Status.FAILED, Status.STOPPED, Status.SKIPPED})


class StepResult(enum.Enum):
    """The way in which a step ends."""

    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"
    """The workflow fails. It is FAILING first if the step names handlers."""
    PARTIAL = "partial"
    """The step succeeds, and the workflow ends PARTIAL."""
    HELD = "held"
    """The step parks the workflow until it is resumed."""
    STUCK = "stuck"
    """The step fails at first. A repair step is inserted before it and parks the workflow until it is answered.

    A resume without an answer parks the workflow again.
    """
    RETRIED = "retried"
    """The step fails at first. Its next run follows immediately."""


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
    StepResult.STUCK: Status.SUCCEEDED,
    StepResult.RETRIED: Status.SUCCEEDED,
}
"""The status of a step at its end, by its result."""
REPAIR_STEP = "error-resolution"
"""The name of the step that is inserted before a STUCK step."""


class Answer(enum.Enum):
    """The answer to a repair step, as the words that a server understands."""

    RETRY = "RETRY"
    """The failed step runs again."""
    NONE = "NONE"
    """The failed step stays failed."""


@frozen
class Step:
    """A planned step: its name, its duration in seconds, its result."""

    name: str
    seconds: float = 1.0
    result: StepResult = StepResult.DONE
    handlers: tuple["Step", ...] = ()
    """Steps that run after this one has failed, while the workflow is FAILING."""
    error: str = ""
    """The message of the exception that ends a failing run."""
    failing_runs: int = 1
    """The number of runs in which a STUCK or RETRIED step fails, before it succeeds."""
    max_attempts: int = 2
    """The number of failed runs after which a STUCK or RETRIED step fails for good."""


@define(eq=False)
class FakeStep:
    """A step of one workflow, and its progress."""

    step: Step
    id: int | None = None
    status: Status = Status.WAITING
    started: float | None = None
    finished: float | None = None
    """The end of the latest run. A second run keeps this value until it ends."""
    attempts: int = 0
    failures: int = 0
    second_resume: SecondResumeEffect | None = None
    """The effect of a second resume on this step."""

    def copy(self) -> "FakeStep":
        """Return a copy that does not change any more."""
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
    """A workflow of the engine. Only the engine changes it."""

    id: int
    definition: str
    subject: str
    """The id of the event (Opencast) or of the context (Preservica)."""
    created: float
    steps: list[FakeStep]
    creator: str = ""
    parameters: dict[str, str] = field(factory=dict)
    correlation: str | None = None
    status: Status = Status.WAITING
    started: float | None = None
    finished: float | None = None
    changed: float = 0.0
    """The instant of the latest change of status."""
    partial: bool = False
    resuming: bool = False
    """True while a resume is queued."""
    answer: Answer | None = None
    """The answer of the queued resume. None if it has none."""
    executed: list[str] = field(factory=list)
    """The name of each step that started, in order. A step that ran twice is listed twice."""

    def copy(self) -> "FakeWorkflow":
        """Return a copy that does not change any more."""
        steps = [step.copy() for step in self.steps]
        return evolve(self, steps=steps, parameters=dict(self.parameters), executed=list(self.executed))

    @property
    def active(self) -> bool:
        """True if the workflow has not ended."""
        return not self.status.final

    @property
    def current(self) -> FakeStep | None:
        """The step that runs, is parked or is next. None if no step is left."""
        return next(
            (s for s in self.steps if not s.status.final and s.second_resume is not SecondResumeEffect.LOST), None
        )
