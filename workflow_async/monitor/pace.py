"""How long to wait between looks at a workflow. Pure."""

from workflow_async.settings import Poll


def pause(poll: Poll, unchanged: int, jitter: float) -> float:
    """Seconds until the next look, after so many looks in a row that showed nothing new; `jitter` is in [0, 1)."""
    grown = poll.interval * poll.backoff ** min(unchanged, 64)
    return min(poll.ceiling, grown) * (1 + poll.jitter * (2 * jitter - 1))
