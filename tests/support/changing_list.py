"""A server's list that changes between two answers, in memory, and passes over it without any waiting."""

from collections.abc import Callable, Iterable, Sequence

from attrs import define, field, frozen

from workflow_async._core.call import Call, Page, Reply
from workflow_async._listing.by_offset import OffsetScan, OverlapScan, PageWindow
from workflow_async._listing.by_time import TimeWindowScan, Window
from workflow_async._listing.scan import Scan, ScanState

NOTHING = Reply(200, {}, b"")
SPAN = Window(0, 15)
"""The dates rows may have."""


@frozen
class Row:
    """A row of the list."""

    id: int
    date: int = 0
    state: str = "running"


Change = tuple[str, int, int]
"""`insert` at a place with a date, `delete` at a place, `move` from a place to another, `state` at a place."""


@define
class Shelf:
    """The list as the server has it, and what has become of its rows."""

    rows: list[Row]
    cap: int = 1000
    """Rows it gives at most."""
    totals: bool = False
    open_end: bool = False
    """Whether a window ends before its last instant."""
    staying: set[int] = field(init=False)
    """Rows that have been there from the first answer on."""
    fresh: int = 100
    answers: int = 0

    def __attrs_post_init__(self) -> None:
        self.staying = {row.id for row in self.rows}

    def change(self, change: Change) -> None:
        """Let something happen."""
        kind, at, to = change
        if kind == "insert":
            self.fresh += 1
            self.rows.insert(at, Row(self.fresh, to))
        elif at < len(self.rows):
            row = self.rows.pop(at)
            if kind == "delete":
                self.staying.discard(row.id)
            elif kind == "move":
                self.rows.insert(to, row)
            else:
                self.rows.insert(at, Row(row.id, row.date, "ended" if row.state == "running" else "running"))

    def call(self, window: Window | None, offset: int, rows: int) -> Call[Page[Row]]:
        """The call for rows of the list, or of a window of it, as they are when it is answered."""

        def answer(_: Reply) -> Page[Row]:
            self.answers += 1
            found = [row for row in self.rows if window is None or self.holds(window, row)]
            given = found[offset : offset + min(rows, self.cap)]
            return Page(tuple(given), total=len(found) if self.totals else None)

        return Call("GET", "/list", answer)

    def holds(self, window: Window, row: Row) -> bool:
        """Whether a row is in a window."""
        return window.first <= row.date < window.last + (not self.open_end)

    def straight(self, size: int, ahead: int = 1) -> Callable[[ScanState[Row]], Scan[Row]]:
        """A scan straight on."""
        return lambda found: OffsetScan(lambda *span: self.call(None, *span), found, PageWindow(size, ahead))

    def anchored(
        self, size: int, ahead: int = 1, overlap: int = 1, anchor: int = 1
    ) -> Callable[[ScanState[Row]], Scan[Row]]:
        """An anchored scan."""
        return lambda found: OverlapScan(
            lambda *span: self.call(None, *span), found, PageWindow(size, ahead), overlap=overlap, anchor=anchor
        )

    def partitioned(self, size: int, ahead: int = 1) -> Callable[[ScanState[Row]], Scan[Row]]:
        """A scan by windows."""
        return lambda found: TimeWindowScan(self.call, found, size, ahead, SPAN)


@define
class Walk:
    """A pass over a shelf, answer by answer."""

    shelf: Shelf
    begin: Callable[[ScanState[Row]], Scan[Row]]
    wanted: Callable[[Row], bool] | None = None
    found: ScanState[Row] = field(init=False)
    scan: Scan[Row] = field(init=False)
    given: list[int] = field(factory=list, init=False)
    refused: bool = field(default=False, init=False)
    _calls: list[tuple[int, Call[Page[Row]]]] = field(factory=list)
    """Those of the plan that are not answered yet, with their places."""
    _pages: dict[int, Page[Row]] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        self.found = ScanState(lambda row: row.id, predicate=self.wanted)
        self.scan = self.begin(self.found)
        self._plan()

    @property
    def over(self) -> bool:
        """Whether the pass has come to its end."""
        return not self._calls

    def answer(self, which: int = 0) -> None:
        """Let the server answer one of the calls that are on their way."""
        place, call = self._calls.pop(which % len(self._calls))
        self._pages[place] = call.read(NOTHING)
        if not self._calls:
            self._take()
            self._plan()

    def finish(self) -> None:
        """Let the server answer whatever it is still asked."""
        while not self.over:
            self.answer()

    def refuse(self) -> None:
        """The scan has given up, and said so."""
        self.refused, self._calls = True, []

    def _take(self) -> None:
        pages, self._pages = self._pages, {}
        for place in sorted(pages):
            items = None if self.scan.done else self.scan.accept(pages[place])
            if items is None:
                return
            self.given += [row.id for row in items]

    def _plan(self) -> None:
        self._calls = [] if self.scan.done else list(enumerate(self.scan.next_calls()))

    def wrong(self, whose: Iterable[int] | None = None) -> Sequence[int]:
        """Rows that were lost, or came twice."""
        staying = self.shelf.staying if whose is None else set(whose)
        return [*sorted(staying - set(self.given)), *sorted({id for id in self.given if self.given.count(id) > 1})]
