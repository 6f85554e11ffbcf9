"""Ticks of a watch by the list, on virtual time, with the server in this process: how their cost grows."""

import asyncio
import time
from typing import Any

import anyio
import httpx
from attrs import define

from benchmarks import wire
from benchmarks.jobs.ours import EVERY, STEADY, client, ids
from benchmarks.meter import Meter
from tests.support.virtual_time import run
from workflow_async import Clock

NOWHERE = "http://127.0.0.1"


@define(eq=False)
class Served(httpx.AsyncBaseTransport):
    """The list of so many active workflows of either system; what its answers cost to make is counted apart."""

    count: int
    pages: int = 0
    spent: float = 0.0
    """CPU seconds."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """A page, or what a client asks for as it logs in."""
        began = time.process_time()
        fixed = wire.FIXED.get(request.url.path)
        body = self._page(request.url.params) if fixed is None else fixed
        self.spent += time.process_time() - began
        return httpx.Response(200, content=body)

    def _page(self, params: httpx.QueryParams) -> bytes:
        self.pages += 1
        start, rows = int(params.get("offset", params.get("start"))), int(params.get("limit", params.get("max")))
        shown = ids(self.count)[start : start + rows]
        return wire.opencast_page(shown) if "offset" in params else wire.preservica_page(shown, self.count)


def ticks(meter: Meter, system: str, workflows: int, watches: int, times: int) -> None:
    """Requests and CPU seconds of a tick that shows nothing new, while so many watch the same workflows."""
    run(_ticks(meter, system, workflows, watches, times))


async def _ticks(meter: Meter, system: str, workflows: int, watches: int, times: int) -> None:
    clock = Clock(now=asyncio.get_running_loop().time, sleep=anyio.sleep)
    server = Served(workflows)
    async with (
        httpx.AsyncClient(transport=server) as carrier,
        client(system, NOWHERE, clock, http=carrier) as one,
        anyio.create_task_group() as group,
    ):
        for _ in range(watches):
            group.start_soon(_watch, one, workflows)
        await anyio.sleep(1.5 * EVERY)
        asked, spent = server.pages, server.spent
        with meter.measuring(times):
            await anyio.sleep(times * EVERY)
        cpu = meter.figures["cpu"] - (server.spent - spent) / times
        meter.note(cpu=cpu, requests=(server.pages - asked) / times)
        group.cancel_scope.cancel()


async def _watch(one: Any, workflows: int) -> None:
    async with one.workflows.watch(ids(workflows), poll=STEADY) as changes:
        async for _ in changes:
            pass
