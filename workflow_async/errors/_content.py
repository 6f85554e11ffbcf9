"""Errors of a call whose response has content that cannot be used."""

from workflow_async.errors._base import CallError

FAULTS_SHOWN = 10
"""Number of faults of a response that the message of an error shows."""


class DecodeError(CallError):
    """The response cannot be read as the requested kind of record.

    Each of `faults` contains the path of the server's keys, such as `$[3].event_identifier`.
    """

    def __init__(self, *faults: str, parsed: bool = True) -> None:
        super().__init__(*faults)
        self.faults = faults
        self.parsed = parsed
        """False if the body is not JSON or XML, because it is cut or damaged. Calls retry that more often."""
        self.body = ""
        """The body of the response, or the unreadable rows of a listing, cut at 2,048 characters.

        "" if the response may hold credentials.
        """
        self.located: int | None = None
        """The id in the Location header of an unreadable response to a start. None if there is none."""

    @property
    def what(self) -> str:
        """The first faults with their paths, and the number of further faults."""
        more = len(self.faults) - FAULTS_SHOWN
        shown = "; ".join(self.faults[:FAULTS_SHOWN]) + (f"; and {more} more" if more > 0 else "")
        return f"the response cannot be read: {shown}"


class UnexpectedContent(DecodeError):
    """An HTML page instead of JSON or XML: most likely a login page, a portal, or a page about maintenance."""

    hint: str = ""
    """What a control request has found out, if it got a page too. "" otherwise."""

    @property
    def what(self) -> str:
        """The first faults, and what a control request has found out about the API at the base URL."""
        found = self.absent or self.hint
        return super().what + (f": {found}" if found else "")


class ResponseMismatch(CallError):
    """The response is about something else than the requested resource."""

    def __init__(self, asked: str, answered: str) -> None:
        super().__init__(asked, answered)
        self.asked = asked
        self.answered = answered

    @property
    def what(self) -> str:
        """The requested id and the id of the response."""
        return f"requested {self.asked}, but the response is about {self.answered}"


class ListingNotSupported(CallError):
    """This server has no list of workflows. Opencast removed the list in 12.0."""

    def __init__(self, seen: str, version: str | None = None) -> None:
        super().__init__(seen, version)
        self.seen = seen
        self.version = version
        """The server's API version. None if the server did not return its version."""
        self.argument = ""
        """The argument of `workflows.list` that only the list supports. "" if there is none."""

    @property
    def what(self) -> str:
        """The version, and what to do instead."""
        version = self.version or "unknown"
        hint = (
            f"Without the list {self.argument} is not possible: leave it out"
            if self.argument
            else "workflows.list() reads the events instead"
        )
        return (
            f"this server (API version {version}) has no list of workflows ({self.seen}): "
            f"Opencast removed it in 12.0. {hint}"
        )


class ListingIncomplete(ListingNotSupported):
    """This server has no list of workflows, and with the roles of this user some workflows cannot be found.

    A listing raises this after all workflows that it has found.
    """

    def __init__(
        self, tried: tuple[str, ...], events: tuple[str, ...], role: str = "", version: str | None = None
    ) -> None:
        super().__init__(", ".join(tried), version)
        self.args = (tried, events, role, version)
        self.tried = tried
        """The requests that were tried, each with its status and the role that it needs."""
        self.events = events
        """The ids of the events that may have other workflows than those that were found."""
        self.role = role
        """The role that would have helped. "" if a role was not the reason."""

    @property
    def what(self) -> str:
        """The number of events, what was tried, and what to do."""
        of = f"the workflows of {len(self.events)} events" if self.events else "workflows"
        remedy = f"use an account with {self.role}" if self.role else "try again"
        return (
            f"this server (API version {self.version or 'unknown'}) has no list of workflows, and {of} are not all "
            f"known after {', '.join(self.tried)}: {remedy}"
        )


class CountNotSupported(CallError):
    """This server cannot count workflows by these filters. Opencast removed most of them in 12.0."""

    def __init__(self, filters: tuple[str, ...], seen: str, version: str | None = None) -> None:
        super().__init__(filters, seen, version)
        self.filters = filters
        """The names of the filters that were given, except `state`."""
        self.seen = seen
        self.version = version
        """The server's API version. None if the server did not return its version."""

    @property
    def what(self) -> str:
        """The version, and what to call instead."""
        by = f" by {' and '.join(self.filters)}, which needs Opencast 6 to 11" if self.filters else ""
        instead = "count by state alone, or " if self.filters else ""
        return (
            f"this server (API version {self.version or 'unknown'}) cannot count workflows{by} ({self.seen}): "
            f"{instead}count what workflows.for_event() returns for your events"
        )


class ListingInconsistent(CallError):
    """The pages of a listing repeat themselves, so reading on would never end."""
