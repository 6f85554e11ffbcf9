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
from collections.abc import Mapping
from datetime import datetime
from itertools import pairwise
from typing import Any, Literal, Self

from attrs import field, frozen

from workflow_async import phase
from workflow_async._records.record import Record
from workflow_async._records.spans import seconds_between
from workflow_async.opencast.operation_records import Operation, OperationState, failure_text
from workflow_async.phase import Phase

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


ERROR_RESOLUTION = "error-resolution"
"""The operation that the server inserts before a failed operation whose retry strategy is `hold`."""


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
            return " ".join(failure_text(held).split())
        failed = self.failed_operation
        if failed is None or self.state is not State.FAILED:
            return None
        text = failure_text(failed)
        if self.error_handler is not None:
            origin = f' of "{self.title}"' if self.title.strip() else ""
            text = f"{text}{origin}, then the error handler {self.error_handler} ran"
        return " ".join(text.split())
