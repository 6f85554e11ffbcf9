"""Sends the requests of starts: each start once, and the checks around them."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

from attrs import define, evolve

from workflow_async._core.call import Call
from workflow_async._core.retry import may_have_happened
from workflow_async._core.transport import Transport
from workflow_async.errors import CallError, StartOutcomeUnknown

T = TypeVar("T")


@define(eq=False)
class StartSender:
    """What the start backends of both systems share: one server, and how its requests are sent."""

    transport: Transport

    @property
    def server(self) -> str:
        """The base URL."""
        return self.transport.origin.base

    async def send_start(
        self,
        call: Call[T],
        timeout: float | None,
        unknown: Callable[[CallError], StartOutcomeUnknown],
        may_send: Callable[[], bool] | None = None,
    ) -> T:
        """Send a start once.

        A start that is cut off early is not repeated, so its timeout is all of `Timeouts.call`, or `timeout` seconds.

        Args:
            call: the start.
            timeout: seconds for the whole call.
            unknown: makes the error for a start that may have happened.
            may_send: returns False once the start may no longer be sent.

        Raises:
            StartOutcomeUnknown: the start may have happened.
            CallError: nothing was started.
        """
        try:
            limited = evolve(call, may_send=may_send)
            return await self.transport.send(limited, timeout=timeout or self.transport.timeouts.call)
        except CallError as error:
            if not may_have_happened(error):
                raise
            failure = unknown(error)
        raise failure  # outside of `except`, because it holds the cause already

    async def read(self, call: Call[T]) -> T:
        """Send a read without retries while the server is unavailable: the caller waits and checks again."""
        return await self.transport.send(evolve(call, retries_unavailable=False))

    def now(self) -> datetime:
        """Return the time of the client's clock in UTC."""
        return datetime.fromtimestamp(self.transport.clock.wall(), UTC)
