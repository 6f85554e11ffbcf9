"""What a round of a saved watch costs: requests, and bytes for each workflow."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

import httpx
import pytest

from tests.conftest import See
from workflow_async import Clock, OpencastClient
from workflow_async.monitor import WatchSpec, poll_once, snapshot_active
from workflow_async.sandbox import ManualClock, Sandbox

LONG = "schedule-and-upload"
"""A definition whose workflows run for a long time."""


@asynccontextmanager
async def opencast(sandbox: Sandbox, time: ManualClock, tick: float = 0.0) -> AsyncIterator[OpencastClient]:
    """Connect a client. Its clock advances by `tick` seconds whenever it is read."""

    def wall() -> float:
        time.advance(tick)
        return time()

    http = httpx.AsyncClient(transport=httpx.ASGITransport(sandbox.opencast.app))
    clock = Clock(now=time, wall=wall)
    async with http, OpencastClient("http://127.0.0.1", auth=sandbox.opencast.auth, http=http, clock=clock) as client:
        yield client


def running(sandbox: Sandbox, time: ManualClock, count: int) -> list[int]:
    """Start workflows that run for a long time. Return their ids."""
    ids = [sandbox.opencast.start(sandbox.opencast.event(), LONG) for _ in range(count)]
    time.advance(20)
    return ids


@pytest.mark.figure("T-SPEC")
async def test_a_round_of_1000_workflows_without_a_list_sends_30_requests(time: ManualClock, see: See) -> None:
    sandbox = Sandbox("16", time)
    ids, rounds = running(sandbox, time, 1000), list[int]()
    async with opencast(sandbox, time) as client:
        polled = await poll_once(client, WatchSpec.of(client, ids))
        assert len(polled.events) == 1000
        for _ in range(9):
            time.advance(30)
            sandbox.opencast.requests.clear()
            polled = await poll_once(client, WatchSpec.from_bytes(polled.spec.to_bytes()))
            assert polled.requests == len(sandbox.opencast.requests)
            assert polled.remaining == 0
            rounds.append(polled.requests)
    usual = sorted(rounds)[len(rounds) // 2]
    assert usual <= 30
    see(f"Opencast 16, 1,000 workflows: {usual} requests a round, {sum(rounds) / len(rounds):.0f} on average of 9")


@pytest.mark.figure("T-SPEC")
async def test_a_round_of_40_shards_with_one_snapshot_sends_25_requests(time: ManualClock, see: See) -> None:
    sandbox = Sandbox("11", time)
    ids = running(sandbox, time, 4000)
    async with opencast(sandbox, time) as client:
        first = await snapshot_active(client)
        shards = [(await poll_once(client, shard, seen=first)).spec for shard in WatchSpec.of(client, ids).split(40)]
        time.advance(30)
        sandbox.opencast.requests.clear()
        seen = await snapshot_active(client)
        polled = [await poll_once(client, shard, seen=seen) for shard in shards]
    sent = len(sandbox.opencast.requests)
    assert sent == seen.requests + sum(each.requests for each in polled)
    assert sent <= 25
    assert all(each.remaining == 0 for each in polled)
    see(f"Opencast 11, 4,000 workflows in 40 shards, one snapshot: {sent} requests a round")


@pytest.mark.figure("T-SPEC")
@pytest.mark.parametrize("release", ["11", "16"])
async def test_a_packed_watch_has_20_bytes_for_each_workflow(
    release: Literal["11", "16"], time: ManualClock, see: See
) -> None:
    sandbox = Sandbox(release, time)
    ids = running(sandbox, time, 1000)
    async with opencast(sandbox, time, tick=0.007) as client:
        spec = WatchSpec.of(client, ids)
        fresh = len(spec.to_bytes()) / len(ids)
        for _ in range(3):
            time.advance(31.7)
            spec = (await poll_once(client, spec)).spec
    used = len(spec.to_bytes()) / len(ids)
    assert WatchSpec.from_bytes(spec.to_bytes()) == spec
    assert max(fresh, used) <= 20
    see(f"Opencast {release}: {fresh:.1f} bytes a workflow fresh, {used:.1f} running")
