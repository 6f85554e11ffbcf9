"""Remembers which ways to list workflows a server and a user allow. Pure."""

from attrs import define, field

from workflow_async.errors import CallError, Forbidden, ListingIncomplete, NotFound, StatusError
from workflow_async.opencast.known_workflows import KnownWorkflows

MAX_REFUSALS = 2
"""Events whose workflows were refused, and none was answered, before no other event is tried."""


@define(eq=False)
class ListRoutes:
    """The ways to list workflows that one client has tried."""

    known: KnownWorkflows
    no_list: str = ""
    """Why the list of workflows is not supported. "" as long as it may be."""
    has_list: bool = False
    """True if the list of workflows has answered."""
    version: str | None = None
    """The server's API version, once it was needed."""
    refusal: CallError | None = None
    """The last refusal of the workflows of one event."""
    _answered: bool = field(default=False, init=False)
    _refusals: int = field(default=0, init=False)

    @property
    def skips_list(self) -> bool:
        """True if the list of workflows need not be requested again.

        A server without the list has the workflows of events. If it has neither, its response may have been wrong.
        """
        return bool(self.no_list) and not isinstance(self.refusal, NotFound)

    @property
    def undecided(self) -> bool:
        """True if it is not known whether this user may read the workflows of an event."""
        return not self._answered and self._refusals < MAX_REFUSALS

    @property
    def may_read_instances(self) -> bool:
        """False if this user may not read the workflows of any event."""
        return self._answered or self.undecided

    def note_answer(self) -> None:
        """Note that the workflows of an event could be read."""
        self._answered = True

    def note_refusal(self, error: CallError) -> None:
        """Note that the workflows of an event were refused."""
        self.refusal = error
        self._refusals += 1

    def events_refused(self, error: Forbidden) -> ListingIncomplete:
        """Return the error for a list of events that this user may not read."""
        tried = (f"GET /api/workflows ({self.no_list})", f"GET /api/events ({_why(error)})")
        return ListingIncomplete(tried, (), error.role, self.version)

    def incomplete(self, events: tuple[str, ...]) -> ListingIncomplete:
        """Return the error for events whose workflows are not all known."""
        tried = [f"GET /api/workflows ({self.no_list})"]
        if self.refusal is not None:
            tried.append(f"GET /workflow/mediaPackage/{{id}}/instances.json ({_why(self.refusal)})")
        tried.append("GET /api/workflows/{id} for each workflow that this client has started")
        role = self.refusal.role if isinstance(self.refusal, Forbidden) else ""
        return ListingIncomplete(tuple(tried), events, role, self.version)


def _why(error: CallError) -> str:
    """Return the status, and what the user needs."""
    status = str(error.status) if isinstance(error, StatusError) else type(error).__name__
    needs = (error.role or error.access) if isinstance(error, Forbidden) else ""
    return f"{status}, which needs {needs}" if needs else status
