"""What a batch tells of each of its starts: one frozen record each, all with `key`, `id` and `succeeded`."""

from typing import Generic, TypeVar

from attrs import field, frozen

from workflow_async.batch.reconcile import Ambiguous, NoStartFound
from workflow_async.batch.tickets import Ticket
from workflow_async.errors import CallError, InvalidArgument, StartConflict, StartOutcomeUnknown
from workflow_async.monitor.events import Outcome
from workflow_async.phase import Workflow

W_co = TypeVar("W_co", bound=Workflow, covariant=True)


@frozen(kw_only=True)
class Completed(Generic[W_co]):
    """It was started and watched; `outcome` is what `workflows.wait_all` would say of it."""

    key: str
    ticket: Ticket
    outcome: Outcome[W_co]

    @property
    def id(self) -> int:
        """The workflow's id."""
        return self.outcome.id

    @property
    def workflow(self) -> W_co | None:
        """The last record; None if it was never seen."""
        return self.outcome.workflow

    @property
    def succeeded(self) -> bool:
        """Whether it ended in SUCCEEDED."""
        return self.outcome.succeeded


@frozen(kw_only=True)
class AlreadyDone:
    """It ended in an earlier run of the same journal; the server was not asked again."""

    key: str
    ticket: Ticket
    id: int
    word: str
    """How it ended: a phase's word, `vanished` or `replaced`."""

    @property
    def succeeded(self) -> bool:
        """Whether it ended in SUCCEEDED."""
        return self.word == "succeeded"


@frozen(kw_only=True)
class NotStarted:
    """The start never reached the server, and another run starts it.

    `error` is what kept it: no connection, an outage that lasted, or the check before the start.
    """

    key: str
    error: CallError
    ticket: Ticket | None = None
    id: None = field(default=None, init=False)
    succeeded: bool = field(default=False, init=False)


@frozen(kw_only=True)
class Rejected:
    """The server, or this library, refused the start: nothing was started; another run asks again."""

    key: str
    error: CallError | InvalidArgument
    ticket: Ticket | None = None
    """None for arguments that cannot be sent, and for an item that is no start."""
    id: None = field(default=None, init=False)
    succeeded: bool = field(default=False, init=False)


@frozen(kw_only=True)
class Conflicted:
    """Another workflow is active on the event, so nothing was started; another run asks again.

    A batch tells this for `on_conflict="raise"` too: an exception would end all other starts.
    """

    key: str
    error: StartConflict
    ticket: Ticket
    id: None = field(default=None, init=False)
    succeeded: bool = field(default=False, init=False)


@frozen(kw_only=True)
class Skipped:
    """Nothing was started, as was asked for: the event is busy, or the same key came before in the same batch."""

    key: str
    ticket: Ticket
    why: str
    id: None = field(default=None, init=False)
    succeeded: bool = field(default=False, init=False)


@frozen(kw_only=True)
class OutcomeUnknown(Generic[W_co]):
    """The start may or may not have happened, and the search for it did not tell.

    It is not sent again, unless `run_all` is told to by `start_unknown_again`.
    """

    key: str
    ticket: Ticket
    search_result: NoStartFound | Ambiguous[W_co] | None
    """None if it could not even be looked for."""
    error: StartOutcomeUnknown | CallError | InvalidArgument | None = None
    """What happened to the start, or to the search; None if another process sent it."""
    id: None = field(default=None, init=False)
    succeeded: bool = field(default=False, init=False)

    @property
    def why(self) -> str:
        """What is known, in a sentence."""
        if isinstance(self.search_result, NoStartFound):
            seen = f"{self.search_result.checks} looks in {self.search_result.observed_for:.0f} s did not see it"
        else:
            seen = self.search_result.why if self.search_result is not None else "it could not be looked for"
        return seen if self.error is None else f"{seen} ({self.error})"


Result = Completed[W_co] | AlreadyDone | NotStarted | Rejected | Conflicted | Skipped | OutcomeUnknown[W_co]
