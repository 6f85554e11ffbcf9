"""Listings: every row, or only the first."""

import gc
import tracemalloc
from typing import Any

import httpx

from benchmarks.jobs.ours import client
from benchmarks.meter import Meter
from benchmarks.serving import told

AUTH = ("user", "secret")


async def whole(meter: Meter, system: str, url: str, count: int, latency: float = 0.0, **asked: Any) -> None:
    """Every workflow, one by one, from the network; `asked` as `list` takes it."""
    told(url, f"world?count={count}")
    told(url, f"latency?seconds={latency}")
    async with client(system, url) as one:
        listing = one.workflows.list(**asked)
        with meter.measuring():
            found = [0 async for _ in listing]
    if len(found) != count:
        raise RuntimeError(f"{len(found)} of {count} were listed")
    meter.note(requests=listing.report.requests)


async def memory(meter: Meter, url: str, count: int) -> None:
    """Bytes a listing takes that is read row by row: at its peak, to remember what it gave, and a page of its rows."""
    told(url, f"world?count={count}")
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
    """Bytes of a page of records."""
    await listing.first()
    tracemalloc.start()
    async for page in listing.pages():
        gc.collect()
        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return held if page.items else 0
    raise RuntimeError("the list is empty")


async def first_item(meter: Meter, url: str, latency: float) -> None:
    """The first item of a listing, on a fresh client; what is imported on the way has been."""
    told(url, f"latency?seconds={latency}")

    async def first() -> None:
        async with client("opencast", url) as one:
            await one.workflows.list().first()

    await first()
    with meter.measuring():
        await first()


async def bare_request(meter: Meter, url: str, latency: float) -> None:
    """The same page by one request of httpx, on a fresh client, not even parsed."""
    told(url, f"latency?seconds={latency}")

    async def get() -> None:
        async with httpx.AsyncClient(base_url=url, auth=AUTH) as one:
            await one.get("/api/workflows?limit=100&offset=0")

    await get()
    with meter.measuring():
        await get()
