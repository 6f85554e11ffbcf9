"""The workflow engine of the sandbox: steps that advance with a clock. It knows no HTTP and no system."""

import heapq
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence

from attrs import define, field

from workflow_async.sandbox.run import (
    FINAL,
    FINAL_STATUS,
    REPAIR_STEP,
    Answer,
    FakeStep,
    FakeWorkflow,
    SecondResumeEffect,
    Status,
    Step,
    StepResult,
)

__all__ = [
    "FINAL",
    "REPAIR_STEP",
    "Answer",
    "Engine",
    "FakeStep",
    "FakeWorkflow",
    "SecondResumeEffect",
    "Status",
    "Step",
    "StepResult",
    "TimeSource",
]

TimeSource = Callable[[], float]
"""A callable that returns the seconds since 1970 in UTC."""


@define(eq=False)
class Engine:
    """Workflows by id. `advance` does everything that is due, and `get` and `all` call it first.

    The engine is safe to share between threads. Every public method takes `lock`. Hold `lock` to read a `FakeWorkflow`
    while other threads use the engine.
    """

    clock: TimeSource
    queue_seconds: float = 2.0
    """Seconds between the start of a workflow and its first step (one round of the dispatcher)."""
    first_id: int = 1000
    end_without_steps: Status = Status.SUCCEEDED
    """The final status of a workflow without steps."""
    runs: dict[int, FakeWorkflow] = field(factory=dict)
    on_change: Callable[[FakeWorkflow], None] | None = None
    """Called with every workflow that is started, changed or removed."""
    lock: threading.RLock = field(factory=threading.RLock, init=False, repr=False)
    _due: list[tuple[float, int, int]] = field(factory=list, init=False)
    _last_id: int = field(init=False)
    _generations: dict[int, int] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self._last_id = self.first_id - 1

    def next_id(self) -> int:
        """Return an unused number. Workflows and steps share one sequence, as jobs do."""
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
        id: int | None = None,
    ) -> FakeWorkflow:
        """Queue a workflow, now or as of the earlier instant `at`. The id is `id` or the next number."""
        created = self.clock() if at is None else at
        with self.lock:
            run = FakeWorkflow(
                self.next_id() if id is None else id,
                definition,
                subject,
                created,
                [FakeStep(step) for step in steps],
                creator=creator,
                parameters=dict(parameters or {}),
                correlation=correlation,
                changed=created,
            )
            self.runs[run.id] = run
            self._schedule(run, created + self.queue_seconds)
            self._notify(run)
        return run

    def advance(self) -> None:
        """Do everything that is due by now, in chronological order."""
        now = self.clock()
        with self.lock:
            while self._due and self._due[0][0] <= now:
                at, id, turn = heapq.heappop(self._due)
                run = self.runs.get(id)
                if run is not None and self._generations[id] == turn:
                    self._move_on(run, at)
                    self._notify(run)

    def get(self, id: int) -> FakeWorkflow | None:
        """Return the workflow in its present state, or None."""
        self.advance()
        return self.runs.get(id)

    def all(self) -> Iterable[FakeWorkflow]:
        """Return every workflow in its present state, lowest id first."""
        with self.lock:
            self.advance()
            return list(self.runs.values())

    def pause(self, run: FakeWorkflow) -> None:
        """Park a workflow. The current step runs to its end, and no other step starts."""
        with self.lock:
            current = run.current
            if current is not None and current.status is Status.PARKED:
                self._unschedule(run)
            self._set_status(run, Status.PARKED, self.clock())
            run.resuming = False
            self._notify(run)

    def resume(
        self,
        run: FakeWorkflow,
        delay: float = 0.0,
        second_resume: SecondResumeEffect | None = None,
        answer: Answer | None = None,
    ) -> None:
        """Let a parked workflow go on. A held step counts as done, `delay` seconds from now.

        A repair step needs an `answer`. A second resume before then has the effect `second_resume` on the next step.
        """
        now = self.clock()
        with self.lock:
            current = run.current
            if not run.resuming:
                run.answer = answer
            if not delay or current is None or current.status is not Status.PARKED:
                self._resume(run, now)
            elif run.resuming:
                following = next((s for s in run.steps if s.status is Status.WAITING), current)
                following.second_resume = second_resume
            else:
                run.resuming = True
                self._schedule(run, now + delay)
            self._notify(run)

    def stop(self, run: FakeWorkflow) -> None:
        """Set the status STOPPED, even on a finished workflow. A running step still ends normally."""
        with self.lock:
            self._set_status(run, Status.STOPPED, self.clock())
            run.resuming = False
            self._notify(run)

    def retry(self, run: FakeWorkflow) -> bool:
        """Run the failed or held step of a failed or parked workflow again. Return False if there is none."""
        with self.lock:
            last = next((s for s in run.steps if s.status in {Status.FAILED, Status.PARKED}), None)
            if last is None or run.status not in {Status.FAILED, Status.PARKED}:
                return False
            last.step, last.second_resume = Step(last.step.name, last.step.seconds), None
            last.status, last.finished = Status.WAITING, None
            self._set_status(run, Status.RUNNING, self.clock())
            self._schedule(run, self.clock())
            self._notify(run)
            return True

    def remove(self, run: FakeWorkflow) -> None:
        """Remove a workflow."""
        with self.lock:
            del self.runs[run.id]
            self._unschedule(run)
            self._notify(run)

    def postpone(self, seconds: float) -> None:
        """Move all due times by `seconds`, which may be negative."""
        with self.lock:
            self._due = [(at + seconds, id, turn) for at, id, turn in self._due]

    def _notify(self, run: FakeWorkflow) -> None:
        if self.on_change is not None:
            self.on_change(run)

    def _schedule(self, run: FakeWorkflow, at: float) -> None:
        self._unschedule(run)
        heapq.heappush(self._due, (at, run.id, self._generations[run.id]))

    def _unschedule(self, run: FakeWorkflow) -> None:
        self._generations[run.id] = self._generations.get(run.id, 0) + 1

    def _set_status(self, run: FakeWorkflow, status: Status, at: float) -> None:
        if run.status is not status:
            run.status, run.changed = status, at
            run.finished = at if status.final else None

    def _move_on(self, run: FakeWorkflow, at: float) -> None:
        current = run.current
        if current is not None and current.status is Status.RUNNING:
            self._end_step(run, current, FINAL_STATUS[current.step.result], at)
        elif run.status is Status.PARKED and current is not None and current.status is Status.PARKED:
            self._resume(run, at)
        elif run.status in {Status.WAITING, Status.RUNNING, Status.FAILING}:
            self._start_step(run, current, at)

    def _resume(self, run: FakeWorkflow, at: float) -> None:
        current, run.resuming = run.current, False
        answer, run.answer = run.answer, None
        needs_answer = current is not None and current.step.name == REPAIR_STEP
        if current is not None and needs_answer and answer is None:
            current.attempts += 1
            return
        self._set_status(run, Status.RUNNING, at)
        if current is None:
            self._finish(run, at)
        elif needs_answer and answer is Answer.NONE:
            self._give_up(run, current, at)
        elif current.status is Status.PARKED:
            self._end_step(run, current, Status.SUCCEEDED, at)
        elif current.status is Status.WAITING:
            self._schedule(run, at)

    def _start_step(self, run: FakeWorkflow, current: FakeStep | None, at: float) -> None:
        if run.status is Status.WAITING:
            self._set_status(run, Status.RUNNING, at)
            run.started = at
        if current is None:
            self._finish(run, at)
            return
        current.id, current.started, current.status = self.next_id(), at, Status.RUNNING
        current.attempts += 1
        run.executed.append(current.step.name)
        if current.second_resume is not SecondResumeEffect.HANGS:
            self._schedule(run, at + (0.0 if current.step.result is StepResult.SKIPPED else current.step.seconds))

    def _end_step(self, run: FakeWorkflow, current: FakeStep, status: Status, at: float) -> None:
        current.status = status
        if status is Status.PARKED:
            self._set_status(run, Status.STOPPED if run.status is Status.STOPPED else Status.PARKED, at)
            return
        if self._must_run_again(current):
            self._run_again(run, current, at)
            return
        current.finished = None if status is Status.SKIPPED else at
        run.partial = run.partial or current.step.result is StepResult.PARTIAL
        if current.status is Status.FAILED:
            self._fail(run, current, at)
        elif run.current is None:
            self._finish(run, at)
        elif run.status in {Status.RUNNING, Status.FAILING}:
            self._schedule(run, at)

    def _must_run_again(self, current: FakeStep) -> bool:
        """Count the failure of a step. Return True if the step has to run again."""
        if current.second_resume is SecondResumeEffect.TWICE:
            current.second_resume = None
            return True
        step = current.step
        failed = step.result in {StepResult.STUCK, StepResult.RETRIED} and current.failures < step.failing_runs
        current.failures += failed or current.status is Status.FAILED
        if failed and current.failures >= step.max_attempts:
            current.status, failed = Status.FAILED, False
        return failed

    def _run_again(self, run: FakeWorkflow, current: FakeStep, at: float) -> None:
        current.status, current.finished = Status.WAITING, at
        if current.step.result is StepResult.STUCK:
            run.steps.insert(run.steps.index(current), FakeStep(Step(REPAIR_STEP, 0.0, StepResult.HELD)))
            self._set_status(run, Status.STOPPED if run.status is Status.STOPPED else Status.RUNNING, at)
        if run.status in {Status.RUNNING, Status.FAILING}:
            self._schedule(run, at)

    def _give_up(self, run: FakeWorkflow, repair: FakeStep, at: float) -> None:
        """Let the step fail that a repair step is about."""
        repair.status, repair.finished, repair.failures = Status.FAILED, at, 1
        failed = run.steps[run.steps.index(repair) + 1]
        failed.status = Status.FAILED
        self._fail(run, failed, at)

    def _fail(self, run: FakeWorkflow, current: FakeStep, at: float) -> None:
        if not current.step.handlers or run.status is Status.FAILING:
            self._set_status(run, Status.FAILED, at)
            return
        keep = run.steps.index(current) + 1
        run.steps[keep:] = [FakeStep(step) for step in current.step.handlers]
        self._set_status(run, Status.FAILING, at)
        self._schedule(run, at)

    def _finish(self, run: FakeWorkflow, at: float) -> None:
        end = Status.FAILED if run.status is Status.FAILING else Status.PARTIAL if run.partial else Status.SUCCEEDED
        self._set_status(run, end if run.steps else self.end_without_steps, at)
