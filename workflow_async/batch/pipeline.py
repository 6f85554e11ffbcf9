"""The path of each start of a batch: a slot, the start, the watch, and one result."""

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from attrs import define

from workflow_async import monitor
from workflow_async.batch.entries import StartStatus
from workflow_async.batch.outage import is_temporary
from workflow_async.batch.reports import Reports
from workflow_async.batch.running_starts import RunningStarts
from workflow_async.batch.start_steps import FATAL, StartSteps
from workflow_async.batch.tickets import Ticket
from workflow_async.batch.workflow_ends import watch_outcome
from workflow_async.errors import CallError
from workflow_async.monitor._engine.poller import Poller
from workflow_async.monitor.waits import WaitOptions
from workflow_async.phase import Workflow

W = TypeVar("W", bound=Workflow)


@define(eq=False)
class Pipeline(Generic[W]):
    """What every start of one run passes through."""

    steps: StartSteps[W]
    poller: Poller[W]
    running: RunningStarts
    reports: Reports[W]
    options: WaitOptions[W]

    def admit(self, ticket: Ticket, id: int | None) -> None:
        """Give a start of an earlier run a slot, even if more starts than the limit have one then."""
        self.running.admit(ticket, id)

    async def wait_for_slot(self, ticket: Ticket) -> bool:
        """Wait until a start has a slot. Return False after reporting that the server failed for too long.

        Raises:
            CallError: the workflows on the server cannot be counted at all.
        """
        try:
            await self.running.enter(ticket)
        except CallError as error:
            if not is_temporary(error):
                raise
            await self.reports.report_not_sent(ticket, error)
            return False
        return True

    async def resume(self, item: StartStatus, ticket: Ticket) -> None:
        """Continue a start of an earlier run.

        A workflow whose id is known is watched. A start that may have happened is searched for first.
        """

        async def known_or_found() -> int | None:
            return item.id if item.id is not None else await self.steps.search_then_start(ticket)

        await self._run_to_result(ticket, known_or_found)

    async def start_and_watch(self, ticket: Ticket) -> None:
        """Start a ticket that has a slot, and watch its workflow to the end."""
        await self._run_to_result(ticket, lambda: self.steps.start(ticket))

    async def _run_to_result(self, ticket: Ticket, get_id: Callable[[], Awaitable[int | None]]) -> None:
        """Watch the workflow whose id `get_id` returns. An unexpected error is the result of this start only."""
        try:
            id = await get_id()
            if id is not None:
                await self._watch(ticket.key, id)
        except FATAL:
            raise
        except Exception as error:  # noqa: BLE001 - a transport or a clock of the caller's may raise anything
            sent, _ = self.running.starts.get(ticket.key, (ticket, None))
            await self.reports.report_unexpected(sent, error)
        finally:
            self.running.leave(ticket.key)

    async def _watch(self, key: str, id: int) -> None:
        """Watch a workflow until it has an outcome, and report the outcome."""
        ticket, _ = self.running.starts[key]
        self.running.admit(ticket, id)
        self.poller.note_existing(id)

        async def record_change(change: monitor.Change[W]) -> None:
            await self.reports.record_change(ticket, change)

        outcome = await watch_outcome(self.poller, id, self.options, record_change)
        await self.reports.report_completed(ticket, outcome)
