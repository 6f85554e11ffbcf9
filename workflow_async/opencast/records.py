"""What Opencast's External API speaks of, as frozen records (contract: opencast.md 5 and 8).

A field the answer does not carry is None where that means "not asked for" or "not known yet", else its empty value.
`extra` holds whatever the server sent beyond the fields known here.

An optional value that cannot be read counts as absent: it is None, or else empty. `extra` then holds it as it came,
under the server's key. Required are the id, the state and the event of a workflow, the name and the state of an
operation, and the id of anything else.
"""

import enum
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Self

from attrs import field, frozen

from workflow_async.phase import Phase


class State(enum.Enum):
    """Where a workflow stands. `failing` runs its error handler and ends in `failed`."""

    phase: Phase
    """The same in the words both systems share."""

    INSTANTIATED = "instantiated", Phase.WAITING
    RUNNING = "running", Phase.RUNNING
    PAUSED = "paused", Phase.PARKED
    FAILING = "failing", Phase.RUNNING
    SUCCEEDED = "succeeded", Phase.SUCCEEDED
    FAILED = "failed", Phase.FAILED
    STOPPED = "stopped", Phase.STOPPED
    UNKNOWN = "unknown", Phase.UNKNOWN
    """A word not known here; the record keeps it."""

    def __new__(cls, word: str, phase: Phase) -> Self:
        """A member whose value is the server's word."""
        member = object.__new__(cls)
        member._value_, member.phase = word, phase
        return member

    @classmethod
    def read(cls, text: str) -> Self:
        """The member for a word, in any case; UNKNOWN for one that is not known here."""
        return cls.__members__.get(text.upper(), cls["UNKNOWN"])


class OperationState(enum.Enum):
    """Where an operation of a workflow stands."""

    INSTANTIATED = "instantiated"
    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    RETRY = "retry"
    UNKNOWN = "unknown"

    @classmethod
    def read(cls, text: str) -> Self:
        """The member for a word, in any case; UNKNOWN for one that is not known here."""
        return cls.__members__.get(text.upper(), cls["UNKNOWN"])

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self in {OperationState.SUCCEEDED, OperationState.FAILED, OperationState.SKIPPED}


@frozen(kw_only=True)
class Operation:
    """One operation of a workflow, in the order of execution; the list changes while the workflow runs."""

    operation: str
    """Its name, such as `encode`; not unique within a workflow."""
    state: OperationState
    state_text: str
    id: int | None = None
    """None before its job exists; changes with a retry."""
    description: str = ""
    start: datetime | None = None
    completion: datetime | None = None
    """Only of succeeded and failed ones; after a retry `start` may be the later."""
    time_in_queue: int | None = None
    """Milliseconds; None until known."""
    host: str = ""
    if_: str = ""
    unless: str = ""
    """Opencast <= 11 only."""
    fail_workflow_on_error: bool | None = True
    """None if it cannot be read. The same holds for `max_attempts` and `failed_attempts`."""
    error_handler_workflow: str = ""
    retry_strategy: str = ""
    """`none`, `retry` or `hold`."""
    max_attempts: int | None = 1
    """-1 is without end."""
    failed_attempts: int | None = 0
    configuration: Mapping[str, str] = field(factory=dict, hash=False)
    extra: Mapping[str, Any] = field(factory=dict, hash=False, repr=False)


@frozen(kw_only=True)
class Workflow:
    """A workflow (instance) of Opencast."""

    id: int
    state: State
    state_text: str
    """The server's own word, lower case."""
    title: str = ""
    description: str = ""
    definition: str = ""
    """Its definition's id; becomes the error handler's when that takes over."""
    event: str
    creator: str | None = None
    """A user name; on Opencast 6 and 7 a display name."""
    created: datetime | None = None
    """When it was made. Only `for_event` and `reconcile` of Opencast 12 and later say it, else None."""
    operations: tuple[Operation, ...] | None = None
    """None unless asked for."""
    configuration: Mapping[str, str] | None = field(default=None, hash=False)
    """None unless asked for; holds everything ever configured for the event, not only what the start sent."""
    extra: Mapping[str, Any] = field(factory=dict, hash=False, repr=False)

    @property
    def phase(self) -> Phase:
        """Where it stands, in the words both systems share."""
        return self.state.phase

    @property
    def current(self) -> Operation | None:
        """The first operation that is not over, if operations were asked for."""
        return next((operation for operation in self.operations or () if not operation.state.over), None)

    @property
    def step(self) -> str | None:
        """The current operation's name."""
        return self.current.operation if self.current is not None else None


@frozen(kw_only=True)
class OperationDefinition:
    """One operation of a definition."""

    operation: str
    description: str = ""
    if_: str = ""
    unless: str = ""
    fail_workflow_on_error: bool | None = True
    """None if it cannot be read. The same holds for `max_attempts`."""
    error_handler_workflow: str = ""
    retry_strategy: str = ""
    max_attempts: int | None = 1
    """-1 is without end."""
    configuration: Mapping[str, str] = field(factory=dict, hash=False)
    extra: Mapping[str, Any] = field(factory=dict, hash=False, repr=False)


@frozen(kw_only=True)
class Definition:
    """A workflow definition that the user may start."""

    id: str
    title: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    configuration_panel: str | None = None
    """HTML; None unless asked for, "" if there is none."""
    configuration_panel_json: str | None = None
    """JSON as text; None unless asked for and on servers before 14.0, "" if there is none."""
    operations: tuple[OperationDefinition, ...] | None = None
    """None unless asked for."""
    extra: Mapping[str, Any] = field(factory=dict, hash=False, repr=False)


@frozen(kw_only=True)
class Event:
    """An event as the list of events shows it: how discovery works where workflows cannot be listed."""

    id: str
    title: str = ""
    status: str = ""
    """A key such as `EVENTS.EVENTS.STATUS.PROCESSING`."""
    processing_state: State | None = None
    """The state of the event's latest workflow; None if it has none. Says nothing of which workflow that is."""
    created: datetime | None = None
    series: str = ""
    extra: Mapping[str, Any] = field(factory=dict, hash=False, repr=False)


@frozen(kw_only=True)
class Version:
    """The versions of the External API that a server speaks, such as `v1.11.0`."""

    default: str
    versions: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(factory=dict, hash=False, repr=False)

    @property
    def number(self) -> tuple[int, ...]:
        """The default as numbers, such as (1, 11, 0)."""
        return tuple(int(part) for part in self.default.removeprefix("v").split(".") if part.isdigit())

    @property
    def lists_workflows(self) -> bool:
        """Whether workflows can be listed: up to API 1.7.0, that is Opencast 11 (contract: opencast.md 0)."""
        return self.number <= (1, 7, 0)


@frozen(kw_only=True)
class Me:
    """The user the server takes us for."""

    username: str
    name: str = ""
    email: str = ""
    provider: str = ""
    userrole: str = ""
    extra: Mapping[str, Any] = field(factory=dict, hash=False, repr=False)
