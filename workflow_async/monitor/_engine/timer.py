"""A timer that calls back once, at the earliest time it was set to."""

import asyncio
from collections.abc import Callable

from attrs import define, field

from workflow_async.settings import Clock

TIMER_SLACK = 0.001
"""Seconds a check may start early. Timers are not exact, and a loop that sleeps for less would spin."""


@define
class Timer:
    """A timer that may call back too early, but never too late."""

    clock: Clock
    group: asyncio.TaskGroup
    callback: Callable[[], None]
    _at: float = field(default=float("inf"), init=False)
    _timer: "asyncio.Task[None] | None" = field(default=None, init=False)

    def set(self, at: float) -> None:
        """Call back at this instant, unless the timer is set to an earlier one."""
        if at < self._at:
            if self._timer is not None:
                self._timer.cancel()
            self._at, self._timer = at, self.group.create_task(self._sleep(at))

    async def _sleep(self, at: float) -> None:
        await self.clock.sleep(max(0.0, at - self.clock.now()))
        self._at, self._timer = float("inf"), None
        self.callback()
