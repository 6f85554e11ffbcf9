"""Limits how often hints from outside cause checks, and keeps hints that come too early. Pure."""

from collections import OrderedDict

from attrs import define, field

MIN_SPACING = 1.0
"""Seconds between two checks of a workflow that are caused by hints."""
HINT_SECONDS = 5.0
"""Seconds for which a hint is kept whose workflow is not watched yet. It may overtake the response to the start."""
MAX_HINTS = 1000
"""Hints that are kept. The oldest is dropped first."""


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
        """Remove the hint for a workflow. Return True if it came in the last 5 seconds."""
        at = self._at.pop(id, None)
        return at is not None and now - at <= HINT_SECONDS


@define
class WakeTimes:
    """The last check of each workflow that a hint caused."""

    _at: dict[int, float] = field(factory=dict, init=False)

    def next(self, id: int, now: float) -> float:
        """Return the due time of the check for a hint that comes now. A workflow gets at most one check per second."""
        last = self._at.get(id)
        if last is None or now - last >= MIN_SPACING:
            self._at[id] = now
        elif last <= now:
            self._at[id] = last + MIN_SPACING
        return self._at[id]

    def forget(self, id: int) -> None:
        """Forget a workflow."""
        self._at.pop(id, None)
