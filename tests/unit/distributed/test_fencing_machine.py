"""No sequence of claims, renewals, saves, releases and waits lets two workers write to one shard."""

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any, TypeVar

from attrs import define, field
from hypothesis import settings, strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

from tests.conftest import FakeTime
from workflow_async import Phase
from workflow_async.distributed import Lease, MemoryCoordinator, MemoryStore
from workflow_async.monitor import Change
from workflow_async.testing import opencast_workflow

T = TypeVar("T")
LEASE = 30.0
SHARDS = ("a", "b", "c", "d", "e")
WORKERS = st.integers(0, 2)
SEEN = datetime(2026, 1, 1, tzinfo=UTC)


@define
class Write:
    """The last accepted write of a shard, as a model of the store."""

    token: int = 0
    owner: int | None = None
    ends_at: float = 0.0
    spec: bytes = b"0"
    finished: bool = field(default=False)


class Leases(RuleBasedStateMachine):
    """Three workers that use every lease that they ever had, in any order."""

    leases: Bundle[tuple[int, Lease]] = Bundle("leases")

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.time = FakeTime()
        self.store = MemoryStore(LEASE, self.time.clock)
        self.workers = [MemoryCoordinator(self.store) for _ in range(3)]
        self.model = {shard: Write() for shard in SHARDS}
        self.alive: dict[int, float] = {}
        self.saves = 0
        self.delivered: set[str] = set()

    def now(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine."""
        return self.loop.run_until_complete(work)

    def teardown(self) -> None:
        self.loop.close()

    @initialize()
    def put(self) -> None:
        self.now(self.store.put(dict.fromkeys(SHARDS, b"0")))
        self.now(self.store.put({SHARDS[0]: b"another watch of the same name"}))

    @rule(seconds=st.sampled_from([1.0, 10.0, 29.0, 31.0]))
    def advance(self, seconds: float) -> None:
        self.time.now += seconds

    @rule(target=leases, worker=WORKERS, forgets=st.booleans())
    def claim(self, worker: int, *, forgets: bool) -> Any:
        """Claim. A worker that forgets its leases, because their answers were lost, gets them again."""
        mine = [shard for shard, write in self.model.items() if write.owner == worker and not write.finished]
        held = [] if forgets else mine
        free = [shard for shard in self.model if shard not in held and (shard in mine or self._is_free(shard))]
        self.alive[worker] = self.time.now + LEASE
        workers = sum(until > self.time.now for until in self.alive.values())
        share = -(-sum(not write.finished for write in self.model.values()) // workers)
        claim = self.now(self.workers[worker].claim(held))
        assert {lease.shard for lease in claim.leases} <= set(free)
        assert len(claim.leases) == min(len(free), max(0, share - len(held)))
        assert claim.surplus == max(0, len(held) - share)
        for lease in claim.leases:
            assert lease.spec == self.model[lease.shard].spec
            self._accept(worker, lease)
        return multiple(*((worker, lease) for lease in claim.leases))

    def _is_free(self, shard: str) -> bool:
        write = self.model[shard]
        return not write.finished and (write.owner is None or self.time.now >= write.ends_at)

    def _accept(self, worker: int, lease: Lease) -> None:
        write = self.model[lease.shard]
        assert lease.token > write.token
        self.model[lease.shard] = Write(lease.token, worker, self.time.now + LEASE, lease.spec)

    @rule(target=leases, held=leases)
    def renew(self, held: tuple[int, Lease]) -> Any:
        worker, lease = held
        return self._check(worker, lease, self.now(self.workers[worker].renew(lease)))

    @rule(target=leases, held=leases, change=st.integers(1, 9))
    def save(self, held: tuple[int, Lease], change: int) -> Any:
        worker, lease = held
        self.saves += 1
        workflow = opencast_workflow(change, "running")
        event = Change(workflow=workflow, was=None, now=Phase.RUNNING, seen_at=SEEN, key=f"key/{change}")
        new = self.now(self.workers[worker].save(lease, b"%d" % self.saves, [event]))
        self.delivered.add(event.key)
        return self._check(worker, lease, new)

    def _check(self, worker: int, lease: Lease, new: Lease | None) -> Any:
        assert (new is not None) == (lease.token == self.model[lease.shard].token)
        if new is None:
            return multiple()
        self._accept(worker, new)
        return worker, new

    @rule(held=leases, finished=st.booleans())
    def release(self, held: tuple[int, Lease], *, finished: bool) -> None:
        worker, lease = held
        write = self.model[lease.shard]
        self.now(self.workers[worker].release(lease, finished=finished))
        if lease.token == write.token:
            self.model[lease.shard] = Write(write.token + 1, None, 0.0, write.spec, finished)

    @rule(worker=WORKERS)
    def leave(self, worker: int) -> None:
        self.now(self.workers[worker].leave())
        self.alive.pop(worker, None)

    @invariant()
    def the_store_holds_the_last_accepted_write(self) -> None:
        for shard, write in self.model.items():
            owner = None if self._is_free(shard) or write.owner is None else self.workers[write.owner].number
            assert write.finished or self.store.owners.get(shard, None) == owner
        assert set(self.store.events) == self.delivered

    @invariant()
    def it_is_over_once_every_shard_is_finished(self) -> None:
        assert self.now(self.workers[0].over()) == all(write.finished for write in self.model.values())


Leases.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
test_only_the_newest_token_is_accepted = Leases.TestCase
