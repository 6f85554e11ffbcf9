"""Turns: the starts of a batch on one subject go one after the other, and not within the lag of the server's guard."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from attrs import define, field

from workflow_async.settings import Clock


@define(eq=False)
class StartLocks:
    """Whose turn it is on each subject, and when a start was last sent."""

    clock: Clock
    _running: dict[str, anyio.Event] = field(factory=dict, init=False)
    """The end of each turn that is not over."""
    _last_sent: dict[str, float] = field(factory=dict, init=False)

    @asynccontextmanager
    async def hold(self, subject: str | None) -> AsyncIterator[None]:
        """Wait until no other start on the subject has its turn. None needs no turn."""
        if subject is None:
            yield
            return
        while (before := self._running.get(subject)) is not None:
            await before.wait()
        over = self._running[subject] = anyio.Event()
        try:
            yield
        finally:
            del self._running[subject]
            over.set()

    async def wait_out_lag(self, subject: str | None, lag: float) -> None:
        """Wait until a start that was sent last is older than `lag` seconds."""
        sent = self._last_sent.get(subject) if subject is not None else None
        left = 0.0 if sent is None else sent + lag - self.clock.now()
        if left > 0:
            await self.clock.sleep(left)

    def note_sent(self, subject: str | None) -> None:
        """Note that a start on the subject may have happened just now."""
        if subject is not None:
            self._last_sent[subject] = self.clock.now()
