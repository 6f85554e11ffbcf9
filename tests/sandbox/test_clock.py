"""The clocks of the sandbox."""

import pytest
from hypothesis import given, strategies as st

from workflow_async.sandbox import ManualClock, RealClock


def test_a_manual_clock_stands_still_until_it_is_advanced() -> None:
    clock = ManualClock(start=5.0)
    assert (clock(), clock()) == (5.0, 5.0)
    clock.advance(2.5)
    assert clock() == 7.5


def test_a_manual_clock_does_not_run_backwards() -> None:
    with pytest.raises(ValueError, match="must not be negative"):
        ManualClock().advance(-1)


@given(st.lists(st.integers(0, 10**6)))
def test_a_manual_clock_adds_up(steps: list[int]) -> None:
    clock = ManualClock()
    for step in steps:
        clock.advance(step)
    assert clock() == clock.start + sum(steps)


def test_a_real_clock_runs_speed_times_as_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.monotonic", lambda: 100.0)
    clock = RealClock(speed=10.0)
    start = clock()
    monkeypatch.setattr("time.monotonic", lambda: 103.0)
    assert clock() - start == pytest.approx(30.0)


@pytest.mark.parametrize("speed", [0.0, -1.0, float("nan")])
def test_a_real_clock_needs_a_speed(speed: float) -> None:
    with pytest.raises(ValueError, match="speed"):
        RealClock(speed)
