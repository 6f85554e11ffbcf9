"""How long to wait between checks of a workflow, and which time counts as an outage. Pure."""

import math

from attrs import define, frozen

from workflow_async._core.call import Replay
from workflow_async._core.retry import retryable
from workflow_async.errors import CallError
from workflow_async.settings import Poll

ETA_SHARE = 0.5
"""Of the time a workflow usually still takes, before the next look."""
MAX_BACKOFF = 16.0
BACKOFF_DECAY = 0.7
OUTAGE_FAILURES = 100
"""Refusals in a row that no busy server gives: with a tenth of all answered, there is one such row in 40,000."""
MAX_SHARE_OF_OUTAGE = 0.25
"""Of the outage that is endured, before the next look, however busy the server: it must be seen to last."""
MAX_ANNOUNCED = 86_400.0
"""Seconds of announced pauses that extend an outage, at most: one day. A longer announcement is no pause."""
CLOCK_JUMP = 10.0
"""Seconds that the poll loop may be late. More is a suspended machine or a clock that was set forward."""
MAX_UNPLANNED = 120.0
"""Seconds that count at most where nothing was planned: as long as a call takes by default."""


def poll_delay(poll: Poll, unchanged: int, jitter: float, remaining: float | None = None) -> float:
    """Seconds until the next look, after so many looks in a row that showed nothing new; `jitter` is in [0, 1).

    Where `remaining` says how long it usually still takes, the next look is halfway there, within the same bounds.
    """
    if remaining is not None and remaining > 0:
        grown = max(poll.interval, remaining * ETA_SHARE)
    else:
        grown = poll.interval * poll.backoff ** min(unchanged, 64)
    return min(poll.ceiling, grown) * (1 + poll.jitter * (2 * jitter - 1))


def scaled_delay(poll: Poll, seconds: float, strain: float) -> float:
    """A pause at a busy server."""
    return min(seconds * strain, max(seconds, poll.outage * MAX_SHARE_OF_OUTAGE))


@define
class LoadBackoff:
    """How much longer all pauses of a client are, because its server is busy; 1 is not at all."""

    factor: float = 1.0
    refused_at: float = float("-inf")
    eased_at: float = float("-inf")
    refusals: int = 0
    """In a row."""

    def record_failure(self, now: float, interval: float) -> None:
        """The server refused or failed: twice as slow, but only once an interval, however many looks met it."""
        self.refusals += 1
        self._slow_down(now, interval)

    def record_response(self, now: float, interval: float, *, slowly: bool = False) -> bool:
        """The server answered: a little faster again, once an interval that met no refusal.

        True after so many refusals in a row that it was an outage, which is over with this, and the strain with it.
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
    """Seconds that the server asks for with `Retry-After`. 0 for more than a day, and for a refusal that stays."""
    seconds = error.retry_after or 0.0
    return seconds if seconds <= MAX_ANNOUNCED and retryable(error, Replay.SAFE) else 0.0


@frozen
class Outage:
    """When an outage began."""

    since: float
    """An instant of an `OutageClock`."""
    announced: float
    """Seconds of pauses that the server had announced by then."""

    def seconds(self, now: float, announced: float) -> float:
        """How long it has lasted. Pauses that were announced since do not count, up to a day of them."""
        return now - self.since - min(MAX_ANNOUNCED, announced - self.announced)


@define
class OutageClock:
    """The time that counts as an outage: neither a leap of the clock nor a pause that the server announced.

    A leap is the part of a gap beyond what was planned: the client did not run, so it cannot tell how the server was.
    """

    announced: float = 0.0
    """Seconds of pauses that the server has announced so far, each second once."""
    _announced_until: float = -math.inf
    _planned: float = math.inf
    """When the poll loop wakes next."""
    _lost: float = 0.0

    def begin(self, now: float) -> Outage:
        """Return an outage that begins now."""
        return Outage(self.read(now), self.announced)

    def seconds(self, outage: Outage, now: float) -> float:
        """Return how long an outage has lasted."""
        return outage.seconds(self.read(now), self.announced)

    def plan(self, wakes_at: float | None, now: float) -> None:
        """Note when the poll loop wakes next. None if only the end of a request wakes it."""
        self.read(now)
        self._planned = now + MAX_UNPLANNED if wakes_at is None else max(now, wakes_at)

    def read(self, now: float) -> float:
        """The instant, less what leaps have taken."""
        if now > self._planned + CLOCK_JUMP:
            self._lost += now - self._planned
            self._planned = math.inf
        return now - self._lost

    def announce(self, now: float, seconds: float) -> None:
        """Note that the server asks to be left alone for so long."""
        until = now + seconds
        self.announced += max(0.0, until - max(now, self._announced_until))
        self._announced_until = max(self._announced_until, until)
