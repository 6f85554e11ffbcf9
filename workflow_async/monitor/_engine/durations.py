"""Learns how long workflows and their steps usually take. Pure."""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from statistics import median

from attrs import define, field

MAX_SAMPLES = 32
"""Durations that are kept for each kind of workflow or step. The oldest is forgotten first."""
MIN_SAMPLES = 3
"""Durations of a kind that are needed for a usual duration."""
MAX_KINDS = 1000
"""Kinds that are kept. The oldest is forgotten first."""


@define
class DurationStats:
    """Durations in seconds by kind, such as `fast` or `fast/encode`."""

    _durations: dict[str, deque[float]] = field(factory=dict, init=False)
    _usual: dict[str, float] = field(factory=dict, init=False)

    @property
    def samples(self) -> dict[str, list[float]]:
        """The durations of each kind, the oldest first."""
        return {kind: list(samples) for kind, samples in self._durations.items()}

    def add_earlier(self, samples: Mapping[str, Sequence[float]]) -> None:
        """Add durations that are older than all that are known. They are forgotten first."""
        known = self.samples
        self._durations.clear()
        self._usual.clear()
        for part in (samples, known):
            self.learn((kind, seconds) for kind, each in part.items() for seconds in each)

    def learn(self, durations: Iterable[tuple[str, float]]) -> None:
        """Add durations, each with its kind."""
        for kind, seconds in durations:
            if kind not in self._durations and len(self._durations) >= MAX_KINDS:
                oldest = next(iter(self._durations))
                del self._durations[oldest]
                self._usual.pop(oldest, None)
            samples = self._durations.setdefault(kind, deque(maxlen=MAX_SAMPLES))
            samples.append(max(0.0, seconds))
            if len(samples) >= MIN_SAMPLES:
                self._usual[kind] = median(samples)

    def usual(self, kind: str) -> float | None:
        """Return the median duration of a kind. None if fewer than 3 are known."""
        return self._usual.get(kind)

    def remaining(self, kind: str, spent: float) -> float | None:
        """Return the seconds that are usually left after `spent`. None if that is not known, or if they have passed."""
        usual = self.usual(kind)
        return None if usual is None or usual <= spent else usual - spent
