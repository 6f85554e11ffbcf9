"""The choice of the next requests, over thousands of steps without a server."""

import random
from collections import Counter, defaultdict
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import pytest
from attrs import define, evolve, field
from hypothesis import given, settings, strategies as st

from tests.support.monitored_server import Record
from workflow_async import Phase, Poll
from workflow_async.monitor._engine.backoff import poll_delay
from workflow_async.monitor._engine.bulk import BULK_SIZE, GET_EVERY
from workflow_async.monitor._engine.due_queue import DueQueue
from workflow_async.monitor._engine.observation import Observation
from workflow_async.monitor._engine.scheduler import (
    MAX_IN_FLIGHT,
    RELIST_EVERY,
    RequestBatch,
    Scheduler,
)
from workflow_async.monitor._engine.tracking import Tracking

TICK = 0.1
STEADY = Poll(interval=2, backoff=1, ceiling=2)
EXACT = Poll(interval=2, backoff=1, ceiling=2, jitter=0)


@define
class Drive:
    """A scheduler and a server that responds in the next step. Its list shows `listed`, in pages of a hundred."""

    scheduler: Scheduler
    poll: Poll = STEADY
    listed: set[int] = field(factory=set)
    now: float = 1000.0
    ticks: int = 0
    observations: dict[int, Observation[Any]] = field(factory=dict)
    checks: dict[int, list[float]] = field(factory=lambda: defaultdict(list))
    """The instants of all checks of each workflow."""
    gets: list[float] = field(factory=list)
    list_reads: list[float] = field(factory=list)
    bulk_checks: list[float] = field(factory=list)
    chance: random.Random = field(factory=lambda: random.Random(3))
    changed: set[int] = field(factory=set)
    """Workflows that a bulk check shows to have changed."""

    def add(self, ids: Iterable[int]) -> None:
        for id in ids:
            self.observations[id] = Observation(id=id, since=self.now)
            self.scheduler.add(id, Tracking(self.poll))

    def run(self, seconds: float) -> None:
        """Run the steps of these seconds."""
        for _ in range(round(seconds / TICK)):
            self.tick()

    def tick(self) -> RequestBatch:
        asks = self.scheduler.next_requests(self.now, self.observations)
        self.gets += [self.now] * len(asks.gets)
        self.bulk_checks += [self.now] * len(asks.bulk_checks)
        for id in asks.gets:
            self._see(id, certain=True)
            self.scheduler.finish((id,), {id: self._next(id)})
        for ids in asks.bulk_checks:
            for id in ids:
                self._see(id, certain=False)
            self.scheduler.finish(ids, {id: self._next(id) for id in ids})
            self.scheduler.recheck(self.changed.intersection(ids), self.now)
        if asks.read_list:
            self._read_list()
        self.ticks += 1
        self.now = 1000.0 + self.ticks * TICK
        return asks

    def _see(self, id: int, *, certain: bool) -> None:
        self.checks[id].append(self.now)
        observation = self.observations[id]
        known = observation.workflow is not None
        self.observations[id] = evolve(
            observation, workflow=Record(id), unchanged=observation.unchanged + 1 if known else 0
        )
        if certain and id in self.changed:
            self.changed.discard(id)
            self.observations[id] = evolve(self.observations[id], unchanged=0)

    def _next(self, id: int) -> float:
        return self.now + poll_delay(self.poll, self.observations[id].unchanged, self.chance.random())

    def _read_list(self) -> None:
        self.list_reads.append(self.now)
        covered = set(self.scheduler.by_list)
        for id in covered & self.listed:
            self._see(id, certain=True)
        lost = covered - self.listed
        ran = sum(self.observations[id].workflow is not None for id in lost)
        after = self.now + self.poll.interval
        self.scheduler.list_completed(self.pages, set(self.listed), lost, self.now, after, seen=ran)

    @property
    def pages(self) -> int:
        return -(-len(self.listed) // 100)

    def requests(self, since: float) -> int:
        """Return the number of requests since this instant. A list read counts as its pages."""
        singles = sum(at >= since for at in (*self.gets, *self.bulk_checks))
        return singles + self.pages * sum(at >= since for at in self.list_reads)


def longest_gap(checks: dict[int, list[float]]) -> float:
    return max(later - earlier for ats in checks.values() for earlier, later in pairwise(ats))


# Cost


@pytest.mark.sweep
@pytest.mark.parametrize("count", [250, 1000, 5000])
def test_with_a_list_an_interval_costs_its_pages_and_a_get_per_change(count: int) -> None:
    drive = Drive(Scheduler(supports_listing=True, supports_bulk_check=False), listed=set(range(count)))
    drive.add(range(count))
    drive.run(20)
    began, ended = drive.now, 0
    for _ in range(1000):
        if drive.chance.random() < 0.05:
            drive.listed.pop()
            ended += 1
        asks = drive.tick()
        for id in asks.gets:  # it has ended, as the get says
            drive.scheduler.stop_polling(id)
    intervals = 1000 * TICK / drive.poll.interval
    assert ended > 20
    assert drive.requests(began) <= (intervals + 1) * -(-count // 100) + ended


def test_a_few_workflows_of_a_long_list_get_a_get_each_because_that_is_cheaper() -> None:
    drive = Drive(Scheduler(supports_listing=True, supports_bulk_check=False, pages=10), listed=set(range(1000)))
    drive.add(range(10))
    drive.run(200)
    assert not drive.list_reads
    assert len(drive.gets) <= 10 * (200 / drive.poll.interval + 1) * 1.1


@given(pages=st.integers(1, 12), count=st.integers(1, 40))
@settings(max_examples=30)
def test_an_interval_never_costs_more_than_the_cheaper_of_list_and_gets(pages: int, count: int) -> None:
    drive = Drive(
        Scheduler(supports_listing=True, supports_bulk_check=False, pages=pages), listed=set(range(pages * 100))
    )
    drive.add(range(count))
    drive.run(10)
    began = drive.now
    drive.run(100)
    assert drive.requests(began) <= min(pages, count) * (100 / drive.poll.interval + 1) * 1.1


def test_a_workflow_that_joins_many_gets_a_get_immediately_and_is_then_left_to_the_list() -> None:
    drive = Drive(Scheduler(supports_listing=True, supports_bulk_check=False), listed=set(range(500)))
    drive.add(range(500))
    drive.run(10)
    drive.listed.add(777)
    drive.add([777])
    asks = drive.tick()
    assert (asks.gets, asks.confirms) == ((777,), frozenset({777}))
    drive.run(5)
    assert 777 in drive.scheduler.by_list


def test_many_workflows_that_join_many_make_the_list_due_earlier() -> None:
    slow = Poll(interval=2, ceiling=600)
    drive = Drive(Scheduler(supports_listing=True, supports_bulk_check=False), slow, set(range(500)))
    drive.add(range(500))
    drive.run(10)
    drive.scheduler.next_list_at = drive.now + 600
    drive.listed |= set(range(500, 700))
    drive.add(range(500, 700))
    began = drive.now
    drive.run(4)
    assert [at for at in drive.list_reads if at >= began]
    assert not [at for at in drive.gets if at >= began]


def test_the_list_is_read_at_most_once_per_interval_however_many_workflows_join() -> None:
    drive = Drive(Scheduler(supports_listing=True, supports_bulk_check=False), listed=set(range(100)))
    drive.add(range(100))
    for n in range(100, 4000, 20):
        drive.listed |= set(range(n, n + 20))
        drive.add(range(n, n + 20))
        drive.tick()
    assert min(later - earlier for earlier, later in pairwise(drive.list_reads)) >= drive.poll.interval - TICK


def test_the_first_check_comes_after_the_initial_delay_of_each_workflow() -> None:
    drive = Drive(Scheduler(supports_listing=False, supports_bulk_check=False))
    for id, initial in ((1, 0.0), (2, 5.0), (3, 60.0)):
        drive.observations[id] = Observation(id=id, since=drive.now)
        drive.scheduler.add(id, Tracking(Poll(initial=initial)))
    drive.run(90)
    assert [drive.checks[id][0] - 1000 for id in (1, 2, 3)] == pytest.approx([0, 5, 60], abs=2 * TICK)


def test_the_list_waits_for_the_initial_delay_too() -> None:
    drive = Drive(Scheduler(supports_listing=True, supports_bulk_check=False), Poll(initial=30), set(range(200)))
    drive.add(range(200))
    drive.run(60)
    assert drive.list_reads[0] - 1000 == pytest.approx(30, abs=2 * TICK)


# Fairness


@pytest.mark.sweep
@pytest.mark.parametrize(("lists", "count"), [(False, 50), (False, 1000), (True, 2000)])
def test_no_workflow_waits_longer_than_two_intervals_for_a_check(lists: bool, count: int) -> None:  # noqa: FBT001 - a case
    drive = Drive(Scheduler(supports_listing=lists, supports_bulk_check=False), listed=set(range(count)))
    drive.add(range(count))
    drive.run(300)
    assert len(drive.checks) == count
    assert longest_gap(drive.checks) <= 2 * drive.poll.interval
    assert min(len(ats) for ats in drive.checks.values()) >= 300 / drive.poll.interval / 1.3


def test_at_most_64_requests_are_in_flight_and_the_longest_due_is_next() -> None:
    scheduler = Scheduler(supports_listing=False, supports_bulk_check=False)
    observations = {id: Observation[Any](id=id, since=0.0) for id in range(200)}
    for id in observations:
        scheduler.add(id, Tracking(EXACT))
    scheduler.next_requests(0.0, observations)
    due = scheduler.next_requests(10.0, observations)
    assert len(due.gets) == MAX_IN_FLIGHT - 1  # the first was on its way already
    assert due.next_at is None  # it is an answer that has to come now
    assert scheduler.next_requests(10.0, observations).gets == ()
    scheduler.finish((due.gets[0],), {due.gets[0]: 12.0})
    assert scheduler.next_requests(10.0, observations).gets == (max(due.gets) + 1,)


# Spread


def peak(ats: list[float], begin: float, end: float, window: float) -> float:
    """Return the largest number in any window, divided by the mean."""
    inside = [at for at in ats if begin <= at < end]
    windows = Counter(int((at - begin) / window) for at in inside)
    return max(windows.values()) / (len(inside) * window / (end - begin))


@pytest.mark.sweep
@pytest.mark.parametrize("jitter", [0.0, 0.2])
def test_gets_of_ten_thousand_workflows_are_spread_evenly(jitter: float) -> None:
    poll = Poll(interval=20, backoff=1, ceiling=20, jitter=jitter)
    drive = Drive(Scheduler(supports_listing=False, supports_bulk_check=False), poll)
    drive.add(range(10_000))
    drive.run(200)
    assert peak(drive.gets, 1000, 1200, poll.interval / 10) <= 1.2


def test_no_interval_has_more_gets_than_workflows() -> None:
    poll = Poll(interval=10, backoff=1.5, ceiling=60)
    drive = Drive(Scheduler(supports_listing=False, supports_bulk_check=False), poll)
    drive.add(range(3000))
    drive.run(300)
    windows = Counter(int(at - 1000) for at in drive.gets)
    assert max(windows.values()) <= 1.2 * 3000 / poll.interval


# Glances


@pytest.mark.sweep
def test_bulk_checks_stand_for_many_workflows_and_every_tenth_check_is_a_get() -> None:
    drive = Drive(Scheduler(supports_listing=False, supports_bulk_check=True))
    drive.add(range(1000))
    drive.run(20)
    began, looks, gets = drive.now, sum(map(len, drive.checks.values())), len(drive.gets)
    drive.run(200)
    got = len(drive.gets) - gets
    assert got == pytest.approx((sum(map(len, drive.checks.values())) - looks) / GET_EVERY, rel=0.1)
    assert drive.requests(began) - got <= 1.5 * 1000 / BULK_SIZE * 200 / drive.poll.interval


def test_no_bulk_check_is_larger_than_its_limit() -> None:
    scheduler = Scheduler(supports_listing=False, supports_bulk_check=True)
    observations = {id: Observation[Any](id=id, since=0.0, workflow=Record(id)) for id in range(1000)}
    for id in observations:
        scheduler.add(id, Tracking(STEADY))
    chunks = [
        *scheduler.next_requests(0.0, observations).bulk_checks,
        *scheduler.next_requests(5.0, observations).bulk_checks,
    ]
    assert max(map(len, chunks)) == BULK_SIZE
    assert sorted(id for ids in chunks for id in ids) == list(range(1000))


@pytest.mark.parametrize(
    "observation",
    [
        Observation[Any](id=9, since=0.0),
        Observation[Any](id=9, since=0.0, workflow=Record(9, Phase.PARKED)),
        Observation[Any](id=9, since=0.0, workflow=Record(9, Phase.UNKNOWN)),
        Observation[Any](id=9, since=0.0, workflow=Record(9), misses=1),
        Observation[Any](id=9, since=0.0, workflow=Record(9), unchanged=GET_EVERY - 1),
    ],
    ids=["never seen", "parked", "of an unknown state", "not found", "glanced at nine times"],
)
def test_these_workflows_get_no_bulk_check(observation: Observation[Any]) -> None:
    scheduler = Scheduler(supports_listing=False, supports_bulk_check=True)
    observations = {id: Observation[Any](id=id, since=0.0, workflow=Record(id)) for id in range(5)} | {9: observation}
    for id in observations:
        scheduler.add(id, Tracking(STEADY))
    asks = scheduler.next_requests(0.0, observations)
    assert (asks.gets, asks.bulk_checks) == ((9,), ((0, 1, 2, 3, 4),))


def test_a_workflow_watched_with_operations_gets_no_bulk_check() -> None:
    scheduler = Scheduler(supports_listing=False, supports_bulk_check=True)
    observations = {id: Observation[Any](id=id, since=0.0, workflow=Record(id)) for id in range(10)}
    for id in observations:
        scheduler.add(id, Tracking(STEADY, operations=id < 5))
    asks = scheduler.next_requests(0.0, observations)
    assert (set(asks.gets), asks.bulk_checks) == ({0, 1, 2, 3, 4}, ((5, 6, 7, 8, 9),))


def test_a_workflow_that_a_bulk_check_suspects_gets_a_get_immediately() -> None:
    drive = Drive(Scheduler(supports_listing=False, supports_bulk_check=True))
    drive.add(range(100))
    drive.run(8)
    drive.changed.update({7, 8})
    drive.run(4)
    assert not drive.changed


# The list


def test_a_workflow_that_leaves_the_list_gets_a_get_immediately() -> None:
    drive = Drive(Scheduler(supports_listing=True, supports_bulk_check=False), listed=set(range(200)))
    drive.add(range(200))
    drive.run(10)
    drive.listed.discard(7)
    while 7 not in drive.scheduler.missing_from_list:
        drive.tick()
    asks = drive.tick()
    assert (asks.gets, asks.confirms) == ((7,), frozenset({7}))


def test_an_active_workflow_that_is_not_listed_does_not_move_back_and_forth() -> None:
    drive = Drive(Scheduler(supports_listing=True, supports_bulk_check=False), listed=set(range(300)))
    drive.add(range(310))
    drive.run(20)
    began = drive.now
    drive.run(200)
    intervals = 200 / drive.poll.interval
    assert drive.scheduler.missing_from_list == set(range(300, 310))
    assert len([at for at in drive.gets if at >= began]) <= 10 * intervals * 1.1
    drive.listed |= drive.scheduler.missing_from_list
    drive.run(3)
    assert not drive.scheduler.missing_from_list
    assert drive.scheduler.by_list == set(range(310))


def test_without_the_list_gets_are_sent() -> None:
    drive = Drive(Scheduler(supports_listing=True, supports_bulk_check=False), listed=set(range(100)))
    drive.add(range(100))
    drive.scheduler.disable_list(float("inf"))
    drive.run(100)
    assert not drive.list_reads
    assert longest_gap(drive.checks) <= 2 * drive.poll.interval


def test_a_list_that_was_disabled_for_a_while_is_used_again() -> None:
    drive = Drive(Scheduler(supports_listing=True, supports_bulk_check=False), listed=set(range(100)))
    drive.add(range(100))
    drive.run(10)
    drive.scheduler.disable_list(drive.now + 50)
    began = drive.now
    drive.run(100)
    assert min(at for at in drive.list_reads if at > began) == pytest.approx(began + 50, abs=1)
    assert longest_gap(drive.checks) <= 2.2 * drive.poll.interval


def test_a_list_is_not_read_during_its_pause() -> None:
    drive = Drive(Scheduler(supports_listing=True, supports_bulk_check=False), listed=set(range(100)))
    drive.add(range(100))
    drive.run(10)
    drive.scheduler.paused_until = drive.now + 50
    began, gets = drive.now, len(drive.gets)
    drive.run(60)
    assert min(at for at in drive.list_reads if at > began) >= began + 50 - TICK
    assert len(drive.gets) == gets


# A list that is odd


def briefly_empty(count: int, listed: set[int], seconds: float, *, before: float = 10) -> Drive:
    """Show these workflows in the list for some seconds, and then all again. Return the drive after both."""
    drive = Drive(Scheduler(supports_listing=True, supports_bulk_check=False), listed=set(range(count)))
    drive.add(range(count))
    drive.run(before)
    drive.listed = set(listed)
    drive.run(seconds)
    drive.listed = set(range(count))
    return drive


def test_a_list_that_shows_none_of_many_seen_workflows_is_read_again_before_it_is_believed() -> None:
    drive = briefly_empty(500, set(), 2)
    drive.run(20)
    assert not drive.gets
    assert drive.scheduler.by_list == set(range(500))
    assert max(later - earlier for earlier, later in pairwise(drive.list_reads)) <= drive.poll.interval + 2 * TICK


def test_a_list_that_shows_none_of_many_twice_is_believed() -> None:
    drive = briefly_empty(500, set(), 7)
    assert {id for id, ats in drive.checks.items() if ats[-1] > 1010} == set(range(500))


def test_a_few_workflows_that_a_list_no_longer_shows_get_a_get_immediately() -> None:
    drive = briefly_empty(20, set(), 1)
    assert len(drive.gets) == 20


def test_a_list_that_shows_none_of_many_unseen_workflows_is_believed() -> None:
    drive = briefly_empty(500, set(), 1, before=0)
    assert len(drive.gets) >= 500 * TICK / drive.poll.interval


@pytest.mark.parametrize("listed", [set[int](), set(range(10)), set(range(250)), set(range(0, 500, 50))])
@pytest.mark.parametrize("before", [0, 10])
def test_a_list_that_was_empty_for_a_while_is_used_again(listed: set[int], before: float) -> None:
    drive = briefly_empty(500, listed, 8, before=before)
    drive.run(2 * RELIST_EVERY * drive.poll.interval)
    assert drive.scheduler.by_list == set(range(500))
    assert not drive.scheduler.missing_from_list
    gets = len(drive.gets)
    drive.run(100)
    assert len(drive.gets) == gets


def test_a_list_that_stays_empty_costs_a_page_now_and_then() -> None:
    drive = briefly_empty(500, set(), 300)
    sweeps = [at for at in drive.list_reads if at > 1030]
    assert len(sweeps) == pytest.approx(280 / (RELIST_EVERY * drive.poll.interval), abs=2)
    assert longest_gap(drive.checks) <= 2.5 * drive.poll.interval  # one more interval where the list was not believed


def test_a_list_that_shows_no_watched_workflow_is_not_read_if_gets_are_cheaper() -> None:
    drive = Drive(Scheduler(supports_listing=True, supports_bulk_check=False, pages=10), listed=set(range(1000)))
    drive.add(range(1000))
    drive.run(10)
    drive.listed -= set(range(5))
    drive.run(10)
    for id in range(5, 1000):
        drive.scheduler.remove(id)
    began = drive.now
    drive.run(100)
    assert not [at for at in drive.list_reads if at > began + drive.poll.interval]


def test_a_list_that_is_not_supported_is_not_read_again() -> None:
    drive = briefly_empty(100, set(), 20)
    drive.scheduler.disable_list(float("inf"))
    began = drive.now
    drive.run(100)
    assert drive.scheduler.missing_from_list
    assert not [at for at in drive.list_reads if at > began]


# A server that asks for a pause


@pytest.mark.parametrize(("lists", "bulk"), [(False, False), (False, True), (True, False)])
def test_no_request_is_sent_during_a_pause(lists: bool, bulk: bool) -> None:  # noqa: FBT001 - cases
    drive = Drive(Scheduler(supports_listing=lists, supports_bulk_check=bulk), listed=set(range(900)))
    drive.add(range(1000))
    drive.run(30)
    drive.scheduler.paused_until = until = drive.now + 60
    began = drive.now
    drive.add(range(1000, 1010))
    drive.scheduler.schedule(3, drive.now)
    asks = drive.tick()
    assert (asks.requests, asks.next_at) == (0, until)
    assert drive.scheduler.next_get(drive.now, drive.observations) is None
    drive.run(100)
    assert not [at for at in (*drive.gets, *drive.list_reads, *drive.bulk_checks) if began <= at < until - TICK]
    assert all(drive.checks[id][-1] > until for id in range(1010))


def test_after_a_pause_overdue_checks_are_spread_over_an_interval() -> None:
    drive = Drive(
        Scheduler(supports_listing=False, supports_bulk_check=False), Poll(interval=10, backoff=1, ceiling=10)
    )
    drive.add(range(1000))
    drive.run(30)
    until = drive.now + 60
    drive.scheduler.paused_until = until
    drive.run(90)
    seconds = Counter(int(at - until) for at in drive.gets if at >= until - TICK)
    assert all(seconds[second] <= 1.5 * 100 for second in range(20))


def test_a_pause_makes_no_check_earlier() -> None:
    drive = Drive(Scheduler(supports_listing=False, supports_bulk_check=False), Poll(interval=2, ceiling=600))
    drive.add(range(10))
    for id in range(10):
        drive.scheduler.new.clear()
        drive.scheduler.single.put(id, drive.now + 300)
    drive.scheduler.paused_until = drive.now + 5
    drive.run(290)
    assert not drive.gets


def test_without_workflows_there_is_no_next_instant_in_a_pause_either() -> None:
    scheduler = Scheduler(supports_listing=True, supports_bulk_check=True)
    scheduler.paused_until = 100.0
    assert scheduler.next_requests(0.0, {}).next_at is None


# Bulk checks that are left out


def test_while_bulk_checks_are_disabled_gets_are_sent_and_later_bulk_checks_again() -> None:
    drive = Drive(Scheduler(supports_listing=False, supports_bulk_check=True))
    drive.add(range(200))
    drive.run(20)
    drive.scheduler.disable_bulk(drive.now + 50)
    began, bulks = drive.now, len(drive.bulk_checks)
    drive.run(50)
    assert len(drive.bulk_checks) == bulks
    assert longest_gap(drive.checks) <= 2.2 * drive.poll.interval
    drive.run(20)
    assert [at for at in drive.bulk_checks if at >= began + 50 - TICK]


# Paces


def test_the_poll_with_the_shorter_interval_counts() -> None:
    scheduler = Scheduler(supports_listing=False, supports_bulk_check=False)
    slow, fast = Poll(interval=5), Poll(interval=1)
    for poll in (slow, fast, slow):
        scheduler.add(1, Tracking(poll))
    assert scheduler.tracked[1].poll == fast
    assert scheduler.tracked.fastest == fast
    scheduler.remove(1)
    assert not scheduler.tracked


def test_a_wake_makes_the_next_check_an_earlier_get() -> None:
    drive = Drive(Scheduler(supports_listing=True, supports_bulk_check=True), listed=set(range(300)))
    drive.add(range(300))
    drive.run(10)
    drive.scheduler.schedule(9, drive.now)
    assert drive.tick().confirms == {9}


# Nothing leaks

STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["add", "remove", "ask", "land", "sweep", "fail", "rest", "soon", "renew", "gone", "quiet", "bulk"]
        ),
        st.integers(0, 5),
    ),
    max_size=60,
)


@define
class Chaos:
    """A scheduler whose methods are called in any order."""

    scheduler: Scheduler
    now: float = 0.0
    in_flight: list[tuple[int, ...]] = field(factory=list)
    reading_list: bool = False
    rested: set[int] = field(factory=set)

    def do(self, action: str, id: int) -> None:
        self.now += 0.7
        getattr(self, f"_{action}")(id)

    def _add(self, id: int) -> None:
        if id not in self.scheduler.tracked:
            self.rested.discard(id)
        self.scheduler.add(id, Tracking(Poll(interval=1 + id % 3)))

    def _remove(self, id: int) -> None:
        if id in self.scheduler.tracked:
            self.scheduler.remove(id)

    def _ask(self, id: int) -> None:
        observations = {id: Observation[Any](id=id, since=0.0, workflow=Record(id)) for id in range(6)}
        asks = self.scheduler.next_requests(self.now, observations)
        self.in_flight += [(got,) for got in asks.gets] + list(asks.bulk_checks)
        self.reading_list = self.reading_list or asks.read_list

    def _land(self, id: int) -> None:
        if self.in_flight:
            ids = self.in_flight.pop(id % len(self.in_flight))
            self.scheduler.finish(ids, dict.fromkeys(ids, self.now + 1))
            self.rested -= set(ids)
            self.scheduler.recheck(ids[:1], self.now)

    def _sweep(self, id: int) -> None:
        if self.reading_list:
            self.reading_list = False
            covered = set(self.scheduler.by_list)
            self.scheduler.list_completed(1 + id % 2, set(range(id)), covered - set(range(id)), self.now, self.now + 1)

    def _fail(self, id: int) -> None:
        if self.reading_list:
            self.reading_list = False
            self.scheduler.list_failed(self.now + id)

    def _gone(self, id: int) -> None:
        if self.reading_list:
            self.reading_list = False
            self.scheduler.disable_list(self.now + id)

    def _quiet(self, id: int) -> None:
        self.scheduler.paused_until = self.now + id

    def _bulk(self, id: int) -> None:
        self.scheduler.disable_bulk(self.now + id)

    def _rest(self, id: int) -> None:
        if id in self.scheduler.tracked:
            self.rested.add(id)
            self.scheduler.stop_polling(id)

    def _soon(self, id: int) -> None:
        if id in self.scheduler.tracked:
            self.rested.discard(id)
            self.scheduler.schedule(id, self.now)

    def _renew(self, id: int) -> None:
        self.rested.discard(id)
        self.scheduler.renew(id)

    def check(self) -> None:
        plan = self.scheduler
        places = [set(plan.new), plan.single.ids(), plan.by_list]
        assert sum(map(len, places)) == len(set[int]().union(*places)), "a workflow is in two places"
        assert not plan.in_flight & set[int]().union(*places)
        assert plan.tracked.ids() - self.rested <= plan.in_flight.union(*places), "a workflow is forgotten"
        assert set[int]().union(*places) <= plan.tracked.ids()
        assert plan.must_get <= plan.single.ids()
        assert plan.missing_from_list <= plan.single.ids() | plan.in_flight
        assert plan.request_count == len(self.in_flight)


@given(STEPS, st.booleans(), st.booleans())
def test_after_any_steps_no_workflow_is_forgotten_and_nothing_is_left(
    actions: list[tuple[str, int]], lists: bool, bulk_checks: bool  # noqa: FBT001 - cases
) -> None:  # fmt: skip
    chaos = Chaos(Scheduler(supports_listing=lists, supports_bulk_check=bulk_checks))
    for action, id in actions:
        chaos.do(action, id)
        chaos.check()
    for id in range(6):
        chaos.do("remove", id)
    while chaos.in_flight:
        chaos.do("land", 0)
    plan = chaos.scheduler
    left = [
        plan.tracked,
        plan.new,
        plan.single,
        plan.by_list,
        plan.in_flight,
        plan.must_get,
        plan.missing_from_list,
    ]
    assert not any(left)
    assert plan.watched == 0


def test_after_an_outage_checks_are_spread_over_an_interval_and_suspects_come_first() -> None:
    drive = Drive(Scheduler(supports_listing=False, supports_bulk_check=False), EXACT)
    drive.add(range(1000))
    drive.run(10)
    for id in range(1000):
        drive.scheduler.single.put(id, drive.now + 500)
    drive.scheduler.schedule(7, drive.now)
    drive.scheduler.recovered(drive.now)
    back, drive.gets = drive.now, []
    assert 7 in drive.tick().gets
    drive.run(2)
    quarters = Counter(int((at - back) * 2) for at in drive.gets)
    assert all(200 <= quarters[quarter] <= 320 for quarter in range(4))


# One in the place of another


def with_backlog(count: int, **more: Any) -> Drive:
    """Return a drive with a GET in every request slot and a backlog."""
    drive = Drive(Scheduler(supports_listing=False, supports_bulk_check=True), poll=EXACT)
    drive.add(range(count))
    drive.scheduler.new.clear()
    for id in range(count):
        drive.scheduler.single.put(id, drive.now - 1)
    assert len(drive.scheduler.next_requests(drive.now, drive.observations).gets) == MAX_IN_FLIGHT
    for name, value in more.items():
        setattr(drive.scheduler, name, value)
    return drive


def finish_one(drive: Drive, id: int) -> tuple[int, bool] | None:
    """Finish one GET. Return the one that takes its slot."""
    drive.scheduler.finish((id,), {id: drive.now + 60})
    return drive.scheduler.next_get(drive.now, drive.observations)


def test_the_longest_due_get_takes_the_slot_of_a_finished_one() -> None:
    drive = with_backlog(3 * MAX_IN_FLIGHT)
    assert [finish_one(drive, id) for id in range(2 * MAX_IN_FLIGHT)] == [
        (id, False) for id in range(MAX_IN_FLIGHT, 3 * MAX_IN_FLIGHT)
    ]
    assert drive.scheduler.request_count == MAX_IN_FLIGHT
    assert finish_one(drive, 2 * MAX_IN_FLIGHT) is None
    assert drive.scheduler.request_count == MAX_IN_FLIGHT - 1


def test_a_get_in_a_free_slot_reads_the_complete_record_of_a_suspect() -> None:
    drive = with_backlog(2 * MAX_IN_FLIGHT)
    drive.scheduler.schedule(2 * MAX_IN_FLIGHT - 1, drive.now - 60)
    assert finish_one(drive, 0) == (2 * MAX_IN_FLIGHT - 1, True)
    assert not drive.scheduler.must_get


@pytest.mark.parametrize(
    "more",
    [
        {"new": {1000: None}},
        {"by_list": {1000}, "next_list_at": 0.0},
    ],
    ids=["a new workflow", "the list is due"],
)
def test_no_get_takes_a_free_slot_if_the_next_requests_need_a_plan(more: dict[str, Any]) -> None:
    assert finish_one(with_backlog(2 * MAX_IN_FLIGHT, **more), 0) is None


def test_a_workflow_that_fits_a_bulk_check_takes_no_free_slot() -> None:
    drive = with_backlog(2 * MAX_IN_FLIGHT)
    drive.observations[MAX_IN_FLIGHT] = evolve(drive.observations[MAX_IN_FLIGHT], workflow=Record(MAX_IN_FLIGHT))
    assert finish_one(drive, 0) is None


def test_only_as_many_ids_leave_the_due_queue_as_there_are_slots() -> None:
    drive = with_backlog(50_000)
    assert len(drive.scheduler.single) == 50_000 - MAX_IN_FLIGHT
    popped = 0

    class Counted(DueQueue):
        def pop(self, now: float) -> int | None:
            nonlocal popped
            popped += 1
            return super().pop(now)

    drive.scheduler.single = Counted()
    for id in range(50_000):
        drive.scheduler.single.put(id, drive.now)
    drive.scheduler.request_count = 0
    assert len(drive.scheduler.next_requests(drive.now, drive.observations).gets) == MAX_IN_FLIGHT
    assert popped == MAX_IN_FLIGHT
