"""A worker of a distribution polls its shards, delivers events, and gives shards back."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

import anyio
import httpx
import pytest
from attrs import define, field

from tests.support import virtual_time as virtual
from tests.support.distribution import SimulatedWorker
from tests.support.monitored_system import System, new_system
from workflow_async import OpencastClient
from workflow_async.distributed import MemoryCoordinator, MemoryStore, distribute, keeper, shards_of
from workflow_async.errors import ClientClosed, CoordinatorUnavailable, InvalidArgument
from workflow_async.monitor import Change, WatchSpec, poll_once

URL = "http://127.0.0.1"
LEASE = 24.0
LONG = 100_000.0


@define
class Shared:
    """A system, a store with shards of its workflows, and workers."""

    place: System
    store: MemoryStore = field(init=False)
    workers: list[SimulatedWorker] = field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        self.store = MemoryStore(LEASE, self.place.clock)

    async def put(self, count: int, *seconds: float, shards: int = 1, name: str = "all", **options: Any) -> list[int]:
        """Start workflows and put shards of them."""
        ids = self.place.starts(count, *seconds)
        await self.store.put(shards_of(name, WatchSpec.of(URL, ids, **options), shards))
        return ids

    def join(self, **options: Any) -> SimulatedWorker:
        """Start a worker."""
        worker = SimulatedWorker.start(self.place, self.store, seed=len(self.workers), **options)
        self.workers.append(worker)
        return worker

    @property
    def ends(self) -> list[int]:
        """The workflows whose end was delivered."""
        return [event.id for event in self.store.events.values() if isinstance(event, Change) and event.now.final]

    async def leave(self) -> None:
        """Cancel all workers."""
        for worker in self.workers:
            await worker.cancel()


def shared(kind: str = "11") -> Shared:
    """Return a system and a store on the time of the running loop."""
    return Shared(new_system(kind))


def run(main: Coroutine[Any, Any, None]) -> None:
    virtual.run(main)


@pytest.mark.parametrize("kind", ["11", "16", "preservica"])
def test_one_worker_carries_all_shards_to_their_end(kind: str) -> None:
    async def main() -> None:
        here = shared(kind)
        ids = await here.put(30, 20.0, 30.0, shards=4)
        await here.join().task
        assert sorted(here.ends) == ids
        assert here.store.repeats == (30 if kind == "preservica" else 0)  # of the second step of a running workflow
        assert here.store.owners == {}
        assert await MemoryCoordinator(here.store).over()

    run(main())


def test_shards_may_be_put_after_the_workers_have_begun_and_while_they_run() -> None:
    async def main() -> None:
        here = shared()
        worker = here.join()
        await anyio.sleep(3 * LEASE)
        first = await here.put(3, 50.0)
        await anyio.sleep(LEASE)
        second = await here.put(3, 50.0, name="more")
        await worker.task
        assert sorted(here.ends) == first + second

    run(main())


def test_a_finished_shard_that_was_not_released_is_released_without_a_request() -> None:
    async def main() -> None:
        here = shared()
        await here.put(3, 1.0)
        async with here.place.client() as client:
            await anyio.sleep(5)
            spec = (await keeper_spec(client, here)).to_bytes()
        store = here.store = MemoryStore(LEASE, here.place.clock)
        await store.put({"done": spec})
        asked = len(here.place.asked())
        await here.join().task
        assert len(here.place.asked()) == asked
        assert store.events == {}

    async def keeper_spec(client: Any, here: Shared) -> WatchSpec:
        lease = (await MemoryCoordinator(here.store).claim(())).leases[0]
        return (await poll_once(client, WatchSpec.from_bytes(lease.spec))).spec

    run(main())


# Shares


def test_a_worker_that_joins_gets_its_fair_share() -> None:
    async def main() -> None:
        here = shared()
        await here.put(80, LONG, shards=8)
        first = here.join()
        await anyio.sleep(1)
        assert len(first.held) == 8
        second, third = here.join(), here.join()
        await anyio.sleep(LEASE)
        assert sorted(len(worker.held) for worker in (first, second, third)) == [2, 3, 3]
        await here.leave()

    run(main())


def test_the_share_of_a_worker_that_is_cancelled_is_free_at_once() -> None:
    async def main() -> None:
        here = shared()
        await here.put(80, LONG, shards=8)
        first, second = here.join(), here.join()
        await anyio.sleep(LEASE)
        assert len(first.held) == len(second.held) == 4
        await second.cancel()
        assert second.task.cancelled()
        await anyio.sleep(LEASE / 4)
        assert len(first.held) == 8
        await here.leave()

    run(main())


def test_the_shards_of_a_killed_worker_are_taken_over_within_one_and_a_half_leases() -> None:
    async def main() -> None:
        here = shared()
        await here.put(80, LONG, shards=8)
        first, second = here.join(), here.join()
        await anyio.sleep(LEASE)
        await second.kill()
        await anyio.sleep(1.5 * LEASE)
        assert len(first.held) == 8
        await here.leave()

    run(main())


# Fencing


def test_a_worker_that_was_stopped_beyond_its_lease_is_refused_and_delivers_nothing() -> None:
    async def main() -> None:
        here = shared()
        ids = await here.put(5, 60.0)
        stopped = here.join()
        await anyio.sleep(10)
        stopped.process.stop()
        other = here.join()
        await anyio.sleep(2 * LEASE)
        assert other.held == {"all-0"}
        await anyio.sleep(30)
        assert sorted(here.ends) == ids
        stopped.process.resume()
        await anyio.sleep(LEASE)
        assert stopped.coordinator.refused == ["all-0"]
        assert here.store.repeats == 0
        await here.leave()

    run(main())


def test_a_worker_without_rivals_renews_a_lease_that_has_ended() -> None:
    async def main() -> None:
        here = shared()
        ids = await here.put(5, 60.0)
        worker = here.join()
        await anyio.sleep(10)
        worker.process.stop()
        await anyio.sleep(5 * LEASE)
        worker.process.resume()
        await worker.task
        assert sorted(here.ends) == ids
        assert worker.coordinator.refused == []

    run(main())


def test_a_lost_answer_costs_no_more_than_a_claim() -> None:
    async def main() -> None:
        here = shared()
        ids = await here.put(5, 60.0)
        worker = here.join()
        await anyio.sleep(10)
        entry = here.store._shards["all-0"]
        here.store._shards["all-0"] = type(entry)(entry.spec, entry.token + 1, entry.owner, entry.ends_at)
        await worker.task
        assert worker.coordinator.refused == ["all-0"]
        assert sorted(here.ends) == ids

    run(main())


# The coordinator


def test_events_of_an_outage_of_the_coordinator_are_delivered_after_it(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        here = shared()
        ids = await here.put(5, 30.0)
        worker = here.join()
        await anyio.sleep(10)
        worker.coordinator.cut_off = True
        asked = len(here.place.asked())
        await anyio.sleep(10 * LEASE)
        assert here.ends == []
        assert len(here.place.asked()) - asked < 40  # an undelivered shard is not polled
        worker.coordinator.cut_off = False
        await worker.task
        assert sorted(here.ends) == ids

    with caplog.at_level(logging.WARNING, "workflow_async"):
        run(main())
    assert caplog.messages == ["the coordinator does not answer", "the coordinator answers again"]


def test_a_coordinator_that_hangs_is_called_again() -> None:
    async def main() -> None:
        here = shared()
        ids = await here.put(5, 30.0)
        worker = here.join()
        await anyio.sleep(10)
        worker.coordinator.latency = LONG
        await anyio.sleep(LEASE)
        worker.coordinator.latency = 0.01
        await worker.task
        assert sorted(here.ends) == ids

    run(main())


def test_an_unexpected_error_of_the_coordinator_is_raised_once_the_shards_are_released() -> None:
    @define(eq=False)
    class Broken(MemoryCoordinator):
        async def renew(self, lease: Any) -> Any:
            raise ZeroDivisionError(lease.shard)

        async def save(self, lease: Any, spec: bytes, events: Any) -> Any:
            if lease.shard == "all-0":
                raise ZeroDivisionError(lease.shard)
            return await super().save(lease, spec, events)

    async def main() -> None:
        here = shared()
        await here.put(40, LONG, shards=2)
        async with here.place.client() as client:
            with pytest.raises(ZeroDivisionError, match="all-0"):
                await distribute(client, Broken(here.store))
        assert here.store.owners["all-1"] is None

    run(main())


def test_many_events_are_delivered_by_several_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "EVENTS_PER_SAVE", 10)
    saved = list[tuple[int, bytes]]()

    @define(eq=False)
    class Recording(MemoryCoordinator):
        async def save(self, lease: Any, spec: bytes, events: Any) -> Any:
            saved.append((len(events), spec))
            return None if len(saved) == 2 else await super().save(lease, spec, events)

    async def main() -> None:
        here = shared()
        await here.put(25, LONG)
        await anyio.sleep(30)
        begun = here.store._shards["all-0"].spec
        async with here.place.client() as client:
            with anyio.move_on_after(LEASE):
                await distribute(client, Recording(here.store))
        assert [count for count, _ in saved[:5]] == [10, 10, 10, 10, 5]
        assert {spec for _, spec in saved[:4]} == {begun}
        assert len(here.store.events) == 25
        assert here.store.repeats == 10

    run(main())


def test_events_are_delivered_by_smaller_calls_if_a_call_takes_too_long() -> None:
    async def main() -> None:
        here = shared()
        await here.put(60, LONG)
        await anyio.sleep(30)
        worker = here.join(latency=LEASE / 3 / 40)  # 40 events take as long as a call may take
        await anyio.sleep(5 * LEASE)
        assert len(here.store.events) == 60
        assert worker.held == {"all-0"}
        saved = WatchSpec.from_bytes(here.store._shards["all-0"].spec)
        assert all(cursor.workflow is not None for cursor in saved.cursors)
        await here.leave()

    run(main())


# Cancellation


@pytest.mark.parametrize("native", [True, False])
def test_a_cancelled_worker_saves_and_releases_its_shards(*, native: bool) -> None:
    async def main() -> None:
        here = shared()
        await here.put(10, LONG, shards=2)
        async with here.place.client() as client:
            coordinator = MemoryCoordinator(here.store)
            if native:
                task = asyncio.create_task(distribute(client, coordinator))
                await anyio.sleep(1)
                task.cancel()
                await asyncio.wait([task])
                assert task.cancelled()
            else:
                with anyio.move_on_after(1):
                    await distribute(client, coordinator)
        assert set(here.store.owners.values()) == {None}
        assert here.store._alive == {}
        assert len(here.store.events) == 10
        assert WatchSpec.from_bytes(here.store._shards["all-0"].spec).cursors[0].checked_at is not None

    run(main())


def test_a_cancelled_worker_leaves_many_undelivered_events_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "EVENTS_PER_SAVE", 10)

    async def main() -> None:
        here = shared()
        await here.put(60, LONG)
        worker = here.join(latency=0.2)
        while not here.store.events:
            await anyio.sleep(0.1)
        await worker.cancel()
        assert here.store.owners == {"all-0": None}
        assert len(here.store.events) < 60
        here.join()
        await anyio.sleep(LEASE)
        assert len({event.id for event in here.store.events.values()}) == 60
        await here.leave()

    run(main())


def test_a_cancelled_worker_ends_although_the_coordinator_hangs() -> None:
    async def main() -> None:
        here = shared()
        await here.put(10, LONG, shards=2)
        worker = here.join()
        await anyio.sleep(1)
        worker.coordinator.latency = LONG
        began = anyio.current_time()
        await worker.cancel()
        assert anyio.current_time() - began <= 10
        assert worker.task.cancelled()

    run(main())


def test_a_cancelled_worker_gives_up_a_coordinator_that_is_unavailable() -> None:
    async def main() -> None:
        here = shared()
        await here.put(10, LONG)
        worker = here.join()
        await anyio.sleep(1)
        worker.coordinator.cut_off = True
        await worker.cancel()
        assert here.store.owners == {"all-0": worker.coordinator.number}

    run(main())


# Servers and shards that fail


def test_a_shard_that_fails_stops_no_other(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        here = shared()
        ids = await here.put(4, 60.0)
        async with here.place.client() as client:
            await here.store.put(shards_of("found", WatchSpec.where(client, state="running")))

        def refuse(request: httpx.Request) -> httpx.Response | None:
            return httpx.Response(403) if "filter" in request.url.params else None

        here.place.wire.instead = refuse
        worker = here.join()
        await anyio.sleep(200)
        assert sorted(here.ends) == ids
        assert worker.held == {"found-0"}
        await here.leave()

    with caplog.at_level(logging.WARNING, "workflow_async"):
        run(main())
    failures = [record for record in caplog.records if record.message == "a round of a shard failed"]
    assert 4 < len(failures) < 12
    assert failures[0].__dict__["shard"] == "found-0"


def test_a_shard_of_another_server_is_logged_once_and_left_to_others(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        here = shared()
        ids = await here.put(2, 60.0)
        await here.store.put({"alien": WatchSpec.of("https://oc.example.org", [1]).to_bytes(), "garbled": b"?"})
        here.join()
        await anyio.sleep(8 * LEASE + 1)
        assert sorted(here.ends) == ids
        assert here.store.owners == {"alien": None, "garbled": None}
        await here.leave()

    with caplog.at_level(logging.WARNING, "workflow_async"):
        run(main())
    failures = [record for record in caplog.records if record.message == "a shard cannot be polled by this worker"]
    assert sorted(record.__dict__["shard"] for record in failures) == ["alien", "garbled"]


def test_shards_of_two_servers_are_polled_by_their_clients() -> None:
    async def main() -> None:
        here, there = shared(), new_system("16")
        ids, others = await here.put(2, 60.0), there.starts(3, 60.0)
        other_url = "http://127.0.0.1:8081"
        await here.store.put(shards_of("other", WatchSpec.of(other_url, others)))
        async with (
            here.place.client() as client,
            httpx.AsyncClient(transport=there.wire) as http,
            OpencastClient(other_url, auth=there.system.auth, http=http, clock=there.clock) as other,
        ):
            await distribute([client, other], MemoryCoordinator(here.store))
        assert len(here.ends) == len(ids) + len(others)

    run(main())


def test_a_closed_client_ends_the_worker_and_its_leases() -> None:
    async def main() -> None:
        here = shared()
        await here.put(2, LONG)
        async with here.place.client() as client:
            task = asyncio.create_task(distribute(client, MemoryCoordinator(here.store)))
            await anyio.sleep(5)
        with pytest.raises(ClientClosed):
            await task
        assert here.store.owners == {"all-0": None}

    run(main())


async def test_there_must_be_a_client_and_a_lease() -> None:
    with pytest.raises(InvalidArgument, match="clients: must be at least one client"):
        await distribute([], MemoryCoordinator(MemoryStore()))

    @define(eq=False)
    class Timeless(MemoryCoordinator):
        @property
        def lease_seconds(self) -> float:
            return 0.0

    client = OpencastClient(URL, auth=("user", "secret"))
    with pytest.raises(InvalidArgument, match="lease_seconds: must be a number above 0"):
        await distribute(client, Timeless(MemoryStore()))


def test_a_worker_waits_for_a_coordinator_that_is_unavailable_from_the_start() -> None:
    async def main() -> None:
        here = shared()
        ids = await here.put(2, 10.0)
        worker = here.join()
        worker.coordinator.cut_off = True
        await anyio.sleep(LEASE)
        worker.coordinator.cut_off = False
        await worker.task
        assert sorted(here.ends) == ids

    run(main())


def test_the_error_names_what_failed() -> None:
    assert (
        str(CoordinatorUnavailable("no answer within 8 s")) == "the coordinator does not answer: no answer within 8 s"
    )
