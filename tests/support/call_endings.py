"""How the two kinds of calls end at a faulty server: a GET, which may be repeated, and a start, which may not."""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from attrs import define, field, frozen

from tests.conftest import FakeTime
from tests.support.byte_server import SHORT_TIMEOUTS, ByteServer, RawResponse, ReceivedRequest, http, serve
from tests.support.stub_clients import client_of, with_login, with_version, workflow
from workflow_async import Retry
from workflow_async.errors import WorkflowAsyncError
from workflow_async.opencast import Workflow as OpencastWorkflow
from workflow_async.preservica import Workflow as PreservicaWorkflow
from workflow_async.preservica.records import Started

T = TypeVar("T")

ID = 1603
EVENT = f"event-{ID}"
RECORDS = (OpencastWorkflow, PreservicaWorkflow, Started)
LARGE_BUDGET = Retry(budget=1e9)
"""For tests with many calls, which must not run out of retries."""

Fault = Callable[[bytes], RawResponse | bytes]
"""Changes a good response."""


async def outcome(call: Awaitable[T]) -> T | WorkflowAsyncError:
    """Return what a call returns or raises."""
    try:
        return await call
    except WorkflowAsyncError as error:
        return error


def get(client: Any) -> Awaitable[Any]:
    """Return the GET that every test sends."""
    return client.workflows.get(ID)  # type: ignore[no-any-return]  # either client


def start(client: Any, timeout: float | None = None) -> Awaitable[Any]:
    """Return the start that every test sends: of a definition on an event, or of a context by its name."""
    arguments = (EVENT, "fast") if hasattr(client, "events") else ("Ingest of films",)
    return client.workflows.start(*arguments, timeout=timeout)  # type: ignore[no-any-return]  # either client


@frozen
class Outcomes:
    """The results or errors of both calls, and the number of requests sent for each."""

    get_result: Any
    start_result: Any
    sent: Counter[str]

    def __str__(self) -> str:
        gets, starts = self.sent["GET"], self.sent["POST"]
        return f"get: {gets} sent, {_name(self.get_result)}; start: {starts} sent, {_name(self.start_result)}"


def _name(end: Any) -> str:
    return "right" if isinstance(end, RECORDS) and end.id == ID else type(end).__name__


@define
class FaultyServer:
    """A server whose first response to each kind of call, or every response, has a fault."""

    system: str
    fault: Fault
    always: bool = False
    timeout: float | None = None
    """Seconds for the start."""
    sent: Counter[str] = field(factory=Counter)

    def __call__(self, request: ReceivedRequest) -> RawResponse | bytes:
        self.sent[request.method] += 1
        response = http(200 if request.method == "GET" else 201, workflow(self.system, ID))
        return self.fault(response) if self.always or self.sent[request.method] == 1 else response

    async def outcomes(self, client: Any) -> Outcomes:
        """Return how a GET and a start end here, each with its fault."""
        self.sent.clear()
        return Outcomes(await outcome(get(client)), await outcome(start(client, self.timeout)), Counter(self.sent))


@asynccontextmanager
async def faulty_server(
    system: str,
    flaw: Fault,
    time: FakeTime,
    *,
    always: bool = False,
    has_version: bool = False,
    timeout: float | None = None,
    **settings: Any,
) -> AsyncIterator[tuple[FaultyServer, Any, ByteServer]]:
    """Run such a server and a client of it."""
    server = FaultyServer(system, flaw, always, timeout)
    async with (
        serve(with_login(with_version(server) if has_version else server)) as byte_server,
        client_of(
            system,
            byte_server.url,
            **{"clock": time.clock, "timeouts": SHORT_TIMEOUTS, "retry": LARGE_BUDGET, **settings},
        ) as client,
    ):
        yield server, client, byte_server


async def outcomes(system: str, flaw: Fault, time: FakeTime, **settings: Any) -> Outcomes:
    """Return how a GET and a start end at such a server."""
    async with faulty_server(system, flaw, time, **settings) as (server, client, _):
        return await server.outcomes(client)
