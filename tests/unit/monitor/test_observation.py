"""How a check changes what is known of a workflow."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise, takewhile
from typing import Any

import pytest
from hypothesis import given, strategies as st

from tests.support.monitored_server import Detailed, Operation, Record, Server
from workflow_async import Clock, Phase, Poll
from workflow_async.errors import (
    BadRequest,
    CallError,
    ConnectFailed,
    DecodeError,
    Forbidden,
    ForeignResponse,
    NotFound,
    RateLimited,
    ServerError,
    StatusError,
    TLSVerificationFailed,
    Unauthorized,
    UnexpectedRedirect,
)
from workflow_async.monitor._engine.observation import (
    GONE_CHECKS,
    GONE_SECONDS,
    OUTAGE_CHECKS,
    Observation,
    apply_error,
    apply_record,
    same,
)
from workflow_async.monitor._engine.tracker import MAX_REMEMBERED, Tracker
from workflow_async.monitor._engine.tracking import Tracking
from workflow_async.monitor.events import Change, OperationChange, PollingFailed, Replaced, Stalled, Vanished

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
POLL = Poll(outage=300)
NEW: Observation[Any] = Observation(id=7, since=0.0)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def checked(*records: Any, observation: Observation[Any] = NEW) -> tuple[Observation[Any], list[Any]]:
    """Apply one record per second. Return the last observation and every change."""
    changes = []
    for second, record in enumerate(records):
        observation, change = apply_record(observation, record, float(second), at(second))
        changes += [change] if change is not None else []
    return observation, changes


def failed(
    *errors: tuple[float, CallError], observation: Observation[Any] = NEW, poll: Poll = POLL
) -> tuple[Observation[Any], list[Any]]:
    """Apply checks that fail at these instants."""
    lost = []
    for now, error in errors:
        observation, outcome = apply_error(observation, error, now, POLL)
        lost += [outcome] if outcome is not None else []
    return observation, lost


SEEN = checked(Record(7))[0]
STARTED: Observation[Any] = Observation(id=7, since=0.0, expected=True)
"""A start was answered with the workflow, and no check has shown it yet."""

# Changes


def test_the_first_check_gives_a_change_from_none() -> None:
    sight, (change,) = checked(Record(7))
    assert (change.was, change.now, change.seen_at) == (None, Phase.RUNNING, NOON)
    assert (sight.changes, sight.changed_at, sight.unchanged) == (1, 0.0, 0)


def test_a_check_that_shows_the_same_is_no_change_and_is_counted() -> None:
    observation, changes = checked(Record(7), Record(7), Record(7))
    assert (len(changes), observation.unchanged, observation.changed_at) == (1, 2, 0.0)


def test_a_change_of_state_step_or_state_text_is_reported_and_resets_the_count() -> None:
    failing = Record(7, text="failing", step="b")
    observation, changes = checked(Record(7), Record(7, step="a"), Record(7, step="b"), Record(7, step="b"), failing)
    assert [change.workflow.step for change in changes] == [None, "a", "b", "b"]
    assert observation.changes == 4
    assert observation.unchanged == 0


def test_a_record_without_a_step_says_nothing_of_it() -> None:
    assert same(Record(7, step="a"), Record(7))
    assert not same(Record(7), Record(7, step="a"))
    assert not same(Record(7, step="a"), Record(7, step="b"))


PHASES = st.lists(st.sampled_from(list(Phase)))


@given(PHASES)
def test_the_same_checks_give_the_same_changes(phases: list[Phase]) -> None:
    records = [Record(7, phase) for phase in phases]
    changes = checked(*records)[1]
    assert changes == checked(*records)[1]
    assert all(later.was is earlier.now for earlier, later in pairwise(changes))


@given(PHASES)
def test_an_end_is_never_left_again(phases: list[Phase]) -> None:
    observation, changes = checked(*(Record(7, phase) for phase in phases))
    ends = [change for change in changes if change.now.final]
    assert len(ends) <= 1
    assert ends == changes[-1:] or not ends
    assert observation.over == bool(ends)


@pytest.mark.parametrize("word", ["", "quiescing", "\N{SNOWMAN}", "SUCCEEDED?"])
def test_an_unknown_state_is_reported_and_is_never_an_end(word: str) -> None:
    strange = Record(7, Phase.UNKNOWN, word)
    observation, changes = checked(Record(7), strange, Record(7, Phase.SUCCEEDED))
    assert [change.now for change in changes] == [Phase.RUNNING, Phase.UNKNOWN, Phase.SUCCEEDED]
    assert changes[1].workflow.state_text == strange.state_text
    assert observation.over


# Operations


def shows(*operations: Operation, phase: Phase = Phase.RUNNING) -> Detailed:
    return Detailed(7, phase, operations=operations)


def test_an_operation_that_ended_between_two_checks_is_reported_as_run_with_its_times() -> None:
    before = shows(Operation("encode"))
    after = shows(Operation("encode", "succeeded", at(3), at(9)))
    assert checked(before, after)[1][1].operations == (
        OperationChange(operation="encode", position=0, was="instantiated", now="running", at=at(3)),
        OperationChange(operation="encode", position=0, was="running", now="succeeded", at=at(9)),
    )


def test_an_operation_that_was_seen_running_is_reported_only_as_ended() -> None:
    before, after = shows(Operation("a", "running", at(3))), shows(Operation("a", "failed", at(3), at(9)))
    (change,) = checked(before, after)[1][1].operations
    assert (change.was, change.now, change.at) == ("running", "failed", at(9))


def test_a_skipped_operation_is_not_reported_as_run() -> None:
    (change,) = checked(shows(Operation("a")), shows(Operation("a", "skipped")))[1][1].operations
    assert (change.was, change.now, change.at) == ("instantiated", "skipped", None)


def test_the_first_check_reports_every_transition_so_far() -> None:
    ran, runs = Operation("a", "succeeded", at(1), at(2)), Operation("b", "running", at(3))
    events = checked(shows(ran, runs, Operation("c")))[1][0].operations
    assert [(o.operation, o.was, o.now) for o in events] == [
        ("a", None, "running"), ("a", "running", "succeeded"), ("b", None, "running"), ("c", None, "instantiated")
    ]  # fmt: skip


def test_two_operations_of_one_name_are_distinguished_by_their_position() -> None:
    done, after = Operation("tag", "succeeded", at(1), at(2)), Operation("tag", "succeeded", at(3), at(4))
    change, _ = checked(shows(done, Operation("tag")), shows(done, after))[1][1].operations
    assert (change.position, change.was, change.now) == (1, "instantiated", "running")


def test_an_operation_at_the_position_of_another_one_is_new() -> None:
    changed = checked(shows(Operation("a"), Operation("b")), shows(Operation("a"), Operation("mail", "running", at(5))))
    (change,) = changed[1][1].operations
    assert (change.operation, change.position, change.was, change.now) == ("mail", 1, None, "running")


def test_operations_count_only_if_they_are_watched() -> None:
    before, after = shows(Operation("a")), shows(Operation("a", "running", at(1)))
    assert same(before, after, operations=False)
    assert not same(before, after, operations=True)
    assert apply_record(checked(before)[0], after, 1.0, NOON, operations=False)[1] is None
    ended = shows(Operation("a", "succeeded", at(1), at(2)), phase=Phase.SUCCEEDED)
    _, change = apply_record(checked(before)[0], ended, 1.0, NOON, operations=False)
    assert isinstance(change, Change)
    assert change.operations == ()


def test_a_record_without_operations_says_nothing_of_them() -> None:
    assert same(shows(Operation("a", "running")), Detailed(7))


STATES = ["instantiated", "running", "paused", "retry", "succeeded", "failed", "skipped"]
SNAPSHOTS = st.lists(st.lists(st.sampled_from(STATES), min_size=3, max_size=3), min_size=1)


@given(SNAPSHOTS)
def test_the_transitions_of_each_operation_are_a_chain_without_gaps(snapshots: list[list[str]]) -> None:
    records = [
        shows(*(Operation(f"o{n}", state, at(1), at(2)) for n, state in enumerate(states))) for states in snapshots
    ]
    events = [operation for change in checked(*records)[1] for operation in change.operations]
    for place in range(3):
        chain = [operation for operation in events if operation.position == place]
        assert [one.was for one in chain] == [None, *(one.now for one in chain)][:-1]
        assert chain[-1].now == snapshots[-1][place]


# Checks that fail


def test_a_404_is_believed_after_three_checks_over_two_minutes_and_reported_once() -> None:
    gone = NotFound(404)
    assert failed((0, gone), (60, gone), (119, gone), observation=SEEN)[1] == []
    assert failed((0, gone), (120, gone), observation=SEEN)[1] == []
    _, (vanished,) = failed((0, gone), (60, gone), (120, gone), observation=SEEN)
    assert (vanished.id, vanished.error, vanished.workflow) == (7, gone, Record(7))
    assert isinstance(vanished, Vanished)


@given(st.lists(st.tuples(st.floats(0, 60), st.booleans())))
def test_404s_with_another_result_between_them_are_not_believed(checks: list[tuple[float, bool]]) -> None:
    observation, now, began, row = SEEN, 0.0, 0.0, 0
    for pause, is_404 in checks:
        now += pause
        began, row = (now if not row else began, row + 1) if is_404 else (now, 0)
        error: CallError = NotFound(404) if is_404 else ConnectFailed("refused")
        observation, outcome = apply_error(observation, error, now, Poll(outage=1e9))
        assert isinstance(outcome, Vanished) == (row >= GONE_CHECKS and now - began >= GONE_SECONDS)


def test_a_workflow_that_was_never_seen_is_given_up_sooner() -> None:
    gone = NotFound(404)
    _, lost = failed((0, gone), (4, gone), (8, gone))
    assert [type(one) for one in lost] == [Vanished]
    assert failed((0, gone), (1, gone), (2, gone))[1] == []


def test_a_check_that_succeeds_resets_the_count_of_failed_ones() -> None:
    observation, _ = failed((0, NotFound(404)), (100, NotFound(404)), observation=SEEN)
    observation, _ = apply_record(observation, Record(7), 110.0, NOON)
    assert failed((120, NotFound(404)), (130, NotFound(404)), observation=observation)[1] == []
    observation, _ = failed((0, ServerError(503)), (100, ServerError(503)), observation=SEEN)
    observation, _ = apply_record(observation, Record(7), 110.0, NOON)
    assert (
        failed((400, ServerError(503)), (410, ServerError(503)), (420, ServerError(503)), observation=observation)[1]
        == []
    )


PASSING = [ServerError(503), RateLimited(429), ConnectFailed("refused"), DecodeError("null @ $")]


@pytest.mark.parametrize("error", PASSING, ids=lambda error: type(error).__name__)
def test_an_outage_may_last_as_long_as_poll_outage(error: CallError) -> None:
    assert failed(*((now, error) for now in range(0, 300, 10)), observation=SEEN)[1] == []
    _, (lost,) = failed((0, error), (150, error), (300, error), observation=SEEN)
    assert (lost.id, lost.error, lost.workflow) == (7, error, Record(7))
    assert isinstance(lost, PollingFailed)


def test_an_outage_counts_only_after_three_failed_checks() -> None:
    assert OUTAGE_CHECKS == 3
    assert failed((0, ServerError(503)), (10_000, ServerError(503)), observation=SEEN)[1] == []


STAYING = [Forbidden(403), Unauthorized(401), BadRequest(400), StatusError(418), TLSVerificationFailed("expired")]
staying = pytest.mark.parametrize("error", STAYING, ids=lambda error: type(error).__name__)


@staying
def test_a_permanent_error_ends_it_immediately(error: CallError) -> None:
    assert [type(lost) for lost in failed((0, error))[1]] == [PollingFailed]


@staying
@pytest.mark.parametrize("known", ["seen", "started"])
def test_a_refusal_may_pass_if_the_workflow_was_seen_before(error: CallError, known: str) -> None:
    observation = SEEN if known == "seen" else STARTED
    assert failed((0, error), (299, error), (299, error), observation=observation)[1] == []
    assert [type(lost) for lost in failed((0, error), (9, error), (300, error), observation=observation)[1]] == [
        PollingFailed
    ]


# Failures and 404s do not mix


def test_failures_before_and_after_a_404_do_not_add_up_to_an_outage() -> None:
    down, gone = ServerError(503), NotFound(404)
    before = [(now, down) for now in range(0, 290, 10)]
    observation, lost = failed(*before, (290, gone), (300, down), (310, down), (589, down), observation=SEEN)
    assert lost == []
    assert (observation.failing_since, observation.failures) == (300, 3)
    assert [type(one) for one in failed((600, down), observation=observation)[1]] == [PollingFailed]


def test_404s_before_and_after_a_failure_do_not_add_up_to_a_disappearance() -> None:
    gone = NotFound(404)
    observation, lost = failed(
        (0, gone), (60, gone), (110, ForeignResponse(404)), (119, gone), (121, gone), observation=SEEN
    )
    assert lost == []
    assert (observation.missing_since, observation.misses) == (119, 2)


FAILURES = {"404": NotFound(404), "foreign": ForeignResponse(404), "down": ConnectFailed("refused")}


def spans(history: list[tuple[float, str]], kinds: set[str], seconds: float) -> bool:
    """Return True if the last checks, at least three, are of these kinds and span these seconds."""
    tail = [at for at, _ in takewhile(lambda check: check[1] in kinds, reversed(history))]
    return len(tail) >= 3 and tail[0] - tail[-1] >= seconds


@given(st.lists(st.tuples(st.floats(0, 60), st.sampled_from([*FAILURES, "seen"])), max_size=30), st.booleans())
def test_an_outcome_needs_failures_of_its_kind_in_a_row(
    checks: list[tuple[float, str]], known: bool  # noqa: FBT001 - a case
) -> None:  # fmt: skip
    observation, history, now = SEEN if known else NEW, list[tuple[float, str]](), 0.0
    for pause, kind in checks:
        now += pause
        history.append((now, kind))
        if kind == "seen":
            observation, known = apply_record(observation, Record(7), now, NOON)[0], True
            continue
        observation, outcome = apply_error(observation, FAILURES[kind], now, POLL)
        if kind == "404":
            ends = spans(history, {"404"}, 120.0 if known else 8.0)
        else:
            ends = spans(history, {"foreign", "down"}, 300.0) or (not known and spans(history, {"foreign"}, 8.0))
        expected = (Vanished if kind == "404" else PollingFailed) if ends else type(None)
        assert type(outcome) is expected


def test_foreign_responses_for_a_workflow_that_was_never_seen_are_the_error() -> None:
    foreign = ForeignResponse(404, content_type="text/html")
    foreign.hint = "no Opencast External API at https://oc.example.org: check the path of the base URL"
    assert failed((0, foreign), (4, foreign), (7.9, foreign))[1] == []
    (lost,) = failed((0, foreign), (4, foreign), (8, foreign))[1]
    assert isinstance(lost, PollingFailed)
    assert "check the path of the base URL" in str(lost.error)


@pytest.mark.parametrize("observation", [SEEN, STARTED], ids=["seen", "started"])
@pytest.mark.parametrize(
    "error", [ForeignResponse(404), UnexpectedRedirect(302), ForeignResponse(451), ForeignResponse(200)]
)
def test_foreign_responses_for_a_workflow_that_exists_are_an_outage(
    error: CallError, observation: Observation[Any]
) -> None:
    assert failed(*((now, error) for now in range(0, 300, 10)), observation=observation)[1] == []
    assert [type(lost) for lost in failed((0, error), (10, error), (300, error), observation=observation)[1]] == [
        PollingFailed
    ]


def test_a_404_for_a_started_workflow_is_believed_no_sooner_than_for_a_seen_one() -> None:
    gone = NotFound(404)
    assert failed((0, gone), (60, gone), (119, gone), observation=STARTED)[1] == []
    assert [type(one) for one in failed((0, gone), (60, gone), (120, gone), observation=STARTED)[1]] == [Vanished]


# Pauses that the server has announced


def paused(*failures: tuple[float, float], poll: Poll = POLL) -> list[float]:
    """Return the instants at which the workflow is given up. Checks fail at (instant, seconds announced by then)."""
    observation, lost = SEEN, []
    for now, announced in failures:
        observation, outcome = apply_error(observation, RateLimited(429), now, poll, announced)
        lost += [now] if outcome is not None else []
    return lost


def test_pauses_that_the_server_announced_do_not_count_as_an_outage() -> None:
    assert paused((0, 0), (3600, 3600), (7200, 7200), (7499, 7200)) == []
    assert paused((0, 0), (3600, 3600), (7200, 7200), (7500, 7200)) == [7500]


def test_what_was_announced_before_an_outage_is_no_part_of_it() -> None:
    assert paused((0, 5000), (150, 5000), (299, 5000)) == []
    assert paused((0, 5000), (150, 5000), (300, 5000)) == [300]


def test_only_a_day_of_announced_pauses_does_not_count() -> None:
    day = 86_400.0
    hours = [(3600.0 * n, 3600.0 * n) for n in range(24 * 3)]
    assert paused(*hours)[0] == day + 3600
    assert paused(*hours, poll=Poll(outage=10 * 3600))[0] == day + 10 * 3600


@pytest.mark.parametrize(("seconds", "given_up_at"), [(1000.0, 1300.0), (86_400.0, 86_700.0), (86_401.0, 300.0)])
def test_a_pause_that_the_last_error_announces_has_to_pass_first(seconds: float, given_up_at: float) -> None:
    busy = RateLimited(429)
    busy.retry_after = seconds
    assert failed((0, busy), (150, busy), (given_up_at - 1, busy), observation=SEEN)[1] == []
    assert [type(one) for one in failed((0, busy), (150, busy), (given_up_at, busy), observation=SEEN)[1]] == [
        PollingFailed
    ]


# An id that another workflow has

TEXTS = st.none() | st.sampled_from("abc")
IDENTITIES = st.lists(st.tuples(TEXTS, TEXTS), min_size=1)


@given(IDENTITIES)
def test_two_records_are_of_different_workflows_only_if_both_say_so(said: list[tuple[str | None, str | None]]) -> None:
    observation = NEW
    known: list[str | None] = [None, None]
    for second, identity in enumerate(said):
        differs = any(a is not None and b is not None and a != b for a, b in zip(known, identity, strict=True))
        observation, event = apply_record(observation, Record(7), float(second), NOON, identity=identity)
        assert isinstance(event, Replaced) == differs
        if differs:
            return
        known = [b if a is None else a for a, b in zip(known, identity, strict=True)]
        assert observation.identity == tuple(known)


def test_replaced_holds_both_records_and_nothing_of_the_old_one_is_kept() -> None:
    first, second = Record(7, identity="A"), Record(7, Phase.SUCCEEDED, identity="B")
    observation = apply_record(NEW, first, 1.0, NOON, identity=("A",))[0]
    observation, event = apply_record(observation, second, 2.0, NOON, identity=("B",))
    assert event == Replaced(id=7, workflow=first, found=second)
    assert isinstance(event, Replaced)
    assert not event.succeeded
    assert (observation.over, observation.workflow, observation.identity, observation.expected) == (
        True,
        None,
        (),
        False,
    )
    assert apply_record(observation, second, 3.0, NOON, identity=("B",)) == (observation, None)


def test_a_started_workflow_is_compared_with_the_response_to_its_start() -> None:
    observation = Observation[Any](id=7, since=0.0, expected=True, identity=("A", None))
    replaced = apply_record(observation, Record(7), 1.0, NOON, identity=("B", "x"))[1]
    assert isinstance(replaced, Replaced)
    assert replaced.workflow is None
    assert apply_record(observation, Record(7), 1.0, NOON, identity=("A", "x"))[0].identity == ("A", "x")


# Rows of a list


def tracker_after_get(record: Record, *, lag: float = 0.0) -> tuple[Tracker[Any], list[Any]]:
    """Return a tracker after a GET that was sent at 10 and answered at 11, and its later events. The time is 20."""
    events: list[Any] = []
    now = 11.0
    clock = Clock(now=lambda: now, wall=lambda: now)
    tracker: Tracker[Any] = Tracker(Server(list_lag=lag), clock, events.append)
    tracker.watch(record.id)
    tracker.apply_get(record, 10.0)
    now = 20.0
    events.clear()
    return tracker, events


def test_a_row_that_shows_what_is_known_changes_nothing() -> None:
    tracker, events = tracker_after_get(Record(7))
    before = tracker.observations[7]
    assert tracker.apply_row(Record(7), 15.0)
    assert tracker.observations[7] is before
    assert not events


def test_a_row_with_a_change_is_applied_unless_it_may_be_older_than_a_get() -> None:
    tracker, events = tracker_after_get(Record(7), lag=2.0)
    assert tracker.apply_row(Record(7, step="b"), 12.9)
    assert not events
    assert tracker.apply_row(Record(7, step="b"), 13.0)
    assert [change.workflow.step for change in events] == ["b"]


def test_a_row_that_is_parked_now_needs_a_get_unless_it_may_be_older_than_one() -> None:
    tracker, events = tracker_after_get(Record(7))
    assert not tracker.apply_row(Record(7, Phase.PARKED), 11.0)
    assert tracker.apply_row(Record(7, Phase.PARKED), 10.9)
    assert not events
    tracker, _ = tracker_after_get(Record(7, Phase.PARKED))
    assert tracker.apply_row(Record(7, Phase.PARKED), 15.0)


def test_a_row_that_has_ended_always_needs_a_get() -> None:
    for phase in (Phase.RUNNING, Phase.SUCCEEDED):
        tracker, events = tracker_after_get(Record(7, phase))
        assert not tracker.apply_row(Record(7, Phase.SUCCEEDED), 15.0)
        assert not tracker.apply_row(Record(7, Phase.SUCCEEDED), 5.0)
        assert not events


@pytest.mark.parametrize("error", [NotFound(404), ServerError(503)], ids=lambda error: type(error).__name__)
def test_a_row_that_shows_what_is_known_resets_the_count_of_failed_checks(error: CallError) -> None:
    tracker, _ = tracker_after_get(Record(7))
    tracker.apply_failure(7, error, POLL)
    assert tracker.apply_row(Record(7), 15.0)
    assert (tracker.observations[7].misses, tracker.observations[7].failures) == (0, 0)


def test_a_row_that_shows_what_is_known_is_counted_if_stalls_are_watched() -> None:
    tracker, _ = tracker_after_get(Record(7))
    tracker.tracked.add(7, Tracking(Poll(), stalled_after=3.0))
    assert tracker.apply_row(Record(7), 15.0)
    assert tracker.observations[7].unchanged == 1


def test_a_row_of_a_workflow_that_is_not_watched_is_ignored() -> None:
    tracker, events = tracker_after_get(Record(7))
    assert not tracker.apply_row(Record(8), 15.0)
    assert list(tracker.observations) == [7]
    assert not events


# What is known to exist


def empty_tracker() -> tuple[Tracker[Any], list[Any]]:
    """Return a tracker without workflows whose clock does not advance, and its events."""
    events: list[Any] = []
    return Tracker(Server(), Clock(now=lambda: 10.0, wall=lambda: 10.0), events.append), events


def test_a_started_workflow_is_expected_with_the_identity_of_the_response() -> None:
    tracker, _ = empty_tracker()
    tracker.note_existing(7, Record(7, identity="A"))
    tracker.note_existing(8)
    for id in (7, 8, 9):
        tracker.watch(id)
    assert [(observation.expected, observation.identity) for observation in tracker.observations.values()] == [
        (True, ("A",)), (True, ()), (False, ())
    ]  # fmt: skip


def test_a_workflow_that_is_started_while_it_is_watched_is_expected_too() -> None:
    tracker, _ = empty_tracker()
    tracker.watch(7)
    tracker.note_existing(7)
    assert tracker.observations[7].expected


def test_the_response_to_the_later_start_counts() -> None:
    tracker, _ = empty_tracker()
    for what in ("A", "B"):
        tracker.note_existing(7, Record(7, identity=what))
    tracker.note_existing(7)
    tracker.watch(7)
    assert tracker.observations[7].identity == ("B",)


def test_a_seen_workflow_is_expected_when_it_is_watched_again_unless_it_has_ended() -> None:
    tracker, _ = empty_tracker()
    for id in (1, 2, 3, 4, 5):
        tracker.watch(id)
        if id != 1:
            tracker.apply_get(Record(id), 9.0)
    tracker.apply_get(Record(3, Phase.SUCCEEDED), 9.0)
    tracker.observations[4] = Observation(id=4, since=0.0, over=True, misses=3)
    tracker.observations[5] = Observation(id=5, since=0.0, over=True, failures=3, workflow=Record(5))
    for id in (1, 2, 3, 4, 5):
        tracker.forget(id)
        tracker.watch(id)
    assert [observation.expected for observation in tracker.observations.values()] == [False, True, False, False, True]


def test_existing_workflows_are_remembered_up_to_a_limit() -> None:
    tracker, _ = empty_tracker()
    for id in range(MAX_REMEMBERED + 5):
        tracker.note_existing(id)
        tracker.note_existing(0)
    assert len(tracker._existing) == MAX_REMEMBERED
    assert [id in tracker._existing for id in (0, 1, 5, 6)] == [True, False, False, True]


def test_a_row_of_another_workflow_is_not_believed_and_a_get_is() -> None:
    tracker, events = empty_tracker()
    tracker.watch(7)
    tracker.apply_get(Record(7, identity="A"), 9.0)
    events.clear()
    for row in (Record(7, identity="B"), Record(7, Phase.SUCCEEDED, identity="B"), Record(7, step="x", identity="B")):
        assert not tracker.apply_row(row, 20.0)
    assert not events
    assert tracker.apply_get(Record(7, identity="B"), 20.0)
    assert [type(event) for event in events] == [Replaced]


def test_a_get_of_another_workflow_counts_once_its_record_is_complete() -> None:
    tracker, events = empty_tracker()
    tracker.watch(7)
    tracker.apply_get(Detailed(7, identity="A"), 9.0)
    events.clear()
    assert not tracker.apply_get(Detailed(7, identity="B"), 20.0)
    assert tracker.observations[7].ending
    assert not events
    assert tracker.apply_get(Detailed(7, identity="B", operations=()), 20.0)
    assert [type(event) for event in events] == [Replaced]


def test_a_new_watch_after_replaced_begins_with_the_new_workflow() -> None:
    tracker, events = empty_tracker()
    tracker.watch(7)
    tracker.apply_get(Record(7, identity="A"), 9.0)
    tracker.apply_get(Record(7, identity="B"), 20.0)
    events.clear()
    assert tracker.watch(7)
    tracker.apply_get(Record(7, identity="B"), 30.0)
    assert [(change.was, change.now) for change in events] == [(None, Phase.RUNNING)]


# Steps in which nothing changes


@pytest.mark.parametrize("bound", [timedelta(minutes=30), timedelta(seconds=0.5)])
def test_an_absolute_bound_works_although_nothing_was_learned(bound: timedelta) -> None:
    events: list[Any] = []
    now = 100.0
    tracker: Tracker[Any] = Tracker(Server(), Clock(now=lambda: now, wall=lambda: now), events.append)
    tracker.watch(7)
    tracker.tracked.add(7, Tracking(Poll(), stalled_after=bound))
    tracker.apply_get(Record(7, step="encode"), 100.0)
    events.clear()
    for seconds in (0.0, 0.4, 1.0, 1.5):
        now = 100.0 + seconds * bound.total_seconds()
        tracker.apply_get(Record(7, step="encode"), now)
    (stalled,) = events
    assert (stalled.id, stalled.usual, stalled.seconds) == (7, None, pytest.approx(bound.total_seconds()))


def test_a_change_restarts_an_absolute_bound() -> None:
    events: list[Any] = []
    now = 0.0
    tracker: Tracker[Any] = Tracker(Server(), Clock(now=lambda: now, wall=lambda: now), events.append)
    tracker.watch(7)
    tracker.tracked.add(7, Tracking(Poll(), stalled_after=timedelta(seconds=10)))
    for second, step in enumerate(["a"] * 9 + ["b"] * 9 + ["c"] * 12):
        now = float(second)
        tracker.apply_get(Record(7, step=step), now)
    assert [event.workflow.step for event in events if isinstance(event, Stalled)] == ["c"]
