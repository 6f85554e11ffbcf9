"""What watching tells: changes on the way, and one outcome a workflow. Frozen records."""

from datetime import datetime
from typing import Generic, TypeVar

from attrs import field, frozen

from workflow_async.errors import CallError
from workflow_async.phase import Phase, Workflow

W_co = TypeVar("W_co", bound=Workflow, covariant=True)


@frozen(kw_only=True)
class OperationChange:
    """An operation that went from one state to another, rebuilt from a snapshot taken later."""

    operation: str
    position: int
    """Its place in the workflow, from 0."""
    was: str | None
    now: str
    at: datetime | None = None
    """When, by the server's clock; None where the snapshot does not say."""


@frozen(kw_only=True)
class Change(Generic[W_co]):
    """A workflow that looks different from the last look; the first look is a change from None."""

    workflow: W_co
    was: Phase | None
    now: Phase
    seen_at: datetime
    """When we saw it, by our clock, UTC."""
    operations: tuple[OperationChange, ...] = ()
    """Every transition of an operation since the last look, where operations are watched."""
    key: str = ""
    """System, server, workflow and what was seen. Two processes that see the same thing give the same key.

    A receiver that drops repeats by it loses no end. A state that comes back, such as running after a pause, has the
    key it had before, unless operations are watched.
    """

    @property
    def id(self) -> int:
        """The workflow's id."""
        return self.workflow.id


@frozen(kw_only=True)
class Stalled(Generic[W_co]):
    """A workflow whose step takes longer than `stalled_after` allows. Told once a step."""

    workflow: W_co
    seen_at: datetime
    seconds: float
    """How long nothing has changed."""
    usual: float | None
    """The usual length of the step in seconds. None if nothing was learned of it yet."""
    key: str = ""
    remedied: bool = False
    """Whether the watch has had the server retry it, as it was told to."""

    @property
    def id(self) -> int:
        """The workflow's id."""
        return self.workflow.id


@frozen(kw_only=True)
class Finished(Generic[W_co]):
    """The workflow ended; `succeeded` says whether well."""

    workflow: W_co

    @property
    def id(self) -> int:
        """The workflow's id."""
        return self.workflow.id

    @property
    def succeeded(self) -> bool:
        """Whether it ended in SUCCEEDED."""
        return self.workflow.phase is Phase.SUCCEEDED


@frozen(kw_only=True)
class Parked(Generic[W_co]):
    """The workflow needs a person, and the watch was told to leave it then."""

    workflow: W_co
    succeeded: bool = field(default=False, init=False)

    @property
    def id(self) -> int:
        """The workflow's id."""
        return self.workflow.id


@frozen(kw_only=True)
class ConditionMet(Generic[W_co]):
    """The workflow came to what `until` asks for, before its end."""

    workflow: W_co
    succeeded: bool = field(default=True, init=False)

    @property
    def id(self) -> int:
        """The workflow's id."""
        return self.workflow.id


@frozen(kw_only=True)
class Vanished(Generic[W_co]):
    """The server itself says that it does not know the workflow (any more): 404 several times over minutes."""

    id: int
    error: CallError
    """The last 404."""
    workflow: W_co | None = None
    """The last record, if it was ever seen."""
    key: str = ""
    succeeded: bool = field(default=False, init=False)


@frozen(kw_only=True)
class TimedOut(Generic[W_co]):
    """The deadline passed first."""

    id: int
    workflow: W_co | None = None
    succeeded: bool = field(default=False, init=False)


@frozen(kw_only=True)
class PollingFailed(Generic[W_co]):
    """Checks failed for too long, or were refused before the workflow was ever seen: its state is not known."""

    id: int
    error: CallError
    workflow: W_co | None = None
    key: str = ""
    succeeded: bool = field(default=False, init=False)


@frozen(kw_only=True)
class Replaced(Generic[W_co]):
    """The id belongs to another workflow now, for example after a database was restored.

    How the watched workflow ended is not known. The record in `found` differs from it in what never changes: the event
    or the definition in Opencast, the context or the definition in Preservica.
    """

    id: int
    workflow: W_co | None
    """The last record of the watched workflow. None if only its start was answered."""
    found: W_co
    """The record that has the id now."""
    key: str = ""
    succeeded: bool = field(default=False, init=False)


Outcome = (
    Finished[W_co]
    | Parked[W_co]
    | ConditionMet[W_co]
    | Vanished[W_co]
    | TimedOut[W_co]
    | PollingFailed[W_co]
    | Replaced[W_co]
)
