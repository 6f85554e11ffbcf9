"""Slices of a budget: whatever processes do, and however their clocks are apart, the budget is kept."""

import math
from itertools import pairwise

import pytest
from attrs import define, field
from hypothesis import given, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.support.arrivals import most
from workflow_async.distributed.slices import (
    DRIFT,
    HORIZON,
    LATENESS,
    SLICE,
    BrokerClock,
    Demand,
    Slice,
    Turns,
    next_slice,
)

WINDOW = 5.0
LATENCY = 0.025
"""Seconds of the way to the broker, and of the way back."""

rates = st.floats(20, 2000)
processes = st.integers(0, 3)
latencies = st.floats(0, LATENCY)


@define
class SkewedProcess:
    """A process whose clock is apart from the others and runs at another speed."""

    offset: float
    speed: float
    broker: BrokerClock = field(factory=BrokerClock)
    turns: Turns = field(factory=Turns)

    def local(self, time: float) -> float:
        return time * self.speed + self.offset

    def now(self, time: float) -> float:
        """Return the broker's time as the process knows it."""
        return self.broker.now(self.local(time))


class SharedBudgetMachine(RuleBasedStateMachine):
    """Processes that reserve turns and use each as late or in as large a burst as the rules allow."""

    rate = 100.0

    def __init__(self) -> None:
        super().__init__()
        self.time = 1000.0
        self.until: float | None = None
        self.made = 0
        self.processes = [self.made_process(number) for number in range(4)]
        self.used: list[float] = []

    def made_process(self, number: int) -> SkewedProcess:
        """Return a process that has measured the broker's time."""
        process = SkewedProcess((number - 1.5) * 1e4, 1 + (number - 1.5) * 5e-5)
        self.measure_with(process, LATENCY, 0.0)
        return process

    def measure_with(self, process: SkewedProcess, out: float, back: float) -> None:
        sent = process.local(self.time)
        self.time += out
        stored = self.time
        self.time += back
        process.broker.measure(sent, process.local(self.time), stored)

    @rule(seconds=st.floats(0, 1))
    def let_time_pass(self, seconds: float) -> None:
        self.time += seconds

    @rule(number=processes, out=latencies, back=latencies)
    def measure(self, number: int, out: float, back: float) -> None:
        self.measure_with(self.processes[number], out, back)

    @rule(number=processes, wanted=st.integers(1, 500), delay=latencies)
    def reserve(self, number: int, wanted: int, delay: float) -> None:
        process = self.processes[number]
        taken = next_slice(self.until, process.now(self.time), wanted, self.rate)
        self.time += delay
        if taken is not None:
            self.until = taken.end
            process.turns.add(taken)

    @rule(number=processes, seconds=st.floats(0, 2))
    def use_all(self, number: int, seconds: float) -> None:
        """Use what is due now, and what becomes due, each at its time or later."""
        process = self.processes[number]
        end = self.time + seconds
        while (planned := process.turns.first(process.now(self.time))) is not None:
            self.time += max(0.0, planned - process.now(self.time) + 1e-6)
            if self.time > end:
                break
            process.turns.use()
            self.used.append(self.time)

    @rule(number=processes)
    def kill(self, number: int) -> None:
        self.processes[number] = self.made_process(number)

    @precondition(lambda self: self.until is not None)
    @rule()
    def lose_the_register(self) -> None:
        self.until = None

    @invariant()
    def the_budget_is_kept(self) -> None:
        if self.used:
            assert most(self.used, WINDOW) <= 1.05 * self.rate * WINDOW + 1


TestSharedBudgetMachine = SharedBudgetMachine.TestCase


@given(st.lists(st.tuples(st.floats(0, 0.3), st.integers(1, 300)), min_size=1), rates)
def test_slices_never_overlap_and_end_at_the_horizon(steps: list[tuple[float, int]], rate: float) -> None:
    now, until, slices = 0.0, 0.0, list[Slice]()
    for pause, wanted in steps:
        now += pause
        taken = next_slice(until, now, wanted, rate)
        if taken is not None:
            assert 1 <= taken.count <= max(1, min(wanted, SLICE * rate))
            assert now <= taken.start <= taken.end <= now + HORIZON + 1 / rate
            until = taken.end
            slices.append(taken)
    assert all(after.start >= before.end for before, after in pairwise(slices))


def test_a_slice_takes_half_of_what_is_left_so_that_others_get_some_soon() -> None:
    assert next_slice(10.05, 10.0, 1000, 100.0) == Slice(10.05, 12, 0.01)
    assert next_slice(10.1, 10.0, 4, 100.0) == Slice(10.1, 4, 0.01)
    assert next_slice(9.0, 10.0, 1000, 100.0) == Slice(10.0, 15, 0.01)
    assert next_slice(10.25, 10.0, 1000, 100.0) is None


def test_at_a_low_rate_a_slice_is_one_turn() -> None:
    assert next_slice(0.0, 10.0, 5, 0.1) == Slice(10.0, 1, 10.0)
    assert next_slice(20.0, 10.0, 5, 0.1) is None
    assert next_slice(20.0, 19.8, 5, 0.1) == Slice(20.0, 1, 10.0)


def test_without_a_known_time_turns_begin_after_those_that_may_be_reserved() -> None:
    assert next_slice(None, 10.0, 1000, 100.0) == Slice(10.0 + HORIZON, 15, 0.01)


def test_a_broker_whose_clock_was_set_back_is_like_one_that_has_lost_the_time() -> None:
    assert next_slice(5000.0, 10.0, 1000, 100.0) == next_slice(None, 10.0, 1000, 100.0)


@given(st.floats(-1e9, 1e9), st.lists(st.tuples(latencies, latencies, st.floats(0, 10)), min_size=1, max_size=20))
def test_the_brokers_time_is_known_within_the_latency(offset: float, trips: list[tuple[float, float, float]]) -> None:
    clock, local = BrokerClock(), 1000.0
    assert clock.age(local) == math.inf
    for out, back, pause in trips:
        clock.measure(local, local + out + back, local + out + offset)
        local += out + back
        assert clock.age(local) == pytest.approx(0)
        assert clock.now(local) - offset == pytest.approx(local, abs=LATENCY + 1e-5)
        local += pause


def test_a_short_trip_makes_the_time_exact_until_the_clocks_may_have_drifted() -> None:
    clock = BrokerClock()
    clock.measure(100.0, 100.002, 1100.001)
    clock.measure(101.0, 101.5, 1101.4)
    assert clock.now(101.5) == pytest.approx(1101.5, abs=0.001)
    clock.measure(2101.0, 2101.5, 3101.3)
    assert abs(clock.now(2101.5) - 3101.5) <= 0.001 + 2000 * DRIFT


def test_a_clock_that_was_set_replaces_what_was_known() -> None:
    clock = BrokerClock()
    clock.measure(100.0, 100.002, 1100.001)
    clock.measure(101.0, 101.002, 501.001)
    assert clock.now(102.0) == pytest.approx(502.0)
    clock.expire()
    clock.measure(103.0, 103.2, 503.5)
    assert clock.now(104.0) == pytest.approx(504.4)


def test_turns_are_used_in_their_order_and_lost_when_they_are_too_late() -> None:
    turns = Turns()
    assert turns.first(0.0) is None
    turns.add(Slice(10.0, 3, 0.1))
    turns.add(Slice(11.0, 1, 0.1))
    assert (turns.first(9.0), turns.left(9.0)) == (10.0, 4)
    turns.use()
    assert turns.first(10.1 + LATENESS - 0.001) == pytest.approx(10.1)
    assert turns.first(10.1 + LATENESS + 0.001) == pytest.approx(10.2)
    assert (turns.lost, turns.left(12.0), turns.lost) == (1, 0, 3)


def test_turns_are_reserved_for_requests_that_wait() -> None:
    demand = Demand()
    assert demand.idle
    assert demand.wanted(waiting=5, left=2, ahead=1.0) == 3
    assert demand.wanted(waiting=2, left=5, ahead=1.0) == 0


def test_turns_are_reserved_for_expected_requests_until_some_of_them_are_lost() -> None:
    demand = Demand()
    for look in range(100):
        for _ in range(10):
            demand.use()
        demand.look(look / 10, lost=0)
    assert demand.wanted(waiting=3, left=0, ahead=0.5) == pytest.approx(3 + 50, abs=1)
    demand.look(10.0, lost=1)
    assert demand.wanted(waiting=3, left=0, ahead=0.5) == 3
