"""Conditions a system can be in beside single faults: a boot, an index that is ill."""

import re
from collections.abc import Sequence
from typing import Literal

from attrs import field, frozen

from workflow_async.sandbox.canned import BOOTING, CannedResponse
from workflow_async.sandbox.faults import ALWAYS, Faults, Path

EVENTS = re.compile("/api/events")
WORKFLOWS = re.compile("/api/workflows")


@frozen
class Boot:
    """A server that starts: for a while it answers in the forms of a container whose services are not there yet."""

    seconds: float
    """How long it lasts, in seconds of the sandbox's time."""
    paths: Path | tuple[Path, ...] = ()
    """The paths that are not there yet, as in `Faults`; all if empty."""
    responses: tuple[CannedResponse, ...] = BOOTING
    """What it answers, each as likely as the others."""
    seed: int = 0

    def plans(self, *, lists: bool) -> tuple[Faults, ...]:
        """Return the plans for exchanges that this value stands for."""
        share = 1 / len(self.responses)
        rates = {response: share * self.responses.count(response) for response in self.responses}
        return (Faults(self.seed, rates=rates, paths=self.paths, during=(0.0, self.seconds)),)


@frozen
class IndexFault:
    """An Opencast whose index is ill while its database is well.

    The index serves `/api/events`, and the list of workflows of Opencast 11 and older.
    """

    state: Literal["down", "slow", "empty", "stale"]
    """`down` answers with `response`, `slow` takes `delay` seconds, `empty` finds nothing, `stale` learns nothing."""
    during: tuple[float, float] = ALWAYS
    """From when to when, in seconds of the sandbox's time since it was put in force."""
    response: CannedResponse = field(factory=lambda: CannedResponse.empty(500))
    delay: float = 5.0
    """Seconds on the wall clock."""

    def plans(self, *, lists: bool) -> tuple[Faults, ...]:
        """Return the plans for exchanges that this value stands for, `lists` if workflows are listed from an index."""
        paths = (EVENTS, WORKFLOWS) if lists else (EVENTS,)
        if self.state == "down":
            return (Faults(rates={self.response: 1.0}, methods="GET", paths=paths, during=self.during),)
        if self.state == "slow":
            return (Faults(latency=(self.delay, self.delay), methods="GET", paths=paths, during=self.during),)
        return ()

    def is_in(self, state: str, elapsed: float) -> bool:
        """Return True if the index is in that state so long after this value was put in force."""
        return self.state == state and self.during[0] <= elapsed < self.during[1]


Condition = Faults | Boot | IndexFault
"""One value of what can be wrong with a system."""


def several(conditions: Condition | Sequence[Condition]) -> tuple[Condition, ...]:
    """Return one condition or several as a tuple."""
    return tuple(conditions) if isinstance(conditions, Sequence) else (conditions,)
