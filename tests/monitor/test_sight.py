"""What a look makes of what is known."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.monitor.records import Detailed, Operation, Record, Server
from workflow_async import Clock, Phase, Poll
from workflow_async.errors import (
    CallError,
    ConnectFailed,
    DecodeError,
    Forbidden,
    NotFound,
    RateLimited,
    ServerFault,
    Unauthorized,
)
from workflow_async.monitor.knowledge import Knowledge
from workflow_async.monitor.outcomes import OperationChange, Unobserved, Vanished
from workflow_async.monitor.sight import GONE_LOOKS, GONE_SECONDS, OUTAGE_LOOKS, Sight, alike, missed, seen

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
POLL = Poll(outage=300)
NEW: Sight[Any] = Sight(id=7, since=0.0)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def looked(*records: Any, sight: Sight[Any] = NEW) -> tuple[Sight[Any], list[Any]]:
    """A look a second: what is known at the end, and every change."""
    changes = []
    for second, record in enumerate(records):
        sight, change = seen(sight, record, float(second), at(second))
        changes += [change] if change is not None else []
    return sight, changes


def failed(
    *errors: tuple[float, CallError], sight: Sight[Any] = NEW, poll: Poll = POLL
) -> tuple[Sight[Any], list[Any]]:
    """Looks that fail at these instants."""
    lost = []
    for now, error in errors:
        sight, outcome = missed(sight, error, now, POLL)
        lost += [outcome] if outcome is not None else []
    return sight, lost


SEEN = looked(Record(7))[0]

# Changes


def test_the_first_look_is_a_change_from_nothing() -> None:
    sight, (change,) = looked(Record(7))
    assert (change.was, change.now, change.seen_at, change.key) == (None, Phase.RUNNING, NOON, "7/1")
    assert (sight.changes, sight.changed_at, sight.unchanged) == (1, 0.0, 0)


def test_a_look_that_shows_the_same_is_no_change_and_is_counted() -> None:
    sight, changes = looked(Record(7), Record(7), Record(7))
    assert (len(changes), sight.unchanged, sight.changed_at) == (1, 2, 0.0)


def test_a_change_of_state_step_or_word_is_told_and_counted_from_none_again() -> None:
    failing = Record(7, word="failing", step="b")
    sight, changes = looked(Record(7), Record(7, step="a"), Record(7, step="b"), Record(7, step="b"), failing)
    assert [change.key for change in changes] == ["7/1", "7/2", "7/3", "7/4"]
    assert sight.unchanged == 0


def test_a_record_without_a_step_says_nothing_of_it() -> None:
    assert alike(Record(7, step="a"), Record(7))
    assert not alike(Record(7), Record(7, step="a"))
    assert not alike(Record(7, step="a"), Record(7, step="b"))


PHASES = st.lists(st.sampled_from(list(Phase)))


@given(PHASES)
def test_keys_number_the_changes_and_the_same_looks_give_the_same_keys(phases: list[Phase]) -> None:
    records = [Record(7, phase) for phase in phases]
    changes = looked(*records)[1]
    assert [change.key for change in changes] == [f"7/{n + 1}" for n in range(len(changes))]
    assert changes == looked(*records)[1]
    assert all(later.was is earlier.now for earlier, later in pairwise(changes))


@given(PHASES)
def test_an_end_is_never_left_again(phases: list[Phase]) -> None:
    sight, changes = looked(*(Record(7, phase) for phase in phases))
    ends = [change for change in changes if change.now.final]
    assert len(ends) <= 1
    assert ends == changes[-1:] or not ends
    assert sight.over == bool(ends)


@pytest.mark.parametrize("word", ["", "quiescing", "\N{SNOWMAN}", "SUCCEEDED?"])
def test_a_state_nobody_knows_is_told_and_never_an_end(word: str) -> None:
    strange = Record(7, Phase.UNKNOWN, word)
    sight, changes = looked(Record(7), strange, Record(7, Phase.SUCCEEDED))
    assert [change.now for change in changes] == [Phase.RUNNING, Phase.UNKNOWN, Phase.SUCCEEDED]
    assert changes[1].workflow.state_text == strange.state_text
    assert sight.over


# Operations


def shows(*operations: Operation, phase: Phase = Phase.RUNNING) -> Detailed:
    return Detailed(7, phase, operations=operations)


def test_an_operation_that_ended_between_two_looks_is_told_to_have_run_with_its_times() -> None:
    before = shows(Operation("encode"))
    after = shows(Operation("encode", "succeeded", at(3), at(9)))
    assert looked(before, after)[1][1].operations == (
        OperationChange(operation="encode", position=0, was="instantiated", now="running", at=at(3)),
        OperationChange(operation="encode", position=0, was="running", now="succeeded", at=at(9)),
    )


def test_an_operation_that_was_seen_running_is_told_only_to_have_ended() -> None:
    before, after = shows(Operation("a", "running", at(3))), shows(Operation("a", "failed", at(3), at(9)))
    (change,) = looked(before, after)[1][1].operations
    assert (change.was, change.now, change.at) == ("running", "failed", at(9))


def test_an_operation_that_was_skipped_is_not_told_to_have_run() -> None:
    (change,) = looked(shows(Operation("a")), shows(Operation("a", "skipped")))[1][1].operations
    assert (change.was, change.now, change.at) == ("instantiated", "skipped", None)


def test_the_first_look_tells_all_that_has_happened_so_far() -> None:
    ran, runs = Operation("a", "succeeded", at(1), at(2)), Operation("b", "running", at(3))
    told = looked(shows(ran, runs, Operation("c")))[1][0].operations
    assert [(o.operation, o.was, o.now) for o in told] == [
        ("a", None, "running"), ("a", "running", "succeeded"), ("b", None, "running"), ("c", None, "instantiated")
    ]  # fmt: skip


def test_two_operations_of_one_name_are_told_apart_by_their_place() -> None:
    done, after = Operation("tag", "succeeded", at(1), at(2)), Operation("tag", "succeeded", at(3), at(4))
    change, _ = looked(shows(done, Operation("tag")), shows(done, after))[1][1].operations
    assert (change.position, change.was, change.now) == (1, "instantiated", "running")


def test_operations_that_take_the_place_of_others_are_new() -> None:
    changed = looked(shows(Operation("a"), Operation("b")), shows(Operation("a"), Operation("mail", "running", at(5))))
    (change,) = changed[1][1].operations
    assert (change.operation, change.position, change.was, change.now) == ("mail", 1, None, "running")


def test_operations_count_only_where_they_are_wanted() -> None:
    before, after = shows(Operation("a")), shows(Operation("a", "running", at(1)))
    assert alike(before, after, operations=False)
    assert not alike(before, after, operations=True)
    assert seen(looked(before)[0], after, 1.0, NOON, operations=False)[1] is None
    ended = shows(Operation("a", "succeeded", at(1), at(2)), phase=Phase.SUCCEEDED)
    _, change = seen(looked(before)[0], ended, 1.0, NOON, operations=False)
    assert change is not None
    assert change.operations == ()


def test_a_record_without_operations_says_nothing_of_them() -> None:
    assert alike(shows(Operation("a", "running")), Detailed(7))


STATES = ["instantiated", "running", "paused", "retry", "succeeded", "failed", "skipped"]
SNAPSHOTS = st.lists(st.lists(st.sampled_from(STATES), min_size=3, max_size=3), min_size=1)


@given(SNAPSHOTS)
def test_the_transitions_of_each_operation_are_a_chain_without_gaps(snapshots: list[list[str]]) -> None:
    records = [
        shows(*(Operation(f"o{n}", state, at(1), at(2)) for n, state in enumerate(states))) for states in snapshots
    ]
    told = [operation for change in looked(*records)[1] for operation in change.operations]
    for place in range(3):
        chain = [operation for operation in told if operation.position == place]
        assert [one.was for one in chain] == [None, *(one.now for one in chain)][:-1]
        assert chain[-1].now == snapshots[-1][place]


# Looks that fail


def test_a_404_is_believed_after_three_looks_over_two_minutes_and_told_once() -> None:
    gone = NotFound(404)
    assert failed((0, gone), (60, gone), (119, gone), sight=SEEN)[1] == []
    assert failed((0, gone), (120, gone), sight=SEEN)[1] == []
    _, (vanished,) = failed((0, gone), (60, gone), (120, gone), sight=SEEN)
    assert (vanished.id, vanished.error, vanished.workflow) == (7, gone, Record(7))
    assert isinstance(vanished, Vanished)


@given(st.lists(st.tuples(st.floats(0, 60), st.booleans())))
def test_no_404_that_anything_came_between_is_believed(looks: list[tuple[float, bool]]) -> None:
    sight, now, began, row = SEEN, 0.0, 0.0, 0
    for pause, is_404 in looks:
        now += pause
        began, row = (now if not row else began, row + 1) if is_404 else (now, 0)
        error: CallError = NotFound(404) if is_404 else ConnectFailed("refused")
        sight, outcome = missed(sight, error, now, Poll(outage=1e9))
        assert isinstance(outcome, Vanished) == (row >= GONE_LOOKS and now - began >= GONE_SECONDS)


def test_one_that_was_never_seen_is_given_up_sooner() -> None:
    gone = NotFound(404)
    _, lost = failed((0, gone), (4, gone), (8, gone))
    assert [type(one) for one in lost] == [Vanished]
    assert failed((0, gone), (1, gone), (2, gone))[1] == []


def test_a_look_that_succeeds_makes_up_for_those_that_failed() -> None:
    sight, _ = failed((0, NotFound(404)), (100, NotFound(404)), sight=SEEN)
    sight, _ = seen(sight, Record(7), 110.0, NOON)
    assert failed((120, NotFound(404)), (130, NotFound(404)), sight=sight)[1] == []
    sight, _ = failed((0, ServerFault(503)), (100, ServerFault(503)), sight=SEEN)
    sight, _ = seen(sight, Record(7), 110.0, NOON)
    assert failed((400, ServerFault(503)), (410, ServerFault(503)), (420, ServerFault(503)), sight=sight)[1] == []


PASSING = [ServerFault(503), RateLimited(429), ConnectFailed("refused"), DecodeError("null @ $")]


@pytest.mark.parametrize("error", PASSING, ids=lambda error: type(error).__name__)
def test_an_outage_is_endured_as_long_as_was_agreed(error: CallError) -> None:
    assert failed(*((now, error) for now in range(0, 300, 10)), sight=SEEN)[1] == []
    _, (lost,) = failed((0, error), (150, error), (300, error), sight=SEEN)
    assert (lost.id, lost.error, lost.workflow) == (7, error, Record(7))
    assert isinstance(lost, Unobserved)


def test_an_outage_is_none_before_enough_looks_have_met_it() -> None:
    assert OUTAGE_LOOKS == 3
    assert failed((0, ServerFault(503)), (10_000, ServerFault(503)), sight=SEEN)[1] == []


@pytest.mark.parametrize("error", [Forbidden(403), Unauthorized(401)], ids=lambda error: type(error).__name__)
def test_what_will_not_pass_ends_it_at_once(error: CallError) -> None:
    assert [type(lost) for lost in failed((0, error))[1]] == [Unobserved]


def test_a_401_may_pass_for_one_that_was_let_in_before() -> None:
    refused = Unauthorized(401)
    assert failed((0, refused), (299, refused), (299, refused), sight=SEEN)[1] == []
    assert [type(lost) for lost in failed((0, refused), (9, refused), (300, refused), sight=SEEN)[1]] == [Unobserved]
    assert [type(lost) for lost in failed((0, Forbidden(403)), sight=SEEN)[1]] == [Unobserved]


# Rows of a list


def knowing(record: Record, *, lag: float = 0.0) -> tuple[Knowledge[Any], list[Any]]:
    """What is known after a get that was asked for at 10 and answered at 11, and what was told since; it is 20 now."""
    told: list[Any] = []
    now = 11.0
    clock = Clock(now=lambda: now, wall=lambda: now)
    known: Knowledge[Any] = Knowledge(Server(lag=lag), clock, told.append, set())
    known.watch(record.id)
    known.got(record, 10.0)
    now = 20.0
    told.clear()
    return known, told


def test_a_row_that_shows_what_is_known_changes_nothing() -> None:
    known, told = knowing(Record(7))
    before = known.sights[7]
    assert known.listed(Record(7), 15.0)
    assert known.sights[7] is before
    assert not told


def test_a_row_that_shows_something_new_is_taken_unless_it_may_be_older_than_a_get() -> None:
    known, told = knowing(Record(7), lag=2.0)
    assert known.listed(Record(7, step="b"), 12.9)
    assert not told
    assert known.listed(Record(7, step="b"), 13.0)
    assert [change.workflow.step for change in told] == ["b"]


def test_a_row_that_is_parked_now_is_wanted_whole_unless_it_may_be_older_than_a_get() -> None:
    known, told = knowing(Record(7))
    assert not known.listed(Record(7, Phase.PARKED), 11.0)
    assert known.listed(Record(7, Phase.PARKED), 10.9)
    assert not told
    known, _ = knowing(Record(7, Phase.PARKED))
    assert known.listed(Record(7, Phase.PARKED), 15.0)


def test_a_row_that_has_ended_is_never_all_that_is_wanted() -> None:
    for phase in (Phase.RUNNING, Phase.SUCCEEDED):
        known, told = knowing(Record(7, phase))
        assert not known.listed(Record(7, Phase.SUCCEEDED), 15.0)
        assert not known.listed(Record(7, Phase.SUCCEEDED), 5.0)
        assert not told


@pytest.mark.parametrize("error", [NotFound(404), ServerFault(503)], ids=lambda error: type(error).__name__)
def test_a_row_that_shows_what_is_known_makes_up_for_looks_that_failed(error: CallError) -> None:
    known, _ = knowing(Record(7))
    known.missed(7, error, POLL)
    assert known.listed(Record(7), 15.0)
    assert (known.sights[7].misses, known.sights[7].failures) == (0, 0)


def test_a_row_that_shows_what_is_known_is_counted_where_somebody_asks_whether_it_stalls() -> None:
    known, _ = knowing(Record(7))
    known.patience[7] = 3.0
    assert known.listed(Record(7), 15.0)
    assert known.sights[7].unchanged == 1


def test_a_row_of_one_that_nobody_watches_is_not_taken() -> None:
    known, told = knowing(Record(7))
    assert not known.listed(Record(8), 15.0)
    assert list(known.sights) == [7]
    assert not told
