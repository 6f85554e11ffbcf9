"""A sandbox system on a loopback socket of the running loop, with clients whose waits take no time."""

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
"""Connections of each client."""
MAX_LOOP_TURNS = 5000
"""Turns of the loop after which an awaited condition counts as never reached."""


async def eventually(condition: Callable[[], bool]) -> bool:
    """Return True once the condition holds, or False after 5,000 turns of the loop.

    A turn of the loop lets everything happen that is due on loopback.
    """
    for _ in range(MAX_LOOP_TURNS):
        if condition():
            return True
        await asyncio.sleep(0)
    return condition()


@define
class LoopbackSystem:
    """One system, the server that serves it, and its clock."""

    kind: str
    system: FakeOpencast | FakePreservica
    server: AppServer
    time: ManualClock = field(repr=False)

    @property
    def opencast(self) -> FakeOpencast:
        """The system, typed as an Opencast."""
        return cast("FakeOpencast", self.system)

    @property
    def preservica(self) -> FakePreservica:
        """The system, typed as a Preservica."""
        return cast("FakePreservica", self.system)

    @property
    def clock(self) -> Clock:
        """A client's clock. Sleeping advances the system's time."""
        return Clock(now=self.time, sleep=self._sleep, jitter=lambda: 0.5, wall=self.time)

    @property
    def open_connections(self) -> int:
        """The number of open connections."""
        return len(self.server.server_state.connections)

    @property
    def client_tasks(self) -> set["asyncio.Task[Any]"]:
        """Every task except the server's and the current one."""
        return asyncio.all_tasks() - self.server.server_state.tasks - {asyncio.current_task()}

    @property
    def started_count(self) -> int:
        """The number of workflows that were ever started."""
        return len(list(self.system.engine.all()))

    def client(self, **settings: Any) -> Any:
        """Return a client, not yet entered, of the account that may do everything."""
        options: dict[str, Any] = {"clock": self.clock, "limits": Limits(connections=CONNECTIONS), **settings}
        if isinstance(self.system, FakePreservica):
            user, password = self.system.auth
            return PreservicaClient(
                self.system.url, username=user, password=password, tenant=self.system.tenant, **options
            )
        return OpencastClient(self.system.url, auth=self.system.auth, **options)

    async def becomes_idle(self) -> bool:
        """Return True once the server has no task and no open connection. Return False if that does not happen."""
        return await eventually(lambda: not self.open_connections and not self.server.server_state.tasks)

    async def _sleep(self, seconds: float) -> None:
        self.time.advance(seconds)
        await anyio.lowlevel.checkpoint()


@asynccontextmanager
async def loopback_system(kind: str) -> AsyncIterator[LoopbackSystem]:
    """Serve an Opencast of this release, or a Preservica, on a socket of the running loop."""
    time = ManualClock()
    sandbox = Sandbox("16" if kind == "preservica" else cast("Release", kind), time)
    system = sandbox.preservica if kind == "preservica" else sandbox.opencast
    with closing(bind("127.0.0.1", 0)) as listener:
        system.url = url_of(listener)
        server = AppServer(system.app)
        await server.open(listener)
        try:
            yield LoopbackSystem(kind, system, server, time)
        finally:
            await server.close()
