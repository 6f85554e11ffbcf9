"""The deadlines of the watchers of one client."""

import asyncio
import heapq
from collections.abc import Callable
from typing import Generic, TypeVar

from attrs import define, field

from workflow_async.monitor._engine.subscription import Subscription
from workflow_async.monitor._engine.timer import TIMER_SLACK
from workflow_async.phase import Workflow
from workflow_async.settings import Clock

W = TypeVar("W", bound=Workflow)

LAST_CHECK = 1.0
"""Seconds that the last check of a watcher may take beyond its deadline."""
MIN_CLEANUP = 64
"""Deadlines in the heap before those of watchers that have left are removed."""


@define(eq=False)
class Deadlines(Generic[W]):
    """Watchers by their deadline, and watchers that wait for their last check.

    Deadlines are instants of the client's clock. The time of a test clock can pass as soon as anything sleeps. So a
    timer of the event loop calls `callback` while requests are in flight. It limits the last check as well.
    """

    clock: Clock
    callback: Callable[[], None]
    """Called when a deadline or the time for a last check has passed."""
    _heap: list[tuple[float, int, Subscription[W]]] = field(factory=list, init=False)
    _cleanup_at: int = field(default=MIN_CLEANUP, init=False)
    """Length of the heap at which the deadlines of watchers that have left are removed."""
    _last_checks: dict[Subscription[W], float] = field(factory=dict, init=False)
    """When the last check of each watcher is given up, an instant of the event loop."""
    _timer: asyncio.TimerHandle | None = field(default=None, init=False)

    def add(self, subscription: Subscription[W]) -> None:
        """Note the deadline of a watcher, if it has one."""
        if subscription.deadline is None:
            return
        if len(self._heap) >= self._cleanup_at:
            self._heap = [entry for entry in self._heap if entry[2].ids]
            heapq.heapify(self._heap)
            self._cleanup_at = MIN_CLEANUP + 2 * len(self._heap)
        heapq.heappush(self._heap, (subscription.deadline, id(subscription), subscription))

    def drop(self, subscription: Subscription[W]) -> None:
        """Stop waiting for the last check of a watcher that has left."""
        self._last_checks.pop(subscription, None)

    @property
    def next(self) -> float | None:
        """The earliest deadline. None if there is none."""
        while self._heap and not self._heap[0][2].ids:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def passed(self) -> list[Subscription[W]]:
        """Return the watchers whose deadline has passed since the last call. Wait for the last check of each."""
        passed, give_up_at = list[Subscription[W]](), asyncio.get_running_loop().time() + LAST_CHECK
        while self.next is not None and self._heap[0][0] <= self.clock.now() + TIMER_SLACK:
            passed.append(heapq.heappop(self._heap)[2])
        self._last_checks |= dict.fromkeys(passed, give_up_at)
        return passed

    @property
    def checking(self) -> bool:
        """True if a watcher waits for its last check."""
        return bool(self._last_checks)

    def expire(self, is_pending: Callable[[set[int]], bool]) -> None:
        """End each watcher whose last check has ended or takes too long. `is_pending` is called with its ids."""
        now = asyncio.get_running_loop().time() + TIMER_SLACK
        for subscription, give_up_at in list(self._last_checks.items()):
            if give_up_at <= now or not is_pending(subscription.ids):
                del self._last_checks[subscription]
                subscription.expire()

    def start_timer(self) -> None:
        """Have the event loop call `callback` at the next deadline, or when the next last check is given up."""
        loop, deadline = asyncio.get_running_loop(), self.next
        at = next(iter(self._last_checks.values()), float("inf"))
        if deadline is not None:
            at = min(at, loop.time() + deadline - self.clock.now())
        if self._timer is not None and abs(self._timer.when() - at) <= TIMER_SLACK:
            return
        self.stop_timer()
        if at < float("inf"):
            self._timer = loop.call_at(at, self._on_timer)

    def stop_timer(self) -> None:
        """Cancel the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_timer(self) -> None:
        self._timer = None
        self.callback()
