"""A clock whose sleep ends when the driver says so: polls on real sockets, one interval at a time."""

import asyncio
import time
from typing import Any

from workflow_async import Clock
from workflow_async.monitor._engine.fetcher import Fetcher

LONG = 1.0
"""Seconds: who sleeps for less waits to try something again."""


class Gate:
    """Time stands still until `pass_on`; what sleeps longest is what the next interval waits for."""

    def __init__(self) -> None:
        self._now = 1000.0
        self._opened = asyncio.Event()
        self._resting = asyncio.Event()
        self._sleepers = 0
        self._looks: Fetcher[Any] | None = None
        self.clock = Clock(now=lambda: self._now, sleep=self._sleep, jitter=lambda: 0.5, wall=time.time)

    def attend(self, looks: Fetcher[Any]) -> None:
        """Notice when a request of these is over."""
        self._looks, stir = looks, looks.on_idle

        def over() -> None:
            stir()
            asyncio.get_running_loop().call_soon(self._look)  # once the poll task has started what is due now

        looks.on_idle = over

    def _look(self) -> None:
        if self._sleepers and self._looks is not None and self._looks.idle:
            self._resting.set()

    async def _sleep(self, seconds: float) -> None:
        until, sleepers = self._now + seconds, int(seconds > LONG)
        self._sleepers += sleepers
        self._look()
        try:
            await self._opened.wait()
        finally:
            self._sleepers -= sleepers
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
