"""What a journal holds, and what it says of each start: entries are added, items are read off them. Pure."""

import enum
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from attrs import evolve, field, frozen

from workflow_async.batch.tickets import Ticket
from workflow_async.batch.workflow_details import WorkflowDetails


class StatusKind(enum.Enum):
    """What an entry says of its start."""

    PLANNED = "planned"
    """It belongs to the batch and has not begun. No entry says this: the journal has a table of all starts."""
    INTENT = "intent"
    """It is about to be sent; `text` is the ticket."""
    STARTED = "started"
    """It was started, and has an id."""
    CHANGE = "change"
    """Its workflow looks different; `word` is the phase, `text` the server's word."""
    LEFT = "left"
    """It is watched no more and has not ended, as far as anybody knows: another run watches on."""
    ENDED = "ended"
    """It is over for good: never asked for again."""
    NOT_STARTED = "not started"
    """It was surely not started: another run starts it."""
    UNKNOWN = "unknown"
    """It may have been started: another run looks for it, and never starts it."""


def storable(text: str) -> str:
    """Return a text that can be written as UTF-8: a lone surrogate becomes its escape, a backslash and `ud800`."""
    return text.encode("utf-8", "backslashreplace").decode()


@frozen(kw_only=True)
class Entry:
    """One thing that happened to one start."""

    at: datetime
    """UTC."""
    key: str = field(converter=storable)
    kind: StatusKind
    word: str
    id: int | None = None
    text: str = field(default="", converter=storable)
    server_start: datetime | None = None
    """When the workflow started, by the server's clock. None where its record does not say."""
    server_end: datetime | None = None
    """When the workflow ended, by the server's clock. None where its record does not say."""
    failed_operation: str = field(default="", converter=storable)
    failed_attempt: int | None = None
    failed_host: str = field(default="", converter=storable)

    @property
    def details(self) -> WorkflowDetails:
        """What the server's record said of the end."""
        return WorkflowDetails(
            server_start=self.server_start,
            server_end=self.server_end,
            failed_operation=self.failed_operation,
            failed_attempt=self.failed_attempt,
            failed_host=self.failed_host,
        )


@frozen(kw_only=True)
class StartStatus:
    """Where one start of a batch stands, by what its journal says."""

    key: str
    kind: StatusKind
    word: str
    """A phase's word, or `planned`, `intended`, `started`, `attached`, `waiting`, `vanished`, `replaced`, `unobserved`,
    `refused`, `not sent`, `conflict`, `skipped`, `unknown`."""
    id: int | None = None
    """The workflow's id, once it is known."""
    state: str = ""
    """The server's own word for the workflow's state, when it was last seen."""
    detail: str = ""
    """What else there is to say, such as an error's sentence."""
    ticket: Ticket | None = None
    intended_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    """When its end was seen, by this machine's clock."""
    server_start: datetime | None = None
    """When the workflow started, by the server's clock. None where its last record does not say."""
    server_end: datetime | None = None
    """When the workflow ended, by the server's clock. None where its last record does not say."""
    failed_operation: str = ""
    """The name of the operation that failed, "" if none did or the record does not say."""
    failed_attempt: int | None = None
    """The attempt that failed, from 1. None where the record does not say."""
    failed_host: str = ""
    """The host on which the operation failed, "" where the record does not say."""

    @property
    def took(self) -> timedelta | None:
        """Time from the workflow's start to its end, by the server's clock. None where the server does not say."""
        if self.server_start is None or self.server_end is None:
            return None
        return self.server_end - self.server_start


@frozen
class JournalContents:
    """What a journal holds: of which system and server, and where each start stands."""

    system: str
    server: str
    items: Mapping[str, StartStatus]
    total: int | None = None
    """How many starts the batch has, each key once. None while its iterable has not been read to its end."""


def planned_status(ticket: Ticket) -> StartStatus:
    """Return the item of a start that has not begun."""
    return StartStatus(key=ticket.key, kind=StatusKind.PLANNED, word="planned", ticket=ticket)


def status_after(item: StartStatus | None, entry: Entry) -> StartStatus:
    """Where a start stands after one more entry."""
    if item is None or entry.kind is StatusKind.INTENT:
        item = StartStatus(
            key=entry.key, kind=entry.kind, word=entry.word, ticket=None if item is None else item.ticket
        )
    news: dict[str, Any] = {"kind": entry.kind, "word": entry.word}
    match entry.kind:
        case StatusKind.INTENT:
            news |= {"ticket": Ticket.from_json(entry.text), "intended_at": entry.at}
        case StatusKind.STARTED:
            news |= {"id": entry.id, "detail": entry.text, "started_at": entry.at}
        case StatusKind.CHANGE:
            news |= {"state": entry.text}
        case StatusKind.ENDED:
            news |= {"ended_at": entry.at, "detail": entry.text or item.detail, **entry.details}
        case _:
            news |= {"detail": entry.text, **entry.details}
    return evolve(item, **news)
