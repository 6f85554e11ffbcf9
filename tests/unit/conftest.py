"""Fixtures that run a test with each HTTP backend."""

import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import httpx
import httpx2
import pytest
from httpx_aiohttp import AiohttpTransport
from httpx_aiohttp.httpx2 import AiohttpTransport as AiohttpTransport2

from tests.support import byte_server as wire

SSL_CONTEXT = ssl.create_default_context()
"""A context shared by all borrowed clients. Making one takes longer than a test."""
POOLED = ("httpx", "httpx2", "aiohttp")
BORROWED: dict[str, Any] = {
    "a client of httpx": lambda: httpx.AsyncClient(trust_env=False, verify=SSL_CONTEXT),
    "a client of httpx2": lambda: httpx2.AsyncClient(trust_env=False, verify=SSL_CONTEXT),
    "httpx by aiohttp": lambda: httpx.AsyncClient(transport=AiohttpTransport(verify=SSL_CONTEXT)),
    "httpx2 by aiohttp": lambda: httpx2.AsyncClient(transport=AiohttpTransport2(verify=SSL_CONTEXT)),
    "a session of aiohttp": aiohttp.ClientSession,
}
"""Clients that the test owns, by description."""


async def http_argument(name: Any, stack: AsyncExitStack) -> Any:
    """Return the value for `http=`, with a client opened."""
    return name if name in POOLED else await stack.enter_async_context(BORROWED[name]())


@pytest.fixture(params=[*POOLED, *BORROWED])
async def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """Use every backend in turn. Return its description."""
    async with AsyncExitStack() as stack:
        monkeypatch.setattr(wire.default_backend, "http", await http_argument(request.param, stack))
        yield request.param


@pytest.fixture(params=POOLED)
def pooled(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Use every backend with a connection pool in turn. Return its name."""
    monkeypatch.setattr(wire.default_backend, "http", request.param)
    return str(request.param)
