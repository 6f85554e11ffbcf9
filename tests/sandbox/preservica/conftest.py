from collections.abc import AsyncIterator

import httpx
import pytest

from tests.sandbox.preservica.asking import inside
from workflow_async.sandbox.clock import ManualClock
from workflow_async.sandbox.preservica.app import PreservicaWorld


@pytest.fixture
def world(clock: ManualClock) -> PreservicaWorld:
    return PreservicaWorld(clock)


@pytest.fixture
async def http(world: PreservicaWorld) -> AsyncIterator[httpx.AsyncClient]:
    async with inside(world) as http:
        yield http
