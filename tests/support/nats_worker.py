"""A process that works on a distribution: `python -m tests.support.nats_worker ORDER`, with ORDER as JSON.

On SIGUSR1 it makes up its mind to kill itself in the middle of its next large delivery of events. At its end it prints
what it has done, as JSON.
"""

import asyncio
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from attrs import define, field

from tests.support.nats_workers import connect
from workflow_async import OpencastClient
from workflow_async.distributed import Claim, Lease, distribute, server_rounds
from workflow_async.distributed.nats import NatsCoordinator, NatsPace
from workflow_async.monitor import WatchEvent, poll_once

LARGE = 20
"""Events of a delivery that is large enough to be interrupted."""
FATAL = 10
"""The acknowledgement after which the process kills itself."""


@define(eq=False)
class CountingCoordinator(NatsCoordinator):
    """Counts what it does, and kills its process where it is told to."""

    calls: Counter[str] = field(factory=Counter, init=False)
    doomed: bool = field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        publish = self.client.publish

        async def counted(subject: str, *arguments: Any, **options: Any) -> None:
            self.calls["messages"] += not subject.startswith(f"{self.name}.events.")
            await publish(subject, *arguments, **options)

        self.client.publish = counted  # type: ignore[method-assign]  # every message is sent by it

    async def claim(self, held: Collection[str]) -> Claim:
        """Claim, and count the leases."""
        claim = await super().claim(held)
        self.calls["claimed"] += len(claim.leases)
        return claim

    async def renew(self, lease: Lease) -> Lease | None:
        """Renew, and count it."""
        return self._counted("renewed", await super().renew(lease))

    async def save(self, lease: Lease, spec: bytes, events: Sequence[WatchEvent[Any]]) -> Lease | None:
        """Save, and count it. The events count as one operation, because nothing waits between them."""
        self.calls["events"] += len(events)
        if self.doomed and len(events) >= LARGE:
            self._die_after(FATAL)
        saved = await super().save(lease, spec, events)
        self.calls["deliveries"] += bool(events)
        return self._counted("saved", saved)

    def doom(self) -> None:
        """Let the process kill itself in its next large delivery."""
        self.doomed = True

    def _counted(self, name: str, lease: Lease | None) -> Lease | None:
        self.calls["fenced" if lease is None else name] += 1
        return lease

    def _die_after(self, answers: int) -> None:
        request, left = self.client.request, answers

        async def fatal(*arguments: Any, **options: Any) -> Any:
            nonlocal left
            answer = await request(*arguments, **options)
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return answer

        self.client.request = fatal  # type: ignore[method-assign]  # what is interrupted


def recorded(acquire: Callable[[], Awaitable[None]], path: Path) -> Callable[[], Awaitable[None]]:
    """Write down when each request began to wait for its turn, and when it had it. The file survives a SIGKILL."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    async def wait() -> None:
        asked = time.monotonic()
        await acquire()
        os.write(file, f"{asked} {time.monotonic()}\n".encode())

    return wait


def count_rounds(calls: Counter[str]) -> None:
    """Count the rounds of shards."""

    async def counted(*arguments: Any, **options: Any) -> Any:
        calls["rounds"] += 1
        return await poll_once(*arguments, **options)

    server_rounds.__dict__["poll_once"] = counted


async def work(order: dict[str, Any]) -> dict[str, int]:
    """Work until every shard is finished. Return what was done."""
    connection = await connect(order["nats"], reconnect_time_wait=0.25)
    paced = await connect(order["nats"], reconnect_time_wait=0.25)
    acquire = NatsPace(paced, order["name"], rate=order["rate"]).acquire
    pace = recorded(acquire, Path(order["turns"]) / str(os.getpid()))
    async with (
        connection as nats,
        paced,
        OpencastClient(order["url"], auth=tuple(order["auth"]), pace=pace) as client,
        CountingCoordinator(nats, order["name"], lease_seconds=order["lease"]) as coordinator,
    ):
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, coordinator.doom)
        count_rounds(coordinator.calls)
        await distribute(client, coordinator)
        return dict(coordinator.calls)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(work(json.loads(sys.argv[1])))))
