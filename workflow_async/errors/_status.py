"""Errors of a call that got a response with an error status."""

from workflow_async.errors._base import CallError


class StatusError(CallError):
    """The server said no."""

    def __init__(self, status: int, body: str = "", message: str = "") -> None:
        super().__init__(status, body, message)
        self.status = status
        self.body = body
        """The answer's body, cut at 2,048 characters."""
        self.message = message
        """The server's own sentence, where the body has one."""

    @property
    def what(self) -> str:
        """The status and what the server says about it."""
        return f"{self.status} {type(self).__name__}" + (f": {self.message}" if self.message else "")


class BadRequest(StatusError):
    """400: the server finds the request invalid."""


class Unauthorized(StatusError):
    """401, or a redirect to the login page: the credentials are missing, wrong or stale."""

    clock_offset: float | None = None
    """Seconds the server's clock is ahead of this machine's, if that is the likely reason. None otherwise."""


class Forbidden(StatusError):
    """403: the user is known and lacks a role or a permission."""


class NotFound(StatusError):
    """404: no such thing, or none that this user may see."""


class NotAcceptable(StatusError):
    """406: the server does not know the API version asked for."""


class Conflict(StatusError):
    """409: the workflow's state does not allow it."""


class RateLimited(StatusError):
    """429: too many requests; `retry_after` says for how long."""


class ServerError(StatusError):
    """5xx: the server, or a proxy before it, failed."""


class ForeignResponse(StatusError):
    """The response was not written by the API itself, so nothing final can be concluded from it.

    A proxy, an ingress, a server that is still starting, or another web server (a wrong base URL) wrote it. Calls retry
    it, watches and batches treat it as an outage.
    """

    def __init__(
        self, status: int, body: str = "", message: str = "", *, content_type: str = "", location: str = ""
    ) -> None:
        super().__init__(status, body, message)
        self.content_type = content_type
        """The response's Content-Type, "" if it had none."""
        self.location = location
        """Where a redirect pointed, without credentials and query; "" if the response is no redirect."""
        self.hint = ""
        """What a control request found out, such as that the base URL is most likely wrong."""

    @property
    def what(self) -> str:
        """The status, what was seen, where a redirect pointed, and what to check."""
        kind = self.content_type.partition(";")[0] or "no Content-Type"
        seen = f"redirect to {self.location}" if self.location else f"{kind}, not written by the API"
        return ": ".join(part for part in (f"{self.status} ({seen})", self.message, self.hint) if part)


class UnexpectedRedirect(ForeignResponse):
    """3xx: redirects are never followed."""


class StartRejected(StatusError):
    """The server refused a start, so it has not happened; what it is besides says why."""


class StartInvalid(StartRejected, BadRequest):
    """400 of a start."""


class StartUnauthorized(StartRejected, Unauthorized):
    """401 of a start."""


class StartForbidden(StartRejected, Forbidden):
    """403 of a start."""


class StartNotFound(StartRejected, NotFound):
    """404 of a start: no such event, definition or context, or none that this user may see."""


class StartConflict(StartRejected, Conflict):
    """409 of a start: another workflow is active on the event."""


class StartLimited(StartRejected, RateLimited):
    """429 of a start."""
