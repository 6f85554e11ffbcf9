"""The ends of workflows, as a batch waits for them."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from workflow_async import monitor
from workflow_async.errors import CallError
from workflow_async.monitor.watch import WaitOptions, wait
from workflow_async.phase import Workflow
from workflow_async.settings import Poll

W = TypeVar("W", bound=Workflow)


async def watch_outcome(
    poller: monitor.Poller[W], id: int, options: WaitOptions[W], changed: Callable[[monitor.Change[W]], Awaitable[None]]
) -> monitor.Outcome[W]:
    """Watch a workflow until it has an outcome. Call `changed` with each change before."""
    async with monitor.watching(poller, [id], None, poll=options.poll, operations=False, stalled_after=None) as events:
        async for event in events:
            if isinstance(event, monitor.Change):
                await changed(event)
            found = options.outcome(event)
            if found is not None:
                return found
    return monitor.TimedOut(id=id)  # a watch without a deadline ends with an outcome


async def wait_ended(poller: monitor.Poller[W], id: int, poll: Poll) -> None:
    """Wait for the end of another workflow, or until it cannot be observed."""
    with suppress(CallError):
        await wait(poller, id, WaitOptions[W](poll=poll), check=False)
