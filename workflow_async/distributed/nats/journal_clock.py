"""The clock that limits how late a start may be sent. It counts the time in which the machine sleeps."""

import time

from workflow_async.settings import Clock

COUNTER: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def now() -> float:
    """Return a monotonic time in seconds."""
    return time.clock_gettime(COUNTER)


CLOCK = Clock(now=now)
