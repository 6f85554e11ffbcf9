"""A sandbox Opencast for each test, on a clock that advances when the client sleeps."""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from workflow_async import Clock, OpencastClient
from workflow_async.sandbox import ManualClock, Sandbox

Connect = Callable[..., OpencastClient]


@pytest.fixture(params=["16"])
def sandbox(request: pytest.FixtureRequest, time: ManualClock) -> Iterator[Sandbox]:
    with Sandbox(request.param, time) as served:
        yield served


@pytest.fixture
def connect(sandbox: Sandbox, clock: Clock) -> Connect:
    def connecting(**settings: Any) -> OpencastClient:
        return OpencastClient(sandbox.opencast.url, **{"auth": sandbox.opencast.auth, "clock": clock, **settings})

    return connecting


@pytest.fixture
async def oc(connect: Connect) -> AsyncIterator[OpencastClient]:
    async with connect() as client:
        yield client
