"""Waiting for one workflow to end."""

from collections.abc import Awaitable, Callable
from typing import Generic, Literal, TypeVar

import anyio
from attrs import define, field

from workflow_async._call import Replay
from workflow_async._retry import retryable
from workflow_async.errors import CallError, NotFound, UnsafeValue, WaitTimeout, WorkflowFailed, WorkflowParked
from workflow_async.monitor.pace import pause
from workflow_async.phase import Phase, Workflow
from workflow_async.settings import Clock, Poll

W = TypeVar("W", bound=Workflow)

Parked = Literal["wait", "return", "raise"]
"""What to do about a workflow that needs a person."""


@define
class Vigil(Generic[W]):
    """What one wait has seen so far."""

    poll: Poll
    last: W | None = field(default=None, init=False)
    unchanged: int = field(default=0, init=False)
    failing_since: float | None = field(default=None, init=False)

    def saw(self, workflow: W) -> None:
        """Take a look into account."""
        last, self.last, self.failing_since = self.last, workflow, None
        same = last is not None and (last.state_text, last.step) == (workflow.state_text, workflow.step)
        self.unchanged = self.unchanged + 1 if same else 0

    def missed(self, error: CallError, now: float) -> None:
        """Endure a look that failed; raises the error where enduring is pointless or has lasted too long.

        A 404 is endured too once the workflow has been seen: a server that rebuilds its index forgets for a while.
        """
        since = self.failing_since = now if self.failing_since is None else self.failing_since
        passing = retryable(error, Replay.SAFE) or (isinstance(error, NotFound) and self.last is not None)
        if not passing or now - since >= self.poll.outage:
            raise error
        self.unchanged += 1


async def wait(
    look: Callable[[], Awaitable[W]],
    id: int,
    *,
    deadline: float | None,
    poll: Poll,
    parked: Parked,
    check: bool,
    clock: Clock,
) -> W:
    """Look until the workflow has ended; see `Workflows.wait` of either system."""
    if deadline is not None and not deadline > 0:
        raise UnsafeValue("deadline", "must be a number of seconds above 0, or None to wait without end")
    if parked not in {"wait", "return", "raise"}:
        raise UnsafeValue("parked", 'must be "wait", "return" or "raise"')
    vigil: Vigil[W] = Vigil(poll)
    with anyio.move_on_after(deadline):
        ended = await _watch(look, vigil, deadline, parked, clock)
        if ended is not None:
            return _checked(ended, check=check)
    raise WaitTimeout(id, deadline or 0.0, vigil.last)


async def _watch(
    look: Callable[[], Awaitable[W]], vigil: Vigil[W], deadline: float | None, parked: Parked, clock: Clock
) -> W | None:
    """The workflow once it has ended or may be returned parked; None when the deadline passed."""
    end = None if deadline is None else clock.now() + deadline
    await clock.sleep(vigil.poll.initial)
    while True:
        try:
            workflow = await look()
        except CallError as error:
            vigil.missed(error, clock.now())
        else:
            vigil.saw(workflow)
            if workflow.phase.final or _leaves(workflow, parked):
                return workflow
        nap = pause(vigil.poll, vigil.unchanged, clock.jitter())
        left = nap if end is None else end - clock.now()
        if left <= 0:
            return None
        await clock.sleep(min(nap, left))


def _leaves(workflow: Workflow, parked: Parked) -> bool:
    if workflow.phase is not Phase.PARKED or parked == "wait":
        return False
    if parked == "raise":
        raise WorkflowParked(workflow)
    return True


def _checked(workflow: W, *, check: bool) -> W:
    if check and workflow.phase.final and workflow.phase is not Phase.SUCCEEDED:
        raise WorkflowFailed(workflow)
    return workflow
