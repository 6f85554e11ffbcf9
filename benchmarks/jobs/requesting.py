"""Single requests: ours as a user makes them, and httpx as installed."""

import asyncio

import httpx

from benchmarks.jobs.crowd import crowd
from benchmarks.jobs.ours import FIRST, client
from benchmarks.meter import Meter
from benchmarks.serving import told

PATH = f"/api/workflows/{FIRST}"
AUTH = ("user", "secret")


async def ours(meter: Meter, url: str, count: int, at_once: int) -> None:
    """`workflows.get`: a record, checked."""
    async with client("opencast", url) as one:
        await crowd(2 * at_once, at_once, lambda: one.workflows.get(FIRST))
        with meter.measuring(count):
            await crowd(count, at_once, lambda: one.workflows.get(FIRST))


async def bare_httpx(meter: Meter, url: str, count: int, at_once: int) -> None:
    """`httpx` as installed: a tree, not checked."""
    async with httpx.AsyncClient(base_url=url, auth=AUTH, timeout=None) as one:

        async def get() -> None:
            (await one.get(PATH)).json()

        await crowd(2 * at_once, at_once, get)
        with meter.measuring(count):
            await crowd(count, at_once, get)


async def burst(meter: Meter, url: str, count: int, latency: float) -> None:
    """All at once on a fresh client, all defaults."""
    told(url, f"latency?seconds={latency}")
    with meter.measuring():
        async with client("opencast", url) as one:
            answers = await asyncio.gather(*(one.workflows.get(FIRST) for _ in range(count)), return_exceptions=True)
    meter.note(succeeded=sum(not isinstance(answer, BaseException) for answer in answers))


async def burst_httpx(meter: Meter, url: str, count: int, latency: float) -> None:
    """The same by httpx as installed."""
    told(url, f"latency?seconds={latency}")
    with meter.measuring():
        async with httpx.AsyncClient(base_url=url, auth=AUTH) as one:
            answers = await asyncio.gather(*(one.get(PATH) for _ in range(count)), return_exceptions=True)
    meter.note(succeeded=sum(not isinstance(answer, BaseException) for answer in answers))


async def first_item(meter: Meter, url: str, latency: float) -> None:
    """The first item of a listing, on a fresh client."""
    told(url, f"latency?seconds={latency}")
    with meter.measuring():
        async with client("opencast", url) as one:
            await one.workflows.list().first()


async def bare_request(meter: Meter, url: str, latency: float) -> None:
    """The same page by one request of httpx, on a fresh client, not even parsed."""
    told(url, f"latency?seconds={latency}")
    with meter.measuring():
        async with httpx.AsyncClient(base_url=url, auth=AUTH) as one:
            await one.get("/api/workflows?limit=100&offset=0")
