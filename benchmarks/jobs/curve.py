"""Polls of a watch by the list, on virtual time, with the server in this process."""

import asyncio
import time
from typing import Any

import anyio
import httpx
from attrs import define

from benchmarks import wire
from benchmarks.jobs.clients import INTERVAL, POLL, client, ids
from benchmarks.meter import Meter
from tests.support.virtual_time import run
from workflow_async import Clock

URL = "http://127.0.0.1"


@define(eq=False)
class ListTransport(httpx.AsyncBaseTransport):
    """A list of `count` active workflows of either system. The CPU time of its responses is counted separately."""

    count: int
    changed: frozenset[int] = frozenset()
    """The workflows whose rows show another state or step."""
    pages: int = 0
    cpu_seconds: float = 0.0
    """The CPU time of the responses so far."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Return a page, or a response for the login."""
        began = time.process_time()
        fixed = wire.FIXED.get(request.url.path)
        body = self._page(request.url.params) if fixed is None else fixed
        self.cpu_seconds += time.process_time() - began
        return httpx.Response(200, content=body)

    def _page(self, params: httpx.QueryParams) -> bytes:
        self.pages += 1
        start, rows = int(params.get("offset", params.get("start"))), int(params.get("limit", params.get("max")))
        shown = ids(self.count)[start : start + rows]
        if "offset" in params:
            return wire.opencast_page(shown, changed=self.changed)
        return wire.preservica_page(shown, self.count, self.changed)

    def change(self, one_in: int) -> None:
        """Let one in so many workflows show another state or step, or let them show the first one again."""
        self.changed ^= frozenset(ids(self.count)[::one_in])


def polls(meter: Meter, system: str, workflows: int, watches: int, times: int, one_in: int = 0) -> None:
    """Measure the requests and the CPU time of a poll without changes, while `watches` watch the same workflows.

    With `one_in`, measure before that the CPU time of a poll in which one in so many rows have changed.
    """
    run(_polls(meter, system, workflows, watches, times, one_in))


async def _polls(meter: Meter, system: str, workflows: int, watches: int, times: int, one_in: int) -> None:
    clock = Clock(now=asyncio.get_running_loop().time, sleep=anyio.sleep)
    server = ListTransport(workflows)
    async with (
        httpx.AsyncClient(transport=server) as backend,
        client(system, URL, clock, http=backend) as one,
        anyio.create_task_group() as group,
    ):
        for _ in range(watches):
            group.start_soon(_watch, one, workflows)
        await anyio.sleep(1.5 * INTERVAL)
        changed = await _measure(meter, server, times, one_in) if one_in else 0.0
        pages = server.pages
        quiet = await _measure(meter, server, times, 0)
        meter.note(cpu=quiet, changed=changed, requests=(server.pages - pages) / times)
        group.cancel_scope.cancel()


async def _measure(meter: Meter, server: ListTransport, times: int, one_in: int) -> float:
    """Return the CPU time of a poll without the server's part."""
    cpu_before = server.cpu_seconds
    with meter.measuring(times):
        for _ in range(times):
            if one_in:
                server.change(one_in)
            await anyio.sleep(INTERVAL)
    return meter.figures["cpu"] - (server.cpu_seconds - cpu_before) / times


async def _watch(one: Any, workflows: int) -> None:
    async with one.workflows.watch(ids(workflows), poll=POLL) as changes:
        async for _ in changes:
            pass
