import math
from collections.abc import Callable

from attrs import define, field
from hypothesis import given, strategies as st

from workflow_async.distributed.nats.shard_view import ShardEntry, ShardView

LEASE = 20.0


def view_of(*entries: ShardEntry, worker: str = "me", now: float = 0.0) -> ShardView:
    view = ShardView(worker, LEASE)
    for entry in entries:
        view.observe(entry, now)
    return view


def names(entries: list[ShardEntry]) -> list[str]:
    return [entry.shard for entry in entries]


def test_a_shard_that_nobody_holds_can_be_claimed_at_once() -> None:
    assert names(view_of(ShardEntry("a-0", 1)).claimable((), 0.0)) == ["a-0"]


def test_a_lease_ends_once_its_entry_has_not_changed_for_its_length() -> None:
    view = view_of(ShardEntry("a-0", 1, owner="other"))
    assert view.claimable((), LEASE - 0.1) == []
    assert names(view.claimable((), LEASE)) == ["a-0"]


def test_a_newer_entry_renews_the_lease() -> None:
    view = view_of(ShardEntry("a-0", 1, owner="other"))
    view.observe(ShardEntry("a-0", 2, owner="other"), 15.0)
    assert view.claimable((), LEASE + 14) == []
    assert names(view.claimable((), LEASE + 15)) == ["a-0"]


def test_an_older_entry_changes_nothing() -> None:
    view = view_of(ShardEntry("a-0", 5, owner="other"))
    view.observe(ShardEntry("a-0", 4), 15.0)
    view.observe(ShardEntry("a-0", 5, owner="other"), 15.0)
    assert names(view.claimable((), LEASE)) == ["a-0"]
    assert view.entries == (ShardEntry("a-0", 5, owner="other"),)


def test_time_without_a_connection_does_not_count_for_a_lease() -> None:
    view = view_of(ShardEntry("a-0", 1, owner="other"))
    view.restart(100.0)
    assert view.claimable((), 119.0) == []
    assert names(view.claimable((), 120.0)) == ["a-0"]


def test_what_this_worker_has_without_knowing_comes_first_and_is_not_waited_for() -> None:
    view = view_of(*(ShardEntry(f"a-{n}", n + 1) for n in range(5)), ShardEntry("b-0", 9, owner="me"))
    assert names(view.claimable((), 0.0))[0] == "b-0"
    assert "b-0" not in names(view.claimable({"b-0"}, 0.0))


def test_a_finished_shard_is_never_claimed() -> None:
    view = view_of(ShardEntry("a-0", 1, finished=True))
    assert view.claimable((), 1000.0) == []
    assert view.fair_share(0.0) == 0


def test_it_is_over_when_there_is_a_shard_and_all_are_finished() -> None:
    assert not view_of().over()
    assert not view_of(ShardEntry("a-0", 1, finished=True), ShardEntry("a-1", 2)).over()
    assert view_of(ShardEntry("a-0", 1, finished=True)).over()


def test_a_deleted_shard_is_forgotten() -> None:
    view = view_of(ShardEntry("a-0", 1), ShardEntry("a-1", 2))
    view.remove("a-0")
    view.remove("a-0")
    assert names(view.claimable((), 0.0)) == ["a-1"]


def test_owners_and_workers_that_say_so_are_alive() -> None:
    view = view_of(*(ShardEntry(f"a-{n}", n + 1) for n in range(11)), ShardEntry("b-0", 99, owner="other"))
    assert view.fair_share(0.0) == 6
    view.hear("idle", 0.0)
    assert view.fair_share(0.0) == 4
    assert view.fair_share(LEASE) == 12
    view.hear("idle", LEASE)
    view.forget("idle")
    view.forget("idle")
    assert view.fair_share(LEASE) == 12


def test_workers_prefer_different_shards() -> None:
    entries = [ShardEntry(f"a-{n}", n + 1) for n in range(16)]
    firsts = {names(view_of(*entries, worker=f"w{n}").claimable((), 0.0))[0] for n in range(16)}
    assert len(firsts) > 4


@define
class Workers:
    """Any number of workers and their bucket, without a broker: each sees every write at once."""

    bucket: dict[str, ShardEntry]
    views: dict[str, ShardView] = field(factory=dict)
    now: float = 0.0
    revision: int = 1000
    joined: int = 0

    def write(self, shard: str, owner: str = "") -> None:
        self.revision += 1
        self.bucket[shard] = ShardEntry(shard, self.revision, owner=owner)
        for view in self.views.values():
            view.observe(self.bucket[shard], self.now)

    def held_by(self, name: str) -> list[str]:
        return [entry.shard for entry in self.bucket.values() if entry.owner == name]

    def join(self) -> None:
        self.joined += 1
        name = f"w{self.joined}"
        self.views[name] = view_of(*self.bucket.values(), worker=name, now=self.now)

    def die(self) -> None:
        self.views.popitem()

    def leave(self) -> None:
        name, _ = self.views.popitem()
        for shard in self.held_by(name):
            self.write(shard)
        for view in self.views.values():
            view.forget(name)

    def act(self, name: str, view: ShardView) -> None:
        """Renew, then release what is above the share, or claim what is below it."""
        for other in self.views.values():
            other.hear(name, self.now)
        held = self.held_by(name)
        for shard in held:
            self.write(shard, owner=name)
        free = view.fair_share(self.now) - len(held)
        for shard in held[: max(0, -free)]:
            self.write(shard)
        for entry in view.claimable(held, self.now)[: max(0, free)]:
            self.write(entry.shard, owner=name)

    def run(self, leases: int) -> None:
        for _ in range(leases * 6):
            self.now += LEASE / 6
            for name, view in self.views.items():
                self.act(name, view)


@given(st.integers(1, 40), st.lists(st.sampled_from([Workers.join, Workers.die, Workers.leave]), max_size=12))
def test_every_shard_has_a_worker_and_no_worker_has_more_than_its_share(
    shards: int, changes: list[Callable[[Workers], None]]
) -> None:
    workers = Workers({f"a-{n}": ShardEntry(f"a-{n}", n + 1) for n in range(shards)})
    for change in [Workers.join, *changes]:
        (change if workers.views else Workers.join)(workers)
        workers.run(leases=2)
    if workers.views:
        held = [len(workers.held_by(name)) for name in workers.views]
        assert sum(held) == shards
        assert max(held) <= math.ceil(shards / len(held))


@given(st.integers(1, 40), st.integers(2, 5))
def test_the_shards_of_a_worker_that_dies_are_taken_within_one_and_a_half_leases(shards: int, count: int) -> None:
    workers = Workers({f"a-{n}": ShardEntry(f"a-{n}", n + 1) for n in range(shards)})
    for _ in range(count):
        workers.join()
    workers.run(leases=2)
    died_at = workers.now
    dead, _ = workers.views.popitem()
    while workers.held_by(dead):
        workers.now += LEASE / 6
        for name, view in workers.views.items():
            workers.act(name, view)
    assert workers.now - died_at <= 1.5 * LEASE
