"""A clock that stands still until the next interval is requested: polls on real sockets, one interval at a time."""

import asyncio
import time
from typing import Any

from workflow_async import Clock
from workflow_async.monitor._engine.fetcher import Fetcher

MIN_POLL_SLEEP = 1.0
"""Seconds. Shorter sleeps are delays before a retry."""


class SteppedClock:
    """A clock that stands still until `advance` is called. The longest sleep is the delay until the next poll."""

    def __init__(self) -> None:
        self._now = 1000.0
        self._advanced = asyncio.Event()
        self._idle = asyncio.Event()
        self._sleepers = 0
        self._fetcher: Fetcher[Any] | None = None
        self.clock = Clock(now=lambda: self._now, sleep=self._sleep, jitter=lambda: 0.5, wall=time.time)

    def attach(self, fetcher: Fetcher[Any]) -> None:
        """Observe when the requests of a fetcher have finished."""
        self._fetcher, on_idle = fetcher, fetcher.on_idle

        def check_later() -> None:
            on_idle()
            asyncio.get_running_loop().call_soon(self._check_idle)  # After the poll task has started the due requests.

        fetcher.on_idle = check_later

    def _check_idle(self) -> None:
        if self._sleepers and self._fetcher is not None and self._fetcher.idle:
            self._idle.set()

    async def _sleep(self, seconds: float) -> None:
        until, sleepers = self._now + seconds, int(seconds > MIN_POLL_SLEEP)
        self._sleepers += sleepers
        self._check_idle()
        try:
            await self._advanced.wait()
        finally:
            self._sleepers -= sleepers
        self._advanced.clear()
        self._now = max(self._now, until)

    async def wait_idle(self) -> None:
        """Wait until no request is in progress and the poll task sleeps."""
        await self._idle.wait()

    async def advance(self) -> None:
        """Advance to the next poll and wait until all its requests have finished."""
        self._idle.clear()
        self._advanced.set()
        await self.wait_idle()
