from collections.abc import AsyncIterator

import httpx
import pytest

from workflow_async.sandbox import ManualClock, Sandbox
from workflow_async.sandbox.opencast.releases import DEFAULT, Release
from workflow_async.sandbox.systems import FakeOpencast


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def release() -> Release:
    return DEFAULT


@pytest.fixture
def opencast(release: Release, clock: ManualClock) -> FakeOpencast:
    return Sandbox(release, clock).opencast


@pytest.fixture
async def http(opencast: FakeOpencast) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=opencast.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", auth=opencast.auth) as http:
        yield http
