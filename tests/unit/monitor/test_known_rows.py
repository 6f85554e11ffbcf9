"""Rows of a list that are the very records of the last list: they are skipped, and nothing else differs."""

from typing import Any

import pytest
from hypothesis import given, strategies as st

from tests.support.monitored_server import Detailed, Operation, Record, Server
from workflow_async import Clock, Phase, Poll
from workflow_async.errors import NotFound, ServerError
from workflow_async.monitor._engine.pauses import Pause
from workflow_async.monitor._engine.tracker import Tracker
from workflow_async.monitor._engine.tracking import Tracking
from workflow_async.monitor.source import Source

POLL = Poll()
OPERATIONS = (Operation("a", "running"),)
RECORDS = [
    Record(1),
    Record(1, step="x"),
    Record(1, Phase.PARKED),
    Record(1, Phase.SUCCEEDED),
    Record(1, identity="A"),
    Record(1, identity="B"),
    Detailed(1),
    Detailed(1, operations=OPERATIONS),
    Detailed(1, Phase.PARKED, operations=OPERATIONS),
    Record(2),
    Record(2, step="y"),
]
TRACKINGS = [Tracking(POLL), Tracking(POLL, operations=True), Tracking(POLL, stalled_after=1.0)]


class Tracked:
    """A tracker and its events. Its clock advances by a second with each step."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.now = 100.0
        clock = Clock(now=lambda: self.now, wall=lambda: self.now)
        source: Source[Any] = Server(list_lag=2.0)
        self.tracker: Tracker[Any] = Tracker(source, clock, self.events.append)

    def track(self, id: int, tracking: Tracking) -> None:
        """Track a workflow as the engine does."""
        self.tracker.watch(id)
        self.tracker.tracked.add(id, tracking)

    def forget(self, id: int) -> None:
        if id in self.tracker.observations:
            self.tracker.forget(id)
            self.tracker.tracked.remove(id)

    def fail(self, id: int, error: Any) -> None:
        if not self.tracker.is_done(id):
            self.tracker.apply_failure(id, error, POLL)

    def unchanged(self, id: int) -> None:
        if not self.tracker.is_done(id):
            self.tracker.apply_unchanged(id)

    def step(self, name: str, value: Any) -> Any:
        """Do one step. Rows are applied one by one in `rows`, and as a page in `page`."""
        self.now += 1.0
        asked, tracker = self.now - value[2], self.tracker
        if name == "rows":
            return {row.id for row in value[1] if tracker.apply_row(row, asked)}
        if name == "page":
            return tracker.apply_page(value[1], asked)
        steps: dict[str, Any] = {
            "track": lambda: self.track(value[0], value[3]),
            "forget": lambda: self.forget(value[0]),
            "get": lambda: tracker.apply_get(value[1][0], asked) if value[1] else None,
            "fail": lambda: self.fail(value[0], ServerError(503)),
            "miss": lambda: self.fail(value[0], NotFound(404)),
            "unchanged": lambda: self.unchanged(value[0]),
            "exists": lambda: tracker.note_existing(value[0]),
            "resume": lambda: tracker.answered_pauses.note(value[0], Pause(0)),
        }
        return steps[name]()


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["page"] * 6 + ["track", "forget", "get", "fail", "miss", "unchanged", "exists", "resume"]),
        st.tuples(
            st.sampled_from([1, 2]),
            st.lists(st.sampled_from(RECORDS), max_size=3),
            st.sampled_from([0.0, 1.5, 5.0]),
            st.sampled_from(TRACKINGS),
        ),
    ),
    max_size=30,
)


@given(STEPS)
def test_skipping_known_rows_changes_no_event_and_no_observation(steps: list[Any]) -> None:
    skipping, applying = Tracked(), Tracked()
    for one in (skipping, applying):
        one.track(1, TRACKINGS[0])
    for name, value in steps:
        assert skipping.step(name, value) == applying.step("rows" if name == "page" else name, value)
        assert skipping.tracker.observations == applying.tracker.observations
        assert skipping.events == applying.events


@pytest.mark.parametrize("record", RECORDS[:2])
def test_a_row_that_changed_nothing_is_compared_once(monkeypatch: pytest.MonkeyPatch, record: Record) -> None:
    applied: list[Record] = []
    original = Tracker.apply_row

    def apply_row(tracker: Tracker[Any], row: Record, asked: float) -> bool:
        applied.append(row)
        return original(tracker, row, asked)

    monkeypatch.setattr(Tracker, "apply_row", apply_row)
    one = Tracked()
    one.track(record.id, TRACKINGS[0])
    for _ in range(4):
        assert one.tracker.apply_page([record], one.now) == {record.id}
    assert len(applied) == 2  # the first one is a change
    one.tracker.apply_failure(record.id, ServerError(503), POLL)
    one.tracker.apply_page([record], one.now)
    assert one.tracker.observations[record.id].failures == 0


def test_a_pause_is_always_compared_because_a_resume_may_have_answered_it() -> None:
    one = Tracked()
    one.track(1, TRACKINGS[0])
    one.tracker.apply_get(RECORDS[2], one.now)
    assert one.tracker.apply_page([RECORDS[2]], one.now + 5) == {1}
    one.tracker.answered_pauses.note(1, Pause(0))
    assert one.tracker.apply_page([RECORDS[2]], one.now + 5) == set()


def test_a_watcher_that_comes_later_sees_what_it_asks_for() -> None:
    one = Tracked()
    one.track(1, TRACKINGS[0])
    for _ in range(3):
        one.tracker.apply_page([RECORDS[6]], one.now)
    one.track(1, TRACKINGS[1])
    assert one.tracker.apply_page([RECORDS[6]], one.now) == set()


def test_a_forgotten_workflow_that_is_watched_again_is_reported_again() -> None:
    one = Tracked()
    for _ in range(2):
        one.track(1, TRACKINGS[0])
        for _ in range(3):
            one.tracker.apply_page([RECORDS[0]], one.now)
        one.forget(1)
    assert [event.was for event in one.events] == [None, None]
