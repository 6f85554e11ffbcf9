"""Locks by event: a batch sends its starts on one event one after the other, and not within the server's guard lag."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from attrs import define, field

from workflow_async.settings import Clock


@define(eq=False)
class StartLocks:
    """One lock for each lock key, and the time at which a start was last sent for it.

    A lock key of None needs no lock. See `StartBackend.lock_key`.
    """

    clock: Clock
    _released: dict[str, anyio.Event] = field(factory=dict, init=False)
    """The event of each held lock, set when the lock is released."""
    _last_sent: dict[str, float] = field(factory=dict, init=False)

    @asynccontextmanager
    async def hold(self, lock_key: str | None) -> AsyncIterator[None]:
        """Hold the lock, after waiting until no other start holds it."""
        if lock_key is None:
            yield
            return
        while (released := self._released.get(lock_key)) is not None:
            await released.wait()
        own = self._released[lock_key] = anyio.Event()
        try:
            yield
        finally:
            del self._released[lock_key]
            own.set()

    def seconds_left(self, lock_key: str | None, lag: float) -> float:
        """Return the seconds until the last start was sent `lag` seconds ago. 0 if it was, or if none was sent."""
        sent = self._last_sent.get(lock_key) if lock_key is not None else None
        return 0.0 if sent is None else max(0.0, sent + lag - self.clock.now())

    async def wait_out_lag(self, lock_key: str | None, lag: float) -> None:
        """Wait until the last start was sent more than `lag` seconds ago."""
        left = self.seconds_left(lock_key, lag)
        if left > 0:
            await self.clock.sleep(left)

    def note_sent(self, lock_key: str | None) -> None:
        """Note that a start may have happened just now."""
        if lock_key is not None:
            self._last_sent[lock_key] = self.clock.now()
