"""Workers of one distribution, each with a connection and a clock of its own."""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import anyio
import nats.errors
from attrs import define, field
from nats.aio.client import Client
from nats.aio.msg import Msg

from workflow_async import Clock
from workflow_async.distributed import Lease
from workflow_async.distributed.nats import NatsCoordinator

SPEC = b"a watch"


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition."""
    with anyio.fail_after(20):
        while not condition():
            await anyio.sleep(0.002)


@define
class OwnTime:
    """The monotonic time of one worker. It passes only when a test says so."""

    now: float = 0.0

    @property
    def clock(self) -> Clock:
        """A clock that shows this time. Sleeps last as long as they do."""
        return Clock(now=lambda: self.now)


@define(eq=False)
class NatsWorkers:
    """Opens workers, and closes them at the end."""

    url: str
    name: str
    stack: AsyncExitStack = field(factory=AsyncExitStack)

    async def add(self, clock: Clock | None = None, *, lease_seconds: float = 20.0) -> NatsCoordinator:
        """Open a worker. Its time stands still unless it gets a clock."""
        client = await self.stack.enter_async_context(await connect(self.url))
        clock = OwnTime().clock if clock is None else clock
        worker = NatsCoordinator(client, self.name, lease_seconds=lease_seconds, clock=clock)
        return await self.stack.enter_async_context(worker)


async def connect(url: str, **options: Any) -> Client:
    """Connect quietly. Connect again without delay."""
    client = Client()
    options = {"reconnect_time_wait": 0.02, "max_reconnect_attempts": -1, "error_cb": _ignore, **options}
    await client.connect(url, **options)
    return client


async def _ignore(error: Exception) -> None:
    """Take note of an error of a connection that a test has broken."""


async def claim_all(worker: NatsCoordinator) -> dict[str, Lease]:
    """Claim the fair share of a worker that holds nothing."""
    return {lease.shard: lease for lease in (await worker.claim(())).leases}


def owner_in(worker: NatsCoordinator, shard: str) -> str:
    """Return who has a shard as far as a worker has seen."""
    return next((entry.owner for entry in worker._view.entries if entry.shard == shard), "")


async def seen_by(worker: NatsCoordinator, *leases: Lease) -> None:
    """Wait until a worker has seen these writes."""
    await until(
        lambda: all(
            any(entry.shard == lease.shard and entry.revision >= lease.token for entry in worker._view.entries)
            for lease in leases
        )
    )


@define
class LossyClient:
    """Loses requests or answers of a client to the subjects that begin with a prefix."""

    client: Client
    prefix: str
    requests: int = 0
    """Number of requests still to lose before they are sent."""
    answers: int = 0
    """Number of answers still to lose."""
    _request: Callable[..., Awaitable[Msg]] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._request = self.client.request
        self.client.request = self.request  # type: ignore[method-assign]  # what a lossy network does

    async def request(self, subject: str, *args: Any, **options: Any) -> Msg:
        """Send a request, or lose it or its answer."""
        if subject.startswith(self.prefix) and self.requests:
            self.requests -= 1
            raise nats.errors.TimeoutError
        answer = await self._request(subject, *args, **options)
        if subject.startswith(self.prefix) and self.answers:
            self.answers -= 1
            raise nats.errors.TimeoutError
        return answer
