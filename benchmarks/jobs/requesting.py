"""Single requests: ours as a user makes them, and the carriers' libraries as installed."""

import asyncio
from collections.abc import Awaitable, Callable

import aiohttp
import httpx
import httpx2

from benchmarks.jobs.crowd import crowd
from benchmarks.jobs.ours import FIRST, client
from benchmarks.meter import Meter
from benchmarks.serving import told

PATH = f"/api/workflows/{FIRST}"
AUTH = ("user", "secret")


async def ours(meter: Meter, url: str, count: int, at_once: int, http: str = "httpx") -> None:
    """`workflows.get`: a record, checked."""
    async with client("opencast", url, http=http) as one:
        await _measured(meter, count, at_once, lambda: one.workflows.get(FIRST))


async def bare_httpx(meter: Meter, url: str, count: int, at_once: int) -> None:
    """`httpx` as installed: a tree, not checked."""
    async with httpx.AsyncClient(base_url=url, auth=AUTH, timeout=None) as one:

        async def get() -> None:
            (await one.get(PATH)).json()

        await _measured(meter, count, at_once, get)


async def bare_httpx2(meter: Meter, url: str, count: int, at_once: int) -> None:
    """`httpx2` as installed: a tree, not checked."""
    async with httpx2.AsyncClient(base_url=url, auth=AUTH, timeout=None) as one:

        async def get() -> None:
            (await one.get(PATH)).json()

        await _measured(meter, count, at_once, get)


async def bare_aiohttp(meter: Meter, url: str, count: int, at_once: int, latency: float = 0.0) -> None:
    """`aiohttp` as installed: a tree, not checked."""
    told(url, f"latency?seconds={latency}")
    headers = {"Authorization": aiohttp.encode_basic_auth(*AUTH)}
    async with aiohttp.ClientSession(headers=headers) as session:

        async def get() -> None:
            async with session.get(url + PATH) as answer:
                await answer.json()

        await _measured(meter, count, at_once, get)


async def _measured(meter: Meter, count: int, at_once: int, get: Callable[[], Awaitable[object]]) -> None:
    """The cost of one of many, when all connections are there."""
    await crowd(2 * at_once, at_once, get)
    with meter.measuring(count):
        await crowd(count, at_once, get)


async def burst(meter: Meter, url: str, count: int, latency: float, http: str = "httpx") -> None:
    """All at once on a fresh client, all defaults."""
    told(url, f"latency?seconds={latency}")
    with meter.measuring():
        async with client("opencast", url, http=http) as one:
            answers = await asyncio.gather(*(one.workflows.get(FIRST) for _ in range(count)), return_exceptions=True)
    meter.note(succeeded=sum(not isinstance(answer, BaseException) for answer in answers))


async def burst_httpx(meter: Meter, url: str, count: int, latency: float) -> None:
    """The same by httpx as installed."""
    told(url, f"latency?seconds={latency}")
    with meter.measuring():
        async with httpx.AsyncClient(base_url=url, auth=AUTH) as one:
            answers = await asyncio.gather(*(one.get(PATH) for _ in range(count)), return_exceptions=True)
    meter.note(succeeded=sum(not isinstance(answer, BaseException) for answer in answers))
