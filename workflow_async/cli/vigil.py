"""Waiting for many workflows at once, each look told to a board."""

from collections.abc import Awaitable, Callable, Iterable
from functools import partial

import anyio
from attrs import field, frozen

from workflow_async import OpencastClient, Poll, monitor
from workflow_async.cli.board import Board, Change, Ending, broken, left
from workflow_async.cli.target import Client
from workflow_async.errors import WorkflowAsyncError
from workflow_async.phase import Workflow
from workflow_async.settings import Clock

Say = Callable[[Change | Ending], None]


@frozen
class Vigil:
    """How to wait: on which system, how patiently, and whom to tell."""

    client: Client
    board: Board
    say: Say = lambda _: None
    deadline: float | None = None
    parked: monitor.Parked = "wait"
    poll: Poll = field(factory=Poll)

    async def all(self, ids: Iterable[int]) -> None:
        """Wait for each; the trouble of one is its own."""
        async with anyio.create_task_group() as tasks:
            for id in ids:
                tasks.start_soon(self.one, id)

    async def one(self, id: int) -> None:
        """Wait for one, which ends on the board in any case."""
        try:
            ending = left(await self._wait(id))
        except WorkflowAsyncError as error:
            ending = broken(id, error, self.board.seen.get(id))
        self.board.ended(ending)
        self.say(ending)

    async def _wait(self, id: int) -> Workflow:
        look = looking(self.client, id)

        async def seen() -> Workflow:
            workflow = await look()
            change = self.board.saw(workflow)
            if change is not None:
                self.say(change)
            return workflow

        # The wait of `client.workflows`, with looks of our own: it would not tell what it sees on its way.
        return await monitor.wait(
            seen, id, deadline=self.deadline, poll=self.poll, parked=self.parked, check=False, clock=Clock()
        )


def looking(client: Client, id: int) -> Callable[[], Awaitable[Workflow]]:
    """What looks at a workflow, its operations included where the system has them."""
    if isinstance(client, OpencastClient):
        return partial(client.workflows.get, id, with_operations=True)
    return partial(client.workflows.get, id)
