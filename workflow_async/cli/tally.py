"""What has been seen of workflows that are waited for. Pure."""

import time
from collections import Counter
from collections.abc import Callable

from attrs import define, field, frozen

from workflow_async.cli.exit_codes import Exit
from workflow_async.errors import WorkflowAsyncError, WorkflowParked, WorkflowReplaced
from workflow_async.phase import Phase, Workflow

UNSEEN, TIMED_OUT, UNOBSERVED = "unseen", "timed out", "unobserved"
VANISHED, REPLACED, NOT_STARTED = "vanished", "replaced", "not started"
COLUMNS = (UNSEEN, *(phase.value for phase in Phase), TIMED_OUT, UNOBSERVED, VANISHED, REPLACED, NOT_STARTED)
"""Every word a board counts by, in the order of a life."""


@frozen
class WaitResult:
    """How the wait for one workflow ended."""

    id: int
    outcome: str
    """A phase's word, `timed out`, `unobserved` or `replaced`."""
    workflow: Workflow | None = field(default=None, repr=False)
    """The last record seen."""
    error: str | None = None

    @property
    def code(self) -> Exit:
        """What it means for the exit code."""
        if self.outcome in {UNOBSERVED, REPLACED}:
            return Exit.SERVER
        return Exit.DONE if self.outcome == Phase.SUCCEEDED.value else Exit.FAILED


def result_of(workflow: Workflow) -> WaitResult:
    """The result of a wait that returned a record."""
    return WaitResult(workflow.id, workflow.phase.value, workflow)


def timeout_result(id: int, last: Workflow | None) -> WaitResult:
    """The result of a wait whose deadline passed."""
    return WaitResult(id, TIMED_OUT, last, "the deadline passed first")


def error_result(id: int, error: WorkflowAsyncError, last: Workflow | None) -> WaitResult:
    """The result of a wait that raised."""
    words = {WorkflowParked: Phase.PARKED.value, WorkflowReplaced: REPLACED}
    return WaitResult(id, words.get(type(error), UNOBSERVED), last, str(error))


@define(eq=False)
class Tally:
    """The workflows of one system that are waited for, by what was last seen of them."""

    name: str
    expected: int = 0
    """How many are watched for from the beginning; more may appear."""
    clock: Callable[[], float] = time.monotonic
    usual_remaining: Callable[[int], float | None] = field(default=lambda _: None, repr=False)
    """Seconds a workflow usually still takes."""
    records: dict[int, Workflow] = field(factory=dict, init=False, repr=False)
    changed_at: dict[int, float] = field(factory=dict, init=False, repr=False)
    """When each was last seen to change, seconds of the clock."""
    results: dict[int, WaitResult] = field(factory=dict, init=False, repr=False)

    def update(self, workflow: Workflow) -> bool:
        """Store the last record of a workflow. Return True if its state or its step has changed."""
        last = self.records.get(workflow.id)
        self.records[workflow.id] = workflow
        if last is not None and (last.state_text, last.step) == (workflow.state_text, workflow.step):
            return False
        self.changed_at[workflow.id] = self.clock()
        return True

    def add_result(self, result: WaitResult) -> None:
        """Take an result into account."""
        self.results[result.id] = result

    @property
    def total(self) -> int:
        """How many are watched, as far as is estimates."""
        return max(self.expected, len(self.records.keys() | self.results.keys()))

    @property
    def settled(self) -> int:
        """How many waits have ended."""
        return len(self.results)

    @property
    def active(self) -> list[int]:
        """Those that have been seen and have not ended."""
        return [id for id in self.records if id not in self.results]

    def eta(self) -> float | None:
        """Seconds until all are over, by what the longest usually still takes; None where nothing is estimates."""
        estimates = [seconds for id in self.active if (seconds := self.usual_remaining(id)) is not None]
        return max(estimates, default=None)

    def slowest(self, limit: int) -> list[tuple[Workflow, float]]:
        """Those that have not changed for longest, and for how many seconds."""
        now = self.clock()
        oldest = sorted(self.active, key=self.changed_at.__getitem__)[:limit]
        return [(self.records[id], now - self.changed_at[id]) for id in oldest]

    @property
    def counts(self) -> dict[str, int]:
        """How many stand where, by the words of `COLUMNS`."""
        active = Counter(self.records[id].phase.value for id in self.active)
        counter = active + Counter(result.outcome for result in self.results.values())
        counter[UNSEEN] = max(0, self.total - counter.total())
        return {word: counter[word] for word in COLUMNS if counter[word]}
