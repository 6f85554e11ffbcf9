"""The watchers of each workflow."""

from typing import Any

from hypothesis import given, strategies as st

from workflow_async import Poll
from workflow_async.monitor._engine.subscription import Subscription
from workflow_async.monitor._engine.tracking import Tracking
from workflow_async.monitor._engine.watchers import Watchers

SUBSCRIPTIONS = [Subscription[Any](Tracking(Poll())) for _ in range(3)]
STEPS = st.lists(st.tuples(st.booleans(), st.integers(1, 2), st.sampled_from(SUBSCRIPTIONS)), max_size=30)


@given(STEPS)
def test_each_workflow_has_the_watchers_that_were_added_and_not_removed(
    steps: list[tuple[bool, int, Subscription[Any]]],
) -> None:
    watchers, expected = Watchers[Any](), dict[int, list[Subscription[Any]]]({1: [], 2: []})
    for adds, id, subscription in steps:
        present = subscription in expected[id]
        if adds and not present:
            watchers.add(id, subscription)
            expected[id].append(subscription)
        elif not adds:
            assert watchers.remove(id, subscription) == present
            expected[id] = [each for each in expected[id] if each is not subscription]
        assert {id: list(watchers.of(id)) for id in expected} == expected
        assert set(watchers.ids()) == {id for id, left in expected.items() if left}
        assert len(watchers) == len(watchers.ids())
        assert set(watchers.all()) == {each for left in expected.values() for each in left}


def test_a_single_watcher_takes_no_dict() -> None:
    watchers = Watchers[Any]()
    watchers.add(7, SUBSCRIPTIONS[0])
    assert watchers._by_id == {7: (SUBSCRIPTIONS[0],)}
