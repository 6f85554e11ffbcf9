"""A budget of requests that processes share, which a command has only once it is connected to NATS."""

from collections.abc import Awaitable, Callable

from attrs import define


@define(eq=False)
class SharedPace:
    """Awaits the shared budget before each request of a client. A command without one awaits nothing."""

    budget: Callable[[], Awaitable[None]] | None = None
    """Such as `NatsPace.acquire`."""

    async def acquire(self) -> None:
        """Wait until the next request may be sent."""
        if self.budget is not None:
            await self.budget()
