"""Watches workflows for the command line and reports their changes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import anyio
from attrs import field, frozen

from workflow_async import Poll
from workflow_async.cli.systems import AnySystem
from workflow_async.cli.tally import Tally, WaitResult, error_result, result_of, timeout_result
from workflow_async.errors import CallError, WorkflowAsyncError, WorkflowParked, WorkflowReplaced
from workflow_async.monitor import Change, PollingFailed, Replaced, Stalled, Vanished, Watch, WatchEvent, WhenParked
from workflow_async.phase import Phase, Workflow

CAUSE_SECONDS = 5.0
"""Seconds after the timeout in which the cause may be found if nothing was seen."""
Report = Callable[[Change[Any] | WaitResult], None]


@frozen
class ConsoleWatcher:
    """Watches workflows of one system, counts them in a tally and reports changes and results."""

    system: AnySystem
    tally: Tally
    report: Report = lambda _: None
    timeout: float | None = None
    parked: WhenParked = "wait"
    poll: Poll = field(factory=Poll)

    async def watch_ids(self, ids: Sequence[int]) -> None:
        """Watch workflows until each has a result, or the timeout. An error of one workflow does not end the watch."""
        await self._read_events(self.system.watch(ids, poll=self.poll))

    async def watch(self, ids: Sequence[int], filter: Mapping[str, str] | None) -> None:
        """Watch the workflows that pass the filter, or those with these ids if there is no filter."""
        await (self.watch_filter(filter) if filter else self.watch_ids(ids))

    async def watch_filter(self, filter: Mapping[str, str]) -> None:
        """Watch the workflows that pass the filter, now or later, until the timeout."""
        await self._read_events(self.system.watch_filter(filter, poll=self.poll))

    async def watch_one(self, id: int) -> None:
        """Watch one workflow. A library error becomes its result."""
        try:
            await self.watch_ids([id])
        except WorkflowAsyncError as error:
            self._add_result(error_result(id, error, self.tally.records.get(id)))

    async def _read_events(self, watch: Watch[Any]) -> None:
        """Read events until no workflow is left, or the timeout. Each workflow without a result gets one then."""
        client: Any = self.system.client
        self.tally.usual_remaining = watch.eta
        self.tally.kind = self.system.kind
        self.tally.requests = lambda: client.stats().requests
        async with watch:
            with anyio.move_on_after(self.timeout) as limit:
                async for event in watch:
                    result = self._handle(event)
                    if result is not None:
                        watch.drop(result.id)
                        self._add_result(result)
            cause = await self._cause_of_silence(watch) if limit.cancelled_caught else None
            self.tally.list_error = lambda: watch.last_error() or cause
            for id in sorted(watch.ids):
                last, error = self.tally.records.get(id), watch.last_error(id) or cause
                self._add_result(timeout_result(id, last, self.tally.silence(), error))

    async def _cause_of_silence(self, watch: Watch[Any]) -> CallError | None:
        """Return what is wrong with a server that answers, but has shown nothing and is still being retried.

        None if that is not so, or if the server can be used.
        """
        tally, known = self.tally, any(map(watch.last_error, (None, *watch.ids)))
        if tally.records or known or tally.silence() is not None or not tally.requests():
            return None
        with anyio.move_on_after(CAUSE_SECONDS):
            try:
                await self.system.checks()[0].run()
            except CallError as error:
                return error
        return None

    def _add_result(self, result: WaitResult) -> None:
        self.tally.add_result(result)
        self.report(result)

    def _handle(self, event: WatchEvent[Workflow]) -> WaitResult | None:
        """Report the change in an event. Return the result if the event ends the wait, else None."""
        if isinstance(event, Vanished | PollingFailed):
            return error_result(event.id, event.error, event.workflow)
        if isinstance(event, Replaced):
            return error_result(event.id, WorkflowReplaced(event.id, event.workflow, event.found), event.workflow)
        if isinstance(event, Stalled):
            return None
        if self.tally.update(event.workflow):
            self.report(event)
        return self._result_of_record(event.workflow)

    def _result_of_record(self, workflow: Workflow) -> WaitResult | None:
        if workflow.phase.final:
            return result_of(workflow)
        if workflow.phase is not Phase.PARKED or self.parked == "wait":
            return None
        return (
            result_of(workflow)
            if self.parked == "return"
            else error_result(workflow.id, WorkflowParked(workflow), workflow)
        )
