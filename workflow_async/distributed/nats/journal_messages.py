"""The messages of a journal in a stream: numbered, each with the records that were written together. Pure."""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from attrs import asdict, define, field, frozen

from workflow_async.batch.entries import Entry, StartStatus, planned_status, status_after
from workflow_async.batch.entry_json import entry_from_json, entry_to_json
from workflow_async.batch.tickets import Ticket

VERSION = 1
"""The version of the messages. Other versions are refused."""
OPENED = json.dumps({"opened": True})
"""The record of a run that has opened the journal. It shuts out the runs before it."""
CLOSED = json.dumps({"closed": True})
"""The record of a run that has closed the journal, after its last start."""


@frozen(kw_only=True)
class MessageHead:
    """What every message says about its journal."""

    system: str
    server: str
    number: int
    """The number of the message in its journal, from 1."""
    runner: str
    """The process that wrote the message."""
    version: int = VERSION


def entry_record(entry: Entry) -> str:
    """Return an entry as a record."""
    return f'{{"entry":{entry_to_json(entry)}}}'


def start_record(ticket: Ticket) -> str:
    """Return a start that has not begun as a record."""
    return json.dumps({"start": ticket.to_json()})


def total_record(total: int | None) -> str:
    """Return the number of starts in the batch as a record."""
    return json.dumps({"total": total})


def encode(head: MessageHead, records: Sequence[str]) -> bytes:
    """Return a message."""
    return f'{{"head":{json.dumps(asdict(head))},"records":[{",".join(records)}]}}'.encode()


@frozen
class Message:
    """A message that was read."""

    head: MessageHead
    records: Sequence[dict[str, Any]]

    @property
    def closes(self) -> bool:
        """True if the run that wrote it has closed the journal."""
        return any("closed" in record for record in self.records)


def decode(body: bytes) -> Message:
    """Return a message that `encode` wrote. Raises ValueError for anything else."""
    try:
        tree = json.loads(body)
        message = Message(MessageHead(**tree["head"]), [{**record} for record in tree["records"]])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"a message cannot be read ({type(error).__name__})") from None
    if message.head.version != VERSION:
        raise ValueError(f"a message is of version {message.head.version} instead of {VERSION}")
    return message


@define
class Contents:
    """What the messages of a journal say."""

    items: dict[str, StartStatus] = field(factory=dict)
    total: int | None = None

    def add(self, record: dict[str, Any]) -> None:
        """Take over one record. Raises ValueError if it cannot be read."""
        match record:
            case {"entry": tree}:
                entry = entry_from_json(json.dumps(tree))
                self.items[entry.key] = status_after(self.items.get(entry.key), entry)
            case {"start": str(text)}:
                ticket = Ticket.from_json(text)
                self.items[ticket.key] = planned_status(ticket)
            case {"total": int() | None as total}:
                self.total = total
            case {"opened": _} | {"closed": _}:
                pass
            case _:
                raise ValueError(f"a record is unknown: {', '.join(record)}")


def checked_numbers(bodies: Iterable[bytes]) -> Iterator[Message]:
    """Yield the messages. Raises ValueError if one is missing."""
    for number, body in enumerate(bodies, 1):
        message = decode(body)
        if message.head.number != number:
            raise ValueError(f"message {number} is missing")
        yield message


def grouped(records: Iterable[str], size: int) -> Iterator[list[str]]:
    """Yield the records in groups of at most `size` bytes. A larger record is a group of its own."""
    group: list[str] = []
    length = 0
    for record in records:
        bytes_ = len(record.encode()) + 1
        if group and length + bytes_ > size:
            yield group
            group, length = [], 0
        group.append(record)
        length += bytes_
    if group:
        yield group
