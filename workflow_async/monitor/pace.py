"""How long to wait between looks at a workflow. Pure."""

from attrs import define

from workflow_async.settings import Poll

HALFWAY = 0.5
"""Of the time a workflow usually still takes, before the next look."""
MOST_STRAIN = 16.0


def pause(poll: Poll, unchanged: int, jitter: float, remaining: float | None = None) -> float:
    """Seconds until the next look, after so many looks in a row that showed nothing new; `jitter` is in [0, 1).

    Where `remaining` says how long it usually still takes, the next look is halfway there, within the same bounds.
    """
    if remaining is not None and remaining > 0:
        grown = max(poll.interval, remaining * HALFWAY)
    else:
        grown = poll.interval * poll.backoff ** min(unchanged, 64)
    return min(poll.ceiling, grown) * (1 + poll.jitter * (2 * jitter - 1))


@define
class Strain:
    """How much longer all pauses of a client are, because its server is busy; 1 is not at all."""

    factor: float = 1.0
    eased_at: float = 0.0

    def refused(self, now: float, interval: float) -> None:
        """The server refused or failed: twice as slow, but only once an interval, however many looks met it."""
        if self.factor == 1.0 or now >= self.eased_at:
            self.factor = min(MOST_STRAIN, self.factor * 2)
            self.eased_at = now + interval

    def answered(self) -> None:
        """The server answered: a little faster again."""
        self.factor = max(1.0, self.factor * 0.9)
