"""The base class of both systems' sources: which server is polled, and how its calls are sent."""

from typing import ClassVar, TypeVar

from attrs import evolve, frozen

from workflow_async._core.call import Call
from workflow_async._core.transport import Transport

T = TypeVar("T")


@frozen
class SystemSource:
    """What the sources of both systems share. See `monitor.source.Source`."""

    _transport: Transport
    system: ClassVar[str]

    @property
    def server_key(self) -> str:
        """The system and the server without its scheme."""
        return f"{self.system}:{self._transport.origin.base.partition('://')[2]}"

    @property
    def connections(self) -> int:
        """The number of connections of the client."""
        return self._transport.limits.connections

    async def _send(self, call: Call[T], /) -> T:
        """Send a call. Raise immediately if the server asks for a pause, because then the monitor pauses all calls."""
        return await self._transport.send(evolve(call, obeys_retry_after=False, retries_unavailable=False))
