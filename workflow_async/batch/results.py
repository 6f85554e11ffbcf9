"""The results of a batch: one frozen record for each start, always with `key`, `id` and `succeeded`."""

from typing import Generic, TypeVar

from attrs import field, frozen

from workflow_async._records.record import Record
from workflow_async.batch.reconcile import Ambiguous, NoStartFound
from workflow_async.batch.tickets import Ticket
from workflow_async.errors import CallError, InvalidArgument, StartConflict, StartOutcomeUnknown
from workflow_async.monitor.events import Outcome
from workflow_async.phase import Workflow

W_co = TypeVar("W_co", bound=Workflow, covariant=True)


@frozen(kw_only=True)
class Completed(Record, Generic[W_co]):
    """The workflow was started and watched. `outcome` is what `workflows.wait_all` returns for it."""

    key: str
    ticket: Ticket
    outcome: Outcome[W_co]

    @property
    def id(self) -> int:
        """The workflow's id."""
        return self.outcome.id

    @property
    def workflow(self) -> W_co | None:
        """The last record. None if there was none."""
        return self.outcome.workflow

    @property
    def succeeded(self) -> bool:
        """True if the workflow ended in SUCCEEDED."""
        return self.outcome.succeeded


@frozen(kw_only=True)
class AlreadyDone(Record):
    """The workflow ended in an earlier run of the same journal. No request was sent for it."""

    key: str
    ticket: Ticket
    id: int
    word: str
    """How the workflow ended: the value of a phase, `vanished` or `replaced`."""

    @property
    def succeeded(self) -> bool:
        """True if the workflow ended in SUCCEEDED."""
        return self.word == "succeeded"


@frozen(kw_only=True)
class NotStarted(Record):
    """The start never reached the server. Another run starts it.

    `error` is the cause: no connection, a long outage, or a failed check before the start.
    """

    key: str
    error: CallError
    ticket: Ticket | None = None
    id: None = field(default=None, init=False)
    succeeded: bool = field(default=False, init=False)


@frozen(kw_only=True)
class Rejected(Record):
    """The server or this library rejected the start, so nothing was started. Another run sends it again."""

    key: str
    error: CallError | InvalidArgument
    ticket: Ticket | None = None
    """None for arguments that cannot be sent, and for an item that is not a start."""
    id: None = field(default=None, init=False)
    succeeded: bool = field(default=False, init=False)


@frozen(kw_only=True)
class Conflicted(Record):
    """Another workflow is active on the event, so nothing was started. Another run sends the start again.

    This is also the result for `on_conflict="raise"`, because an exception would end all other starts.
    """

    key: str
    error: StartConflict
    ticket: Ticket
    id: None = field(default=None, init=False)
    succeeded: bool = field(default=False, init=False)


@frozen(kw_only=True)
class Skipped(Record):
    """Nothing was started. The event has an active workflow, or the same key came before in the batch."""

    key: str
    ticket: Ticket
    why: str
    id: None = field(default=None, init=False)
    succeeded: bool = field(default=False, init=False)


@frozen(kw_only=True)
class OutcomeUnknown(Record, Generic[W_co]):
    """The start may or may not have happened, and the search for it did not decide.

    The start is not sent again unless `start_unknown_again` is True.
    """

    key: str
    ticket: Ticket
    search_result: NoStartFound | Ambiguous[W_co] | None
    """What the search found. None if the search failed."""
    error: StartOutcomeUnknown | CallError | InvalidArgument | None = None
    """The error of the start or of the search. None if another process sent the start."""
    id: None = field(default=None, init=False)
    succeeded: bool = field(default=False, init=False)

    @property
    def why(self) -> str:
        """What is known, in one sentence."""
        if isinstance(self.search_result, NoStartFound):
            found = f"{self.search_result.checks} checks in {self.search_result.observed_for:.0f} s did not find it"
        else:
            found = self.search_result.why if self.search_result is not None else "the search for it failed"
        return found if self.error is None else f"{found} ({self.error})"


Result = Completed[W_co] | AlreadyDone | NotStarted | Rejected | Conflicted | Skipped | OutcomeUnknown[W_co]
