"""Where the sandbox gets its time from."""

import threading
import time
from collections.abc import Callable

from attrs import define, field


@define(eq=False)
class RealClock:
    """Time as it passes, `speed` times as fast; wall clock adjustments do not disturb it."""

    speed: float = 1.0
    _start: float = field(factory=time.time, init=False)
    _origin: float = field(factory=time.monotonic, init=False)

    def __attrs_post_init__(self) -> None:
        if not self.speed > 0:
            raise ValueError(f"speed must be above 0, not {self.speed}")

    def __call__(self) -> float:
        """Seconds since 1970."""
        return self._start + (time.monotonic() - self._origin) * self.speed


@define(eq=False)
class ManualClock:
    """Time that passes only when told to."""

    start: float = 1_700_000_000.0
    _passed: float = field(default=0.0, init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False, repr=False)

    def __call__(self) -> float:
        """Seconds since 1970."""
        return self.start + self._passed

    def advance(self, seconds: float) -> None:
        """Let that much time pass at once."""
        if seconds < 0:
            raise ValueError(f"time does not run backwards: {seconds}")
        with self._lock:
            self._passed += seconds


@define(eq=False)
class SkewedClock:
    """Another clock that is some seconds ahead."""

    clock: Callable[[], float]
    ahead: float = 0.0

    def __call__(self) -> float:
        """Seconds since 1970."""
        return self.clock() + self.ahead
