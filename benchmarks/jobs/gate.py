"""A clock whose sleep ends when the driver says so: polls on real sockets, one interval at a time."""

import asyncio
import time
from collections.abc import Callable

from workflow_async import Clock


class Gate:
    """Time stands still until `pass_on`; what sleeps longest is what the next interval waits for."""

    def __init__(self, idle: Callable[[], bool]) -> None:
        self._idle = idle
        self._now = 1000.0
        self._opened = asyncio.Event()
        self._resting = asyncio.Event()
        self.clock = Clock(now=lambda: self._now, sleep=self._sleep, jitter=lambda: 0.5, wall=time.time)

    async def _sleep(self, seconds: float) -> None:
        until = self._now + seconds
        if seconds > 1.0 and self._idle():
            self._resting.set()
        await self._opened.wait()
        self._opened.clear()
        self._now = max(self._now, until)

    async def rest(self) -> None:
        """Wait until nothing is on its way and everybody sleeps."""
        await self._resting.wait()

    async def pass_on(self) -> None:
        """Let the time pass until the next look, and wait until everything that follows from it is over."""
        self._resting.clear()
        self._opened.set()
        await self.rest()
