"""What a batch asks a system for: all it knows of either."""

from collections.abc import Collection
from typing import Protocol, TypeVar

from workflow_async.batch.reconcile import NO_OTHER_STARTS, OtherStarts, ReconcileResult
from workflow_async.batch.tickets import Ticket
from workflow_async.phase import Workflow

W_co = TypeVar("W_co", bound=Workflow, covariant=True)


class StartBackend(Protocol[W_co]):
    """Where starts go to."""

    @property
    def system(self) -> str:
        """`opencast` or `preservica`."""

    @property
    def server(self) -> str:
        """Its base URL."""

    @property
    def guard_lag(self) -> float:
        """Seconds in which the server may accept a second start on the same subject."""

    def lock_key(self, ticket: Ticket) -> str | None:
        """Return what can have one workflow at a time only, or None if there is no such thing."""

    def match_key(self, ticket: Ticket) -> str:
        """Return what the workflow is recognized by: starts with the same mark can be taken for each other."""

    async def refreshed(self, ticket: Ticket) -> Ticket:
        """Check the server, and return the ticket as of now with all that will help to recognize its workflow.

        Raises:
            CallError: the check failed, so a start must not be sent now.
        """

    async def send_for_id(self, ticket: Ticket) -> int:
        """Send the start, once, and return the new workflow's id; raises as `workflows.start`."""

    async def reconcile(
        self, ticket: Ticket, *, wait: float, outage: float | None = None, other_starts: OtherStarts = NO_OTHER_STARTS
    ) -> ReconcileResult[W_co]:
        """Search for what a ticket started, for `wait` seconds of answered checks."""

    async def active(self, ticket: Ticket, *, same_definition: bool) -> W_co | None:
        """Return the workflow that a start conflicts with, or None if it cannot be told.

        Args:
            ticket: the start.
            same_definition: return only a workflow of what was to be started.

        Raises:
            CallError: the server could not be asked.
        """

    async def count_running(self, own: Collection[tuple[Ticket, int | None]]) -> int:
        """How many workflows run on the server, whoever started them; `ours` count, and count once."""
