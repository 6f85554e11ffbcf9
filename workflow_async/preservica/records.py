"""The records of Preservica's workflow services, all frozen. See tests/contract/preservica.md, sections 2 and 3.

A field that is absent from the response is None. `extra` holds everything else in the response as a tree of dicts,
lists and texts, so nothing is lost.

An optional value that cannot be read counts as absent. It is then None or empty, and `extra` holds the raw value under
the server's name. Required are the id and the state of a workflow, and the id of any other record.
"""

import enum
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Self

from attrs import field, frozen

from workflow_async import phase
from workflow_async._records.record import Record
from workflow_async._records.spans import seconds_between
from workflow_async.phase import Phase


class State(enum.Enum):
    """The state of a workflow. Its value is the spelling in queries. An unknown word reads as UNKNOWN."""

    phase: Phase
    """The same in the terms that both systems share."""

    PENDING = "Pending", Phase.WAITING
    """Not started. Some contexts wait until a person clicks Continue."""
    ACTIVE = "Active", Phase.RUNNING
    SUSPENDING = "Suspending", Phase.RUNNING
    SUSPENDED = "Suspended", Phase.PARKED
    """Waits for a person or a retry."""
    COMPLETED = "Completed", Phase.SUCCEEDED
    FINISHED_MIXED_OUTCOME = "Finished_Mixed_Outcome", Phase.PARTIAL
    """Ended, with some items failed."""
    FAILED = "Failed", Phase.FAILED
    ABORTED = "Aborted", Phase.STOPPED
    CANCELLED = "Cancelled", Phase.STOPPED
    UNKNOWN = "Unknown", Phase.UNKNOWN

    def __new__(cls, word: str, phase: Phase) -> Self:
        """Return a member whose value is the spelling in queries."""
        member = object.__new__(cls)
        member._value_, member.phase = word, phase
        return member

    @classmethod
    def named(cls, word: str) -> "State | None":
        """Return the state of this name, in any case and with spaces for underscores. None if there is none."""
        return cls.__members__.get("_".join(word.split()).upper())

    @classmethod
    def read(cls, word: str) -> "State":
        """Return the state for a word of the server."""
        return cls.named(word) or cls.UNKNOWN


@frozen(kw_only=True)
class Context(Record):
    """A workflow context: a configured, active definition that can be started."""

    id: str
    name: str = ""
    raw: bytes | None = field(default=None, eq=False, repr=False)
    """What the server sent: the element of the row. None unless `keep_raw` requested it."""
    extra: Mapping[str, Any] = field(factory=dict, hash=False, repr=False)


@frozen(kw_only=True)
class Workflow(Record, phase.Workflow):
    """A workflow (instance) of Preservica. Only `id` and `state` are always present."""

    id: int  # pyright: ignore[reportIncompatibleMethodOverride]
    state: State
    state_text: str  # pyright: ignore[reportIncompatibleMethodOverride]
    """The server's own word for the state."""
    display_state: str | None = None
    """The state for people."""
    correlation_id: str | None = None
    """The mark of the start, if the server returns it (`CorrelationToken`)."""
    started: datetime | None = None
    finished: datetime | None = None
    current_step: str | None = None
    """The current step of an active workflow."""
    context_id: str | None = None
    context_name: str | None = None
    definition_id: str | None = None
    """Such as `com.preservica.core.workflow.ingest`."""
    definition_name: str | None = None
    creator: str | None = None
    archival_process_id: str | None = None
    group_id: str | None = None
    """Identifies its page in the user interface: `/sdb/workflowProgress.html?wkId=<group_id>`."""
    monitor_id: str | None = None
    """Most likely the id of its process monitor (`ProcessMonitorApiId`). See `client.monitors`."""
    raw: bytes | None = field(default=None, eq=False, repr=False)
    """What the server sent: the XML of the response, or the element of the row. None unless `keep_raw` requested it.

    The prefixes of an element may be declared in the rest of the response only.
    """
    extra: Mapping[str, Any] = field(factory=dict, hash=False, repr=False)
    """Includes, after `get`, what the server says about errors."""

    @property
    def phase(self) -> Phase:
        """The state in the terms that both systems share."""
        return self.state.phase

    @property
    def duration(self) -> float | None:
        """Seconds from `started` to `finished`. None if they are not known.

        Records of Preservica do not say how long a workflow waited, so there is no `queued` as in Opencast.
        """
        return seconds_between(self.started, self.finished)

    @property
    def step(self) -> str | None:
        """The step that the workflow is in, or failed or was stopped in. None if it succeeded or none is known."""
        return None if self.phase in {Phase.SUCCEEDED, Phase.PARTIAL} else self.current_step


@frozen(kw_only=True)
class Started(Record):
    """A start that the server has accepted."""

    id: int | None
    """The new workflow's id. None if the server did not return one."""
    correlation_id: str
    """The mark of the start."""
    workflow: Workflow | None = None
    """The new workflow. None if the response does not show it."""


@frozen
class AcceptedCounts(Record):
    """How many workflows a retry or a terminate was accepted for, and how many not. 0 if the server does not count."""

    successful: int = 0
    failed: int = 0


@frozen(kw_only=True)
class Process(Record):
    """A configured source that is ingested automatically or on demand."""

    id: str
    name: str = ""
    description: str = ""
    type: str = ""
    """Such as `OPEX`, `S3` or `SFTP`."""
    active: bool | None = None
    trigger: Mapping[str, Any] = field(factory=dict, hash=False)
    """Such as `{"type": "Manual"}`."""
    extra: Mapping[str, Any] = field(factory=dict, hash=False, repr=False)


MONITOR_PHASES = {
    "pending": Phase.WAITING,
    "running": Phase.RUNNING,
    "succeeded": Phase.SUCCEEDED,
    "failed": Phase.FAILED,
    "suspended": Phase.PARKED,
    "recoverable": Phase.PARKED,
}
"""The phase of a process by the status of its monitor."""


@frozen(kw_only=True)
class Monitor(Record):
    """A server's process monitor, which shows one logical process such as the ingest of one OPEX.

    It is Preservica's own record and has nothing to do with `workflow_async.monitor`. A process may take several
    workflows. The id may change with a release of Preservica, so keep the name and not the id.
    """

    id: str
    name: str = ""
    status: str = ""
    """`Pending`, `Running`, `Succeeded`, `Failed`, `Suspended` or `Recoverable`."""
    category: str = ""
    subcategory: str = ""
    started: datetime | None = None
    completed: datetime | None = None
    progress_text: str = ""
    percent_complete: str = ""
    """A text as the server sends it. Often empty."""
    files_pending: int | None = None
    files_processed: int | None = None
    size: int | None = None
    warnings: int | None = None
    errors: int | None = None
    can_retry: bool | None = None
    extra: Mapping[str, Any] = field(factory=dict, hash=False, repr=False)

    @property
    def duration(self) -> float | None:
        """Seconds from `started` to `completed`. None if they are not known."""
        return seconds_between(self.started, self.completed)

    @property
    def phase(self) -> Phase:
        """The status in the terms of workflows. `Suspended` and `Recoverable` processes need a person."""
        return MONITOR_PHASES.get(self.status.strip().lower(), Phase.UNKNOWN)


@frozen(kw_only=True)
class Message(Record):
    """A message of a process."""

    id: str
    monitor_id: str = ""
    monitor_name: str = ""
    workflow_id: int | None = None
    """The workflow that sent it."""
    workflow_name: str = ""
    path: str = ""
    date: datetime | None = None
    status: str = ""
    """`Debug`, `Info`, `Warning` or `Error`."""
    message: str = ""
    """A key and its arguments, such as `monitor.info.directory.skip|{...}`."""
    display_message: str = ""
    """The message for people."""
    security_descriptor: str | None = None
    entity_title: str | None = None
    entity_ref: str | None = None
    source_id: str | None = None
    extra: Mapping[str, Any] = field(factory=dict, hash=False, repr=False)
