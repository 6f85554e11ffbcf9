"""How the two kinds of calls end at a server that errs: a get, which may be repeated, and a start, which may not."""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from attrs import define, field, frozen

from tests.conftest import FakeTime
from tests.support.byte_server import QUICK, Answer, Seen, Wire, http, serve
from tests.support.stub_clients import client_of, controlled, grants, workflow
from workflow_async import Retry
from workflow_async.errors import WorkflowAsyncError
from workflow_async.opencast import Workflow as OpencastWorkflow
from workflow_async.preservica import Workflow as PreservicaWorkflow
from workflow_async.preservica.records import Started

T = TypeVar("T")

ID = 1603
EVENT = f"event-{ID}"
RIGHT = (OpencastWorkflow, PreservicaWorkflow, Started)
LAVISH = Retry(budget=1e9)
"""For the many calls of one test, none of which should be spared."""

Flaw = Callable[[bytes], Answer | bytes]
"""What becomes of a good answer."""


async def end(call: Awaitable[T]) -> T | WorkflowAsyncError:
    """What a call gives or raises."""
    try:
        return await call
    except WorkflowAsyncError as error:
        return error


def get(client: Any) -> Awaitable[Any]:
    """The get of every test."""
    return client.workflows.get(ID)  # type: ignore[no-any-return]  # of either client


def start(client: Any, timeout: float | None = None) -> Awaitable[Any]:
    """The start of every test: of a definition on an event, or of a context by its name."""
    named = (EVENT, "fast") if hasattr(client, "events") else ("Ingest of films",)
    return client.workflows.start(*named, timeout=timeout)  # type: ignore[no-any-return]  # of either client


@frozen
class Ends:
    """What both gave or raised, and how often each was sent."""

    got: Any
    started: Any
    sent: Counter[str]

    def __str__(self) -> str:
        gets, starts = self.sent["GET"], self.sent["POST"]
        return f"get: {gets} sent, {_name(self.got)}; start: {starts} sent, {_name(self.started)}"


def _name(end: Any) -> str:
    return "right" if isinstance(end, RIGHT) and end.id == ID else type(end).__name__


@define
class Flawed:
    """A server whose first answer to either kind of call, or every one, is spoiled."""

    system: str
    flaw: Flaw
    always: bool = False
    timeout: float | None = None
    """Seconds for the start."""
    sent: Counter[str] = field(factory=Counter)

    def __call__(self, seen: Seen) -> Answer | bytes:
        self.sent[seen.method] += 1
        good = http(200 if seen.method == "GET" else 201, workflow(self.system, ID))
        return self.flaw(good) if self.always or self.sent[seen.method] == 1 else good

    async def ends(self, client: Any) -> Ends:
        """How a get and a start end here, each with its flaw."""
        self.sent.clear()
        return Ends(await end(get(client)), await end(start(client, self.timeout)), Counter(self.sent))


@asynccontextmanager
async def flawed(
    system: str,
    flaw: Flaw,
    time: FakeTime,
    *,
    always: bool = False,
    controls: bool = False,
    timeout: float | None = None,
    **settings: Any,
) -> AsyncIterator[tuple[Flawed, Any, Wire]]:
    """Such a server, a client of it that is logged in, and the wire between them."""
    server = Flawed(system, flaw, always, timeout)
    async with (
        serve(grants(controlled(server) if controls else server)) as wire,
        client_of(system, wire.url, **{"clock": time.clock, "timeouts": QUICK, "retry": LAVISH, **settings}) as client,
    ):
        yield server, client, wire


async def ends(system: str, flaw: Flaw, time: FakeTime, **settings: Any) -> Ends:
    """How a get and a start end at such a server."""
    async with flawed(system, flaw, time, **settings) as (server, client, _):
        return await server.ends(client)
