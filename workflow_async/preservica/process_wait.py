"""Waits for the end of a process by the name of its monitor."""

import math
from collections.abc import Iterable
from typing import Literal

import anyio
from attrs import define, field

from workflow_async._core.call import Call, Page, Replay
from workflow_async._core.retry import retryable
from workflow_async._core.transport import Transport
from workflow_async._listing.listing import Listing
from workflow_async.errors import CallError, InvalidArgument, ProcessNotFound, ProcessWaitTimeout
from workflow_async.monitor._engine.backoff import poll_delay
from workflow_async.phase import Phase
from workflow_async.preservica.records import Monitor
from workflow_async.settings import Poll, check_poll, check_positive

WhenProcessParked = Literal["wait", "return"]
"""What a wait does when a process needs a person."""
LAST_CHECK = 1.0
"""Seconds that the last check may take beyond the timeout."""


@define
class ProcessWait:
    """A wait for one process. Each check reads the monitors of its name, because their ids may change."""

    _transport: Transport
    _name: str
    _call: Call[Page[Monitor]]
    """The list of the monitors of this name, and perhaps of longer names."""
    _timeout: float | None
    _poll: Poll
    _parked: WhenProcessParked
    _last: Monitor | None = field(default=None, init=False)
    _unchanged: int = field(default=0, init=False)
    _answered: float = field(default=0.0, init=False)
    """When the server last answered a check."""
    _seen: float = field(default=0.0, init=False)
    """When the server last showed the monitor."""

    def __attrs_post_init__(self) -> None:
        check_positive("timeout", self._timeout)
        check_poll(self._poll)
        if self._parked not in ("wait", "return"):
            raise InvalidArgument("parked", 'must be "wait" or "return"')

    async def run(self) -> Monitor:
        """Return the monitor when its process has ended."""
        clock = self._transport.clock
        self._answered = self._seen = started = clock.now()
        remaining = math.inf if self._timeout is None else self._timeout
        delay = self._poll.initial
        while True:
            await clock.sleep(min(delay, remaining))
            monitor, delay = await self._check(max(LAST_CHECK, remaining - delay))
            if monitor is not None and self._is_over(monitor):
                return monitor
            if self._timeout is not None and (remaining := started + self._timeout - clock.now()) <= 0:
                raise ProcessWaitTimeout(self._name, self._timeout, self._last)

    async def _check(self, seconds: float) -> tuple[Monitor | None, float]:
        """Return the monitor, or None if a temporary failure hides it, and the seconds until the next check."""
        found: list[Monitor] = []
        pause = 0.0
        try:
            with anyio.move_on_after(seconds):
                found = [monitor async for monitor in self._listing() if monitor.name == self._name]
                self._answered = self._transport.clock.now()
        except CallError as error:
            if not retryable(error, Replay.SAFE) or self._transport.clock.now() - self._answered > self._poll.outage:
                raise
            pause = error.retry_after or 0.0
        monitor = latest(found)
        self._note(monitor)
        delay = poll_delay(self._poll, self._unchanged, self._transport.clock.jitter())
        return monitor, max(delay, pause)

    def _listing(self) -> Listing[Monitor]:
        return Listing(self._transport.send, self._call, lambda monitor: monitor.id, unreadable="skip")

    def _note(self, monitor: Monitor | None) -> None:
        """Remember what a check has shown. Raise `ProcessNotFound` if the monitor is missing for too long."""
        if monitor is not None:
            self._seen = self._answered
        elif self._answered - self._seen > self._poll.outage:
            raise ProcessNotFound(self._name, self._answered - self._seen, self._last)
        self._unchanged = self._unchanged + 1 if monitor in (None, self._last) else 0
        self._last = monitor or self._last

    def _is_over(self, monitor: Monitor) -> bool:
        return monitor.phase.final or (monitor.phase is Phase.PARKED and self._parked == "return")


def latest(monitors: Iterable[Monitor]) -> Monitor | None:
    """Return the monitor of the process that was started last. A process that has not been started is the latest."""
    return max(
        monitors, key=lambda each: (each.started is None, each.started and each.started.timestamp()), default=None
    )
