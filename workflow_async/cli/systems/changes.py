"""Changes of single workflows: what a system supplies, and the loop over the workflows."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

import anyio
from attrs import frozen

from workflow_async.cli.exit_codes import Exit, code_of, print_error, worst_code
from workflow_async.cli.output import Output
from workflow_async.errors import AlreadyFinished, PartialFailure, WorkflowAsyncError
from workflow_async.phase import Workflow


@frozen
class ChangeResult:
    """What a change of one workflow has led to."""

    record: object
    """The line of `--json`."""
    message: str


class NothingToStop(AlreadyFinished):
    """The workflow has ended before it was asked to."""

    def __str__(self) -> str:
        return f"workflow {self.workflow.id} is {self.workflow.state_text} already: there is nothing to stop"


class ChangeRefused(PartialFailure):
    """The server has refused a change of one workflow, without a reason."""

    def __init__(self, asked: str, workflow: Workflow) -> None:
        super().__init__(asked, 0, 1)
        self.workflow = workflow

    def __str__(self) -> str:
        return f"workflow {self.workflow.id} is {self.workflow.state_text}: the server refuses to {self.asked} it"


Change: TypeAlias = Callable[[int], Awaitable[ChangeResult]]
"""Changes the workflow with this id."""


async def change_each(change: Change, workflow_ids: Sequence[int], output: Output) -> Exit:
    """Change workflows concurrently and print each result. An error is printed and does not stop the others."""
    codes: list[Exit] = []

    async def change_one(id: int) -> None:
        try:
            result = await change(id)
        except WorkflowAsyncError as error:
            print_error(error)
            codes.append(code_of(error))
        else:
            output.result(result.record, result.message)

    async with anyio.create_task_group() as tasks:
        for id in workflow_ids:
            tasks.start_soon(change_one, id)
    return worst_code(codes)
