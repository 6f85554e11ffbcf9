"""Errors of a call that got a response with unusable content."""

from workflow_async.errors._base import CallError

FAULTS_SHOWN = 10
"""Faults of an answer that the sentence of an error names."""


class DecodeError(CallError):
    """An answer that cannot be read as what was asked for.

    Each of `faults` names its place: the path of the server's keys, such as `$[3].event_identifier`.
    """

    def __init__(self, *faults: str, parsed: bool = True) -> None:
        super().__init__(*faults)
        self.faults = faults
        self.parsed = parsed
        """False if the body is no JSON or XML: cut or garbled on its way. Calls try again more often then."""
        self.body = ""
        """The answer's body, or the rows of a listing that cannot be read, cut at 2,048 characters.

        "" if the answer may hold credentials.
        """
        self.located: int | None = None
        """The id a Location header named beside an unreadable answer to a start."""

    @property
    def what(self) -> str:
        """The first faults with their places, and how many more there are."""
        more = len(self.faults) - FAULTS_SHOWN
        shown = "; ".join(self.faults[:FAULTS_SHOWN]) + (f"; and {more} more" if more > 0 else "")
        return f"the answer cannot be read: {shown}"


class UnexpectedContent(DecodeError):
    """An HTML page where JSON or XML is due: most likely a login page or a portal."""


class ResponseMismatch(CallError):
    """The answer is about something else than what was asked for."""

    def __init__(self, asked: str, answered: str) -> None:
        super().__init__(asked, answered)
        self.asked = asked
        self.answered = answered

    @property
    def what(self) -> str:
        """Both ids."""
        return f"asked for {self.asked}, the answer is about {self.answered}"


class ListingNotSupported(CallError):
    """This server has no list of workflows (Opencast removed it in 12.0)."""

    def __init__(self, seen: str, version: str | None = None) -> None:
        super().__init__(seen, version)
        self.seen = seen
        self.version = version
        """The server's API version, where it could be asked."""

    @property
    def what(self) -> str:
        """The version and the ways that are left."""
        version = self.version or "unknown"
        return (
            f"this server (API version {version}) has no list of workflows ({self.seen}): Opencast removed it in 12.0. "
            "Keep the ids your starts return and use get() or wait(); find busy events with events.processing(), "
            "and one event's workflows with workflows.for_event()"
        )


class ListingInconsistent(CallError):
    """The pages of a listing repeat themselves, so going on would never end."""
