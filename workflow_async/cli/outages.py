"""Tells how long a server has not answered, and why. Pure, except for the counters of the client that it reads."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

from attrs import frozen

from workflow_async.cli.messages import reason_text
from workflow_async.cli.timeline import format_seconds
from workflow_async.observe import Stats


class HasStats(Protocol):
    """A client with counters."""

    def stats(self) -> Stats:
        """Return the counters."""
        ...


@frozen
class Silence:
    """A time in which no request got an answer."""

    seconds: float
    reason: str
    """Why the last request got none, such as `connection refused`."""

    def __str__(self) -> str:
        return f"no answer for {format_seconds(self.seconds)}: {self.reason}"


def silence_of(client: HasStats) -> Callable[[], Silence | None]:
    """Return a function that tells for how long a client has got no answer. It returns None if the server answers."""
    return lambda: read_silence(client.stats(), datetime.now(UTC))


def read_silence(stats: Stats, now: datetime) -> Silence | None:
    """Return for how long a client has got no answer. None if its last request got one."""
    if stats.unanswered_since is None:
        return None
    return Silence(max(0.0, (now - stats.unanswered_since).total_seconds()), reason_text(stats.last_reason or ""))


def patience_text(silence: Silence, patience: float, until_timeout: float | None) -> str:
    """Return for how long the command will try.

    Args:
        silence: the time without an answer so far.
        patience: seconds without an answer after which it gives up.
        until_timeout: seconds until its timeout. None if it has none.
    """
    if until_timeout is not None and until_timeout < patience - silence.seconds:
        return "will try until the timeout"
    return f"will try until {format_seconds(patience)}"
