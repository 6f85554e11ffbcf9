"""The delay between checks of a workflow, and the time that counts as an outage. Pure."""

import math

from attrs import define, frozen

from workflow_async._core.call import Replay
from workflow_async._core.retry import retryable
from workflow_async.errors import CallError
from workflow_async.settings import Poll

ETA_SHARE = 0.5
"""Share of the time that a workflow usually still takes. The next check comes after it."""
MAX_BACKOFF = 16.0
"""The highest load factor."""
BACKOFF_DECAY = 0.7
"""The load factor is multiplied by this after an interval without a failure."""
OUTAGE_FAILURES = 100
"""Consecutive failures that count as an outage.

A server that still answers 10 % of requests fails 100 times in a row once in 40,000 runs.
"""
MAX_SHARE_OF_OUTAGE = 0.25
"""Share of `Poll.outage`. A busy server delays a check no longer, so that an outage is seen to last."""
MAX_ANNOUNCED = 86_400.0
"""Seconds (one day). Announced pauses extend an outage by no more. A longer announcement is no pause."""
CLOCK_JUMP = 10.0
"""Seconds that the poll task may be late. If it is later, the machine was suspended or its clock was set forward."""
MAX_UNPLANNED = 120.0
"""Seconds that count as an outage if no check was planned. A call takes no longer by default."""


def poll_delay(poll: Poll, unchanged: int, jitter: float, remaining: float | None = None) -> float:
    """Return the seconds until the next check.

    Args:
        poll: the interval, its growth and its bounds.
        unchanged: the number of checks in a row that showed no change.
        jitter: a random number in [0, 1).
        remaining: the seconds that the workflow usually still takes. The next check comes after half of them, within
            the same bounds.
    """
    if remaining is not None and remaining > 0:
        grown = max(poll.interval, remaining * ETA_SHARE)
    else:
        grown = poll.interval * poll.backoff ** min(unchanged, 64)
    return min(poll.ceiling, grown) * (1 + poll.jitter * (2 * jitter - 1))


def scaled_delay(poll: Poll, seconds: float, load_factor: float) -> float:
    """Return a delay that is longer while the server is busy."""
    return min(seconds * load_factor, max(seconds, poll.outage * MAX_SHARE_OF_OUTAGE))


@define
class LoadBackoff:
    """The factor by which all delays of a client are longer, because its server is busy."""

    factor: float = 1.0
    refused_at: float = float("-inf")
    eased_at: float = float("-inf")
    refusals: int = 0
    """Failures in a row."""

    def record_failure(self, now: float, interval: float) -> None:
        """Double the factor, but at most once per interval."""
        self.refusals += 1
        self._slow_down(now, interval)

    def record_response(self, now: float, interval: float, *, slowly: bool = False) -> bool:
        """Reduce the factor, once per interval without a failure. Double it instead if the response came slowly.

        Return True if the response ends an outage. The factor is 1 again then.
        """
        refusals, self.refusals = self.refusals, 0
        if slowly:
            self._slow_down(now, interval)
        elif refusals >= OUTAGE_FAILURES:
            self.factor = 1.0
            return True
        elif now - max(self.refused_at, self.eased_at) >= interval:
            self.factor, self.eased_at = max(1.0, self.factor * BACKOFF_DECAY), now
        return False

    def _slow_down(self, now: float, interval: float) -> None:
        if now - self.refused_at >= interval:
            self.factor, self.refused_at = min(MAX_BACKOFF, self.factor * 2), now


def announced_pause(error: CallError) -> float:
    """Return the seconds of the pause that the server asks for with `Retry-After`.

    0 if it asks for more than a day, or if the error does not pass.
    """
    seconds = error.retry_after or 0.0
    return seconds if seconds <= MAX_ANNOUNCED and retryable(error, Replay.SAFE) else 0.0


@frozen
class Outage:
    """The start of an outage."""

    since: float
    """An instant of an `OutageClock`."""
    announced: float
    """Seconds of pauses that the server had announced before."""

    def seconds(self, now: float, announced: float) -> float:
        """Return how long it has lasted. Up to a day of pauses that were announced since then does not count."""
        return now - self.since - min(MAX_ANNOUNCED, announced - self.announced)


@define
class OutageClock:
    """A clock that leaves out the time in which the client did not run, and counts the pauses that were announced.

    If the poll task wakes more than `CLOCK_JUMP` seconds late, the time since its planned instant is left out.
    """

    announced: float = 0.0
    """Seconds of pauses that the server has announced so far. A second that was announced twice counts once."""
    announced_until: float = -math.inf
    """The end of the last announced pause."""
    _planned: float = math.inf
    """When the poll task wakes next."""
    _left_out: float = 0.0

    def begin(self, now: float) -> Outage:
        """Return an outage that begins now."""
        return Outage(self.read(now), self.announced)

    def seconds(self, outage: Outage, now: float) -> float:
        """Return how long an outage has lasted."""
        return outage.seconds(self.read(now), self.announced)

    def plan(self, wakes_at: float | None, now: float) -> None:
        """Note when the poll task wakes next. None if only the end of a request wakes it."""
        self.read(now)
        self._planned = now + MAX_UNPLANNED if wakes_at is None else max(now, wakes_at)

    def read(self, now: float) -> float:
        """Return the instant of this clock, given one of the client's clock."""
        if now > self._planned + CLOCK_JUMP:
            self._left_out += now - self._planned
            self._planned = math.inf
        return now - self._left_out

    def announce(self, now: float, seconds: float) -> None:
        """Note that the server asks for a pause of this length."""
        until = now + seconds
        self.announced += max(0.0, until - max(now, self.announced_until))
        self.announced_until = max(self.announced_until, until)
