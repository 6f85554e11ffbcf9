"""The events of a client, as frozen records. None holds a URL, a header or a body. Pure."""

from collections.abc import Callable
from datetime import datetime
from typing import Literal

from attrs import frozen

from workflow_async._records.record import Record


@frozen(kw_only=True)
class RequestSent(Record):
    """A request has ended, with a response or without one. Logins and retries are requests too."""

    call: str
    """What the request was for, such as `workflows.get`."""
    method: str
    route: str
    """The path without values, such as `/api/workflows/{id}`."""
    attempt: int
    """The number of the request within its call, from 1."""
    status: int | None
    """None if there was no complete response."""
    error: str | None
    """The class of the error that took the place of a response, such as `ConnectFailed` or `CancelledError`."""
    seconds: float
    """Seconds from sending to the complete response, with the middlewares."""
    queued: float
    """Seconds that the request waited for a connection before that."""
    bytes: int
    """Number of bytes of the body after decompression."""


@frozen(kw_only=True)
class Retrying(Record):
    """A call has failed and is sent again after a delay."""

    call: str
    attempt: int
    """The number of the attempt that failed, from 1."""
    wait: float
    """Seconds until the next attempt."""
    error: str
    """The class of the error."""


@frozen(kw_only=True)
class LoggedIn(Record):
    """A login to Preservica has returned a token."""

    seconds: float
    """Seconds from its first request."""
    renewed: bool
    """True if a refresh token was used in place of the password."""


@frozen(kw_only=True)
class Polled(Record):
    """The monitor has checked workflows."""

    by: Literal["list", "bulk", "get"]
    ids: int
    """Number of workflows that were checked."""
    requests: int
    """Number of calls, which is the number of pages of a list."""
    changes: int
    """Number of changes that the check showed."""
    seconds: float


@frozen(kw_only=True)
class SlowedDown(Record):
    """The monitor has changed the factor by which it waits longer, because the server is busy or has recovered."""

    factor: float
    """1 is normal speed."""
    was: float


@frozen(kw_only=True)
class Outage(Record):
    """The server does not respond: an outage has begun, or with `over` has ended.

    It begins with three failures in a row over at least a second. A failure is a request without a complete response,
    or with 502, 503 or 504. It ends with the next response of another status.
    """

    began: datetime
    """When the first of these requests failed, by the clock of this machine, UTC."""
    seconds: float
    """How long it has lasted."""
    error: str
    """The class of the last error, or its status, such as `503`."""
    over: bool


@frozen(kw_only=True)
class Reported(Record):
    """The monitor has handed an event to the watchers of a workflow."""

    id: int
    kind: str
    """The class of the event, such as `Change` or `PollingFailed`."""
    phase: str
    """The phase of the workflow, such as `running`. `unknown` if it was never seen."""
    lag: float | None
    """Seconds from the end of the workflow, by the server's clock. None if the record does not say when it ended."""


@frozen(kw_only=True)
class RemedyFailed(Record):
    """A stalled workflow could not be retried (`retry_stalled`)."""

    id: int
    error: str
    """The class of the error."""


ClientEvent = RequestSent | Retrying | LoggedIn | Polled | SlowedDown | Outage | Reported | RemedyFailed
OnEvent = Callable[[ClientEvent], None]
"""Handles an event. It runs in the event loop, so it must return quickly. What it raises is logged and ignored."""
