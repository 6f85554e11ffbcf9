"""What a distribution costs: operations of the broker, and requests of the server."""

from collections import Counter
from typing import Any

import anyio
import pytest

from tests.conftest import See
from tests.support import virtual_time as virtual
from tests.support.distribution import SimulatedWorker
from tests.support.monitored_system import new_system
from workflow_async import monitor
from workflow_async.distributed import MemoryStore, server_rounds, shards_of
from workflow_async.distributed.coordinator import LEASE_SECONDS
from workflow_async.monitor import WatchSpec

URL = "http://127.0.0.1"
LONG = 100_000.0
LEASE = LEASE_SECONDS
"""The default. It is as long as the usual longest delay between two checks."""


@pytest.fixture
def rounds(monkeypatch: pytest.MonkeyPatch) -> Counter[float]:
    """Count the rounds of shards, by the second in which they begin."""
    counts, poll_once = Counter[float](), monitor.poll_once

    async def counted(*args: Any, **options: Any) -> Any:
        counts[anyio.current_time() // 1] += 1
        return await poll_once(*args, **options)

    monkeypatch.setattr(server_rounds, "poll_once", counted)
    return counts


@pytest.mark.figure("T-DISTRIBUTED")
@pytest.mark.parametrize("kind", ["11", "16", "preservica"])
def test_a_shard_and_round_takes_at_most_2_operations(kind: str, rounds: Counter[float], see: See) -> None:
    async def main() -> tuple[float, float]:
        place = new_system(kind)
        ids = [id for n in range(20) for id in place.starts(2, 30.0 * n, 30.0)]
        store = MemoryStore(LEASE, place.clock)
        await store.put(shards_of("all", WatchSpec.of(URL, ids), 4))
        workers = [SimulatedWorker.start(place, store, seed=n) for n in range(2)]
        for worker in workers:
            await worker.task
        coordinators = [worker.coordinator for worker in workers]
        renewals = sum(each.renewals for each in coordinators)
        assert renewals <= 4 * anyio.current_time() / (LEASE / 2)
        return sum(each.operations for each in coordinators) / rounds.total(), renewals / rounds.total()

    mean, renewals = virtual.run(main())
    assert mean - renewals <= 2
    assert mean <= 2
    see(f"{kind}: {mean:.2f} operations a shard and round, {renewals:.2f} of them renewals without events")


@pytest.mark.figure("T-DISTRIBUTED")
@pytest.mark.parametrize("kind", ["11", "16", "preservica"])
def test_a_shard_in_which_nothing_happens_takes_at_most_2_operations_a_round(
    kind: str, rounds: Counter[float], see: See
) -> None:
    async def main() -> float:
        place = new_system(kind)
        store = MemoryStore(LEASE, place.clock)
        await store.put(shards_of("all", WatchSpec.of(URL, place.starts(40, LONG)), 4))
        worker = SimulatedWorker.start(place, store)
        await anyio.sleep(300)  # the delays have reached the ceiling
        polled, done = rounds.total(), worker.coordinator.operations
        await anyio.sleep(1500)
        operations = worker.coordinator.operations - done
        await worker.cancel()
        return operations / (rounds.total() - polled)

    mean = virtual.run(main())
    assert mean <= 2
    see(f"{kind}: {mean:.2f} operations a shard and round while nothing happens")


async def steady(kind: str, count: int, shards: int, rounds: Counter[float]) -> tuple[float, float, float]:
    """Return the pages, bulk checks and GETs of a round of all shards of one worker, while nothing changes."""
    place = new_system(kind)
    ids = place.starts(count, LONG)
    store = MemoryStore(LEASE, place.clock)
    await store.put(shards_of("all", WatchSpec.of(URL, ids), shards))
    await anyio.sleep(20)
    worker = SimulatedWorker.start(place, store)
    await anyio.sleep(100)
    asked, polled = len(place.asked()), rounds.total()
    await anyio.sleep(200)
    pages, bulk_checks, gets = place.looks(asked)
    each = (rounds.total() - polled) / shards
    await worker.cancel()
    return pages / each, bulk_checks / each, gets / each


@pytest.mark.sweep
@pytest.mark.figure("T-DISTRIBUTED")
@pytest.mark.parametrize("shards", [40, 250])  # a shard has more workflows than the list has pages, and fewer
def test_shards_with_a_list_read_it_once_a_round(shards: int, rounds: Counter[float], see: See) -> None:
    pages, bulk_checks, gets = virtual.run(steady("11", 4000, shards, rounds))
    assert pages + bulk_checks + gets <= 25
    see(f"Opencast 11, 4,000 workflows in {shards} shards of one worker: {pages:.1f} pages, {gets:.1f} GETs a round")


@pytest.mark.sweep
@pytest.mark.figure("T-DISTRIBUTED")
def test_shards_without_a_list_share_no_request_and_need_few(rounds: Counter[float], see: See) -> None:
    pages, bulk_checks, gets = virtual.run(steady("16", 1000, 8, rounds))
    assert pages == 0
    assert bulk_checks <= 30
    assert gets <= 1000 / 8  # every tenth check
    sent = f"{bulk_checks:.1f} bulk checks, {gets:.1f} GETs a round"
    see(f"Opencast 16, 1,000 workflows in 8 shards of one worker: {sent}")
