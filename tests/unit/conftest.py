"""The carriers, one after the other."""

import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import httpx
import httpx2
import pytest
from httpx_aiohttp import AiohttpTransport
from httpx_aiohttp.httpx2 import AiohttpTransport as AiohttpTransport2

from tests.support import byte_server as wire

TRUST = ssl.create_default_context()
"""A context that all ready clients share: it takes longer to make than a test."""
SLOTS = ("httpx", "httpx2", "aiohttp")
LENT: dict[str, Any] = {
    "a client of httpx": lambda: httpx.AsyncClient(trust_env=False, verify=TRUST),
    "a client of httpx2": lambda: httpx2.AsyncClient(trust_env=False, verify=TRUST),
    "httpx by aiohttp": lambda: httpx.AsyncClient(transport=AiohttpTransport(verify=TRUST)),
    "httpx2 by aiohttp": lambda: httpx2.AsyncClient(transport=AiohttpTransport2(verify=TRUST)),
}
"""Ready clients, by what they are."""


async def chosen(name: Any, stack: AsyncExitStack) -> Any:
    """What `http=` takes, open where it is a client."""
    return name if name in SLOTS else await stack.enter_async_context(LENT[name]())


@pytest.fixture(params=[*SLOTS, *LENT])
async def carrier(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """Every carrier; by its name."""
    async with AsyncExitStack() as stack:
        monkeypatch.setattr(wire.carried, "by", await chosen(request.param, stack))
        yield request.param


@pytest.fixture(params=SLOTS)
def slots(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Every carrier whose connections are ours; by its name."""
    monkeypatch.setattr(wire.carried, "by", request.param)
    return str(request.param)
