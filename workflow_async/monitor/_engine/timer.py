"""A timer for a task that waits for other things too."""

import asyncio
from collections.abc import Callable

from attrs import define, field

from workflow_async.settings import Clock


@define
class Timer:
    """A timer that rings once, at the earliest instant set since it last rang: perhaps too early, never too late."""

    clock: Clock
    group: asyncio.TaskGroup
    callback: Callable[[], None]
    _at: float = field(default=float("inf"), init=False)
    _timer: "asyncio.Task[None] | None" = field(default=None, init=False)

    def set(self, at: float) -> None:
        """Ring at this instant, unless an earlier one is set."""
        if at < self._at:
            if self._timer is not None:
                self._timer.cancel()
            self._at, self._timer = at, self.group.create_task(self._sleep(at))

    async def _sleep(self, at: float) -> None:
        await self.clock.sleep(max(0.0, at - self.clock.now()))
        self._at, self._timer = float("inf"), None
        self.callback()
