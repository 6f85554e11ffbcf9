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
    """Watchers by their deadline, and those that wait for their last check.

    Deadlines are instants of the client's clock. A clock for tests may pass as soon as anything sleeps, so while
    requests are on their way the event loop's own timer calls `ring`, and bounds the last check too.
    """

    clock: Clock
    callback: Callable[[], None]
    _heap: list[tuple[float, int, Subscription[W]]] = field(factory=list, init=False)
    _crowded: int = field(default=MIN_CLEANUP, init=False)
    _last_checks: dict[Subscription[W], float] = field(factory=dict, init=False)
    """Until when each is waited for, an instant of the event loop."""
    _timer: asyncio.TimerHandle | None = field(default=None, init=False)

    def add(self, subscription: Subscription[W]) -> None:
        """Note the deadline of a watcher, if it has one."""
        if subscription.deadline is None:
            return
        if len(self._heap) >= self._crowded:
            self._heap = [noted for noted in self._heap if noted[2].ids]
            heapq.heapify(self._heap)
            self._crowded = MIN_CLEANUP + 2 * len(self._heap)
        heapq.heappush(self._heap, (subscription.deadline, id(subscription), subscription))

    def drop(self, subscription: Subscription[W]) -> None:
        """Wait for no last check of a watcher that has left."""
        self._last_checks.pop(subscription, None)

    @property
    def next(self) -> float | None:
        """The earliest deadline, None if there is none."""
        while self._heap and not self._heap[0][2].ids:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def passed(self) -> list[Subscription[W]]:
        """Return the watchers whose deadline has passed since the last time. Each gets a last check from here on."""
        passed, until = list[Subscription[W]](), asyncio.get_running_loop().time() + LAST_CHECK
        while self.next is not None and self._heap[0][0] <= self.clock.now() + TIMER_SLACK:
            passed.append(heapq.heappop(self._heap)[2])
        self._last_checks |= dict.fromkeys(passed, until)
        return passed

    @property
    def checking(self) -> bool:
        """True if any watcher waits for its last check."""
        return bool(self._last_checks)

    def expire(self, is_pending: Callable[[set[int]], bool]) -> None:
        """End each watcher whose last check is over, or takes too long."""
        now = asyncio.get_running_loop().time() + TIMER_SLACK
        for subscription, until in list(self._last_checks.items()):
            if until <= now or not is_pending(subscription.ids):
                del self._last_checks[subscription]
                subscription.expire()

    def start_timer(self) -> None:
        """Have the event loop call `ring` at the next deadline, or at the end of the next last check."""
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
        """Leave no timer in the event loop."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_timer(self) -> None:
        self._timer = None
        self.callback()
