"""Single requests: by this library with each backend, and by the plain libraries."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

import aiohttp
import httpx
import httpx2

from benchmarks.jobs.clients import FIRST_ID, client
from benchmarks.jobs.concurrency import run_concurrently
from benchmarks.jobs.observers import OBSERVERS
from benchmarks.meter import Meter
from benchmarks.serving import command
from workflow_async import OpencastClient

PATH = f"/api/workflows/{FIRST_ID}"
AUTH = ("user", "secret")


async def client_get(meter: Meter, url: str, count: int, at_once: int, http: str = "httpx", observer: str = "") -> None:
    """Send `workflows.get`, which returns a checked record. `observer` is one of `OBSERVERS`."""
    observing = OBSERVERS[observer]() if observer else {}
    async with client("opencast", url, http=http, **observing) as one:
        await _measure(meter, count, at_once, lambda: one.workflows.get(FIRST_ID))


def synchronous_get(meter: Meter, url: str, count: int, at_once: int) -> None:
    """Send `workflows.get` with a synchronous client, in up to 16 threads."""

    def get(_: int) -> None:
        one.workflows.get(FIRST_ID)

    with OpencastClient.sync(url, auth=AUTH) as one, ThreadPoolExecutor(min(at_once, 16)) as threads:
        list(threads.map(get, range(32)))
        with meter.measuring(count):
            list(threads.map(get, range(count)))


async def bare_httpx(meter: Meter, url: str, count: int, at_once: int) -> None:
    """Send requests with plain `httpx`, which return an unchecked tree."""
    async with httpx.AsyncClient(base_url=url, auth=AUTH, timeout=None) as one:

        async def get() -> None:
            (await one.get(PATH)).json()

        await _measure(meter, count, at_once, get)


async def bare_httpx2(meter: Meter, url: str, count: int, at_once: int) -> None:
    """Send requests with plain `httpx2`, which return an unchecked tree."""
    async with httpx2.AsyncClient(base_url=url, auth=AUTH, timeout=None) as one:

        async def get() -> None:
            (await one.get(PATH)).json()

        await _measure(meter, count, at_once, get)


async def bare_aiohttp(meter: Meter, url: str, count: int, at_once: int, latency: float = 0.0) -> None:
    """Send requests with plain `aiohttp`, which return an unchecked tree."""
    command(url, f"latency?seconds={latency}")
    headers = {"Authorization": aiohttp.encode_basic_auth(*AUTH)}
    async with aiohttp.ClientSession(headers=headers) as session:

        async def get() -> None:
            async with session.get(url + PATH) as answer:
                await answer.json()

        await _measure(meter, count, at_once, get)


async def _measure(meter: Meter, count: int, at_once: int, get: Callable[[], Awaitable[object]]) -> None:
    """Measure the cost of one of many requests after all connections are open."""
    await run_concurrently(2 * at_once, at_once, get)
    with meter.measuring(count):
        await run_concurrently(count, at_once, get)


async def burst(meter: Meter, url: str, count: int, latency: float, http: str = "httpx") -> None:
    """Send all requests concurrently on a new client with default settings."""
    command(url, f"latency?seconds={latency}")
    with meter.measuring():
        async with client("opencast", url, http=http) as one:
            answers = await asyncio.gather(*(one.workflows.get(FIRST_ID) for _ in range(count)), return_exceptions=True)
    meter.note(succeeded=sum(not isinstance(answer, BaseException) for answer in answers))


async def burst_httpx(meter: Meter, url: str, count: int, latency: float) -> None:
    """Send the same requests with plain httpx."""
    command(url, f"latency?seconds={latency}")
    with meter.measuring():
        async with httpx.AsyncClient(base_url=url, auth=AUTH) as one:
            answers = await asyncio.gather(*(one.get(PATH) for _ in range(count)), return_exceptions=True)
    meter.note(succeeded=sum(not isinstance(answer, BaseException) for answer in answers))
