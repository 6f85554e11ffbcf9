"""The clocks that give the sandbox its time."""

import threading
import time
from collections.abc import Callable

from attrs import define, field


@define(eq=False)
class RealClock:
    """Real time, `speed` times as fast. Adjustments of the wall clock do not disturb it."""

    speed: float = 1.0
    _start: float = field(factory=time.time, init=False)
    _origin: float = field(factory=time.monotonic, init=False)

    def __attrs_post_init__(self) -> None:
        if not self.speed > 0:
            raise ValueError(f"speed must be greater than 0, not {self.speed}")

    def __call__(self) -> float:
        """Return the seconds since 1970."""
        return self._start + (time.monotonic() - self._origin) * self.speed


@define(eq=False)
class ManualClock:
    """A clock that stands still until `advance` is called."""

    start: float = 1_700_000_000.0
    _passed: float = field(default=0.0, init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False, repr=False)

    def __call__(self) -> float:
        """Return the seconds since 1970."""
        return self.start + self._passed

    def advance(self, seconds: float) -> None:
        """Move the clock forward by `seconds`."""
        if seconds < 0:
            raise ValueError(f"seconds must not be negative: {seconds}")
        with self._lock:
            self._passed += seconds


@define(eq=False)
class SkewedClock:
    """Another clock, shifted by `ahead` seconds."""

    clock: Callable[[], float]
    ahead: float = 0.0

    def __call__(self) -> float:
        """Return the seconds since 1970."""
        return self.clock() + self.ahead
