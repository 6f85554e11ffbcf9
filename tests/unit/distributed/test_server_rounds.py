"""The shards of a server share its list, its pauses and its connections."""

import logging
from collections import defaultdict
from typing import Any

import anyio
import httpx
import pytest

from tests.support import virtual_time as virtual
from tests.support.distribution import SimulatedWorker
from tests.support.monitored_system import System, new_system
from workflow_async import monitor
from workflow_async.distributed import MemoryStore, server_rounds, shards_of
from workflow_async.monitor import WatchSpec

URL = "http://127.0.0.1"
LONG = 100_000.0
LEASE = 30.0


async def begin(kind: str, count: int, shards: int, **options: Any) -> tuple[System, SimulatedWorker]:
    """Return a system with shards of running workflows, and a worker that has begun."""
    place = new_system(kind)
    ids = place.starts(count, LONG)
    store = MemoryStore(LEASE, place.clock)
    await store.put(shards_of("all", WatchSpec.of(URL, ids, **options), shards))
    await anyio.sleep(20)
    return place, SimulatedWorker.start(place, store)


@pytest.mark.parametrize("kind", ["11", "preservica"])
def test_shards_that_are_due_together_read_the_list_once(kind: str) -> None:
    async def main() -> None:
        place, worker = await begin(kind, 120, 6)
        await anyio.sleep(1)
        first = place.looks()
        await anyio.sleep(100)
        pages, bulk_checks, gets = place.looks()
        await worker.cancel()
        assert pages - first[0] < 20
        assert (bulk_checks, gets) == first[1:]

    virtual.run(main())


def test_a_shard_that_is_alone_reads_its_own_list() -> None:
    async def main() -> None:
        place, worker = await begin("11", 20, 1)
        await anyio.sleep(2)
        await worker.cancel()
        assert place.looks() == (1, 0, 0)

    virtual.run(main())


def test_a_list_is_read_with_operations_if_a_shard_reports_them() -> None:
    async def main() -> None:
        place, worker = await begin("11", 40, 2, operations=True)
        await anyio.sleep(5)
        await worker.cancel()
        lists = [one for one in place.asked() if one.path == "/api/workflows"]
        assert lists
        assert all("withoperations=true" in one.query for one in lists)

    virtual.run(main())


def test_shards_are_polled_one_by_one_if_the_list_cannot_be_read(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        place, worker = await begin("11", 40, 4)

        def refuse(request: httpx.Request) -> httpx.Response | None:
            return httpx.Response(403, json={}) if request.url.path == "/api/workflows" else None

        place.wire.instead = refuse
        await anyio.sleep(120)
        assert len(worker.coordinator.store.events) == 40
        await worker.cancel()

    with caplog.at_level(logging.WARNING, "workflow_async"):
        virtual.run(main())
    assert caplog.messages.count("the list for all shards could not be read") <= 3


def test_shards_of_a_server_without_a_list_use_bulk_checks(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        place, worker = await begin("16", 100, 4)
        await anyio.sleep(30)
        await worker.cancel()
        pages, bulk_checks, _ = place.looks()
        assert pages <= 1
        assert bulk_checks > 4

    with caplog.at_level(logging.WARNING, "workflow_async"):
        virtual.run(main())
    assert caplog.messages == []


def test_a_pause_that_the_server_asks_for_holds_for_all_its_shards() -> None:
    async def main() -> None:
        place, worker = await begin("16", 40, 8)
        await anyio.sleep(50)
        refused = list[float]()

        def refuse(_: httpx.Request) -> httpx.Response | None:
            refused.append(anyio.current_time())
            return httpx.Response(429, headers={"retry-after": "300"})

        place.wire.instead = refuse
        await anyio.sleep(290)
        assert refused
        assert refused[-1] - refused[0] < 30
        await worker.cancel()

    virtual.run(main())


def test_the_shard_that_was_polled_longest_ago_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    polled, poll_once = defaultdict[int, list[float]](list), monitor.poll_once

    async def noted(client: Any, spec: WatchSpec, **options: Any) -> Any:
        polled[spec.ids[0]].append(anyio.current_time())
        return await poll_once(client, spec, **options)

    monkeypatch.setattr(server_rounds, "poll_once", noted)

    async def main() -> None:
        place, worker = await begin("16", 30, 6)
        place.wire.seconds = lambda: 8.0  # a round of all shards takes longer than the delay between two rounds
        await anyio.sleep(200)
        await worker.cancel()

    virtual.run(main())
    counts = [len(times) for times in polled.values()]
    assert len(counts) == 6
    assert max(counts) - min(counts) <= 2  # the delays between rounds vary


def test_a_worker_keeps_its_shards_while_requests_hang() -> None:
    async def main() -> None:
        place, worker = await begin("16", 40, 8)
        await anyio.sleep(30)
        place.wire.seconds = lambda: LONG
        await anyio.sleep(4 * LEASE)
        assert len(worker.held) == 8
        assert worker.coordinator.refused == []
        await worker.cancel()
        assert set(worker.coordinator.store.owners.values()) == {None}

    virtual.run(main())


def test_a_server_that_needs_longer_than_the_first_rounds_take_is_polled_by_longer_ones() -> None:
    async def main() -> None:
        place, worker = await begin("16", 40, 8)
        place.wire.seconds = lambda: 0.4 * LEASE  # each way
        await anyio.sleep(30 * LEASE)
        assert len(worker.coordinator.store.events) == 40
        assert worker.coordinator.refused == []
        await worker.cancel()

    virtual.run(main())
