"""Reads the list of a watch of a filter repeatedly, and watches the workflows that it shows."""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

from attrs import define, field

from workflow_async._core.call import Replay
from workflow_async._core.retry import retryable
from workflow_async._listing.listing import Listing
from workflow_async.errors import CallError, WorkflowAsyncError
from workflow_async.monitor._engine.backoff import Outage
from workflow_async.monitor._engine.fetcher import Start
from workflow_async.monitor._engine.poller import Poller
from workflow_async.monitor._engine.subscription import Subscription, WatchEvent, copy_error
from workflow_async.monitor._engine.timer import TIMER_SLACK
from workflow_async.monitor.events import Change
from workflow_async.phase import Workflow

W = TypeVar("W", bound=Workflow)

FORGET_AFTER = 600.0
"""Seconds after its end for which a workflow that the list no longer shows is remembered."""
MAX_ENDS = 10_000
"""Reported ends that are remembered. The oldest is forgotten first."""


@define(eq=False)
class Discovery(Generic[W]):
    """The list of one watch. A workflow is watched while the list shows it, and checked once it leaves the list."""

    poller: Poller[W]
    subscription: Subscription[W]
    listing: Callable[[], Listing[W]]
    _shown: set[int] = field(factory=set, init=False)
    """Workflows that the last list showed."""
    _left: dict[int, float] = field(factory=dict, init=False)
    """Workflows that the watch has left, though the list may still show them, and when each was last known to have
    ended. Infinite for a workflow that was dropped."""
    _ends: dict[int, str] = field(factory=dict, init=False)
    """The key of the last reported end of each workflow. An old page may show an ended workflow as active."""
    _outage: Outage | None = field(default=None, init=False)
    """None while the list can be read."""
    last_error: CallError | None = field(default=None, init=False)
    """Why the list could not be read. None if it was read, or not requested yet."""
    _was_read: bool = field(default=False, init=False)
    _unchanged: int = field(default=0, init=False)
    """Lists in a row that showed the same workflows."""
    _due: float = field(default=float("-inf"), init=False)
    _request: "asyncio.Task[None] | None" = field(default=None, init=False)
    """The last request."""

    def begin(self, start: Start) -> float | None:
        """Start a task that reads the list, if it is due. Return its next due time, None while it is being read."""
        if self._request is not None and not self._request.done():
            return None
        if self._due > self.poller.clock.now() + TIMER_SLACK:
            return self._due
        self._request = start(self._run())
        return None

    def stop(self) -> None:
        """Cancel the request in flight."""
        if self._request is not None:
            self._request.cancel()

    def on_left(self, id: int, *, ended: bool) -> None:
        """Ignore the rows of a workflow. With `ended`, until a row shows that the workflow is active again."""
        self._left[id] = self.poller.clock.now() if ended else float("inf")

    def is_repeated_end(self, event: WatchEvent[W]) -> bool:
        """Return True if this end was reported before and the workflow was not seen to be active since then."""
        return isinstance(event, Change) and event.now.final and self._ends.get(event.id) == event.key

    def on_reported(self, event: WatchEvent[W]) -> None:
        """Remember an end that the watch returns. Forget it once the workflow is active again."""
        if not isinstance(event, Change):
            return
        self._ends.pop(event.id, None)
        if event.now.final:
            self._ends[event.id] = event.key
            if len(self._ends) > MAX_ENDS:
                del self._ends[next(iter(self._ends))]

    def include(self, id: int) -> None:
        """Stop ignoring the rows of a workflow."""
        self._left.pop(id, None)

    async def _run(self) -> None:
        clock, poll = self.poller.clock, self.subscription.tracking.poll
        pause = await self._read()
        seconds = self.poller.engine.delay(poll, self._unchanged)
        self._due = clock.now() + max(seconds, pause)
        self.poller.on_idle()

    async def _read(self) -> float:
        """Read the list once, unless the server has asked for a pause. Return the seconds of that pause."""
        if pause := self.poller.engine.paused_for:
            return pause
        began = asked = self.poller.clock.now()
        shown: set[int] = set()
        try:
            async for page in self.listing().pages():
                self.poller.engine.record_response(asked)
                for workflow in page.items:
                    shown.add(workflow.id)
                    self._on_row(workflow, asked)
                asked = self.poller.clock.now()
        except CallError as error:
            return self._failed(error)
        except WorkflowAsyncError as error:
            self.poller.fail(self.subscription, error)
        else:
            self._on_list_read(shown, began)
        return 0.0

    def _on_row(self, workflow: W, asked: float) -> None:
        left = self._left.get(workflow.id)
        if left is None:
            self.poller.on_listed(self.subscription, workflow, asked)
        elif workflow.phase.final:
            self._left[workflow.id] = max(left, asked)
        elif asked - self.poller.source.list_lag >= left:
            del self._left[workflow.id]
            self._watch_again(workflow, asked)

    def _watch_again(self, workflow: W, asked: float) -> None:
        """Watch a workflow that a row shows as active after its end. Only a GET tells a resume from an old page."""
        if workflow.id in self._ends:
            self.poller.join(self.subscription, [workflow.id])
            self.poller.on_idle()
        else:
            self.poller.on_listed(self.subscription, workflow, asked)

    def _on_list_read(self, shown: set[int], began: float) -> None:
        """Check each workflow that left the list. Forget workflows that ended more than 10 minutes ago."""
        self._outage, self.last_error, self._was_read = None, None, True
        for id in (self._shown - shown) & self.subscription.ids:
            self.poller.engine.check_soon(id)
        self._unchanged = self._unchanged + 1 if shown == self._shown else 0
        self._shown = shown
        for id in [id for id, left in self._left.items() if id not in shown and began - left >= FORGET_AFTER]:
            del self._left[id]

    def _failed(self, error: CallError) -> float:
        """Note that the list could not be read. Return the seconds of the pause that the server asks for.

        A failed list says nothing about workflows. The watch fails if the outage is too long. It also fails if the list
        was never read and the error is one that does not pass.
        """
        engine, now = self.poller.engine, self.poller.clock.now()
        self.last_error = copy_error(error)
        self._outage = self._outage or engine.outages.begin(now)
        engine.record_failure(error)
        permanent = not (self._was_read or retryable(error, Replay.SAFE))
        if permanent or engine.outages.seconds(self._outage, now) >= self.subscription.tracking.poll.outage:
            self.poller.fail(self.subscription, error)
        return engine.paused_for
