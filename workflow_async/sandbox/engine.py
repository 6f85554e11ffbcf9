"""Workflows that advance on a given clock: no HTTP, no wall time, no system's own words."""

import enum
import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence

from attrs import define, field, frozen

Clock = Callable[[], float]
"""Seconds since 1970 in UTC, whatever makes them pass."""


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

    @property
    def active(self) -> bool:
        """Whether it is not at its end."""
        return not self.status.final

    @property
    def current(self) -> StepRun | None:
        """The step that is executing or parked, or waits to be next."""
        return next((s for s in self.steps if not s.status.final), None)


@define(eq=False)
class Engine:
    """Workflows by id; everything that is due happens in `advance`, which every question calls first."""

    clock: Clock
    queue: float = 2.0
    """Seconds between the start of a workflow and its first step (the dispatcher's round)."""
    first_id: int = 1000
    runs: dict[int, Run] = field(factory=dict)
    _due: list[tuple[float, int, int]] = field(factory=list, init=False)
    _last_id: int = field(init=False)
    _turn: dict[int, int] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self._last_id = self.first_id - 1

    def next_id(self) -> int:
        """A number nobody has: workflows and steps are numbered from one sequence, as jobs are."""
        self._last_id += 1
        return self._last_id

    def start(
        self,
        definition: str,
        subject: str,
        steps: Sequence[Step],
        *,
        creator: str = "",
        parameters: Mapping[str, str] | None = None,
        correlation: str | None = None,
        at: float | None = None,
    ) -> Run:
        """Put a workflow in the queue now, or as of the earlier instant `at`."""
        created = self.clock() if at is None else at
        run = Run(
            self.next_id(),
            definition,
            subject,
            created,
            [StepRun(step) for step in steps],
            creator=creator,
            parameters=dict(parameters or {}),
            correlation=correlation,
            changed=created,
        )
        self.runs[run.id] = run
        self._schedule(run, created + self.queue)
        return run

    def advance(self) -> None:
        """Let everything happen that is due by now, in the order of time."""
        now = self.clock()
        while self._due and self._due[0][0] <= now:
            at, id, turn = heapq.heappop(self._due)
            run = self.runs.get(id)
            if run is not None and self._turn[id] == turn:
                self._move(run, at)

    def get(self, id: int) -> Run | None:
        """The workflow as it stands now, or None."""
        self.advance()
        return self.runs.get(id)

    def all(self) -> Iterable[Run]:
        """Every workflow as it stands now, oldest id first."""
        self.advance()
        return self.runs.values()

    def pause(self, run: Run) -> None:
        """Park it: the step that executes goes on to its end, and none begins after it."""
        self._become(run, Status.PARKED, self.clock())

    def resume(self, run: Run) -> None:
        """Let a parked workflow go on; a held step counts as done."""
        now = self.clock()
        current = run.current
        self._become(run, Status.RUNNING, now)
        if current is None:
            self._finish(run, now)
        elif current.status is Status.PARKED:
            self._end_step(run, current, Status.SUCCEEDED, now)
        elif current.status is Status.WAITING:
            self._schedule(run, now)

    def stop(self, run: Run) -> None:
        """Write STOPPED, over a finished state too; a step that executes still ends by itself."""
        self._become(run, Status.STOPPED, self.clock())
        run.finished = self.clock()

    def retry(self, run: Run) -> bool:
        """Run the failed or held step of a failed or parked workflow again; False if there is none."""
        last = next((s for s in run.steps if s.status in {Status.FAILED, Status.PARKED}), None)
        if last is None or run.status not in {Status.FAILED, Status.PARKED}:
            return False
        last.step = Step(last.step.name, last.step.seconds)
        last.status, last.finished, run.finished = Status.WAITING, None, None
        self._become(run, Status.RUNNING, self.clock())
        self._schedule(run, self.clock())
        return True

    def remove(self, run: Run) -> None:
        """Forget it."""
        del self.runs[run.id]

    def _schedule(self, run: Run, at: float) -> None:
        turn = self._turn[run.id] = self._turn.get(run.id, 0) + 1
        heapq.heappush(self._due, (at, run.id, turn))

    def _become(self, run: Run, status: Status, at: float) -> None:
        if run.status is not status:
            run.status, run.changed = status, at

    def _move(self, run: Run, at: float) -> None:
        current = run.current
        if current is None:
            self._finish(run, at)
        elif current.status is Status.RUNNING:
            self._end_step(run, current, OUTCOME[current.step.fate], at)
        elif run.status in {Status.WAITING, Status.RUNNING, Status.FAILING}:
            self._begin_step(run, current, at)

    def _begin_step(self, run: Run, current: StepRun, at: float) -> None:
        if run.status is Status.WAITING:
            self._become(run, Status.RUNNING, at)
            run.started = at
        current.id, current.started, current.status = self.next_id(), at, Status.RUNNING
        current.attempts += 1
        self._schedule(run, at + (0.0 if current.step.fate is Fate.SKIPPED else current.step.seconds))

    def _end_step(self, run: Run, current: StepRun, status: Status, at: float) -> None:
        current.status = status
        if status is Status.PARKED:
            self._become(run, Status.PARKED, at)
            return
        current.finished = None if status is Status.SKIPPED else at
        run.partial = run.partial or current.step.fate is Fate.PARTIAL
        if status is Status.FAILED:
            self._fail(run, current, at)
        elif run.current is None:
            self._finish(run, at)
        elif run.status in {Status.RUNNING, Status.FAILING}:
            self._schedule(run, at)

    def _fail(self, run: Run, current: StepRun, at: float) -> None:
        if not current.step.handlers or run.status is Status.FAILING:
            self._become(run, Status.FAILED, at)
            run.finished = at
            return
        keep = run.steps.index(current) + 1
        run.steps[keep:] = [StepRun(step) for step in current.step.handlers]
        self._become(run, Status.FAILING, at)
        self._schedule(run, at)

    def _finish(self, run: Run, at: float) -> None:
        end = Status.FAILED if run.status is Status.FAILING else Status.PARTIAL if run.partial else Status.SUCCEEDED
        self._become(run, end, at)
        run.finished = at


OUTCOME = {
    Fate.DONE: Status.SUCCEEDED,
    Fate.PARTIAL: Status.SUCCEEDED,
    Fate.SKIPPED: Status.SKIPPED,
    Fate.FAILED: Status.FAILED,
    Fate.HELD: Status.PARKED,
}
