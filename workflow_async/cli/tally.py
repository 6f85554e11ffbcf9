"""Counts the workflows that a command watches."""

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from attrs import define, field, frozen

from workflow_async.cli.exit_codes import Exit, code_of
from workflow_async.cli.messages import error_text
from workflow_async.cli.outages import Silence, patience_text
from workflow_async.errors import CallError, WorkflowAsyncError, WorkflowParked, WorkflowReplaced
from workflow_async.phase import Phase, Workflow

UNSEEN, TIMED_OUT, UNOBSERVED = "unseen", "timed out", "unobserved"
VANISHED, REPLACED, NOT_STARTED = "vanished", "replaced", "not started"
SHORT_SILENCE = 1.0
"""Seconds without an answer that are not worth telling: a broken connection that is replaced at once."""
COLUMNS = (UNSEEN, *(phase.value for phase in Phase), TIMED_OUT, UNOBSERVED, VANISHED, REPLACED, NOT_STARTED)
"""Every word that a tally counts by, in the order in which a workflow can reach them."""


@frozen
class WaitResult:
    """The result of waiting for one workflow."""

    id: int
    """0 for a start without a workflow."""
    outcome: str
    """A phase, `timed out`, `unobserved` or `replaced`."""
    workflow: Workflow | None = field(default=None, repr=False)
    """The last record. None if there is none."""
    error: str | None = None
    error_code: Exit | None = field(default=None, eq=False, repr=False)
    """The exit code for the error. None if the outcome has its own."""

    @property
    def code(self) -> Exit:
        """The exit code for this result."""
        if self.error_code is not None:
            return self.error_code
        return Exit.DONE if self.outcome == Phase.SUCCEEDED.value else Exit.FAILED


def result_of(workflow: Workflow) -> WaitResult:
    """Return the result for a record."""
    return WaitResult(workflow.id, workflow.phase.value, workflow)


def timeout_result(
    id: int, last: Workflow | None, silence: Silence | None, error: CallError | None = None
) -> WaitResult:
    """Return the result of a wait that reached its timeout, with the state that was seen last.

    Args:
        id: the id of the workflow.
        last: its last record.
        silence: for how long the server has not answered. None if it answers.
        error: why the last check failed. None if it succeeded.
    """
    unknown = silence is not None or error is not None
    seen = "never seen" if last is None else f"{'last seen' if unknown else 'still'} {last.state_text}"
    if silence is not None or error is None:
        text = f"{seen}, {silence}" if silence is not None else f"{seen} at the timeout"
        return WaitResult(id, TIMED_OUT, last, text, Exit.SERVER)
    return WaitResult(id, TIMED_OUT, last, f"{seen}, {error_text(error)}", code_of(error))


def error_result(id: int, error: WorkflowAsyncError, last: Workflow | None) -> WaitResult:
    """Return the result of a wait that raised an error."""
    words = {WorkflowParked: Phase.PARKED.value, WorkflowReplaced: REPLACED}
    return WaitResult(id, words.get(type(error), UNOBSERVED), last, error_text(error), code_of(error))


@frozen
class Estimate:
    """When everything is expected to have ended."""

    seconds: float
    """From now on."""
    basis: str
    """What the estimate rests on, for a sentence."""


@define(eq=False)
class Tally:
    """The last records and the results of the watched workflows of one system."""

    name: str
    expected: int = 0
    """The number of workflows that are watched from the beginning. A filter can add more."""
    clock: Callable[[], float] = time.monotonic
    silence: Callable[[], Silence | None] = field(default=lambda: None, repr=False)
    """For how long the server has not answered. None if it answers."""
    patience: float | None = None
    """Seconds without an answer after which the command gives up. None if it depends."""
    deadline: float | None = None
    """When the command ends at the latest, in seconds of the clock. None if it has no timeout."""
    usual_remaining: Callable[[int], float | None] = field(default=lambda _: None, repr=False)
    """The usual remaining seconds of a workflow. None if not known."""
    kind: Callable[[Any], str] = field(default=lambda _: "", repr=False)
    """The name of the definition of a workflow."""
    list_error: Callable[[], CallError | None] = field(default=lambda: None, repr=False)
    """Why the list of a filter could not be read. None if it was read."""
    requests: Callable[[], int] = field(default=lambda: 0, repr=False)
    """The number of requests that have ended."""
    began_at: float = field(init=False)
    """When the watch began, in seconds of the clock."""
    ends: list[tuple[float, WaitResult]] = field(factory=list, init=False, repr=False)
    """The results of workflows, each with its time in seconds of the clock."""
    records: dict[int, Workflow] = field(factory=dict, init=False, repr=False)
    results: dict[int, WaitResult] = field(factory=dict, init=False, repr=False)
    _last_check: tuple[int, float | None] = field(default=(0, None), init=False)
    """The number of requests at the last look at it, and when it had grown."""

    def __attrs_post_init__(self) -> None:
        self.began_at = self.clock()

    def last_check(self) -> float | None:
        """Return when the last request ended, as seen by the calls of this method. None if none has ended."""
        count = self.requests()
        if count != self._last_check[0]:
            self._last_check = count, self.clock()
        return self._last_check[1]

    def update(self, workflow: Workflow) -> bool:
        """Store the last record of a workflow. Return True if its state or its step has changed."""
        last = self.records.get(workflow.id)
        self.records[workflow.id] = workflow
        return last is None or (last.state_text, last.step) != (workflow.state_text, workflow.step)

    def add_result(self, result: WaitResult) -> None:
        """Store the result of a workflow."""
        self.results[result.id] = result
        self.ends.append((self.clock(), result))

    def silence_text(self) -> str:
        """Return for how long the server has not answered, and for how long the command will try. "" if it answers."""
        silence = self.silence()
        if silence is None or silence.seconds < SHORT_SILENCE:
            return ""
        until_timeout = None if self.deadline is None else self.deadline - self.clock()
        patience = "" if self.patience is None else f" ({patience_text(silence, self.patience, until_timeout)})"
        return f"{silence}{patience}"

    @property
    def total(self) -> int:
        """The number of workflows that are or were watched."""
        return max(self.expected, len(self.records.keys() | self.results.keys()))

    @property
    def settled(self) -> int:
        """The number of workflows with a result."""
        return len(self.results)

    @property
    def active(self) -> list[int]:
        """The ids of workflows that have a record and no result."""
        return [id for id in self.records if id not in self.results]

    @property
    def workflow_ends(self) -> list[float]:
        """When workflows have ended, in seconds of the clock. A start that was refused has no workflow."""
        return [at for at, result in self.ends if result.id]

    def eta(self) -> Estimate | None:
        """Return when all workflows are expected to have ended. None if not known."""
        active = self.active
        known = [seconds for id in active if (seconds := self.usual_remaining(id)) is not None]
        if not known:
            return None
        return Estimate(max(known), f"by the usual durations, which are known for {len(known)} of {len(active)}")

    @property
    def counts(self) -> dict[str, int]:
        """The number of workflows in each column of `COLUMNS`, without zeros."""
        active = Counter(self.records[id].phase.value for id in self.active)
        counter = active + Counter(result.outcome for result in self.results.values())
        counter[UNSEEN] = max(0, self.total - counter.total())
        return {word: counter[word] for word in COLUMNS if counter[word]}
