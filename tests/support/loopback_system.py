"""A system of the sandbox over a socket of the running loop, and clients of it whose waits take no time."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from typing import Any, cast

import anyio.lowlevel
from attrs import define, field

from workflow_async import Clock, Limits, OpencastClient, PreservicaClient
from workflow_async.sandbox import ManualClock, Sandbox
from workflow_async.sandbox.opencast.releases import Release
from workflow_async.sandbox.server import AppServer, bind, url_of
from workflow_async.sandbox.systems import FakeOpencast, FakePreservica

CONNECTIONS = 2
"""Of each client."""
TURNS = 5000
"""Turns of the loop after which something that is waited for will not come any more."""


async def soon(condition: Callable[[], bool]) -> bool:
    """Whether it comes to be so; a turn of the loop lets everything that is due over loopback happen."""
    for _ in range(TURNS):
        if condition():
            return True
        await asyncio.sleep(0)
    return condition()


@define
class Ground:
    """One system, who serves it, and its time."""

    kind: str
    system: FakeOpencast | FakePreservica
    port: AppServer
    time: ManualClock = field(repr=False)

    @property
    def opencast(self) -> FakeOpencast:
        """It, as what it is."""
        return cast("FakeOpencast", self.system)

    @property
    def preservica(self) -> FakePreservica:
        """It, as what it is."""
        return cast("FakePreservica", self.system)

    @property
    def clock(self) -> Clock:
        """A client's clock on which sleeping makes the system's time pass."""
        return Clock(now=self.time, sleep=self._sleep, jitter=lambda: 0.5, wall=self.time)

    @property
    def lines(self) -> int:
        """How many connections are open."""
        return len(self.port.server_state.connections)

    @property
    def strangers(self) -> set["asyncio.Task[Any]"]:
        """Every task that is neither the server's nor the one that asks."""
        return asyncio.all_tasks() - self.port.server_state.tasks - {asyncio.current_task()}

    @property
    def carried_out(self) -> int:
        """How many workflows were ever started."""
        return len(list(self.system.engine.all()))

    def client(self, **settings: Any) -> Any:
        """A client of the account that may do everything, not entered."""
        more: dict[str, Any] = {"clock": self.clock, "limits": Limits(connections=CONNECTIONS), **settings}
        if isinstance(self.system, FakePreservica):
            user, password = self.system.auth
            return PreservicaClient(
                self.system.url, username=user, password=password, tenant=self.system.tenant, **more
            )
        return OpencastClient(self.system.url, auth=self.system.auth, **more)

    async def settled(self) -> bool:
        """Whether the server comes to have nothing to do and no connection open."""
        return await soon(lambda: not self.lines and not self.port.server_state.tasks)

    async def _sleep(self, seconds: float) -> None:
        self.time.advance(seconds)
        await anyio.lowlevel.checkpoint()


@asynccontextmanager
async def ground(kind: str) -> AsyncIterator[Ground]:
    """An Opencast of this release, or a Preservica, over a socket of the running loop."""
    time = ManualClock()
    sandbox = Sandbox("16" if kind == "preservica" else cast("Release", kind), time)
    system = sandbox.preservica if kind == "preservica" else sandbox.opencast
    with closing(bind("127.0.0.1", 0)) as listener:
        system.url = url_of(listener)
        port = AppServer(system.app)
        await port.open(listener)
        try:
            yield Ground(kind, system, port, time)
        finally:
            await port.close()
