"""Watching many workflows at once, each change told to a board."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import anyio
from attrs import field, frozen

from workflow_async import Poll
from workflow_async.cli.systems import AnySystem
from workflow_async.cli.tally import Tally, WaitResult, from_error, from_record, from_timeout
from workflow_async.errors import WorkflowAsyncError, WorkflowParked, WorkflowReplaced
from workflow_async.monitor import Change, PollingFailed, Replaced, Stalled, Vanished, Watch, WatchEvent, WhenParked
from workflow_async.phase import Phase, Workflow

Say = Callable[[Change[Any] | WaitResult], None]


@frozen
class ConsoleWatcher:
    """How to wait: on which system, how patiently, and whom to tell."""

    system: AnySystem
    board: Tally
    say: Say = lambda _: None
    timeout: float | None = None
    parked: WhenParked = "wait"
    poll: Poll = field(factory=Poll)

    async def all(self, ids: Sequence[int]) -> None:
        """Wait for each, by one watch; the trouble of one is its own."""
        left = await self._through(self.system.watch(ids, poll=self.poll))
        for id in left:
            self._end(from_timeout(id, self.board.seen.get(id)))

    async def waits(self, ids: Sequence[int], filter: Mapping[str, str] | None) -> None:
        """Wait for these, or for what passes the filter."""
        await (self.passing(filter) if filter else self.all(ids))

    async def passing(self, filter: Mapping[str, str]) -> None:
        """Wait for whatever passes the filter, now and later, until the deadline."""
        await self._through(self.system.watch_filter(filter, poll=self.poll))

    async def one(self, id: int) -> None:
        """Wait for one, which ends on the board in any case."""
        try:
            await self.all([id])
        except WorkflowAsyncError as error:
            self._end(from_error(id, error, self.board.seen.get(id)))

    async def _through(self, watch: Watch[Any]) -> frozenset[int]:
        """Take every piece of news until nothing is left, or the deadline; whom that leaves over."""
        self.board.remaining = watch.eta
        async with watch:
            with anyio.move_on_after(self.timeout):
                async for news in watch:
                    ending = self._told(news)
                    if ending is not None:
                        watch.drop(ending.id)
                        self._end(ending)
            return watch.ids

    def _end(self, ending: WaitResult) -> None:
        self.board.ended(ending)
        self.say(ending)

    def _told(self, news: WatchEvent[Workflow]) -> WaitResult | None:
        """What a piece of news means: one more change on the board, or the end."""
        if isinstance(news, Vanished | PollingFailed):
            return from_error(news.id, news.error, news.workflow)
        if isinstance(news, Replaced):
            return from_error(news.id, WorkflowReplaced(news.id, news.workflow, news.found), news.workflow)
        if isinstance(news, Stalled):
            return None
        if self.board.update(news.workflow):
            self.say(news)
        return self._left(news.workflow)

    def _left(self, workflow: Workflow) -> WaitResult | None:
        if workflow.phase.final:
            return from_record(workflow)
        if workflow.phase is not Phase.PARKED or self.parked == "wait":
            return None
        return (
            from_record(workflow)
            if self.parked == "return"
            else from_error(workflow.id, WorkflowParked(workflow), workflow)
        )
