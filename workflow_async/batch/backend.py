"""The protocol that each system implements for batches. A batch knows nothing else about the systems."""

from collections.abc import Callable, Collection
from typing import Generic, Protocol, TypeVar

from attrs import frozen

from workflow_async.batch.reconcile import NO_OTHER_STARTS, OtherStarts, ReconcileResult
from workflow_async.batch.tickets import Ticket
from workflow_async.phase import Workflow

W_co = TypeVar("W_co", bound=Workflow, covariant=True)


@frozen
class ActiveSearch(Generic[W_co]):
    """The result of a search for the workflow that a start conflicts with."""

    workflow: W_co | None
    tried: str = ""
    """Why there is no workflow, "" if there is one."""


class StartBackend(Protocol[W_co]):
    """Sends, finds and counts the starts of one server."""

    @property
    def system(self) -> str:
        """`opencast` or `preservica`."""
        ...

    @property
    def server(self) -> str:
        """The base URL."""
        ...

    @property
    def guard_lag(self) -> float:
        """Seconds after a start in which the server may accept a second start on the same event.

        The longest that is possible, if it depends on a release of the server that is not known yet.
        """
        ...

    async def learn_guard_lag(self) -> float:
        """Find out what `guard_lag` depends on, and return it. Raises `CallError` if the request failed."""
        ...

    def lock_key(self, ticket: Ticket) -> str | None:
        """Return the event, which can have one active workflow at a time. None if starts never conflict."""
        ...

    def match_key(self, ticket: Ticket) -> str:
        """Return what identifies the workflow of a start. Starts with the same key can be taken for each other."""
        ...

    async def refreshed(self, ticket: Ticket) -> Ticket:
        """Check the server, and return the ticket with the current time and what helps to find its workflow later.

        Raises:
            CallError: the check failed, so a start must not be sent now.
        """
        ...

    async def send_for_id(self, ticket: Ticket, may_send: Callable[[], bool] | None = None) -> int:
        """Send the start once, and return the new workflow's id. Raises what `workflows.start` raises.

        Args:
            ticket: the start.
            may_send: returns False once the start may no longer be sent. None if it may always be sent.
        """
        ...

    async def reconcile(
        self, ticket: Ticket, *, wait: float, outage: float | None = None, other_starts: OtherStarts = NO_OTHER_STARTS
    ) -> ReconcileResult[W_co]:
        """Search for the workflow of a ticket, for `wait` seconds of successful checks."""
        ...

    async def active(self, ticket: Ticket, *, same_definition: bool) -> ActiveSearch[W_co]:
        """Search for the workflow that a start conflicts with.

        Args:
            ticket: the start.
            same_definition: return only a workflow of the same definition.

        Raises:
            CallError: the request failed.
        """
        ...

    async def count_running(self, own: Collection[tuple[Ticket, int | None]]) -> int:
        """Return how many workflows run on the server. Each start in `own` counts exactly once."""
        ...
