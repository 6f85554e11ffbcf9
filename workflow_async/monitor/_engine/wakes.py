"""Hints from outside that a workflow has changed: how often they are obeyed, and when they come too early. Pure."""

from collections import OrderedDict

from attrs import define, field

MIN_SPACING = 1.0
"""Seconds between two checks of a workflow that hints ask for."""
HINT_SECONDS = 5.0
"""Seconds for which a hint is kept that comes before its workflow is watched: it may overtake the start's answer."""
MAX_HINTS = 1000
"""Hints that are kept, at most."""


@define
class EarlyWakes:
    """Hints for workflows that are not watched yet."""

    _at: OrderedDict[int, float] = field(factory=OrderedDict, init=False)

    def note(self, id: int, now: float) -> None:
        """Keep a hint."""
        self._at.pop(id, None)
        self._at[id] = now
        while len(self._at) > MAX_HINTS:
            self._at.popitem(last=False)

    def take(self, id: int, now: float) -> bool:
        """Forget the hint for a workflow. Return True if there was one a moment ago."""
        at = self._at.pop(id, None)
        return at is not None and now - at <= HINT_SECONDS


@define
class WakeTimes:
    """When each workflow was last checked because of a hint."""

    _at: dict[int, float] = field(factory=dict, init=False)

    def next(self, id: int, now: float) -> float:
        """Return the instant at which to obey a hint that comes now: at most one check a second and workflow."""
        last = self._at.get(id)
        if last is None or now - last >= MIN_SPACING:
            self._at[id] = now
        elif last <= now:
            self._at[id] = last + MIN_SPACING
        return self._at[id]

    def forget(self, id: int) -> None:
        """Know nothing of a workflow any more."""
        self._at.pop(id, None)
