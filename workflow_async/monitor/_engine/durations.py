"""How long workflows and their steps usually take, learned from those that were watched. Pure."""

from collections import deque
from collections.abc import Iterable
from statistics import median

from attrs import define, field

MAX_SAMPLES = 32
"""Durations a kind of workflow or step; older ones are forgotten."""
MIN_SAMPLES = 3
"""Durations before anything is concluded from them."""
MAX_KINDS = 1000
"""Kinds that are remembered; beyond, the oldest is forgotten."""


@define
class DurationStats:
    """Durations by kind (`fast`, `fast/encode`), seconds."""

    _durations: dict[str, deque[float]] = field(factory=dict, init=False)
    _usual: dict[str, float] = field(factory=dict, init=False)

    def learn(self, durations: Iterable[tuple[str, float]]) -> None:
        """Remember how long these took."""
        for kind, seconds in durations:
            if kind not in self._durations and len(self._durations) >= MAX_KINDS:
                oldest = next(iter(self._durations))
                del self._durations[oldest]
                self._usual.pop(oldest, None)
            known = self._durations.setdefault(kind, deque(maxlen=MAX_SAMPLES))
            known.append(max(0.0, seconds))
            if len(known) >= MIN_SAMPLES:
                self._usual[kind] = median(known)

    def usual(self, kind: str) -> float | None:
        """The median of what is remembered, or None if that is too little to go by."""
        return self._usual.get(kind)

    def remaining(self, kind: str, spent: float) -> float | None:
        """Seconds it usually still takes after `spent`; None where nothing is known or it is overdue."""
        usual = self.usual(kind)
        return None if usual is None or usual <= spent else usual - spent
