"""Tickets: starts as values that can be stored before they are sent and searched for afterwards. Pure."""

import hashlib
import json
from datetime import UTC, datetime
from typing import Any, Self, TypeVar

from attrs import Attribute, asdict, field, frozen

from workflow_async._decode.json import json_tree
from workflow_async.batch.start_records import OpencastStart, PreservicaStart, StartRecord, start_record
from workflow_async.errors import DecodeError, InvalidArgument

S = TypeVar("S", OpencastStart, PreservicaStart)

VERSION = 1
"""The version of the JSON form. Other versions are refused."""
MAX_KEY_LENGTH = 255
"""The maximum number of characters in a key."""


def is_key(value: object) -> bool:
    """Return True if a value can be a key."""
    return isinstance(value, str) and bool(value.strip()) and len(value) <= MAX_KEY_LENGTH and value.isprintable()


def _checked(_: object, attribute: "Attribute[str]", value: str) -> None:
    if not is_key(value):
        raise InvalidArgument(attribute.name, f"must be 1 to {MAX_KEY_LENGTH} printable characters, not all blank")


@frozen(kw_only=True)
class Ticket:
    """One start on one server: what to send, and what is needed to find its workflow later.

    `workflows.prepare_start` makes tickets. A ticket holds the given configuration or parameters, but no credentials.
    """

    server: str
    """The base URL. A ticket is valid for one server."""
    arguments: StartRecord = field(repr=False)
    """What the start sends."""
    correlation_id: str = field(validator=_checked)
    """Sent with a start on a Preservica. Opencast has no such field, so there it only distinguishes tickets."""
    prepared_at: datetime
    """UTC, by this machine's clock."""
    key: str = field(validator=_checked)
    """Identifies the start within a batch. A digest of the arguments unless it was given."""
    baseline: int | None = None
    """Opencast: the highest id among the event's workflows at `prepared_at`. 0 if there were none, None if unknown."""
    baseline_lag: float = 0.0
    """Seconds by which the source of `baseline` may lag behind. 0 if the source was a database or the caller.

    The list of Opencast <= 11 may lack workflows that are younger than this. Above such a baseline, only a date can
    distinguish the workflow of this start from an earlier one.
    """

    @property
    def system(self) -> str:
        """`opencast` or `preservica`."""
        return self.arguments.system

    @property
    def subject(self) -> str:
        """What is started, for people, such as `f41e4417 fast`."""
        return self.arguments.subject

    def to_json(self) -> str:
        """Return the ticket as one line of JSON."""
        return json.dumps(
            {
                "version": VERSION,
                "system": self.system,
                "server": self.server,
                "arguments": asdict(self.arguments),
                "correlation_id": self.correlation_id,
                "prepared_at": self.prepared_at.astimezone(UTC).isoformat(),
                "key": self.key,
                "baseline": self.baseline,
                "baseline_lag": self.baseline_lag,
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the ticket that `to_json` wrote. Raises `InvalidArgument` for any other text."""
        members = _parse_members(text)
        if members.pop("version", None) != VERSION:
            raise InvalidArgument("ticket", f"must be of version {VERSION}")
        try:
            start = start_record(members.pop("system"), members["arguments"])
            return cls(**{**members, "arguments": start, "prepared_at": _parse_time(members["prepared_at"])})
        except (KeyError, TypeError, ValueError) as error:
            why = str(error)
        raise InvalidArgument("ticket", f"cannot be read: {why}")


def digest(start: StartRecord) -> str:
    """Return 32 hexadecimal digits that are the same for equal starts."""
    text = json.dumps([start.system, asdict(start)], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def checked_ticket(ticket: object) -> Ticket:
    """Return a ticket. Raises `InvalidArgument` for anything else."""
    if not isinstance(ticket, Ticket):
        raise InvalidArgument("ticket", "must be made by prepare_start")
    return ticket


def checked_start(ticket: object, kind: type[S], server: str) -> S:
    """Return what a ticket sends. Raises `InvalidArgument` unless the ticket is for this system and server."""
    found = checked_ticket(ticket)
    if not isinstance(found.arguments, kind) or found.server != server:
        raise InvalidArgument("ticket", f"is for {found.system} at {found.server}, not {kind.system} {server}")
    return found.arguments


FIELD_TYPES: dict[str, tuple[type, ...]] = {
    "system": (str,),
    "server": (str,),
    "arguments": (dict,),
    "correlation_id": (str,),
    "prepared_at": (str,),
    "key": (str,),
    "baseline": (int, type(None)),
    "baseline_lag": (int, float),
}


def _parse_members(text: str) -> dict[str, Any]:
    try:
        tree = json_tree(text.encode())
    except DecodeError as error:
        tree, why = None, error.what
    else:
        why = "it is no object"
    if not isinstance(tree, dict):
        raise InvalidArgument("ticket", f"cannot be read: {why}")
    tree.setdefault("baseline_lag", 0.0)
    for name, kinds in FIELD_TYPES.items():
        if not isinstance(tree.get(name), kinds) or isinstance(tree.get(name), bool):
            raise InvalidArgument("ticket", f"cannot be read: {name} is missing or of another kind")
    return tree


def _parse_time(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.utcoffset() is None:
        raise ValueError("prepared_at has no time zone")
    return moment.astimezone(UTC)
