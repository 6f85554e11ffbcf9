"""What a journal holds, and what it says of each start: entries are added, items are read off them. Pure."""

import enum
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from attrs import evolve, frozen

from workflow_async.batch.tickets import Ticket


class Kind(enum.Enum):
    """What an entry says of its start."""

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


@frozen(kw_only=True)
class Entry:
    """One thing that happened to one start."""

    at: datetime
    """UTC."""
    key: str
    kind: Kind
    word: str
    id: int | None = None
    text: str = ""


@frozen(kw_only=True)
class Item:
    """Where one start of a batch stands, by what its journal says."""

    key: str
    kind: Kind
    word: str
    """A phase's word, or `intended`, `started`, `attached`, `waiting`, `vanished`, `replaced`, `unobserved`,
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

    @property
    def took(self) -> timedelta | None:
        """From the start to the end, by this machine's clock; None before the end."""
        return None if self.started_at is None or self.ended_at is None else self.ended_at - self.started_at


@frozen
class Recorded:
    """What a journal holds: of which system and server, and where each start stands."""

    system: str
    server: str
    items: Mapping[str, Item]


def after(item: Item | None, entry: Entry) -> Item:
    """Where a start stands after one more entry."""
    if item is None or entry.kind is Kind.INTENT:
        item = Item(key=entry.key, kind=entry.kind, word=entry.word, ticket=None if item is None else item.ticket)
    known = evolve(item, kind=entry.kind, word=entry.word)
    match entry.kind:
        case Kind.INTENT:
            return evolve(known, ticket=Ticket.from_json(entry.text), intended_at=entry.at)
        case Kind.STARTED:
            return evolve(known, id=entry.id, detail=entry.text, started_at=entry.at)
        case Kind.CHANGE:
            return evolve(known, state=entry.text)
        case Kind.ENDED:
            return evolve(known, ended_at=entry.at, detail=entry.text or item.detail)
        case _:
            return evolve(known, detail=entry.text)


def items(entries: Iterable[Entry]) -> dict[str, Item]:
    """Where every start stands after all entries, by key, in the order of their first."""
    found: dict[str, Item] = {}
    for entry in entries:
        found[entry.key] = after(found.get(entry.key), entry)
    return found
