"""The records of Opencast's External API, all frozen. See tests/contract/opencast.md, sections 5 and 8.

A field that is absent from the response is None if that means "not requested" or "not known yet". Otherwise it has its
empty value. `extra` holds every other key of the response. The documentation of the API lists `tags` and
`configuration_panel` for workflows too. No known server sends them there, so they have no field. If a server sends
them, `extra` holds them.

An optional value that cannot be read counts as absent. It is then None or empty, and `extra` holds the raw value under
the server's key. Required are the id, the state and the event of a workflow, the name and the state of an operation,
and the id of any other record.
"""

import enum
from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, Self

from attrs import field, frozen

from workflow_async import phase
from workflow_async._records.record import Record
from workflow_async._records.spans import seconds_between
from workflow_async.phase import Phase

if TYPE_CHECKING:
    from workflow_async._core.call import ParameterValue
    from workflow_async.opencast.panel import Option


Source = Literal["list", "event", "known"]
"""Where a listing has found a workflow: the list of workflows, its event, or the ids that this client has started."""


class State(enum.Enum):
    """The state of a workflow. A `failing` workflow runs its error handler and ends as `failed`."""

    phase: Phase
    """The same in the terms that both systems share."""

    INSTANTIATED = "instantiated", Phase.WAITING
    RUNNING = "running", Phase.RUNNING
    PAUSED = "paused", Phase.PARKED
    FAILING = "failing", Phase.RUNNING
    SUCCEEDED = "succeeded", Phase.SUCCEEDED
    FAILED = "failed", Phase.FAILED
    STOPPED = "stopped", Phase.STOPPED
    UNKNOWN = "unknown", Phase.UNKNOWN
    """A state that this library does not know. `state_text` holds it."""

    def __new__(cls, word: str, phase: Phase) -> Self:
        """Return a member whose value is the server's word."""
        member = object.__new__(cls)
        member._value_, member.phase = word, phase
        return member

    @classmethod
    def read(cls, text: str) -> Self:
        """Return the member for a word in any case. UNKNOWN for a word that is not known."""
        return cls.__members__.get(text.upper(), cls["UNKNOWN"])


class OperationState(enum.Enum):
    """The state of an operation of a workflow."""

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
        """Return the member for a word in any case. UNKNOWN for a word that is not known."""
        return cls.__members__.get(text.upper(), cls["UNKNOWN"])

    @property
    def final(self) -> bool:
        """True if the operation has ended."""
        return self in {OperationState.SUCCEEDED, OperationState.FAILED, OperationState.SKIPPED}


STARTED_STATES = frozenset(
    {
        OperationState.RUNNING,
        OperationState.PAUSED,
        OperationState.SUCCEEDED,
        OperationState.FAILED,
        OperationState.RETRY,
    }
)
"""States of an operation that has run at least once."""


ERROR_RESOLUTION = "error-resolution"
"""The operation that the server inserts before a failed operation whose retry strategy is `hold`."""


@frozen(kw_only=True)
class Operation(Record):
    """One operation of a workflow.

    Operations are in the order of execution. Their list changes while the workflow runs.
    """

    operation: str
    """The name, such as `encode`. Not unique within a workflow."""
    state: OperationState
    state_text: str
    id: int | None = None
    """None before its job exists. Changes with a retry."""
    description: str = ""
    start: datetime | None = None
    completion: datetime | None = None
    """Only for succeeded and failed operations. After a retry `start` may be later than it."""
    time_in_queue: int | None = None
    """Milliseconds. None until known."""
    host: str = ""
    if_: str = ""
    unless: str = ""
    """Opencast 11 and earlier only."""
    fail_workflow_on_error: bool | None = True
    """None if it cannot be read. The same holds for `max_attempts` and `failed_attempts`."""
    error_handler_workflow: str = ""
    retry_strategy: str = ""
    """`none`, `retry` or `hold`."""
    max_attempts: int | None = 1
    """-1 means unlimited."""
    failed_attempts: int | None = 0
    configuration: Mapping[str, str] = field(factory=dict, hash=False)
    extra: Mapping[str, Any] = field(factory=dict, hash=False, repr=False)

    @property
    def duration(self) -> float | None:
        """Seconds from `start` to `completion`, without the time in the queue. None if they are not known.

        Also None if `start` is later than `completion`, as while a retry runs. After a retry it is the duration of the
        last attempt.
        """
        return seconds_between(self.start, self.completion)

    @property
    def queued(self) -> float | None:
        """Seconds in the queue before the start: `time_in_queue` in seconds. None until known.

        Newer servers write a `time_in_queue` of 0 if it is not known. See tests/contract/opencast.md, section 4.3.
        """
        return self.time_in_queue / 1000 if self.time_in_queue else None

    @property
    def has_run(self) -> bool:
        """True if the operation has run. A skipped operation has never run, although servers give it a start."""
        started = self.start is not None and self.state is not OperationState.SKIPPED
        return started or self.state in STARTED_STATES


@frozen(kw_only=True)
class Workflow(Record, phase.Workflow):
    """A workflow (instance) of Opencast."""

    id: int  # pyright: ignore[reportIncompatibleMethodOverride]
    state: State
    state_text: str  # pyright: ignore[reportIncompatibleMethodOverride]
    """The server's own word in lower case."""
    title: str = ""
    description: str = ""
    definition_id: str = ""
    """Id of the definition. Becomes the error handler's id when that takes over. See `error_handler`."""
    event_id: str
    creator: str | None = None
    """A user name. On Opencast 6 and 7 a display name."""
    created: datetime | None = None
    """When the workflow was created. None except from `for_event`, `reconcile` and listings by events.

    These are on Opencast 12 and later.
    """
    location: str | None = field(default=None, eq=False)
    """The URL of the new workflow, as the server wrote it in its response to `start`. None in all other records.

    It may name a host that only the server knows. It does not count when records are compared.
    """
    source: Source | None = field(default=None, eq=False)
    """From where a listing or `for_event` has the record: "list", "event" or "known". See `workflows.list`.

    None in other records.

    It does not count when records are compared.
    """
    superseded_by: int | None = field(default=None, eq=False)
    """The id of the workflow that was created next on the same event. None if there is none or it is not known.

    It is known where the workflows of an event are read together: in `for_event`, and in listings of Opencast 12 and
    later. With `source="known"` only the workflows that this client has started count. It does not count when records
    are compared.
    """
    operations: tuple[Operation, ...] | None = None
    """None unless requested."""
    configuration: Mapping[str, str] | None = field(default=None, hash=False)
    """None unless requested. Holds everything ever configured for the event, not only what the start sent."""
    raw: Mapping[str, Any] | None = field(default=None, eq=False, repr=False)
    """What the server sent: the object of the response, or that of the row. None unless `keep_raw` requested it."""
    extra: Mapping[str, Any] = field(factory=dict, hash=False, repr=False)
    """Every other key of the response, such as the documented `tags` and `configuration_panel`, if a server sends them.
    """

    @property
    def phase(self) -> Phase:
        """The state in the terms that both systems share."""
        return self.state.phase

    @property
    def duration(self) -> float | None:
        """Seconds from the first start of an operation to the last completion.

        None unless the workflow has ended and the operations show both. A retry overwrites the start of its operation.
        """
        if not self.phase.final:
            return None
        ran = [operation for operation in self.operations or () if operation.has_run]
        starts = [operation.start for operation in ran if operation.start is not None]
        completions = [operation.completion for operation in ran if operation.completion is not None]
        return seconds_between(min(starts, default=None), max(completions, default=None))

    @property
    def queued(self) -> float | None:
        """Seconds that the operations were in the queue, together. None if no operation shows it.

        An operation that has not ended does not count, because servers write its time in the queue at its end. `phase`
        says whether the workflow itself still waits to be started.
        """
        known = [operation.queued for operation in self.operations or () if operation.queued is not None]
        return sum(known) if known else None

    @property
    def current(self) -> Operation | None:
        """The operation that the workflow is in or ended in. None if operations were not requested.

        For a failed workflow it is the failed operation. For a stopped workflow, and for a failed workflow without a
        failed operation, it is the last operation that has run. A succeeded workflow has none. For other workflows it
        is the first operation that has not ended.
        """
        operations = self.operations or ()
        if self.state is State.FAILED and self.failed_operation is not None:
            return self.failed_operation
        if self.state in {State.FAILED, State.STOPPED}:
            return next((operation for operation in reversed(operations) if operation.has_run), None)
        if self.state is State.SUCCEEDED:
            return None
        return next((operation for operation in operations if not operation.state.final), None)

    @property
    def step(self) -> str | None:
        """The name of the current operation."""
        return self.current.operation if self.current is not None else None

    @property
    def failed_operation(self) -> Operation | None:
        """The operation that failed. None if no operation failed or operations were not requested.

        If several failed, it is the last one. If a failure has started an error handler, it is the operation that
        failed before that, even if the handler has failed too.
        """
        failed = [operation for operation in self.operations or () if operation.state is OperationState.FAILED]
        handled = (
            operation
            for operation in failed
            if operation.error_handler_workflow and operation.fail_workflow_on_error is not False
        )
        return next(handled, None) or next(reversed(failed), None)

    @property
    def held_operation(self) -> Operation | None:
        """The failed operation that holds the workflow until it is answered. See `workflows.answer`.

        None if there is none or operations were not requested.
        """
        operations = self.operations or ()
        if self.state is not State.PAUSED:
            return None
        resolutions = (
            following
            for operation, following in pairwise(operations)
            if operation.operation == ERROR_RESOLUTION and operation.state is OperationState.PAUSED
        )
        return next(resolutions, None)

    @property
    def error_handler(self) -> str | None:
        """Id of the error handler that has taken over. None if none has or operations were not requested.

        From then on `definition_id` is the handler's id. `title` remains that of the definition that was started.
        """
        failed = self.failed_operation
        handler = "" if failed is None else failed.error_handler_workflow
        return handler if handler and handler == self.definition_id else None

    @property
    def failure(self) -> str | None:
        """A description of which operation failed and how.

        None unless the workflow has failed in a known operation, or is on hold after such a failure.
        """
        held = self.held_operation
        if held is not None:
            return " ".join(_failure_text(held).split())
        failed = self.failed_operation
        if failed is None or self.state is not State.FAILED:
            return None
        text = _failure_text(failed)
        if self.error_handler is not None:
            origin = f' of "{self.title}"' if self.title.strip() else ""
            text = f"{text}{origin}, then the error handler {self.error_handler} ran"
        return " ".join(text.split())


def _failure_text(failed: Operation) -> str:
    """Return the name of an operation that failed, with the known facts about its last attempt."""
    details = ", ".join(_details(failed))
    return f"{failed.operation} ({details})" if details else failed.operation


def _details(failed: Operation) -> Iterator[str]:
    """Yield the known facts about the last attempt of an operation that failed."""
    attempts, limit = failed.failed_attempts or 0, failed.max_attempts or 0
    if attempts > 0:
        yield f"attempt {attempts} of {limit}" if limit >= attempts else f"attempt {attempts}"
    if failed.host:
        yield f"host {failed.host}"


@frozen(kw_only=True)
class OperationDefinition(Record):
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
    """-1 means unlimited."""
    configuration: Mapping[str, str] = field(factory=dict, hash=False)
    extra: Mapping[str, Any] = field(factory=dict, hash=False, repr=False)


@frozen(kw_only=True)
class Definition(Record):
    """A workflow definition that the user may start."""

    id: str
    title: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    configuration_panel: str | None = None
    """HTML. None unless requested. "" if there is none."""
    configuration_panel_json: str | None = None
    """JSON as a text. None unless requested and on servers before 14.0. "" if there is none."""
    operations: tuple[OperationDefinition, ...] | None = None
    """None unless requested."""
    raw: Mapping[str, Any] | None = field(default=None, eq=False, repr=False)
    """What the server sent: the object of the response, or that of the row. None unless `keep_raw` requested it."""
    extra: Mapping[str, Any] = field(factory=dict, hash=False, repr=False)

    @property
    def options(self) -> "tuple[Option, ...]":
        """The options of the configuration panel, in its order. Parsed at each access.

        The JSON panel counts if there is one, otherwise the HTML panel. Empty if no panel was requested, if the panel
        has no options or if it cannot be read. `check` says which.
        """
        from workflow_async.opencast.panel import read_panel

        return read_panel(self.configuration_panel_json, self.configuration_panel).options

    def check(self, configuration: "Mapping[str, ParameterValue]") -> None:
        """Check a configuration against `options`. An empty configuration always fits.

        Opencast itself accepts any key and any value. The operations of a definition may read keys that its panel does
        not show. This check refuses such keys. An option that is marked as required may be left out, because the event
        may hold its value from an earlier workflow.

        Raises:
            InvalidArgument: a key is not an option, a value does not fit the option's type, choices or limits, or the
                panel was not requested or cannot be read.
        """
        from workflow_async.opencast.panel import check_configuration, read_panel

        check_configuration(self.id, read_panel(self.configuration_panel_json, self.configuration_panel), configuration)


@frozen(kw_only=True)
class Event(Record):
    """An event as the list of events shows it. Servers without a list of workflows show busy events here."""

    id: str
    title: str = ""
    status: str = ""
    """A key such as `EVENTS.EVENTS.STATUS.PROCESSING`. See `status` of `EventFilters`."""
    processing_state: State | None = None
    """The state of the event's latest workflow, without its id. None if the event has no workflow.

    None too if the latest workflow was deleted, even if earlier workflows remain.
    """
    created: datetime | None = None
    series: str = ""
    """The id of the series."""
    series_title: str = ""
    start: datetime | None = None
    """The start of the recording."""
    duration: int | None = None
    """Milliseconds. None if unknown."""
    location: str = ""
    presenters: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(factory=dict, hash=False, repr=False)


LAST_API_WITH_LIST = (1, 7, 0)
"""The last version of the External API that lists workflows. It came with Opencast 11.

This is the only version number that the library compares with. All other differences between releases show in the
responses. See tests/contract/opencast.md, section 0.
"""


@frozen(kw_only=True)
class Version(Record):
    """The versions of the External API that a server supports, such as `v1.11.0`."""

    default: str
    versions: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(factory=dict, hash=False, repr=False)

    @property
    def number(self) -> tuple[int, ...]:
        """The default version as numbers, such as (1, 11, 0)."""
        return tuple(int(part) for part in self.default.removeprefix("v").split(".") if part.isdigit())

    @property
    def lists_workflows(self) -> bool:
        """True if workflows can be listed. See `LAST_API_WITH_LIST`."""
        return self.number <= LAST_API_WITH_LIST


@frozen(kw_only=True)
class Me(Record):
    """The user that the server has authenticated."""

    username: str
    name: str = ""
    email: str = ""
    provider: str = ""
    userrole: str = ""
    roles: tuple[str, ...] | None = None
    """The names of all roles. None unless requested."""
    extra: Mapping[str, Any] = field(factory=dict, hash=False, repr=False)


@frozen(kw_only=True)
class Organization(Record):
    """The organization (tenant) that the server has chosen by the host name of the request."""

    id: str
    name: str = ""
    admin_role: str = ""
    """The role of its administrators."""
    anonymous_role: str = ""
    """The role of users without a login."""
    extra: Mapping[str, Any] = field(factory=dict, hash=False, repr=False)
