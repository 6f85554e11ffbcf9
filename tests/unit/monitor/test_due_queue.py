"""A priority queue of ids by due time."""

from hypothesis import given, strategies as st

from workflow_async.monitor._engine.due_queue import DueQueue

IDS = st.integers(0, 9)
DUES = st.floats(0, 100)
DEEDS = st.lists(st.tuples(st.sampled_from(["put", "drop", "take"]), IDS, DUES))


def taken(queue: DueQueue, now: float, most: int) -> list[int]:
    """Return the ids in the order in which the queue gives them."""
    found: list[int] = []
    while len(found) < most and (id := queue.pop(now)) is not None:
        found.append(id)
    return found


@given(DEEDS)
def test_a_due_queue_does_what_a_dict_of_due_times_would(actions: list[tuple[str, int, float]]) -> None:
    queue, due = DueQueue(), dict[int, float]()
    for action, id, at in actions:
        if action == "put":
            queue.put(id, at)
            due[id] = at
        elif action == "drop":
            queue.drop(id)
            due.pop(id, None)
        else:
            expected = sorted((when, who) for who, when in due.items() if when <= at)[: id + 1]
            assert taken(queue, at, id + 1) == [who for _, who in expected]
            for _, who in expected:
                del due[who]
        assert (queue.ids(), len(queue), queue.next) == (set(due), len(due), min(due.values(), default=None))
        assert all((id in queue) == (id in due) for id in range(10))


def test_setting_an_id_again_replaces_its_due_time() -> None:
    queue = DueQueue()
    for due in (5.0, 1.0, 9.0):
        queue.put(1, due)
    assert taken(queue, 8.9, 10) == []
    assert taken(queue, 9.0, 10) == [1]
    assert queue.next is None


def test_the_earliest_due_time_comes_first_and_later_ones_stay() -> None:
    queue = DueQueue()
    for id, due in ((1, 3.0), (2, 1.0), (3, 2.0), (4, 9.0)):
        queue.put(id, due)
    assert taken(queue, 5.0, 2) == [2, 3]
    assert taken(queue, 5.0, 2) == [1]
    assert queue.next == 9.0


def test_a_dropped_id_is_forgotten() -> None:
    queue = DueQueue()
    for round_ in range(1000):
        queue.put(round_, 1.0)
        queue.drop(round_)
    assert queue.next is None
    assert not queue._heap
