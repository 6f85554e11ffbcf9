"""Calls of a coordinator that end in time, and what the log says of them."""

from collections.abc import Awaitable
from typing import TypeVar

import anyio
from attrs import define, field

from workflow_async.distributed.coordinator import Coordinator
from workflow_async.distributed.held_shard import SHARE
from workflow_async.errors import CoordinatorUnavailable
from workflow_async.observe.log import log

T = TypeVar("T")


@define(eq=False)
class CoordinatorCalls:
    """The coordinator of one worker, and whether it answers."""

    coordinator: Coordinator
    lease_seconds: float
    _unavailable: bool = field(default=False, init=False)

    async def bounded(self, call: Awaitable[T]) -> T:
        """Return the result of a call.

        Raises:
            CoordinatorUnavailable: it took longer than a third of the lease, or the coordinator says so.
        """
        try:
            result = await self._in_time(call)
        except CoordinatorUnavailable as error:
            if not self._unavailable:
                log.warning("the coordinator does not answer", extra={"error": error.why})
            self._unavailable = True
            raise
        if self._unavailable:
            log.warning("the coordinator answers again")
        self._unavailable = False
        return result

    async def _in_time(self, call: Awaitable[T]) -> T:
        seconds = self.lease_seconds / SHARE
        with anyio.move_on_after(seconds):
            return await call
        raise CoordinatorUnavailable(f"no answer within {seconds:g} s")
