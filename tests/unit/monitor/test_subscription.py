"""The queue of events of a slow watcher."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import given, strategies as st

from tests.support.monitored_server import Record
from workflow_async import Phase, Poll
from workflow_async.errors import ClientClosed, NotFound, ServerError
from workflow_async.monitor import Change, OperationChange, PollingFailed, Stalled, Vanished
from workflow_async.monitor._engine.subscription import Subscription
from workflow_async.monitor._engine.tracking import Tracking

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)


def change(id: int, was: Phase | None, now: Phase, *operations: str, key: str = "") -> Change[Any]:
    events = tuple(
        OperationChange(operation=name, position=n, was=None, now="running") for n, name in enumerate(operations)
    )
    return Change(workflow=Record(id, now), was=was, now=now, seen_at=NOON, operations=events, key=key)


def stalled(id: int) -> Stalled[Any]:
    return Stalled(workflow=Record(id), seen_at=NOON, seconds=9, usual=1)


def taken(subscription: Subscription[Any]) -> list[Any]:
    return list(iter(subscription.get_nowait, None))


def subscription() -> Subscription[Any]:
    found = Subscription[Any](Tracking(Poll()))
    found.ids = {1, 2, 3, 7}
    return found


def test_changes_become_one_that_keeps_every_transition_of_an_operation() -> None:
    slow = subscription()
    slow.put(change(7, None, Phase.WAITING, "a", key="7/1"))
    slow.put(change(7, Phase.WAITING, Phase.RUNNING, "b", "c", key="7/2"))
    slow.put(change(7, Phase.RUNNING, Phase.SUCCEEDED, "d", key="7/3"))
    (one,) = taken(slow)
    assert (one.was, one.now, one.key) == (None, Phase.SUCCEEDED, "7/3")
    assert [operation.operation for operation in one.operations] == ["a", "b", "c", "d"]


def test_an_ignored_event_is_not_queued_unless_it_replaces_one_that_is() -> None:
    slow = subscription()
    slow.ignores = lambda event: isinstance(event, Change) and not event.now.final
    slow.put(change(7, None, Phase.RUNNING))
    assert not slow.ready
    slow.put(PollingFailed[Any](id=7, error=ServerError(503)))
    slow.put(change(7, Phase.RUNNING, Phase.WAITING))
    slow.put(change(1, None, Phase.SUCCEEDED))
    assert [(event.id, event.now) for event in taken(slow)] == [(7, Phase.WAITING), (1, Phase.SUCCEEDED)]


def test_a_change_stays_queued_if_another_event_follows_it() -> None:
    for after in (
        stalled(7),
        Vanished[Any](id=7, error=NotFound(404)),
        PollingFailed[Any](id=7, error=ServerError(503)),
    ):
        slow = subscription()
        slow.put(change(7, None, Phase.RUNNING, "a"))
        slow.put(after)
        first, second = taken(slow)
        assert (first.operations[0].operation, second) == ("a", after)


def test_an_event_that_a_change_follows_is_dropped() -> None:
    slow = subscription()
    for event in (change(7, None, Phase.RUNNING), stalled(7), change(7, Phase.RUNNING, Phase.SUCCEEDED)):
        slow.put(event)
    (one,) = taken(slow)
    assert (one.was, one.now) == (None, Phase.SUCCEEDED)


def test_the_oldest_event_is_taken_first() -> None:
    slow = subscription()
    for id in (3, 1, 2, 3):
        slow.put(change(id, None, Phase.RUNNING))
    assert [event.id for event in taken(slow)] == [3, 1, 2]


def test_events_of_a_dropped_workflow_are_removed() -> None:
    slow = subscription()
    slow.put(change(1, None, Phase.RUNNING))
    slow.put(change(2, None, Phase.RUNNING))
    slow.drop(1)
    assert [event.id for event in taken(slow)] == [2]
    assert slow.ids == {2, 3, 7}


def test_an_event_that_is_put_back_comes_before_later_ones() -> None:
    slow = subscription()
    slow.put(change(7, None, Phase.WAITING, "a", key="7/1"))
    slow.put(change(1, None, Phase.RUNNING))
    first = slow.get_nowait()
    assert first is not None
    slow.put(change(7, Phase.WAITING, Phase.RUNNING, "b", key="7/2"))
    slow.put_back(first)
    one, other = taken(slow)
    assert (one.id, one.was, one.now, one.key, other.id) == (7, None, Phase.RUNNING, "7/2", 1)
    assert [operation.operation for operation in one.operations] == ["a", "b"]


def test_a_stall_that_is_put_back_is_dropped_if_a_change_has_ended_it() -> None:
    slow = subscription()
    slow.put(stalled(7))
    events = slow.get_nowait()
    assert events is not None
    slow.put(change(7, Phase.RUNNING, Phase.SUCCEEDED))
    slow.put_back(events)
    (one,) = taken(slow)
    assert one.now is Phase.SUCCEEDED


def test_an_event_of_a_dropped_workflow_is_not_put_back() -> None:
    slow = subscription()
    slow.put(change(7, None, Phase.RUNNING))
    events = slow.get_nowait()
    assert events is not None
    slow.drop(7)
    slow.put_back(events)
    assert taken(slow) == []


PHASES = st.sampled_from([Phase.WAITING, Phase.RUNNING, Phase.PARKED, Phase.SUCCEEDED])


@given(st.lists(st.tuples(st.integers(1, 3), st.one_of(PHASES, st.sampled_from(["stalled", "take", "put back"])))))
def test_for_a_slow_reader_no_transition_is_lost_and_the_queue_is_short(
    posts: list[tuple[int, Any]],
) -> None:
    slow, posted = subscription(), dict[int, list[str]]()
    last: dict[int, Phase | None] = {}
    read: list[Any] = []
    for n, (id, what) in enumerate(posts):
        if what == "take":
            read += [event for event in [slow.get_nowait()] if event is not None]
        elif what == "put back":
            if read:
                slow.put_back(read.pop())
        elif what == "stalled":
            slow.put(stalled(id))
        else:
            slow.put(change(id, last.get(id), what, str(n)))
            last[id] = what
            posted.setdefault(id, []).append(str(n))
        assert all(len(waiting) <= 2 for waiting in (slow._queue or {}).values())
    read += taken(slow)
    for id, names in posted.items():
        changes = [event for event in read if event.id == id and isinstance(event, Change)]
        assert [operation.operation for event in changes for operation in event.operations] == names
        assert [event.was for event in changes] == [None, *(event.now for event in changes)][:-1]
        assert changes[-1].now is last[id]


def test_a_watcher_is_ready_for_an_event_its_deadline_and_its_end() -> None:
    mailed, late, closed, done = subscription(), subscription(), subscription(), subscription()
    assert not mailed.ready
    done.ids.clear()
    mailed.put(change(1, None, Phase.RUNNING))
    late.expire()
    closed.fail(ClientClosed("closed"))
    assert (mailed.ready, late.ready, closed.ready, done.ready) == (True, True, True, True)
    assert not Subscription[Any](Tracking(Poll()), open_ended=True).ready
