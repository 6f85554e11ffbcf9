"""A clock that stands still until the next interval is requested: polls on real sockets, one interval at a time."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from workflow_async import Clock
from workflow_async.monitor._engine.engine import Engine
from workflow_async.monitor._engine.listener import Listener

MIN_POLL_SLEEP = 1.0
"""Seconds. Shorter sleeps are delays before a retry."""


class IdleListener:
    """A listener that passes every report on, and calls back when a request has finished."""

    def __init__(self, listener: Listener[Any], callback: Callable[[], None]) -> None:
        self.on_event, self.on_replaced, self.on_fatal = listener.on_event, listener.on_replaced, listener.on_fatal
        self._listener, self._callback = listener, callback

    def on_idle(self) -> None:
        """Call back after the poll task has started the due requests."""
        self._listener.on_idle()
        asyncio.get_running_loop().call_soon(self._callback)


class SteppedClock:
    """A clock that stands still until `advance` is called. The longest sleep is the delay until the next poll."""

    def __init__(self) -> None:
        self._now = 1000.0
        self._advanced = asyncio.Event()
        self._idle = asyncio.Event()
        self._sleepers = 0
        self._engine: Engine[Any] | None = None
        self.clock = Clock(now=lambda: self._now, sleep=self._sleep, jitter=lambda: 0.5, wall=time.time)

    def attach(self, engine: Engine[Any]) -> None:
        """Observe when the requests of an engine have finished."""
        self._engine = engine
        engine.fetcher.listener = IdleListener(engine.listener, self._check_idle)

    def _check_idle(self) -> None:
        if self._sleepers and self._engine is not None and self._engine.idle:
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
