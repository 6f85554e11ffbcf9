"""The counters of a client, for a health endpoint. Pure."""

from collections.abc import Mapping
from datetime import datetime

from attrs import field, frozen

from workflow_async._records.record import Record


@frozen(kw_only=True)
class Stats(Record):
    """What a client does now, and what it has done since it was created."""

    watched: int
    """Number of workflows that are watched or waited for and have not ended."""
    phases: Mapping[str, int] = field(hash=False)
    """Number of workflows in each phase, with those whose end a watcher has yet to take. `unknown` if never seen."""
    in_flight: int
    """Number of requests that are being sent or answered."""
    queued: int
    """Number of requests that wait for a connection."""
    backoff_factor: float
    """The factor by which the monitor waits longer because the server is busy. 1 is normal speed."""
    last_list: datetime | None
    """When the monitor last read the list of active workflows to its end. None if it has not."""
    last_error: str | None
    """The class of the last error of a request, or its status, such as `503`. None if no request has failed."""
    last_error_at: datetime | None
    last_reason: str | None
    """Why that request got no answer, in words, such as `connection refused`. None if no request has failed."""
    unanswered_since: datetime | None
    """When the first of the last requests in a row failed. None if the last one was answered."""
    outage_since: datetime | None
    """When the current outage began. None if the server responds. See `Outage`."""
    logins: int
    """Number of logins to Preservica, with renewals."""
    requests: int
    """Number of requests that have ended."""
    retries: int
    """Number of attempts that were repeated after an error."""


@frozen(kw_only=True)
class PollStats:
    """The part of `Stats` that the monitor knows."""

    watched: int = 0
    phases: Mapping[str, int] = field(factory=dict)
    backoff_factor: float = 1.0
    last_list: datetime | None = None
