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
    """An HTML page instead of JSON or XML: most likely a login page or a portal."""


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

    @property
    def what(self) -> str:
        """The version, and what to call instead."""
        version = self.version or "unknown"
        return (
            f"this server (API version {version}) has no list of workflows ({self.seen}): Opencast removed it in 12.0. "
            "Keep the ids your starts return and use get() or wait(); find busy events with events.list(status=...), "
            "and one event's workflows with workflows.for_event()"
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
