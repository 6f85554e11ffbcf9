"""A sandbox Preservica on a clock that advances when the client sleeps, and a server with scripted responses."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from attrs import define, field

from workflow_async import Clock
from workflow_async.preservica import PreservicaClient
from workflow_async.sandbox import ManualClock, Sandbox
from workflow_async.sandbox.preservica.app import PreservicaState
from workflow_async.sandbox.server import Server, bind, url_of
from workflow_async.sandbox.systems import FakePreservica

SAMPLES = Path(__file__).parents[2] / "samples" / "preservica"


@pytest.fixture(scope="session")
def sample() -> Callable[[str], bytes]:
    """Return a function that reads a sample file."""
    return lambda name: (SAMPLES / name).read_bytes()


# On a socket


@pytest.fixture
def sandbox(time: ManualClock) -> Iterator[Sandbox]:
    with Sandbox("16", time) as served:
        yield served


@pytest.fixture
def archive(sandbox: Sandbox) -> FakePreservica:
    return sandbox.preservica


@pytest.fixture
def connect(archive: FakePreservica, clock: Clock) -> Callable[..., PreservicaClient]:
    def connecting(**settings: Any) -> PreservicaClient:
        account = {"username": archive.username, "password": archive.password, "tenant": archive.tenant}
        return PreservicaClient(archive.url, **{**account, "clock": clock, **settings})

    return connecting


@pytest.fixture
async def pv(connect: Callable[..., PreservicaClient]) -> AsyncIterator[PreservicaClient]:
    async with connect() as client:
        yield client


@pytest.fixture
def serve(time: ManualClock) -> Iterator[Callable[..., FakePreservica]]:
    """Return a function that starts a Preservica with these settings on a socket."""
    servers: list[Server] = []

    def serving(**settings: Any) -> FakePreservica:
        system = FakePreservica(PreservicaState(time, **settings))
        listener = bind("127.0.0.1", 0)
        system.url = url_of(listener)
        server = Server([(listener, system.app)])
        server.start()
        servers.append(server)
        return system

    yield serving
    for server in servers:
        server.stop()


# Scripted responses


@define
class ScriptedServer:
    """A server that accepts every login and gives scripted responses. It records the requests."""

    answer: Callable[[httpx.Request], httpx.Response]
    requests: list[httpx.Request] = field(factory=list)
    logins: int = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/accesstoken/login":
            self.logins += 1
            return httpx.Response(200, json={"success": True, "token": f"tok-{self.logins}", "validFor": 15})
        if request.url.path == "/api/entity/versiondetails/version":
            return httpx.Response(200, text="<Version><CurrentVersion>7.7.0</CurrentVersion></Version>")
        self.requests.append(request)
        return self.answer(request)

    def client(self, clock: Clock, **settings: Any) -> PreservicaClient:
        """Return a client of this server."""
        http = httpx.AsyncClient(transport=httpx.MockTransport(self))
        account = {"username": "u@x", "password": "pw", "tenant": "TEN"}
        return PreservicaClient("pv.example.org", **{**account, "clock": clock, "http": http, **settings})


@pytest.fixture
def scripted() -> type[ScriptedServer]:
    return ScriptedServer
