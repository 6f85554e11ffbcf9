"""What a watch of a filter adds to a watch of ids: its own list, read again and again."""

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
from workflow_async.monitor._engine.subscription import Subscription
from workflow_async.monitor._engine.timer import TIMER_SLACK
from workflow_async.phase import Workflow

W = TypeVar("W", bound=Workflow)

FORGET_AFTER = 600.0
"""Seconds after which one that has ended and is no longer shown is forgotten."""


@define(eq=False)
class Discovery(Generic[W]):
    """What appears in a list is watched for as long as the list shows it; what leaves it is looked at by itself."""

    poller: Poller[W]
    subscription: Subscription[W]
    listing: Callable[[], Listing[W]]
    _shown: set[int] = field(factory=set, init=False)
    _left: dict[int, float] = field(factory=dict, init=False)
    """Workflows that the watch has done with, though the list may still show them, and when each was last known to
    have ended. Infinite for a workflow that was dropped."""
    _outage: Outage | None = field(default=None, init=False)
    """None while the list can be read."""
    _was_read: bool = field(default=False, init=False)
    _calm: int = field(default=0, init=False)
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
        """Cancel the request on its way."""
        if self._request is not None:
            self._request.cancel()

    async def _run(self) -> None:
        clock, poll = self.poller.clock, self.subscription.tracking.poll
        wished = await self._read()
        seconds = self.poller.engine.delay(poll, self._calm)
        self._due = clock.now() + max(seconds, wished)
        self.poller.on_idle()

    def on_left(self, id: int, *, ended: bool) -> None:
        """Ignore the rows of a workflow. With `ended`, until a row shows that it goes on."""
        self._left[id] = self.poller.clock.now() if ended else float("inf")

    def on_listed_again(self, id: int) -> None:
        """Take what the list shows of it again."""
        self._left.pop(id, None)

    async def _read(self) -> float:
        """Read the list once, unless the server is left alone. Return the seconds for which it is."""
        if quiet := self.poller.engine.paused_for:
            return quiet
        began = asked = self.poller.clock.now()
        seen: set[int] = set()
        try:
            async for page in self.listing().pages():
                self.poller.engine.record_response(asked)
                for workflow in page.items:
                    seen.add(workflow.id)
                    self._on_page(workflow, asked)
                asked = self.poller.clock.now()
        except CallError as error:
            return self._failed(error)
        except WorkflowAsyncError as error:
            self.poller.fail(self.subscription, error)
        else:
            self._on_list_read(seen, began)
        return 0.0

    def _on_page(self, workflow: W, asked: float) -> None:
        left = self._left.get(workflow.id)
        if left is None:
            self.poller.on_listed(self.subscription, workflow, asked)
        elif workflow.phase.final:
            self._left[workflow.id] = max(left, asked)
        elif asked - self.poller.source.list_lag >= left:
            del self._left[workflow.id]
            self.poller.on_listed(self.subscription, workflow, asked)

    def _on_list_read(self, seen: set[int], began: float) -> None:
        """The list was read to its end: who has left it is looked at, and who left long ago is forgotten."""
        self._outage, self._was_read = None, True
        for id in (self._shown - seen) & self.subscription.ids:
            self.poller.engine.check_soon(id)
        self._calm = self._calm + 1 if seen == self._shown else 0
        self._shown = seen
        for id in [id for id, left in self._left.items() if id not in seen and began - left >= FORGET_AFTER]:
            del self._left[id]

    def _failed(self, error: CallError) -> float:
        """A list that could not be read says nothing of who left it; the watch fails when there is no hope in it.

        A list that was read before may be read again, whatever refuses it now.
        """
        engine, now = self.poller.engine, self.poller.clock.now()
        self._outage = self._outage or engine.outages.begin(now)
        engine.record_failure(error)
        hopeless = not (self._was_read or retryable(error, Replay.SAFE))
        if hopeless or engine.outages.seconds(self._outage, now) >= self.subscription.tracking.poll.outage:
            self.poller.fail(self.subscription, error)
        return engine.paused_for
