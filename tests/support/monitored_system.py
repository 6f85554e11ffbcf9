"""A sandbox and its clients on the virtual time of the running loop, with a transport between them that can fail."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import anyio
import httpx
from attrs import define, field

from workflow_async import Clock, OpencastClient, Phase, PreservicaClient
from workflow_async.sandbox import Sandbox
from workflow_async.sandbox.engine import Engine, FakeWorkflow, Status, Step
from workflow_async.sandbox.fault_middleware import RecordedRequest
from workflow_async.sandbox.opencast.releases import Release
from workflow_async.sandbox.systems import FakeOpencast, FakePreservica

SYSTEMS = ("11", "16", "19", "preservica")
EPOCH = 1_700_000_000.0

PHASES = {
    Status.WAITING: Phase.WAITING,
    Status.RUNNING: Phase.RUNNING,
    Status.FAILING: Phase.RUNNING,
    Status.PARKED: Phase.PARKED,
    Status.SUCCEEDED: Phase.SUCCEEDED,
    Status.PARTIAL: Phase.PARTIAL,
    Status.FAILED: Phase.FAILED,
    Status.STOPPED: Phase.STOPPED,
}


class Wire(httpx.AsyncBaseTransport):
    """A transport to an ASGI application that can be down, or slow in both directions."""

    def __init__(self, app: Any) -> None:
        self.inner = httpx.ASGITransport(app)
        self.down = False
        self.seconds: Callable[[], float] = lambda: 0.0
        self.instead: Callable[[httpx.Request], httpx.Response | None] = lambda _: None
        """Returns the response of a proxy in front of the application. None if the application answers."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await anyio.sleep(self.seconds())
        if self.down:
            raise httpx.ConnectError("refused", request=request)
        foreign = self.instead(request)
        if foreign is not None:
            return foreign
        try:
            return await self.inner.handle_async_request(request)
        except ConnectionResetError as error:
            raise httpx.ReadError(str(error), request=request) from None
        finally:
            await anyio.sleep(self.seconds())


@define
class System:
    """A system of a sandbox, with clients for it."""

    kind: str
    system: FakeOpencast | FakePreservica
    wire: Wire
    clock: Clock
    _made: int = field(default=0, init=False)

    @property
    def lists(self) -> bool:
        """True if its workflows can be listed."""
        return self.kind in {"11", "preservica"}

    @property
    def engine(self) -> Engine:
        """The engine that runs its workflows."""
        return self.system.engine

    @property
    def opencast(self) -> FakeOpencast:
        """The system as a fake Opencast."""
        return cast("FakeOpencast", self.system)

    @property
    def preservica(self) -> FakePreservica:
        """The system as a fake Preservica."""
        return cast("FakePreservica", self.system)

    def define(self, name: str, *steps: Step) -> str:
        """Define a kind of workflow. Return the name that `start` takes."""
        if isinstance(self.system, FakePreservica):
            return self.system.context(name, f"org.example.{name}", "Ingest", steps)
        return self.system.define(name, steps).identifier

    def start(self, kind: str) -> int:
        """Start a workflow of this kind without the API. Return its id."""
        if isinstance(self.system, FakePreservica):
            return self.system.state.archive.start_workflow(self.system.state.archive.contexts[kind], {}, None).id
        return self.system.start(self.system.event(), kind)

    def starts(self, count: int, *seconds: float) -> list[int]:
        """Start this number of workflows whose steps take these seconds. Return their ids."""
        self._made += 1
        kind = self.define(f"kind-{self._made}", *(Step(f"step-{n}", took) for n, took in enumerate(seconds)))
        return [self.start(kind) for _ in range(count)]

    def run(self, id: int) -> FakeWorkflow:
        """Return the current state of a workflow."""
        found = self.engine.get(id)
        assert found is not None
        return found

    def phase_of(self, run: FakeWorkflow) -> Phase:
        """Return the phase of a workflow as its clients report it."""
        partial = run.status is Status.PARTIAL and self.kind != "preservica"
        return Phase.SUCCEEDED if partial else PHASES[run.status]

    @asynccontextmanager
    async def client(self, auth: tuple[str, str] | None = None, **settings: Any) -> AsyncIterator[Any]:
        """Enter a client of the system."""
        more = {"clock": self.clock, **settings}
        name, password = auth or self.system.auth
        async with httpx.AsyncClient(transport=self.wire) as http:
            client: OpencastClient | PreservicaClient = (
                PreservicaClient("http://127.0.0.1", username=name, password=password, http=http, **more)
                if isinstance(self.system, FakePreservica)
                else OpencastClient("http://127.0.0.1", auth=(name, password), http=http, **more)
            )
            async with client:
                yield client

    def asked(self, since: int = 0) -> list[RecordedRequest]:
        """Return the requests except logins, from this index on."""
        return [one for one in self.system.requests[since:] if "accesstoken" not in one.path]

    def looks(self, since: int = 0) -> tuple[int, int, int]:
        """Return the numbers of pages of the list, of bulk checks and of GETs."""
        paths = [(one.path, one.query) for one in self.asked(since)]
        pages = sum(path in {"/api/workflows", "/sdb/rest/workflow/instances"} for path, _ in paths)
        bulk_checks = sum(path == "/api/events" for path, _ in paths)
        return pages, bulk_checks, len(paths) - pages - bulk_checks


def new_system(kind: str, seed: int = 0) -> System:
    """Return a system on the time of the running loop."""
    loop, chance = asyncio.get_running_loop(), random.Random(seed)
    opencast = "16" if kind == "preservica" else cast("Release", kind)
    sandbox = Sandbox(opencast, clock=lambda: EPOCH + loop.time(), seed=seed)
    system = sandbox.preservica if kind == "preservica" else sandbox.opencast
    clock = Clock(now=loop.time, sleep=anyio.sleep, jitter=chance.random, wall=lambda: EPOCH + loop.time())
    return System(kind, system, Wire(system.app), clock)


def is_subsequence(events: Sequence[object], true: Sequence[object]) -> bool:
    """Return True if all events are among the true ones, in their order."""
    rest = iter(true)
    return all(one in rest for one in events)
