"""Workers of a distribution that no other test uses."""

import secrets
from collections.abc import AsyncIterator

import pytest

from tests.support.nats_server import NatsServer
from tests.support.nats_workers import NatsWorkers


@pytest.fixture
async def workers(nats_server: NatsServer) -> AsyncIterator[NatsWorkers]:
    found = NatsWorkers(nats_server.url, f"test-{secrets.token_hex(6)}")
    async with found.stack:
        yield found
