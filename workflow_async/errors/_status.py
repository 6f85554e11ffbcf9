"""Errors of a call that got a response with an error status."""

from workflow_async.errors._base import CallError


class StatusError(CallError):
    """The response has an error status."""

    def __init__(self, status: int, body: str = "", message: str = "") -> None:
        super().__init__(status, body, message)
        self.status = status
        self.body = body
        """The body of the response, cut at 2,048 characters."""
        self.message = message
        """The server's own message, "" if the body has none."""

    @property
    def what(self) -> str:
        """The status, and the server's message."""
        return f"{self.status} {type(self).__name__}" + (f": {self.message}" if self.message else "")


class BadRequest(StatusError):
    """400: the server considers the request invalid."""


class Unauthorized(StatusError):
    """401, or a redirect to the login page: the credentials are missing, wrong or expired."""

    username: str = ""
    """The user whose credentials were refused. "" if it is not known, as with a token."""
    clock_offset: float | None = None
    """Seconds that the server's clock is ahead of this machine's, if that is the likely reason. None otherwise."""

    @property
    def what(self) -> str:
        """The status, the server's message, and the system that is at the base URL if it is another one."""
        return super().what + (f": {self.absent}" if self.absent else "")


class Forbidden(StatusError):
    """403: the user is known and lacks a role or a permission."""

    role: str = ""
    """The role that the call needs by default, such as `ROLE_ADMIN`. "" if it is not known or not what is missing."""
    access: str = ""
    """What else the user needs, such as read access to the event, in words. "" if it is not known."""

    @property
    def what(self) -> str:
        """The status, the server's message, the role, and what else the user needs."""
        needs = " and ".join(need for need in (self.role, self.access) if need)
        return super().what + (f": this call needs {needs}" if needs else "")


class NotFound(StatusError):
    """404: the resource does not exist, or this user may not see it."""


class NotAcceptable(StatusError):
    """406: the server does not support the requested API version."""


class Conflict(StatusError):
    """409: the state of the workflow does not allow the request."""


class RateLimited(StatusError):
    """429: too many requests. `retry_after` is the number of seconds to wait."""


class ServerError(StatusError):
    """5xx: the server, or a proxy in front of it, failed."""


class ConfigurationNotReplaced(ServerError):
    """500 to a new configuration: a bug of Opencast 12 and later. Nothing was changed.

    These servers cannot replace a configuration that has several keys. See tests/contract/opencast.md, section 2.3.
    """

    @property
    def what(self) -> str:
        """The status, the server's message, and what can be done."""
        return (
            f"{super().what}: Opencast 12 and later cannot replace a configuration of several keys, and nothing was "
            "changed. Pass the configuration to the start of a new workflow instead"
        )


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
        """The Content-Type of the response, "" if it had none."""
        self.location = location
        """The target of a redirect without credentials and query, "" if the response is no redirect."""
        self.hint = ""
        """What a control request found out, such as that the base URL is most likely wrong."""

    @property
    def what(self) -> str:
        """The status, the content, the target of a redirect, and what to check."""
        kind = self.content_type.partition(";")[0] or "no Content-Type"
        seen = f"redirect to {self.location}" if self.location else f"{kind}, not written by the API"
        return ": ".join(part for part in (f"{self.status} ({seen})", self.message, self.hint) if part)


class UnexpectedRedirect(ForeignResponse):
    """3xx: redirects are never followed."""


class StartRejected(StatusError):
    """The server refused a start, so the start has not happened. The second base class says why."""


class StartInvalid(StartRejected, BadRequest):
    """400 of a start."""


class StartUnauthorized(StartRejected, Unauthorized):
    """401 of a start."""


class StartForbidden(StartRejected, Forbidden):
    """403 of a start."""


class StartNotFound(StartRejected, NotFound):
    """404 of a start: no such event, definition or context, or this user may not see it."""


class StartConflict(StartRejected, Conflict):
    """409 of a start: another workflow is active on the event."""

    tried: str = ""
    """What `on_conflict` could not do and why, "" if it did nothing."""

    @property
    def what(self) -> str:
        """The status, the server's message, and what was tried."""
        return super().what + (f": {self.tried}" if self.tried else "")


class StartLimited(StartRejected, RateLimited):
    """429 of a start."""
