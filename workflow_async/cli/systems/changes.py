"""Changes of single workflows: what a system supplies, and the loop over the workflows."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TypeAlias

import anyio
from attrs import frozen
from rich.status import Status

from workflow_async.cli.exit_codes import Exit, UsageError, code_of, print_error, worst_code
from workflow_async.cli.output import Output, without
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


async def change_each(change: Change, workflow_ids: Sequence[int], output: Output, name: str) -> Exit:
    """Change workflows concurrently and print each result.

    Neither an error of one workflow nor an output that cannot be written stops the others.
    """
    codes: dict[int, Exit] = {}
    unwritten: list[OSError] = []

    async def change_one(id: int, spinner: Status) -> None:
        try:
            result = await change(id)
        except WorkflowAsyncError as error:
            codes[id] = code_of(error)
            with without(spinner):
                print_error(error)
        else:
            codes[id] = Exit.DONE
            with without(spinner):
                unwritten.extend(_print_result(output, result))

    try:
        with output.spinner(name) as spinner:
            async with anyio.create_task_group() as tasks:
                for id in workflow_ids:
                    tasks.start_soon(change_one, id, spinner)
    except anyio.get_cancelled_exc_class():
        unknown = ", ".join(str(id) for id in workflow_ids if id not in codes)
        print_error(UsageError(f"interrupted: it is not known whether this was done: {name} {unknown}"))
        raise
    raise_first(unwritten)
    return worst_code(codes.values())


def _print_result(output: Output, result: ChangeResult) -> Iterator[OSError]:
    """Print the result of a change. Yield the error if that is not possible."""
    try:
        output.result(result.record, result.message)
    except OSError as error:
        yield error


def raise_first(errors: Sequence[OSError]) -> None:
    """Raise the first error, with the notes of all. Do nothing if there is none."""
    for error in errors[1:]:
        for note in getattr(error, "__notes__", ()):
            errors[0].add_note(note)
    if errors:
        raise errors[0]
