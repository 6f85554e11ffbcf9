"""Starts on an event that has an active workflow: find that workflow, or wait until the event is free."""

import math
from collections.abc import Awaitable, Callable
from typing import Generic, Literal, TypeVar

from attrs import define

from workflow_async.batch.backend import StartBackend
from workflow_async.batch.outage import Outage
from workflow_async.batch.tickets import Ticket
from workflow_async.batch.workflow_ends import wait_ended
from workflow_async.errors import CallError, InvalidArgument, StartConflict
from workflow_async.monitor._engine.poller import Poller
from workflow_async.phase import Workflow
from workflow_async.settings import Clock, Poll

W = TypeVar("W", bound=Workflow)

OnConflict = Literal["raise", "skip", "attach", "wait"]
"""What to do about an event that has an active workflow. See `start` and `run_all` of an Opencast.

`"raise"` raises nothing out of a batch, because an exception would end all other starts. The result of the start is a
`Conflicted` that holds the `StartConflict`.
"""


def check_on_conflict(on_conflict: OnConflict) -> None:
    """Raise `InvalidArgument` unless `on_conflict` is one of the four words."""
    if on_conflict not in ("raise", "skip", "attach", "wait"):
        raise InvalidArgument("on_conflict", 'must be "raise", "skip", "attach" or "wait"')


@define(eq=False)
class Conflicts(Generic[W]):
    """Deals with the active workflows that starts conflict with."""

    backend: StartBackend[W]
    poller: Poller[W]
    clock: Clock
    outage: Outage
    poll: Poll

    async def attachable(self, ticket: Ticket, conflict: StartConflict) -> W | None:
        """Return the active workflow of the same definition. Return None after noting in `conflict` what was tried."""
        try:
            found = await self.outage.retry(lambda: self.backend.active(ticket, same_definition=True))
        except CallError as error:
            conflict.tried = f"the workflows of the event cannot be read now ({error})"
            return None
        conflict.tried = found.tried
        return found.workflow

    async def wait_until_free(self, ticket: Ticket, deadline: float = math.inf) -> None:
        """Wait until the event has no active workflow, or one that this user cannot see may have ended.

        Args:
            ticket: the start.
            deadline: the time of the client's clock at which the wait ends in any case.

        Raises:
            CallError: the workflows of the event cannot be read, for longer than an outage may last.
        """
        found = await self.outage.retry(lambda: self.backend.active(ticket, same_definition=False))
        if found.workflow is not None and (left := self._left(deadline)) > 0:
            await wait_ended(self.poller, found.workflow.id, self.poll, left)
        pause = self.poll.ceiling if found.workflow is None else self.poll.interval
        await self.clock.sleep(min(pause, self._left(deadline)))

    async def refreshed(self, ticket: Ticket) -> Ticket:
        """Return the ticket with the current time and what helps to find its workflow later.

        Otherwise a workflow that ran on the event during the wait could be taken for that of the start.
        """
        return await self.outage.retry(lambda: self.backend.refreshed(ticket))

    def _left(self, deadline: float) -> float:
        return max(deadline - self.clock.now(), 0.0)


@define(eq=False)
class SingleStart(Generic[W]):
    """One start outside of a batch, and what to do if its event has an active workflow."""

    conflicts: Conflicts[W]
    on_conflict: OnConflict
    patience: float | None
    """Seconds to wait for the event. None for no limit."""
    send: Callable[[Ticket], Awaitable[W]]
    read: Callable[[int], Awaitable[W]]
    """Returns the record of an active workflow, with the fields that the caller wants."""

    async def start(self, ticket: Ticket) -> W | None:
        """Send a start. Return its workflow, the active workflow with "attach", or None with "skip".

        Raises:
            StartConflict: the event has an active workflow, and `on_conflict` could not help.
            CallError, StartOutcomeUnknown: what `send` raises, and errors of the requests about the active workflow.
        """
        deadline = math.inf if self.patience is None else self.conflicts.clock.now() + self.patience
        while True:
            try:
                return await self.send(ticket)
            except StartConflict as error:
                conflict = error
            if self.on_conflict == "skip":
                return None
            if self.on_conflict == "attach":
                return await self._attach(ticket, conflict)
            if self.on_conflict == "raise":
                raise conflict
            if self.conflicts.clock.now() >= deadline:
                conflict.tried = f"the event was not free within {self.patience:g} s"
                raise conflict
            await self.conflicts.wait_until_free(ticket, deadline)
            ticket = await self.conflicts.refreshed(ticket)

    async def _attach(self, ticket: Ticket, conflict: StartConflict) -> W:
        other = await self.conflicts.attachable(ticket, conflict)
        if other is None:
            raise conflict
        return await self.read(other.id)
