"""Waits for the ends of workflows, for a batch."""

import math
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from workflow_async import monitor
from workflow_async.errors import CallError, WaitTimeout, WorkflowReplaced
from workflow_async.monitor._engine.poller import Poller
from workflow_async.monitor.waits import WaitOptions, wait
from workflow_async.monitor.watch import watching
from workflow_async.phase import Workflow
from workflow_async.settings import Poll

W = TypeVar("W", bound=Workflow)


async def watch_outcome(
    poller: Poller[W],
    id: int,
    options: WaitOptions[W],
    on_change: Callable[[monitor.Change[W]], Awaitable[None]],
) -> monitor.Outcome[W]:
    """Watch a workflow until it has an outcome. Call `on_change` with each change before the outcome."""
    async with watching(poller, [id], None, poll=options.poll, operations=False, stalled_after=None) as events:
        async for event in events:
            if isinstance(event, monitor.Change):
                await on_change(event)
            outcome = options.outcome(event)
            if outcome is not None:
                return outcome
    return monitor.TimedOut(id=id)  # not reached: a watch without a timeout ends with an outcome


async def wait_ended(poller: Poller[W], id: int, poll: Poll, seconds: float = math.inf) -> None:
    """Wait until another workflow has ended or can no longer be observed, for `seconds` at most."""
    options = WaitOptions[W](timeout=None if math.isinf(seconds) else seconds, poll=poll)
    with suppress(CallError, WaitTimeout, WorkflowReplaced):
        await wait(poller, id, options, check=False)
