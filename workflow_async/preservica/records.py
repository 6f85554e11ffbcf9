"""What Preservica's workflow services speak of, as frozen records (contract: preservica.md 2 and 3).

A field the answer does not carry is None. `extra` holds whatever the server sent beyond the fields known here, as a
tree of dicts, lists and texts: nothing of an answer is thrown away.

An optional value that cannot be read counts as absent: it is None, or else empty. `extra` then holds it as it came,
under the server's name. Required are the id and the state of a workflow, and the id of anything else.
"""

import enum
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Self

from attrs import field, frozen

from workflow_async.phase import Phase


class State(enum.Enum):
    """Where a workflow stands; its value is how a query spells it. A word not known here reads as UNKNOWN."""

    phase: Phase
    """The same in the words both systems share."""

    PENDING = "Pending", Phase.WAITING
    """Not begun; some contexts leave it so until a person clicks Continue."""
    ACTIVE = "Active", Phase.RUNNING
    SUSPENDING = "Suspending", Phase.RUNNING
    SUSPENDED = "Suspended", Phase.PARKED
    """Waits for a person or a retry."""
    COMPLETED = "Completed", Phase.SUCCEEDED
    FINISHED_MIXED_OUTCOME = "Finished_Mixed_Outcome", Phase.PARTIAL
    """It ended, and some of its items failed."""
    FAILED = "Failed", Phase.FAILED
    ABORTED = "Aborted", Phase.STOPPED
    CANCELLED = "Cancelled", Phase.STOPPED
    UNKNOWN = "Unknown", Phase.UNKNOWN

    def __new__(cls, word: str, phase: Phase) -> Self:
        """A member whose value is how a query spells it."""
        member = object.__new__(cls)
        member._value_, member.phase = word, phase
        return member

    @classmethod
    def named(cls, word: str) -> "State | None":
        """The state of this name, in any case and with spaces for underscores."""
        return cls.__members__.get("_".join(word.split()).upper())

    @classmethod
    def read(cls, word: str) -> "State":
        """The state a server's word stands for."""
        return cls.named(word) or cls.UNKNOWN


@frozen(kw_only=True)
class Context:
    """A workflow context: a definition that has been configured, is active, and can be started."""

    id: str
    name: str = ""
    extra: Mapping[str, Any] = field(factory=dict, hash=False, repr=False)


@frozen(kw_only=True)
class Workflow:
    """A workflow (instance) of Preservica. Only `id` and `state` are sure to be there."""

    id: int
    state: State
    state_text: str
    """The server's own word for the state."""
    display_state: str | None = None
    """The state in words for people."""
    correlation_id: str | None = None
    """What the start was marked with, where the server repeats it (`CorrelationToken`)."""
    started: datetime | None = None
    finished: datetime | None = None
    current_step: str | None = None
    """The step it is in, while it is active."""
    context_id: str | None = None
    context_name: str | None = None
    definition_id: str | None = None
    """Such as `com.preservica.core.workflow.ingest`."""
    definition_name: str | None = None
    creator: str | None = None
    archival_process_id: str | None = None
    group_id: str | None = None
    """Names its page in the user interface: `/sdb/workflowProgress.html?wkId=<group_id>`."""
    monitor_id: str | None = None
    """Most likely the id of its process monitor (`ProcessMonitorApiId`); see `client.monitors`."""
    extra: Mapping[str, Any] = field(factory=dict, hash=False, repr=False)
    """Among it, after `get`, what the server says of errors."""

    @property
    def phase(self) -> Phase:
        """Where it stands, in the words both systems share."""
        return self.state.phase

    @property
    def step(self) -> str | None:
        """The step that the workflow is in, or failed or was stopped in. None if it succeeded or none is told."""
        return None if self.phase in {Phase.SUCCEEDED, Phase.PARTIAL} else self.current_step


@frozen(kw_only=True)
class Started:
    """A start that happened."""

    id: int | None
    """The new workflow's id; None if the server did not tell it."""
    correlation_id: str
    """What the start was marked with."""
    workflow: Workflow | None = None
    """The new workflow as the answer shows it; None if the answer is less than that."""


@frozen
class AcceptedCounts:
    """How many workflows a retry or a terminate was accepted for, and how many not, as far as the server counts."""

    successful: int = 0
    failed: int = 0


@frozen(kw_only=True)
class Process:
    """A configured source that is ingested by itself or on demand."""

    id: str
    name: str = ""
    description: str = ""
    type: str = ""
    """Such as `OPEX`, `S3` or `SFTP`."""
    active: bool | None = None
    trigger: Mapping[str, Any] = field(factory=dict, hash=False)
    """Such as `{"type": "Manual"}`."""
    extra: Mapping[str, Any] = field(factory=dict, hash=False, repr=False)


@frozen(kw_only=True)
class Monitor:
    """One logical process, such as the ingest of one OPEX, however many workflows it takes.

    Its id may change with a release of Preservica: keep the name, not the id.
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
    """A text, as the server sends it; often empty."""
    files_pending: int | None = None
    files_processed: int | None = None
    size: int | None = None
    warnings: int | None = None
    errors: int | None = None
    can_retry: bool | None = None
    extra: Mapping[str, Any] = field(factory=dict, hash=False, repr=False)


@frozen(kw_only=True)
class Message:
    """What a process has said."""

    id: str
    monitor_id: str = ""
    monitor_name: str = ""
    workflow_id: int | None = None
    """The workflow that said it."""
    workflow_name: str = ""
    path: str = ""
    date: datetime | None = None
    status: str = ""
    """`Debug`, `Info`, `Warning` or `Error`."""
    message: str = ""
    """A key and its arguments, such as `monitor.info.directory.skip|{...}`."""
    display_message: str = ""
    """The same for people."""
    security_descriptor: str | None = None
    entity_title: str | None = None
    entity_ref: str | None = None
    source_id: str | None = None
    extra: Mapping[str, Any] = field(factory=dict, hash=False, repr=False)
