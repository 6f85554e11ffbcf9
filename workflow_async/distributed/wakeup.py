"""Waits for an event or an instant, whichever comes first."""

import asyncio
import math

import anyio
from attrs import define, field

from workflow_async.settings import Clock


@define(eq=False)
class Wakeup:
    """An event of one waiting task."""

    clock: Clock
    _event: asyncio.Event = field(factory=asyncio.Event, init=False)

    def set(self) -> None:
        """Wake the task. If it does not wait now, its next wait returns at once."""
        self._event.set()

    async def wait(self, until: float) -> None:
        """Wait until this instant, or until `set` is called."""
        if until == math.inf:
            await self._event.wait()
        elif not self._event.is_set():
            async with anyio.create_task_group() as group:
                group.start_soon(self._sleep, until)
                await self._event.wait()
                group.cancel_scope.cancel()
        self._event.clear()

    async def _sleep(self, until: float) -> None:
        await self.clock.sleep(max(0.0, until - self.clock.now()))
        self._event.set()
