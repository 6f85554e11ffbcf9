"""The entries of a journal, and the status of each start that follows from them. Pure."""

import enum
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from attrs import evolve, field, frozen

from workflow_async._records.record import Record
from workflow_async.batch.operation_durations import OperationDuration
from workflow_async.batch.tickets import Ticket
from workflow_async.batch.workflow_details import WorkflowDetails


class StatusKind(enum.Enum):
    """What an entry says about its start."""

    PLANNED = "planned"
    """The start belongs to the batch and has not begun. No entry has this kind: it comes from the table of starts."""
    INTENT = "intent"
    """The start is about to be sent. `text` is the ticket."""
    STARTED = "started"
    """The workflow was started and has an id."""
    CHANGE = "change"
    """The workflow changed. `word` is the phase, `text` is the server's word for the state."""
    LEFT = "left"
    """The workflow is no longer watched and is not known to have ended. Another run watches it again."""
    ENDED = "ended"
    """The workflow has ended. No run requests it again."""
    NOT_STARTED = "not started"
    """Nothing was started. Another run starts it."""
    UNKNOWN = "unknown"
    """The start may have happened. Another run searches for it and does not send it again."""


def storable(text: str) -> str:
    r"""Return a text that can be written as UTF-8. A lone surrogate becomes an escape such as `\ud800`."""
    return text.encode("utf-8", "backslashreplace").decode()


@frozen(kw_only=True)
class Entry:
    """One event in the life of one start."""

    at: datetime
    """UTC."""
    key: str = field(converter=storable)
    kind: StatusKind
    word: str
    id: int | None = None
    text: str = field(default="", converter=storable)
    server_start: datetime | None = None
    """When the workflow started, by the server's clock. None if the record does not say."""
    server_end: datetime | None = None
    """When the workflow ended, by the server's clock. None if the record does not say."""
    failed_operation: str = field(default="", converter=storable)
    failed_attempt: int | None = None
    failed_host: str = field(default="", converter=storable)
    operations: tuple[OperationDuration, ...] | None = None
    """How long the operations took, by the server's clock. None if the record does not say."""

    @property
    def details(self) -> WorkflowDetails:
        """What the server's record said about the end."""
        return WorkflowDetails(
            server_start=self.server_start,
            server_end=self.server_end,
            failed_operation=self.failed_operation,
            failed_attempt=self.failed_attempt,
            failed_host=self.failed_host,
            operations=self.operations,
        )


@frozen(kw_only=True)
class StartStatus(Record):
    """The status of one start of a batch, according to its journal."""

    key: str
    kind: StatusKind
    word: str
    """A phase's word, or `planned`, `intended`, `started`, `attached`, `waiting`, `vanished`, `replaced`, `unobserved`,
    `refused`, `not sent`, `conflict`, `skipped`, `unknown`."""
    id: int | None = None
    """The workflow's id. None if it is not known."""
    state: str = ""
    """The server's word for the workflow's last known state."""
    detail: str = ""
    """More about the status, such as an error message."""
    ticket: Ticket | None = None
    intended_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    """When the end was observed, by this machine's clock."""
    server_start: datetime | None = None
    """When the workflow started, by the server's clock. None if its last record does not say."""
    server_end: datetime | None = None
    """When the workflow ended, by the server's clock. None if its last record does not say."""
    failed_operation: str = ""
    """The name of the operation that failed. "" if none failed or the record does not say."""
    failed_attempt: int | None = None
    """The attempt that failed, from 1. None if the record does not say."""
    failed_host: str = ""
    """The host on which the operation failed. "" if the record does not say."""
    operations: tuple[OperationDuration, ...] | None = None
    """How long the operations took, in the order of execution. None if the last record has none, as on Preservica."""

    @property
    def took(self) -> timedelta | None:
        """Time from the workflow's start to its end, by the server's clock. None if the server does not say."""
        if self.server_start is None or self.server_end is None:
            return None
        return self.server_end - self.server_start


@frozen
class JournalContents(Record):
    """What a journal holds: its system, its server, and the status of each start."""

    system: str
    server: str
    items: Mapping[str, StartStatus]
    total: int | None = None
    """The number of different keys in the batch. None until its iterable has been read to the end."""


@frozen
class JournalHistory:
    """What a journal holds, and the entries from which it follows."""

    contents: JournalContents
    entries: Sequence[Entry]
    """In the order in which they were written."""


def planned_status(ticket: Ticket) -> StartStatus:
    """Return the status of a start that has not begun."""
    return StartStatus(key=ticket.key, kind=StatusKind.PLANNED, word="planned", ticket=ticket)


def status_after(item: StartStatus | None, entry: Entry) -> StartStatus:
    """Return the status of a start after one more entry."""
    if item is None or entry.kind is StatusKind.INTENT:
        item = StartStatus(
            key=entry.key, kind=entry.kind, word=entry.word, ticket=None if item is None else item.ticket
        )
    changes: dict[str, Any] = {"kind": entry.kind, "word": entry.word}
    match entry.kind:
        case StatusKind.INTENT:
            changes |= {"ticket": Ticket.from_json(entry.text), "intended_at": entry.at}
        case StatusKind.STARTED:
            changes |= {"id": entry.id, "detail": entry.text, "started_at": entry.at}
        case StatusKind.CHANGE:
            changes |= {"state": entry.text}
        case StatusKind.ENDED:
            changes |= {"ended_at": entry.at, "detail": entry.text or item.detail, **entry.details}
        case _:
            changes |= {"detail": entry.text, **entry.details}
    return evolve(item, **changes)
