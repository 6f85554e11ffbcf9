"""The events of watches and the outcomes of waits. Frozen records."""

from datetime import datetime
from typing import Generic, TypeVar

from attrs import field, frozen

from workflow_async._records.record import Record
from workflow_async.errors import CallError
from workflow_async.phase import Phase, Workflow

W_co = TypeVar("W_co", bound=Workflow, covariant=True)


@frozen(kw_only=True)
class OperationChange(Record):
    """A transition of an operation from one state to another, rebuilt from a later record."""

    operation: str
    position: int
    """Position of the operation in the workflow, from 0."""
    was: str | None
    now: str
    at: datetime | None = None
    """The time of the transition by the server's clock. None if the record does not say."""


@frozen(kw_only=True)
class _WithWorkflow(Record, Generic[W_co]):
    """The base class of events and outcomes that hold a record of their workflow."""

    workflow: W_co

    @property
    def id(self) -> int:
        """The workflow's id."""
        return self.workflow.id


@frozen(kw_only=True)
class Change(_WithWorkflow[W_co]):
    """A workflow whose state has changed since the last check. The first check gives a change with `was=None`."""

    was: Phase | None
    now: Phase
    seen_at: datetime
    """When the change was observed, by the clock of this machine, UTC."""
    operations: tuple[OperationChange, ...] = ()
    """Every transition of an operation since the last check, if operations are watched."""
    key: str = ""
    """System, server, workflow and state. Two processes that see the same state give the same key.

    A receiver that drops events with a known key loses no end. If a state comes back, such as running after a pause,
    its key comes back too, unless operations are watched.
    """


@frozen(kw_only=True)
class Stalled(_WithWorkflow[W_co]):
    """A workflow whose step takes longer than `stalled_after` allows. Reported once per step."""

    seen_at: datetime
    seconds: float
    """Seconds since the last change."""
    usual: float | None
    """The usual length of the step in seconds. None until three such steps have been seen."""
    key: str = ""
    remedied: bool = False
    """True if the watch has made the server retry the workflow (`retry_stalled`)."""


@frozen(kw_only=True)
class Finished(_WithWorkflow[W_co]):
    """The workflow has ended."""

    @property
    def succeeded(self) -> bool:
        """True if it ended in the phase `SUCCEEDED`."""
        return self.workflow.phase is Phase.SUCCEEDED


@frozen(kw_only=True)
class Parked(_WithWorkflow[W_co]):
    """The workflow needs a person, and the wait was to end then."""

    succeeded: bool = field(default=False, init=False)


@frozen(kw_only=True)
class ConditionMet(_WithWorkflow[W_co]):
    """The condition `until` was true of a record before the end of the workflow."""

    succeeded: bool = field(default=True, init=False)


@frozen(kw_only=True)
class Vanished(Record, Generic[W_co]):
    """The workflow does not exist, or not any more: the server answered 404 three times over two minutes."""

    id: int
    error: CallError
    """The last 404."""
    workflow: W_co | None = None
    """The last record. None if the workflow was never seen."""
    key: str = ""
    succeeded: bool = field(default=False, init=False)


@frozen(kw_only=True)
class TimedOut(Record, Generic[W_co]):
    """The timeout passed before the workflow had another outcome."""

    id: int
    workflow: W_co | None = None
    succeeded: bool = field(default=False, init=False)


@frozen(kw_only=True)
class PollingFailed(Record, Generic[W_co]):
    """The state of the workflow is not known: checks failed for too long, or were refused before it was ever seen."""

    id: int
    error: CallError
    workflow: W_co | None = None
    key: str = ""
    succeeded: bool = field(default=False, init=False)


@frozen(kw_only=True)
class Replaced(Record, Generic[W_co]):
    """The id belongs to another workflow now, for example after a database was restored.

    How the watched workflow ended is not known. The record in `found` differs from it in a field that never changes.
    In Opencast that is the event or the definition, in Preservica the context or the definition.
    """

    id: int
    workflow: W_co | None
    """The last record of the watched workflow. None if it was not seen since its start."""
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
