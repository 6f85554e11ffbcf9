"""Both systems on a manual clock, and counts of what ran on them."""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from workflow_async import Clock, OpencastClient, Poll
from workflow_async.batch import Result, Run
from workflow_async.preservica import PreservicaClient
from workflow_async.sandbox import ManualClock, Sandbox, Step
from workflow_async.sandbox.run import FakeWorkflow
from workflow_async.sandbox.systems import FakeOpencast, FakePreservica, System

QUICK = [Step("one", 5.0)]
OFTEN = Poll(interval=1.0, ceiling=2.0, outage=30.0)

Connect = Callable[..., OpencastClient]


@pytest.fixture(params=["16"])
def sandbox(request: pytest.FixtureRequest, time: ManualClock) -> Iterator[Sandbox]:
    # A sleep may advance the time by hours between two requests of another task, so tokens live longer than that.
    with Sandbox(request.param, time, token_minutes=100_000) as served:
        served.opencast.define("quick", QUICK)
        yield served


@pytest.fixture
def fake(sandbox: Sandbox) -> FakeOpencast:
    return sandbox.opencast


@pytest.fixture
def archive(sandbox: Sandbox) -> FakePreservica:
    return sandbox.preservica


@pytest.fixture
def connect(fake: FakeOpencast, clock: Clock) -> Connect:
    def connecting(**settings: Any) -> OpencastClient:
        return OpencastClient(fake.url, **{"auth": fake.auth, "clock": clock, **settings})

    return connecting


@pytest.fixture
async def oc(connect: Connect) -> AsyncIterator[OpencastClient]:
    async with connect() as client:
        yield client


@pytest.fixture
async def pv(archive: FakePreservica, clock: Clock) -> AsyncIterator[PreservicaClient]:
    async with as_manager(archive, archive.url, clock) as client:
        yield client


def as_manager(archive: FakePreservica, url: str, clock: Clock, **settings: Any) -> PreservicaClient:
    """Return a client with the account that has all permissions."""
    account = {"username": archive.username, "password": archive.password, "tenant": archive.tenant}
    return PreservicaClient(url, **{**account, "clock": clock, **settings})


async def results(run: Run[Any]) -> list[Result[Any]]:
    """Run a batch and return its results in their order."""
    async with run as outcomes:
        return [outcome async for outcome in outcomes]


def runs(system: System) -> list[FakeWorkflow]:
    """Return every workflow on the server, lowest id first."""
    return list(system.engine.all())


def posts(system: System) -> int:
    """Return the number of start requests that the server received."""
    paths = {"/api/workflows", "/sdb/rest/workflow/instances"}
    return sum(exchange.method == "POST" and exchange.path in paths for exchange in system.requests)


def most_at_once(system: System) -> int:
    """Return the maximum number of concurrent workflows, by the server's start and end times."""
    all = runs(system)
    moments = [(run.created, 1) for run in all] + [(run.finished, -1) for run in all if run.finished is not None]
    running = most = 0
    for _, step in sorted(moments):
        running += step
        most = max(most, running)
    return most
