"""Who is due when."""

from hypothesis import given, strategies as st

from workflow_async.monitor._engine.due_queue import DueQueue

IDS = st.integers(0, 9)
DUES = st.floats(0, 100)
DEEDS = st.lists(st.tuples(st.sampled_from(["put", "drop", "take"]), IDS, DUES))


def taken(agenda: DueQueue, now: float, most: int) -> list[int]:
    """Whom it gives one after the other."""
    found: list[int] = []
    while len(found) < most and (id := agenda.pop(now)) is not None:
        found.append(id)
    return found


@given(DEEDS)
def test_a_due_queue_does_what_a_dict_of_due_times_would(deeds: list[tuple[str, int, float]]) -> None:
    agenda, due = DueQueue(), dict[int, float]()
    for deed, id, at in deeds:
        if deed == "put":
            agenda.put(id, at)
            due[id] = at
        elif deed == "drop":
            agenda.drop(id)
            due.pop(id, None)
        else:
            expected = sorted((when, who) for who, when in due.items() if when <= at)[: id + 1]
            assert taken(agenda, at, id + 1) == [who for _, who in expected]
            for _, who in expected:
                del due[who]
        assert (agenda.ids(), len(agenda), agenda.next) == (set(due), len(due), min(due.values(), default=None))
        assert all((id in agenda) == (id in due) for id in range(10))


def test_setting_an_id_again_replaces_its_due_time() -> None:
    agenda = DueQueue()
    for due in (5.0, 1.0, 9.0):
        agenda.put(1, due)
    assert taken(agenda, 8.9, 10) == []
    assert taken(agenda, 9.0, 10) == [1]
    assert agenda.next is None


def test_the_earliest_due_time_comes_first_and_later_ones_stay() -> None:
    agenda = DueQueue()
    for id, due in ((1, 3.0), (2, 1.0), (3, 2.0), (4, 9.0)):
        agenda.put(id, due)
    assert taken(agenda, 5.0, 2) == [2, 3]
    assert taken(agenda, 5.0, 2) == [1]
    assert agenda.next == 9.0


def test_a_dropped_id_is_forgotten() -> None:
    agenda = DueQueue()
    for round_ in range(1000):
        agenda.put(round_, 1.0)
        agenda.drop(round_)
    assert agenda.next is None
    assert not agenda._heap
