"""What watchers ask for, merged per workflow."""

from datetime import timedelta

import pytest

from workflow_async import Poll
from workflow_async.monitor._engine.tracking import TrackedWorkflows, Tracking

SLOW, FAST = Poll(interval=5), Poll(interval=1)


@pytest.mark.parametrize("order", [(SLOW, FAST), (FAST, SLOW)])
def test_the_shorter_of_two_intervals_counts(order: tuple[Poll, Poll]) -> None:
    first, second = order
    assert Tracking(first).merge(Tracking(second)).poll == FAST


def test_operations_are_read_if_any_watcher_asks_for_them() -> None:
    plain, detailed = Tracking(SLOW), Tracking(SLOW, operations=True)
    assert plain.merge(detailed).operations
    assert detailed.merge(plain).operations
    assert not plain.merge(plain).operations


def test_a_watcher_that_asks_when_a_step_has_stalled_needs_operations_too() -> None:
    assert Tracking(SLOW, stalled_after=3.0).detailed
    assert not Tracking(SLOW).detailed


def test_the_latest_stalled_after_counts() -> None:
    first, second = Tracking(SLOW, stalled_after=3.0), Tracking(SLOW, stalled_after=timedelta(hours=1))
    assert first.merge(second).stalled_after == timedelta(hours=1)
    assert first.merge(Tracking(SLOW)).stalled_after == 3.0


def test_a_merge_that_changes_nothing_makes_no_new_value() -> None:
    first = Tracking(FAST, operations=True)
    assert first.merge(Tracking(SLOW)) is first


def test_the_fastest_poll_is_that_of_the_workflows_that_are_still_tracked() -> None:
    tracked = TrackedWorkflows()
    assert tracked.fastest == Poll()
    assert tracked.add(1, Tracking(SLOW))
    assert tracked.add(2, Tracking(SLOW))
    assert not tracked.add(2, Tracking(FAST))
    assert tracked.fastest == FAST
    tracked.remove(2)
    assert tracked.fastest == SLOW


def test_it_is_known_whether_any_workflow_is_tracked_with_operations() -> None:
    tracked = TrackedWorkflows()
    tracked.add(1, Tracking(SLOW))
    tracked.add(2, Tracking(SLOW))
    assert not tracked.any_detailed
    tracked.add(2, Tracking(SLOW, stalled_after=3.0))
    assert tracked.any_detailed
    assert [tracked.is_detailed(id) for id in (1, 2, 3)] == [False, True, False]
    tracked.remove(2)
    assert not tracked.any_detailed


def test_only_ends_are_needed_while_no_watcher_asks_for_more() -> None:
    tracked, ends, states = TrackedWorkflows(), Tracking(SLOW, ends_only=True), Tracking(FAST)
    assert tracked.all_ends_only
    tracked.add(1, ends)
    tracked.add(2, ends)
    assert tracked.all_ends_only
    tracked.add(2, states)
    assert not tracked.all_ends_only
    tracked.add(2, ends)  # the other watcher may still be there
    assert not tracked.all_ends_only
    tracked.remove(2)
    assert tracked.all_ends_only


def test_the_lowest_ceiling_is_that_of_the_workflows_that_are_tracked() -> None:
    tracked = TrackedWorkflows()
    assert tracked.lowest_ceiling == Poll().ceiling
    tracked.add(1, Tracking(Poll(interval=1, ceiling=300)))
    tracked.add(2, Tracking(Poll(interval=5, ceiling=10)))
    assert tracked.lowest_ceiling == 10
    tracked.remove(2)
    assert tracked.lowest_ceiling == 300


def test_a_workflow_that_was_removed_leaves_nothing() -> None:
    tracked = TrackedWorkflows()
    tracked.add(1, Tracking(SLOW))
    tracked.add(1, Tracking(FAST, operations=True))
    tracked.remove(1)
    assert not len(tracked)
    assert tracked.get(1) is None
    assert not tracked._polls
