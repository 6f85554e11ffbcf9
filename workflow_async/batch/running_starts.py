"""The starts of one batch that have a slot, on a limit that other starts may share."""

from collections.abc import Collection

from attrs import define, field

from workflow_async.batch.concurrency import ConcurrencyLimit
from workflow_async.batch.tickets import Ticket


@define(eq=False)
class RunningStarts:
    """The starts of one batch that have a slot, by key."""

    limit: ConcurrencyLimit
    starts: dict[str, tuple[Ticket, int | None]] = field(factory=dict, init=False)
    """The ticket as it was sent, and the workflow's id or None."""

    def all(self) -> Collection[tuple[Ticket, int | None]]:
        """Return the tickets and ids of all starts that have a slot."""
        return tuple(self.starts.values())

    async def enter(self, ticket: Ticket) -> None:
        """Wait for a slot.

        Raises:
            CallError: the workflows on the server cannot be counted.
        """
        await self.limit.enter((self, ticket.key))
        self.admit(ticket)

    def admit(self, ticket: Ticket, id: int | None = None) -> None:
        """Give a start a slot without waiting, or update the ticket and the id of a start that has a slot."""
        self.limit.admit((self, ticket.key))
        self.starts[ticket.key] = (ticket, id)

    def leave(self, key: str) -> None:
        """Free the slot of a start, if the start has one."""
        _, id = self.starts.pop(key, (None, None))
        self.limit.leave((self, key), started=id is not None)
