"""The delay between checks, and the time that counts as an outage."""

import math

import pytest
from hypothesis import given, strategies as st

from workflow_async import Poll
from workflow_async.errors import CallError, ForeignResponse, NotFound, RateLimited, ServerError
from workflow_async.monitor._engine.backoff import (
    CLOCK_JUMP,
    MAX_BACKOFF,
    MAX_UNPLANNED,
    OUTAGE_FAILURES,
    LoadBackoff,
    OutageClock,
    announced_pause,
    poll_delay,
)


@pytest.mark.parametrize(
    ("unchanged", "seconds"), [(0, 2.0), (1, 3.0), (2, 4.5), (5, 15.1875), (7, 30.0), (64, 30.0), (10**9, 30.0)]
)
def test_delays_grow_up_to_the_ceiling(unchanged: int, seconds: float) -> None:
    assert poll_delay(Poll(jitter=0), unchanged, 0.3) == seconds


@pytest.mark.parametrize(("remaining", "seconds"), [(0.0, 3.0), (-5.0, 3.0), (1.0, 2.0), (20.0, 10.0), (1e9, 30.0)])
def test_if_the_duration_is_known_the_next_check_is_halfway_to_the_end(remaining: float, seconds: float) -> None:
    assert poll_delay(Poll(jitter=0), 1, 0.3, remaining) == seconds


POLLS = st.builds(
    lambda least, more, backoff, jitter: Poll(interval=least, ceiling=least + more, backoff=backoff, jitter=jitter),
    st.floats(0.001, 1e6), st.floats(0, 1e6), st.floats(1, 100), st.floats(0, 1),
)  # fmt: skip


@given(POLLS, st.integers(0, 10**6), st.floats(0, 1, exclude_max=True), st.none() | st.floats(-1e9, 1e9))
def test_a_delay_stays_within_its_jitter(poll: Poll, unchanged: int, jitter: float, remaining: float | None) -> None:
    seconds = poll_delay(poll, unchanged, jitter, remaining)
    assert poll.interval * (1 - poll.jitter) <= seconds <= poll.ceiling * (1 + poll.jitter)


@given(POLLS, st.integers(0, 100))
def test_a_delay_never_becomes_shorter_while_nothing_changes(poll: Poll, unchanged: int) -> None:
    assert poll_delay(poll, unchanged, 0.5) <= poll_delay(poll, unchanged + 1, 0.5)


def test_a_busy_server_is_polled_half_as_often_once_per_interval() -> None:
    load = LoadBackoff()
    for _ in range(100):
        load.record_failure(now=10.0, interval=2.0)
    assert load.factor == 2
    load.record_failure(now=12.0, interval=2.0)
    assert load.factor == 4


@given(st.lists(st.booleans()))
def test_the_load_factor_stays_within_its_bounds(refused: list[bool]) -> None:
    load = LoadBackoff()
    for now, no in enumerate(refused):
        if no:
            load.record_failure(float(now), 1.0)
        else:
            load.record_response(float(now), 1.0)
        assert 1 <= load.factor <= MAX_BACKOFF


def test_the_first_response_after_an_outage_resets_the_load_factor() -> None:
    load = LoadBackoff()
    for now in range(OUTAGE_FAILURES):
        load.record_failure(float(now), 2.0)
    assert load.factor == MAX_BACKOFF
    assert load.record_response(1000.0, 2.0)
    assert load.factor == 1


def test_a_response_between_failures_does_not_end_an_outage() -> None:
    load = LoadBackoff()
    for now in range(2 * OUTAGE_FAILURES):
        if now % (OUTAGE_FAILURES - 1):
            load.record_failure(float(now), 2.0)
        else:
            assert not load.record_response(float(now), 2.0)
    assert load.factor > 1


def test_a_slow_response_raises_the_load_factor_and_ends_the_row_of_failures() -> None:
    load = LoadBackoff()
    load.record_failure(0.0, 2.0)
    assert not load.record_response(9.0, 2.0, slowly=True)
    assert load.factor == 4
    assert not load.record_response(9.5, 2.0)


# Which time counts


@given(st.lists(st.tuples(st.floats(0, 1e4), st.floats(0, CLOCK_JUMP))))
def test_a_clock_that_does_not_jump_is_read_unchanged(wakes: list[tuple[float, float]]) -> None:
    clock, now = OutageClock(), 1000.0
    for pause_, late in wakes:
        clock.plan(now + pause_, now)
        now += pause_ + late
        assert clock.read(now) == now


@given(st.lists(st.tuples(st.floats(0, 1e3), st.floats(0, 1e6))))
def test_a_gap_counts_only_up_to_the_planned_instant(wakes: list[tuple[float, float]]) -> None:
    clock, now, most = OutageClock(), 0.0, 0.0
    for pause_, leap in wakes:
        clock.plan(now + pause_, now)
        now, most = now + pause_ + leap, most + pause_ + min(leap, CLOCK_JUMP)
        assert clock.read(now) <= most * (1 + 1e-9) + 1e-6


def test_a_jump_counts_once_however_often_the_clock_is_read() -> None:
    clock = OutageClock()
    clock.plan(2.0, 0.0)
    assert [clock.read(now) for now in (7200.0, 7201.0, 7300.0)] == [2.0, 3.0, 102.0]
    clock.plan(7302.0, 7300.0)
    assert clock.read(7302.0) == 104.0


def test_a_jump_within_a_request_counts_only_as_long_as_a_request_may_take() -> None:
    clock = OutageClock()
    clock.plan(None, 0.0)
    assert clock.read(MAX_UNPLANNED) == MAX_UNPLANNED
    assert clock.read(7200.0) == MAX_UNPLANNED


def test_an_overdue_plan_counts_from_now() -> None:
    clock = OutageClock()
    clock.plan(-100.0, 0.0)
    assert clock.read(5.0) == 5.0


ANNOUNCED = st.lists(st.tuples(st.integers(0, 100), st.integers(0, 100)))


@given(ANNOUNCED)
def test_each_announced_second_counts_once(announced: list[tuple[int, int]]) -> None:
    clock, now, quiet = OutageClock(), 0, set[int]()
    for pause_, seconds in announced:
        now += pause_
        clock.announce(now, seconds)
        quiet |= set(range(now, now + seconds))
        assert clock.announced == len(quiet)


def with_retry_after(error: CallError, seconds: float | None) -> CallError:
    error.retry_after = seconds
    return error


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (with_retry_after(RateLimited(429), 60.0), 60.0),
        (with_retry_after(ServerError(503), 3600.0), 3600.0),
        (with_retry_after(ForeignResponse(404), 5.0), 5.0),
        (with_retry_after(RateLimited(429), 86_400.0), 86_400.0),
        (with_retry_after(RateLimited(429), 86_401.0), 0.0),
        (with_retry_after(RateLimited(429), math.inf), 0.0),
        (with_retry_after(RateLimited(429), None), 0.0),
        (with_retry_after(NotFound(404), 60.0), 0.0),
    ],
)
def test_a_pause_is_what_the_server_asks_for_up_to_a_day(error: CallError, seconds: float) -> None:
    assert announced_pause(error) == seconds
