from collections.abc import AsyncIterator

import httpx
import pytest

from tests.sandbox.preservica.api import logged_in
from workflow_async.sandbox.clock import ManualClock
from workflow_async.sandbox.preservica.app import PreservicaState


@pytest.fixture
def server(clock: ManualClock) -> PreservicaState:
    return PreservicaState(clock)


@pytest.fixture
async def http(server: PreservicaState) -> AsyncIterator[httpx.AsyncClient]:
    async with logged_in(server) as http:
        yield http
