"""What has been seen of workflows that are waited for. Pure."""

from collections import Counter

from attrs import define, field, frozen

from workflow_async.cli.exits import Exit
from workflow_async.errors import WorkflowAsyncError, WorkflowParked
from workflow_async.phase import Phase, Workflow

UNSEEN, TIMED_OUT, UNOBSERVED = "unseen", "timed out", "unobserved"
COLUMNS = (UNSEEN, *(phase.value for phase in Phase), TIMED_OUT, UNOBSERVED)
"""Every word a board counts by, in the order of a life."""


@frozen
class Change:
    """A workflow that looks different from the last look."""

    id: int
    was: Phase | None
    """None at the first look."""
    now: Phase
    state: str
    step: str | None


@frozen
class Ending:
    """How the wait for one workflow ended."""

    id: int
    outcome: str
    """A phase's word, `timed out` or `unobserved`."""
    workflow: Workflow | None = field(default=None, repr=False)
    """The last record seen."""
    error: str | None = None

    @property
    def code(self) -> Exit:
        """What it means for the exit code."""
        if self.outcome == UNOBSERVED:
            return Exit.SERVER
        return Exit.DONE if self.outcome == Phase.SUCCEEDED.value else Exit.FAILED


def left(workflow: Workflow) -> Ending:
    """The ending of a wait that returned a record."""
    return Ending(workflow.id, workflow.phase.value, workflow)


def late(id: int, last: Workflow | None) -> Ending:
    """The ending of a wait whose deadline passed."""
    return Ending(id, TIMED_OUT, last, "the deadline passed first")


def broken(id: int, error: WorkflowAsyncError, last: Workflow | None) -> Ending:
    """The ending of a wait that raised."""
    outcome = Phase.PARKED.value if isinstance(error, WorkflowParked) else UNOBSERVED
    return Ending(id, outcome, last, str(error))


@define(eq=False)
class Board:
    """The workflows of one system that are waited for, by what was last seen of them."""

    name: str
    expected: int
    seen: dict[int, Workflow] = field(factory=dict, init=False, repr=False)
    endings: dict[int, Ending] = field(factory=dict, init=False, repr=False)

    def saw(self, workflow: Workflow) -> Change | None:
        """Take a look into account; what it changed, if anything."""
        last = self.seen.get(workflow.id)
        self.seen[workflow.id] = workflow
        if last is not None and (last.state_text, last.step) == (workflow.state_text, workflow.step):
            return None
        was = last.phase if last is not None else None
        return Change(workflow.id, was, workflow.phase, workflow.state_text, workflow.step)

    def ended(self, ending: Ending) -> None:
        """Take an ending into account."""
        self.endings[ending.id] = ending

    @property
    def counts(self) -> dict[str, int]:
        """How many stand where, by the words of `COLUMNS`."""
        going = Counter(workflow.phase.value for id, workflow in self.seen.items() if id not in self.endings)
        counted = going + Counter(ending.outcome for ending in self.endings.values())
        counted[UNSEEN] = max(0, self.expected - counted.total())
        return {word: counted[word] for word in COLUMNS if counted[word]}
