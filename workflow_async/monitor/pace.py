"""How long to wait between looks at a workflow. Pure."""

from attrs import define

from workflow_async.settings import Poll

HALFWAY = 0.5
"""Of the time a workflow usually still takes, before the next look."""
MOST_STRAIN = 16.0
EASED = 0.7
OUTAGE = 100
"""Refusals in a row that no busy server gives: with a tenth of all answered, there is one such row in 40,000."""
SLOWEST = 0.25
"""Of the outage that is endured, before the next look, however busy the server: it must be seen to last."""


def pause(poll: Poll, unchanged: int, jitter: float, remaining: float | None = None) -> float:
    """Seconds until the next look, after so many looks in a row that showed nothing new; `jitter` is in [0, 1).

    Where `remaining` says how long it usually still takes, the next look is halfway there, within the same bounds.
    """
    if remaining is not None and remaining > 0:
        grown = max(poll.interval, remaining * HALFWAY)
    else:
        grown = poll.interval * poll.backoff ** min(unchanged, 64)
    return min(poll.ceiling, grown) * (1 + poll.jitter * (2 * jitter - 1))


def slowed(poll: Poll, seconds: float, strain: float) -> float:
    """A pause at a busy server."""
    return min(seconds * strain, max(seconds, poll.outage * SLOWEST))


@define
class Strain:
    """How much longer all pauses of a client are, because its server is busy; 1 is not at all."""

    factor: float = 1.0
    refused_at: float = float("-inf")
    eased_at: float = float("-inf")
    refusals: int = 0
    """In a row."""

    def refused(self, now: float, interval: float) -> None:
        """The server refused or failed: twice as slow, but only once an interval, however many looks met it."""
        self.refusals += 1
        self._slow_down(now, interval)

    def answered(self, now: float, interval: float, *, slowly: bool = False) -> bool:
        """The server answered: a little faster again, once an interval that met no refusal.

        True after so many refusals in a row that it was an outage, which is over with this, and the strain with it.
        """
        refusals, self.refusals = self.refusals, 0
        if slowly:
            self._slow_down(now, interval)
        elif refusals >= OUTAGE:
            self.factor = 1.0
            return True
        elif now - max(self.refused_at, self.eased_at) >= interval:
            self.factor, self.eased_at = max(1.0, self.factor * EASED), now
        return False

    def _slow_down(self, now: float, interval: float) -> None:
        if now - self.refused_at >= interval:
            self.factor, self.refused_at = min(MOST_STRAIN, self.factor * 2), now
