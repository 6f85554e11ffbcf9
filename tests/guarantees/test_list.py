"""T-LIST: an exact listing returns every row that stays in the list during the pass, once, whatever else changes."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.conftest import See
from tests.support.changing_list import ChangingList, ListChange, Row, ScanRun
from workflow_async._listing import by_offset
from workflow_async.errors import ListingInconsistent

figure = pytest.mark.figure("T-LIST")
row_47 = pytest.mark.row(47)

Start = Callable[[], ScanRun]


# Every interleaving of a few changes with the responses


def run_scan(start: Start, script: Sequence[tuple[int, ListChange]], *, last_first: bool) -> ScanRun:
    """Run a pass. Each change happens before the response of its number."""
    run, changes = start(), list(script)
    while not run.done:
        while changes and changes[0][0] == run.changing_list.responses:
            run.changing_list.apply(changes.pop(0)[1])
        try:
            run.respond(-1 if last_first else 0)
        except ListingInconsistent:
            run.mark_failed()
    return run


def interleavings(
    start: Start, kinds: Sequence[ListChange], max_changes: int, *, last_first: bool = False, script: Sequence[Any] = ()
) -> Iterator[ScanRun]:
    """Yield the pass with every choice of up to `max_changes` changes, each between any two responses."""
    run = run_scan(start, script, last_first=last_first)
    yield run
    if len(script) == max_changes:
        return
    for position in range(script[-1][0] if script else 1, run.changing_list.responses):
        for change in kinds:
            extended = (*script, (position, change))
            yield from interleavings(start, kinds, max_changes, last_first=last_first, script=extended)


def rows_of(count: int) -> list[Row]:
    """Return rows with distinct dates, in the order of the dates."""
    return [Row(id, 3 * id) for id in range(count)]


def changes_of(count: int, *, moves: bool = False) -> list[ListChange]:
    """Return all changes that can happen to a list of this length."""
    positions = range(count)
    changes: list[ListChange] = [("delete", position, 0) for position in positions]
    changes += [("insert", position, date) for position in range(count + 1) for date in ((4, 9) if moves else (7,))]
    return [
        *changes,
        *(("move", position, to) for position in positions for to in positions if moves and position != to),
    ]


def count_wrong(runs: Iterator[ScanRun]) -> Counter[bool]:
    """Count the passes by whether they lost or duplicated a row, or failed."""
    return Counter(run.failed or bool(run.lost_or_duplicated()) for run in runs)


OVERLAPPING = [
    pytest.param({"size": 2, "overlap": 1, "ahead": 1}, {}, id="pages of 2"),
    pytest.param({"size": 3, "overlap": 1, "ahead": 1}, {}, id="pages of 3"),
    pytest.param({"size": 3, "overlap": 2, "ahead": 1, "anchor": 2}, {}, id="pages of 3, two anchors"),
    pytest.param({"size": 3, "overlap": 1, "ahead": 1}, {"max_rows": 2}, id="pages of 3, at most 2 rows"),
    pytest.param({"size": 9, "overlap": 5, "ahead": 1, "anchor": 3}, {"max_rows": 2}, id="pages of 9, at most 2 rows"),
    pytest.param({"size": 2, "overlap": 1, "ahead": 3}, {}, id="pages of 2, 3 at once"),
    pytest.param(
        {"size": 2, "overlap": 1, "ahead": 3}, {"reports_total": True}, id="pages of 2, 3 at once, with a total"
    ),
    pytest.param(
        {"size": 3, "overlap": 1, "ahead": 3},
        {"max_rows": 2, "reports_total": True},
        id="pages of 3, 3 at once, at most 2 rows",
    ),
]


@figure
@row_47
@pytest.mark.parametrize("last_first", [False, True], ids=["in order", "last first"])
@pytest.mark.parametrize(("scan", "server"), OVERLAPPING)
def test_an_anchored_listing_loses_nothing_in_any_interleaving(
    scan: dict[str, Any],
    server: dict[str, Any],
    last_first: bool,  # noqa: FBT001 - a table's column
    see: See,
) -> None:
    found: Counter[bool] = Counter()
    for count, max_changes in ((4, 2), (5, 2)):

        def start(count: int = count) -> ScanRun:
            changing_list = ChangingList(rows_of(count), **server)
            return ScanRun(changing_list, changing_list.overlap_scan(**scan))

        found += count_wrong(interleavings(start, changes_of(count), max_changes, last_first=last_first))
    assert not found[True]
    see(
        "anchored: every interleaving of 2 inserts and deletes with the responses, in and out of order: 0 lost, 0 twice"
    )


@figure
def test_an_anchored_listing_loses_nothing_in_three_changes(see: See) -> None:
    def start() -> ScanRun:
        changing_list = ChangingList(rows_of(4))
        return ScanRun(changing_list, changing_list.overlap_scan(2))

    found = count_wrong(interleavings(start, changes_of(4), 3))
    assert not found[True]
    see(f"anchored, 3 changes: {found[False]:,} interleavings, 0 lost, 0 twice")


@figure
@row_47
@pytest.mark.parametrize("ahead", [1, 3])
@pytest.mark.parametrize(
    "server", [{}, {"reports_total": True}, {"max_rows": 3, "reports_total": True}], ids=["bare", "total", "limited"]
)
def test_a_partitioned_listing_loses_nothing_wherever_rows_move(server: dict[str, Any], ahead: int, see: See) -> None:
    def start() -> ScanRun:
        changing_list = ChangingList(rows_of(4), **server)
        return ScanRun(changing_list, changing_list.time_window_scan(4 if changing_list.max_rows == 3 else 3, ahead))

    found = count_wrong(interleavings(start, changes_of(4, moves=True), 2))
    assert not found[True]
    see("partitioned: every interleaving of 2 inserts, deletes and moves with the responses: 0 lost, 0 twice")


@figure
def test_a_partitioned_listing_detects_that_pages_are_limited(see: See) -> None:
    def start() -> ScanRun:
        changing_list = ChangingList(rows_of(4), max_rows=3)
        return ScanRun(changing_list, changing_list.time_window_scan(5))

    found = count_wrong(interleavings(start, changes_of(4), 2))
    assert not found[True]
    see(f"partitioned, page size limited: {found[False]:,} interleavings, 0 lost, 0 twice")


def test_windows_that_end_before_their_last_instant_lose_nothing() -> None:
    changing_list = ChangingList([Row(id, id) for id in range(15)], excludes_end=True)
    scan_run = ScanRun(changing_list, changing_list.time_window_scan(2, 3))
    scan_run.finish()
    assert not scan_run.lost_or_duplicated()


@pytest.mark.parametrize("totals", [False, True])
def test_rows_of_one_date_are_requested_together(totals: bool) -> None:  # noqa: FBT001 - a table's column
    changing_list = ChangingList([Row(id, 7) for id in range(11)], reports_total=totals)
    scan_run = ScanRun(changing_list, changing_list.time_window_scan(2))
    scan_run.finish()
    assert not scan_run.lost_or_duplicated()


def test_rows_of_one_date_that_the_server_never_returns_together_are_an_error() -> None:
    changing_list = ChangingList([Row(id, 7) for id in range(11)], max_rows=4, reports_total=True)
    scan_run = ScanRun(changing_list, changing_list.time_window_scan(2))
    with pytest.raises(ListingInconsistent, match="4 of 11 rows of one instant"):
        scan_run.finish()


def test_rows_without_a_date_are_an_error_if_the_server_reports_a_total() -> None:
    changing_list = ChangingList([Row(id, 99 if id == 3 else id) for id in range(5)], reports_total=True)
    scan_run = ScanRun(changing_list, changing_list.time_window_scan(2))
    with pytest.raises(ListingInconsistent, match="4 of 5 rows have a date"):
        scan_run.finish()


@figure
def test_a_scan_that_accepts_every_page_is_detected(monkeypatch: pytest.MonkeyPatch, see: See) -> None:
    def start() -> ScanRun:
        changing_list = ChangingList(rows_of(5))
        return ScanRun(changing_list, changing_list.overlap_scan(2))

    assert not count_wrong(interleavings(start, changes_of(5), 2))[True]
    monkeypatch.setattr(by_offset, "continues_list", lambda *_: True)
    found = count_wrong(interleavings(start, changes_of(5), 2))
    assert found[True] > 0
    see(f"a scan that accepts every page: wrong in {found[True]:,} of {found.total():,}")


@figure
def test_a_fast_listing_loses_rows_as_documented(see: See) -> None:
    def start() -> ScanRun:
        changing_list = ChangingList(rows_of(5))
        return ScanRun(changing_list, changing_list.offset_scan(2))

    found = count_wrong(interleavings(start, changes_of(5), 2))
    assert found[True] > 0
    see(f"fast: wrong in {found[True]:,} of {found.total():,}")


# Any number of changes, including changes of state


class ChangingListMachine(RuleBasedStateMachine):
    """A list that changes between responses, which arrive in any order, while it is read."""

    def __init__(self) -> None:
        super().__init__()
        self.run: ScanRun | None = None
        self.changes = 0
        self.not_matching: set[int] = set()
        """Rows that were in another state than the requested one at any time."""
        self.matching: set[int] = set()
        """Rows that were in the requested state at any time."""

    def scan(self, changing_list: ChangingList, size: int, ahead: int) -> Callable[[Any], Any]:
        """Return a function that starts the scan under test."""
        raise NotImplementedError

    @initialize(
        count=st.integers(0, 12),
        server=st.fixed_dictionaries({"max_rows": st.sampled_from([1000, 3]), "reports_total": st.booleans()}),
        shape=st.tuples(st.integers(3, 5), st.integers(1, 4)),
        filtered=st.booleans(),
    )
    def start(self, count: int, server: dict[str, Any], shape: tuple[int, int], filtered: bool) -> None:  # noqa: FBT001
        """Start to read."""
        changing_list = ChangingList([Row(id, 2 * id % 15) for id in range(count)], **server)
        predicate = (lambda row: row.state == "running") if filtered else None
        self.run = ScanRun(changing_list, self.scan(changing_list, *shape), predicate)
        self.filtered = filtered

    def change(self, *change: Any) -> None:
        assert self.run is not None
        self.changes += 1
        self.run.changing_list.apply(change)

    few = precondition(lambda self: self.changes < 12)

    @few
    @rule(at=st.integers(0, 15), date=st.integers(0, 15))
    def insert(self, at: int, date: int) -> None:
        self.change("insert", at, date)

    @few
    @rule(at=st.integers(0, 15))
    def delete(self, at: int) -> None:
        self.change("delete", at, 0)

    @few
    @rule(at=st.integers(0, 15))
    def change_state(self, at: int) -> None:
        self.change("state", at, 0)

    @rule(which=st.integers(0, 5))
    def answer(self, which: int) -> None:
        if self.run is not None and not self.run.done:
            self.respond_once(self.run, which)

    def respond_once(self, scan_run: ScanRun, which: int = 0) -> None:
        """Send one response."""
        scan_run.respond(which)

    @invariant()
    def states_are_noted(self) -> None:
        for row in self.run.changing_list.rows if self.run is not None else ():
            (self.matching if row.state == "running" else self.not_matching).add(row.id)

    def teardown(self) -> None:
        """Let the pass end without further changes. Then no row that stayed is missing."""
        if self.run is None:
            return
        while not self.run.done:
            self.respond_once(self.run)
        staying = self.run.changing_list.permanent_ids - (self.not_matching if self.filtered else set())
        assert self.run.failed or not self.run.lost_or_duplicated(staying)
        if self.filtered:
            assert self.matching.issuperset(self.run.returned_ids)


class AnchoredMachine(ChangingListMachine):
    """Rows keep their order."""

    def scan(self, changing_list: ChangingList, size: int, ahead: int) -> Callable[[Any], Any]:
        return changing_list.overlap_scan(size, ahead, overlap=2, anchor=2)


class PartitionedMachine(ChangingListMachine):
    """Rows may move."""

    def scan(self, changing_list: ChangingList, size: int, ahead: int) -> Callable[[Any], Any]:
        changing_list.max_rows = 1000 if not changing_list.reports_total else changing_list.max_rows
        return changing_list.time_window_scan(size, ahead)

    def respond_once(self, scan_run: ScanRun, which: int = 0) -> None:
        """Send one response. With totals, the scan may report that it cannot read the list."""
        try:
            scan_run.respond(which)
        except ListingInconsistent:
            assert scan_run.changing_list.reports_total
            scan_run.mark_failed()

    @ChangingListMachine.few
    @rule(at=st.integers(0, 15), to=st.integers(0, 15))
    def move(self, at: int, to: int) -> None:
        self.change("move", at, to)


MANY = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestAnchored = figure(AnchoredMachine.TestCase)
TestPartitioned = figure(PartitionedMachine.TestCase)
TestAnchored.settings = TestPartitioned.settings = MANY
