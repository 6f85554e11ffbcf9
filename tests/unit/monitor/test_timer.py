"""When a timer calls back, and what it leaves."""

import asyncio

import anyio
from hypothesis import given, settings, strategies as st

from tests.support import virtual_time as virtual
from tests.support.stub_clients import running_clock
from workflow_async import Clock
from workflow_async.monitor._engine.timer import Timer

SET = st.tuples(st.integers(0, 20), st.integers(0, 50))
"""When the timer is set, and to which instant."""


def callbacks(settings: list[tuple[int, int]]) -> list[float]:
    """Return the instants at which a timer with these settings calls back."""

    async def main() -> list[float]:
        rings = list[float]()
        clock = running_clock()
        async with asyncio.TaskGroup() as group:
            alarm = Timer(clock, group, lambda: rings.append(clock.now()))
            for when, at in sorted(settings):
                await anyio.sleep(when - clock.now())
                alarm.set(at)
        return rings

    return virtual.run(main())


@settings(max_examples=50)
@given(st.lists(SET, min_size=1, max_size=8))
def test_a_timer_calls_back_at_or_before_each_instant_and_not_before_it_is_set(sets: list[tuple[int, int]]) -> None:
    rings = callbacks(sets)
    for when, at in sets:
        assert any(when <= ring <= max(when, at) for ring in rings)
    assert len(rings) <= len(sets)


def test_a_timer_calls_back_at_the_earliest_instant_only() -> None:
    assert callbacks([(0, 9), (1, 5), (2, 7)]) == [5]


def test_a_timer_can_be_set_again_after_its_callback() -> None:
    assert callbacks([(0, 3), (4, 6)]) == [3, 6]


async def test_a_timer_that_is_set_twice_in_one_step_sleeps_once() -> None:
    slept = list[float]()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async with asyncio.TaskGroup() as group:
        alarm = Timer(Clock(now=lambda: 0.0, sleep=sleep), group, lambda: None)
        alarm.set(9.0)
        alarm.set(5.0)
    assert slept == [5.0]
