"""Listings: every row, or only the first."""

import gc
import tracemalloc
from typing import Any

import httpx

from benchmarks.jobs.clients import client
from benchmarks.meter import Meter
from benchmarks.serving import command

AUTH = ("user", "secret")


async def read_all(meter: Meter, system: str, url: str, count: int, latency: float = 0.0, **options: Any) -> None:
    """Read every workflow. `options` are the options of `list`."""
    command(url, f"state?count={count}")
    command(url, f"latency?seconds={latency}")
    async with client(system, url) as one:
        listing = one.workflows.list(**options)
        with meter.measuring():
            found = [0 async for _ in listing]
    if len(found) != count:
        raise RuntimeError(f"{len(found)} of {count} were listed")
    meter.note(requests=listing.report.requests)


async def memory(meter: Meter, url: str, count: int) -> None:
    """Measure the bytes of a listing that is read row by row: at the peak, kept per row, and for a page of rows."""
    command(url, f"state?count={count}")
    async with client("preservica", url) as one:
        page = await _page(one.workflows.list())
        listing = one.workflows.list()
        tracemalloc.start()
        async for _ in listing:
            pass
        gc.collect()
        remembered, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    meter.note(peak=peak - remembered, remembered=remembered / count, page=page)


async def _page(listing: Any) -> int:
    """Return the bytes of a page of records."""
    await listing.first()
    tracemalloc.start()
    async for page in listing.pages():
        gc.collect()
        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return held if page.items else 0
    raise RuntimeError("the list is empty")


async def first_item(meter: Meter, url: str, latency: float) -> None:
    """Read the first item of a listing on a new client. All imports were done before."""
    command(url, f"latency?seconds={latency}")

    async def first() -> None:
        async with client("opencast", url) as one:
            await one.workflows.list().first()

    await first()
    with meter.measuring():
        await first()


async def bare_request(meter: Meter, url: str, latency: float) -> None:
    """Read the same page with one httpx request on a new client, without parsing."""
    command(url, f"latency?seconds={latency}")

    async def get() -> None:
        async with httpx.AsyncClient(base_url=url, auth=AUTH) as one:
            await one.get("/api/workflows?limit=100&offset=0")

    await get()
    with meter.measuring():
        await get()
