"""What a batch asks a system for: all it knows of either."""

from collections.abc import Collection
from typing import Any, Protocol, TypeVar

from workflow_async.batch.tickets import Ticket
from workflow_async.batch.verdicts import Verdict
from workflow_async.phase import Workflow

W_co = TypeVar("W_co", bound=Workflow, covariant=True)


class Starter(Protocol[W_co]):
    """Where starts go to."""

    @property
    def system(self) -> str:
        """`opencast` or `preservica`."""

    @property
    def server(self) -> str:
        """Its base URL."""

    def ticket(self, start: Any) -> Ticket:
        """A start as a ticket; raises `InvalidArgument` for what cannot be sent."""

    async def renewed(self, ticket: Ticket) -> Ticket:
        """The ticket as of now, with whatever will help to recognize its workflow."""

    async def begin(self, ticket: Ticket) -> int:
        """Send the start, once, and return the new workflow's id; raises as `workflows.start`."""

    async def reconcile(self, ticket: Ticket, *, wait: float) -> Verdict[W_co]:
        """Look for what a ticket started."""

    async def active(self, ticket: Ticket, *, alike: bool) -> W_co | None:
        """The workflow that a start conflicts with, if it can be told; `alike`: only one of what was to be started."""

    async def occupied(self, ours: Collection[tuple[Ticket, int | None]]) -> int:
        """How many workflows run on the server, whoever started them; `ours` count, and count once."""
