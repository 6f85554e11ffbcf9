"""Conditions of a whole system: a boot, an index fault, an odd row, a clock that is wrong."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

from attrs import Attribute, field, frozen, validators

from workflow_async.sandbox.canned import BOOTING, CannedResponse
from workflow_async.sandbox.faults import ALWAYS, Faults, Path, check_range

EVENTS = re.compile("/api/events")
WORKFLOWS = re.compile("/api/workflows")
COUNTS = re.compile(r"/workflow/(count|instances\.json)")


def _check_word(_: object, attribute: "Attribute[Any]", word: Any) -> None:
    known = get_args(attribute.type)
    if word not in known:
        raise ValueError(f"{attribute.name} must be one of {', '.join(known)}, not {word!r}")


@frozen
class Boot:
    """A server that is starting. Its container answers, and its services do not."""

    seconds: float
    """Duration in seconds of the sandbox's time, from the assignment on."""
    paths: Path | tuple[Path, ...] = ()
    """The paths that are not served yet, as in `Faults`. Empty means all paths."""
    responses: tuple[CannedResponse, ...] = BOOTING
    """The responses, all equally likely."""
    seed: int = 0

    def plans(self, *, lists: bool) -> tuple[Faults, ...]:
        """Return the fault plans for this condition."""
        share = 1 / len(self.responses)
        rates = {response: share * self.responses.count(response) for response in self.responses}
        return (Faults(self.seed, rates=rates, paths=self.paths, during=(0.0, self.seconds)),)


@frozen
class IndexFault:
    """A fault of Opencast's index. The database is not affected.

    The index serves `/api/events`, and the list and the counts of workflows of Opencast 11 and older.
    """

    state: Literal["down", "slow", "empty", "stale"] = field(validator=_check_word)
    """`down` answers with `response`. `slow` takes `delay` seconds. `empty` finds nothing. `stale` indexes nothing."""
    during: tuple[float, float] = field(default=ALWAYS, validator=check_range)
    """Start and end, in seconds of the sandbox's time since the assignment."""
    response: CannedResponse = field(factory=lambda: CannedResponse.empty(500))
    delay: float = 5.0
    """Seconds on the wall clock."""

    def plans(self, *, lists: bool) -> tuple[Faults, ...]:
        """Return the fault plans for this condition. `lists` is True if an index serves the list of workflows."""
        paths = (EVENTS, WORKFLOWS, COUNTS) if lists else (EVENTS,)
        if self.state == "down":
            return (Faults(rates={self.response: 1.0}, methods="GET", paths=paths, during=self.during),)
        if self.state == "slow":
            return (Faults(latency=(self.delay, self.delay), methods="GET", paths=paths, during=self.during),)
        return ()

    def is_active(self, state: str, elapsed: float) -> bool:
        """Return True if the index is in that state, `elapsed` seconds after the assignment."""
        return self.state == state and self.during[0] <= elapsed < self.during[1]


def _as_dict(changes: Mapping[str, Any]) -> Mapping[str, Any]:
    return dict(changes)


@frozen
class OddRow:
    """A record that cannot be read, in a list and by its id.

    Without `changes` and `without`, the server cannot write the record: every response that contains it is a 500.
    """

    id: int | str
    """The id of a workflow, of an event (Opencast), or of a process monitor (Preservica)."""
    changes: Mapping[str, Any] = field(factory=dict, converter=_as_dict)
    """Replaced values by key: JSON values for Opencast and for monitors, texts or None for XML."""
    without: tuple[str, ...] = ()
    """The keys that are left out."""

    def plans(self, *, lists: bool) -> tuple[Faults, ...]:
        """Return the fault plans for this condition: none."""
        return ()

    @property
    def broken(self) -> bool:
        """True if the server cannot write the record."""
        return not self.changes and not self.without

    def apply(self, tree: Mapping[str, Any]) -> dict[str, Any]:
        """Return the record with the changes applied."""
        return {key: value for key, value in {**tree, **self.changes}.items() if key not in self.without}


class BrokenRecordError(Exception):
    """The response contains a record that the server cannot write."""


@frozen
class OddRows:
    """The odd rows of one system, by their ids."""

    _rows: Mapping[int | str, OddRow] = field(factory=dict)

    @classmethod
    def from_conditions(cls, conditions: "Sequence[Condition]") -> "OddRows":
        """Return the odd rows among the conditions."""
        return cls({c.id: c for c in conditions if isinstance(c, OddRow)})

    def apply(self, id: int | str, tree: dict[str, Any]) -> dict[str, Any]:
        """Return a record as the server writes it. Raise `BrokenRecordError` if the server cannot write it."""
        row = self._rows.get(id)
        if row is None:
            return tree
        if row.broken:
            raise BrokenRecordError(id)
        return row.apply(tree)


@frozen
class SecondResume:
    """The effect of a second resume while the first is still queued. The default is `twice`."""

    harm: Literal["twice", "lost", "hangs", "refused"] = field(default="twice", validator=_check_word)
    """The next operation runs `twice`, never runs (`lost`), never ends (`hangs`), or the resume is `refused`."""

    def plans(self, *, lists: bool) -> tuple[Faults, ...]:
        """Return the fault plans for this condition: none."""
        return ()


@frozen
class ServerClock:
    """A server clock that differs from the sandbox's time, or a local time that is not UTC.

    Workflows keep their pace. Recorded times, the Date header, tokens and codes follow the server clock.
    """

    ahead: float = 0.0
    """Seconds that the server's clock is ahead of the sandbox's. Negative if it is behind."""
    utc_offset: float = field(default=0.0, validator=validators.and_(validators.gt(-24), validators.lt(24)))
    """Hours that the server's local time is ahead of UTC. Only `/workflow` of Opencast writes local time."""

    def plans(self, *, lists: bool) -> tuple[Faults, ...]:
        """Return the fault plans for this condition: none."""
        return ()


Condition = Faults | Boot | IndexFault | OddRow | SecondResume | ServerClock
"""A value that can be assigned to `faults` of a system."""


def as_tuple(conditions: Condition | Sequence[Condition]) -> tuple[Condition, ...]:
    """Return one condition or several as a tuple."""
    return tuple(conditions) if isinstance(conditions, Sequence) else (conditions,)
