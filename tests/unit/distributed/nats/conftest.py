"""A connection to the NATS server of the tests, and workers of a distribution that no other test uses."""

import secrets
from collections.abc import AsyncIterator

import nats
import pytest
from nats.aio.client import Client

from tests.support.nats_server import NatsServer
from tests.support.nats_workers import NatsWorkers


@pytest.fixture
async def client(nats_server: NatsServer) -> AsyncIterator[Client]:
    connected = await nats.connect(nats_server.url)
    yield connected
    await connected.close()


@pytest.fixture
async def workers(nats_server: NatsServer) -> AsyncIterator[NatsWorkers]:
    found = NatsWorkers(nats_server.url, f"test-{secrets.token_hex(6)}")
    async with found.stack:
        yield found
