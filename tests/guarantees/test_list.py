"""T-LIST: an exact listing gives every row that is there from beginning to end, once, whatever happens meanwhile."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.conftest import See
from tests.support.changing_list import Change, Row, Shelf, Walk
from workflow_async._listing import by_offset
from workflow_async.errors import ListingInconsistent

figure = pytest.mark.figure("T-LIST")
row_47 = pytest.mark.row(47)

Start = Callable[[], Walk]


# Every interleaving of a few changes with the answers


def walked(start: Start, script: Sequence[tuple[int, Change]], *, backwards: bool) -> Walk:
    """A pass during which each change happens before the answer of its number."""
    walk, changes = start(), list(script)
    while not walk.over:
        while changes and changes[0][0] == walk.shelf.answers:
            walk.shelf.change(changes.pop(0)[1])
        try:
            walk.answer(-1 if backwards else 0)
        except ListingInconsistent:
            walk.refuse()
    return walk


def interleavings(
    start: Start, kinds: Sequence[Change], most: int, *, backwards: bool = False, script: Sequence[Any] = ()
) -> Iterator[Walk]:
    """The pass with every choice of so many changes, each between any two answers."""
    walk = walked(start, script, backwards=backwards)
    yield walk
    if len(script) == most:
        return
    for at in range(script[-1][0] if script else 1, walk.shelf.answers):
        for change in kinds:
            more = (*script, (at, change))
            yield from interleavings(start, kinds, most, backwards=backwards, script=more)


def rows(count: int) -> list[Row]:
    """Rows with dates of their own, in the order of these."""
    return [Row(id, 3 * id) for id in range(count)]


def kinds(count: int, *, moves: bool = False) -> list[Change]:
    """What can happen to a list of so many rows."""
    places = range(count)
    changes: list[Change] = [("delete", at, 0) for at in places]
    changes += [("insert", at, date) for at in range(count + 1) for date in ((4, 9) if moves else (7,))]
    return [*changes, *(("move", at, to) for at in places for to in places if moves and at != to)]


def wrong(walks: Iterator[Walk]) -> Counter[bool]:
    """How many passes gave each staying row once, and how many did not without saying so."""
    return Counter(walk.refused or bool(walk.wrong()) for walk in walks)


ANCHORED = [
    pytest.param({"size": 2, "overlap": 1, "ahead": 1}, {}, id="pages of 2"),
    pytest.param({"size": 3, "overlap": 1, "ahead": 1}, {}, id="pages of 3"),
    pytest.param({"size": 3, "overlap": 2, "ahead": 1, "anchor": 2}, {}, id="pages of 3, two anchors"),
    pytest.param({"size": 3, "overlap": 1, "ahead": 1}, {"cap": 2}, id="pages of 3, capped at 2"),
    pytest.param({"size": 9, "overlap": 5, "ahead": 1, "anchor": 3}, {"cap": 2}, id="pages of 9, capped at 2"),
    pytest.param({"size": 2, "overlap": 1, "ahead": 3}, {}, id="pages of 2, 3 at once"),
    pytest.param({"size": 2, "overlap": 1, "ahead": 3}, {"totals": True}, id="pages of 2, 3 at once, with a total"),
    pytest.param(
        {"size": 3, "overlap": 1, "ahead": 3}, {"cap": 2, "totals": True}, id="pages of 3, 3 at once, capped at 2"
    ),
]


@figure
@row_47
@pytest.mark.parametrize("backwards", [False, True], ids=["in order", "the last first"])
@pytest.mark.parametrize(("scan", "server"), ANCHORED)
def test_an_anchored_listing_loses_nothing_in_any_interleaving(
    scan: dict[str, Any],
    server: dict[str, Any],
    backwards: bool,  # noqa: FBT001 - a table's column
    see: See,
) -> None:
    found: Counter[bool] = Counter()
    for count, most in ((4, 2), (5, 2)):

        def start(count: int = count) -> Walk:
            shelf = Shelf(rows(count), **server)
            return Walk(shelf, shelf.anchored(**scan))

        found += wrong(interleavings(start, kinds(count), most, backwards=backwards))
    assert not found[True]
    see("anchored: every interleaving of 2 inserts and deletes with the answers, in and out of order: 0 lost, 0 twice")


@figure
def test_an_anchored_listing_loses_nothing_in_three_changes(see: See) -> None:
    def start() -> Walk:
        shelf = Shelf(rows(4))
        return Walk(shelf, shelf.anchored(2))

    found = wrong(interleavings(start, kinds(4), 3))
    assert not found[True]
    see(f"anchored, 3 changes: {found[False]:,} interleavings, 0 lost, 0 twice")


@figure
@row_47
@pytest.mark.parametrize("ahead", [1, 3])
@pytest.mark.parametrize("server", [{}, {"totals": True}, {"cap": 3, "totals": True}], ids=["bare", "total", "capped"])
def test_a_partitioned_listing_loses_nothing_wherever_rows_move(server: dict[str, Any], ahead: int, see: See) -> None:
    def start() -> Walk:
        shelf = Shelf(rows(4), **server)
        return Walk(shelf, shelf.partitioned(4 if shelf.cap == 3 else 3, ahead))

    found = wrong(interleavings(start, kinds(4, moves=True), 2))
    assert not found[True]
    see("partitioned: every interleaving of 2 inserts, deletes and moves with the answers: 0 lost, 0 twice")


@figure
def test_a_partitioned_listing_finds_out_that_pages_are_capped(see: See) -> None:
    def start() -> Walk:
        shelf = Shelf(rows(4), cap=3)
        return Walk(shelf, shelf.partitioned(5))

    found = wrong(interleavings(start, kinds(4), 2))
    assert not found[True]
    see(f"partitioned, pages capped: {found[False]:,} interleavings, 0 lost, 0 twice")


def test_windows_that_end_before_their_last_instant_lose_nothing() -> None:
    shelf = Shelf([Row(id, id) for id in range(15)], open_end=True)
    walk = Walk(shelf, shelf.partitioned(2, 3))
    walk.finish()
    assert not walk.wrong()


@pytest.mark.parametrize("totals", [False, True])
def test_rows_of_one_date_are_asked_for_all_at_once(totals: bool) -> None:  # noqa: FBT001 - a table's column
    shelf = Shelf([Row(id, 7) for id in range(11)], totals=totals)
    walk = Walk(shelf, shelf.partitioned(2))
    walk.finish()
    assert not walk.wrong()


def test_rows_of_one_date_that_the_server_never_gives_at_once_are_an_error() -> None:
    shelf = Shelf([Row(id, 7) for id in range(11)], cap=4, totals=True)
    walk = Walk(shelf, shelf.partitioned(2))
    with pytest.raises(ListingInconsistent, match="4 of 11 rows of one instant"):
        walk.finish()


def test_rows_without_a_date_are_an_error_where_the_server_tells_how_many_there_are() -> None:
    shelf = Shelf([Row(id, 99 if id == 3 else id) for id in range(5)], totals=True)
    walk = Walk(shelf, shelf.partitioned(2))
    with pytest.raises(ListingInconsistent, match="4 of 5 rows have a date"):
        walk.finish()


@figure
def test_a_scan_that_accepts_every_page_is_found_out(monkeypatch: pytest.MonkeyPatch, see: See) -> None:
    def start() -> Walk:
        shelf = Shelf(rows(5))
        return Walk(shelf, shelf.anchored(2))

    assert not wrong(interleavings(start, kinds(5), 2))[True]
    monkeypatch.setattr(by_offset, "continues_list", lambda *_: True)
    found = wrong(interleavings(start, kinds(5), 2))
    assert found[True] > 0
    see(f"the mutant that accepts every page: wrong in {found[True]:,} of {found.total():,}")


@figure
def test_a_fast_listing_loses_rows_as_it_says(see: See) -> None:
    def start() -> Walk:
        shelf = Shelf(rows(5))
        return Walk(shelf, shelf.straight(2))

    found = wrong(interleavings(start, kinds(5), 2))
    assert found[True] > 0
    see(f"fast: wrong in {found[True]:,} of {found.total():,}")


# Any number of changes, states among them


class Churning(RuleBasedStateMachine):
    """A list that changes between answers that come in any order, while somebody reads it."""

    def __init__(self) -> None:
        super().__init__()
        self.walk: Walk | None = None
        self.changes = 0
        self.other: set[int] = set()
        """Rows that have been in another state than the one asked for."""
        self.right: set[int] = set()
        """Rows that have been in that state."""

    def begin(self, shelf: Shelf, size: int, ahead: int) -> Callable[[Any], Any]:
        """The scan to be tried."""
        raise NotImplementedError

    @initialize(
        count=st.integers(0, 12),
        server=st.fixed_dictionaries({"cap": st.sampled_from([1000, 3]), "totals": st.booleans()}),
        shape=st.tuples(st.integers(3, 5), st.integers(1, 4)),
        filtered=st.booleans(),
    )
    def start(self, count: int, server: dict[str, Any], shape: tuple[int, int], filtered: bool) -> None:  # noqa: FBT001
        """Begin to read."""
        shelf = Shelf([Row(id, 2 * id % 15) for id in range(count)], **server)
        wanted = (lambda row: row.state == "running") if filtered else None
        self.walk = Walk(shelf, self.begin(shelf, *shape), wanted)
        self.filtered = filtered

    def change(self, *change: Any) -> None:
        assert self.walk is not None
        self.changes += 1
        self.walk.shelf.change(change)

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
        if self.walk is not None and not self.walk.over:
            self.go_on(self.walk, which)

    def go_on(self, walk: Walk, which: int = 0) -> None:
        """Let the server answer once."""
        walk.answer(which)

    @invariant()
    def states_are_noted(self) -> None:
        for row in self.walk.shelf.rows if self.walk is not None else ():
            (self.right if row.state == "running" else self.other).add(row.id)

    def teardown(self) -> None:
        """Left alone, the pass ends; then nothing that stayed is missing."""
        if self.walk is None:
            return
        while not self.walk.over:
            self.go_on(self.walk)
        staying = self.walk.shelf.staying - (self.other if self.filtered else set())
        assert self.walk.refused or not self.walk.wrong(staying)
        if self.filtered:
            assert self.right.issuperset(self.walk.given)


class Anchoring(Churning):
    """Rows keep their order."""

    def begin(self, shelf: Shelf, size: int, ahead: int) -> Callable[[Any], Any]:
        return shelf.anchored(size, ahead, overlap=2, anchor=2)


class Partitioning(Churning):
    """Rows move at will."""

    def begin(self, shelf: Shelf, size: int, ahead: int) -> Callable[[Any], Any]:
        shelf.cap = 1000 if not shelf.totals else shelf.cap
        return shelf.partitioned(size, ahead)

    def go_on(self, walk: Walk, which: int = 0) -> None:
        """Where the server tells totals, the scan may find that it cannot do its work, if it says so."""
        try:
            walk.answer(which)
        except ListingInconsistent:
            assert walk.shelf.totals
            walk.refuse()

    @Churning.few
    @rule(at=st.integers(0, 15), to=st.integers(0, 15))
    def move(self, at: int, to: int) -> None:
        self.change("move", at, to)


MANY = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestAnchored = figure(Anchoring.TestCase)
TestPartitioned = figure(Partitioning.TestCase)
TestAnchored.settings = TestPartitioned.settings = MANY
