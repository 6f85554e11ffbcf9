"""Watching many workflows at once, each change told to a board."""

from collections.abc import Callable, Iterable

import anyio
from attrs import field, frozen

from workflow_async import Poll
from workflow_async.cli.board import Board, Change, Ending, broken, late, left
from workflow_async.cli.target import Client
from workflow_async.errors import WorkflowAsyncError, WorkflowParked
from workflow_async.monitor import Event as News
from workflow_async.monitor import Stalled, Unobserved, Vanished, WhenParked
from workflow_async.phase import Phase, Workflow

Say = Callable[[Change | Ending], None]


@frozen
class Vigil:
    """How to wait: on which system, how patiently, and whom to tell."""

    client: Client
    board: Board
    say: Say = lambda _: None
    deadline: float | None = None
    parked: WhenParked = "wait"
    poll: Poll = field(factory=Poll)

    async def all(self, ids: Iterable[int]) -> None:
        """Wait for each; the trouble of one is its own."""
        async with anyio.create_task_group() as tasks:
            for id in ids:
                tasks.start_soon(self.one, id)

    async def one(self, id: int) -> None:
        """Wait for one, which ends on the board in any case."""
        try:
            ending = await self._ending(id)
        except WorkflowAsyncError as error:
            ending = broken(id, error, self.board.seen.get(id))
        self.board.ended(ending)
        self.say(ending)

    async def _ending(self, id: int) -> Ending:
        with anyio.move_on_after(self.deadline):
            async with self.client.workflows.watch([id], poll=self.poll) as changes:
                async for news in changes:
                    ending = self._told(news)
                    if ending is not None:
                        return ending
        return late(id, self.board.seen.get(id))

    def _told(self, news: News[Workflow]) -> Ending | None:
        """What a piece of news means: one more change on the board, or the end."""
        if isinstance(news, Vanished | Unobserved):
            return broken(news.id, news.error, news.workflow)
        if isinstance(news, Stalled):
            return None
        change = self.board.saw(news.workflow)
        if change is not None:
            self.say(change)
        return self._left(news.workflow)

    def _left(self, workflow: Workflow) -> Ending | None:
        if workflow.phase.final:
            return left(workflow)
        if workflow.phase is not Phase.PARKED or self.parked == "wait":
            return None
        return left(workflow) if self.parked == "return" else broken(workflow.id, WorkflowParked(workflow), workflow)
