"""An alarm clock for one who waits for something else meanwhile."""

from collections.abc import Callable

import anyio
from anyio.abc import TaskGroup
from attrs import define, field

from workflow_async.settings import Clock


@define
class Alarm:
    """Rings once, at the earliest instant it has been set to since it last rang: perhaps too early, never too late."""

    clock: Clock
    group: TaskGroup
    ring: Callable[[], None]
    _at: float = field(default=float("inf"), init=False)
    _scope: anyio.CancelScope = field(factory=anyio.CancelScope, init=False)

    def set(self, at: float) -> None:
        """Ring at this instant, unless it rings before."""
        if at < self._at:
            self._scope.cancel()
            self._at, self._scope = at, anyio.CancelScope()
            self.group.start_soon(self._sleep, at, self._scope)

    async def _sleep(self, at: float, scope: anyio.CancelScope) -> None:
        if not scope.cancel_called:  # before it began
            with scope:
                await self.clock.sleep(max(0.0, at - self.clock.now()))
        if not scope.cancel_called:  # else the next one has its own instant, though this one may have slept to its end
            self._at = float("inf")
            self.ring()
