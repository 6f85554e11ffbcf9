"""An in-memory list that changes between two responses, and scans of it that need no waiting."""

from collections.abc import Callable, Iterable, Sequence

from attrs import define, field, frozen

from workflow_async._core.call import Call, Page, Reply
from workflow_async._listing.by_offset import OffsetScan, OverlapScan, PageWindow
from workflow_async._listing.by_time import TimeWindowScan, Window
from workflow_async._listing.scan import Scan, ScanState

EMPTY_REPLY = Reply(200, {}, b"")
PERIOD = Window(0, 15)
"""The dates that rows may have."""


@frozen
class Row:
    """A row of the list."""

    id: int
    date: int = 0
    state: str = "running"


ListChange = tuple[str, int, int]
"""A change of the list.

`insert` at an index with a date, `delete` at an index, `move` from an index to another, or `state` at an index.
"""


@define
class ChangingList:
    """The list as the server has it, and which of its rows have stayed."""

    rows: list[Row]
    max_rows: int = 1000
    """The most rows that a response has."""
    reports_total: bool = False
    excludes_end: bool = False
    """True if a window excludes its last instant."""
    permanent_ids: set[int] = field(init=False)
    """Ids of the rows that have been in the list since the first response."""
    last_new_id: int = 100
    responses: int = 0

    def __attrs_post_init__(self) -> None:
        self.permanent_ids = {row.id for row in self.rows}

    def apply(self, change: ListChange) -> None:
        """Apply a change."""
        kind, index, value = change
        if kind == "insert":
            self.last_new_id += 1
            self.rows.insert(index, Row(self.last_new_id, value))
        elif index < len(self.rows):
            row = self.rows.pop(index)
            if kind == "delete":
                self.permanent_ids.discard(row.id)
            elif kind == "move":
                self.rows.insert(value, row)
            else:
                self.rows.insert(index, Row(row.id, row.date, "ended" if row.state == "running" else "running"))

    def call(self, window: Window | None, offset: int, rows: int) -> Call[Page[Row]]:
        """Return the call for rows of the list, or of a window of it. It reads the rows when it is answered."""

        def answer(_: Reply) -> Page[Row]:
            self.responses += 1
            matching = [row for row in self.rows if window is None or self.contains(window, row)]
            page = matching[offset : offset + min(rows, self.max_rows)]
            return Page(tuple(page), total=len(matching) if self.reports_total else None)

        return Call("GET", "/list", answer)

    def contains(self, window: Window, row: Row) -> bool:
        """Return True if the row is in the window."""
        return window.first <= row.date < window.last + (not self.excludes_end)

    def offset_scan(self, size: int, ahead: int = 1) -> Callable[[ScanState[Row]], Scan[Row]]:
        """Return a function that starts a scan by offsets."""
        return lambda state: OffsetScan(lambda *rows: self.call(None, *rows), state, PageWindow(size, ahead))

    def overlap_scan(
        self, size: int, ahead: int = 1, overlap: int = 1, anchor: int = 1
    ) -> Callable[[ScanState[Row]], Scan[Row]]:
        """Return a function that starts an anchored scan."""
        return lambda state: OverlapScan(
            lambda *rows: self.call(None, *rows), state, PageWindow(size, ahead), overlap=overlap, anchor=anchor
        )

    def time_window_scan(self, size: int, ahead: int = 1) -> Callable[[ScanState[Row]], Scan[Row]]:
        """Return a function that starts a scan by time windows."""
        return lambda state: TimeWindowScan(self.call, state, size, ahead, PERIOD)


@define
class ScanRun:
    """A pass over a changing list, response by response."""

    changing_list: ChangingList
    start: Callable[[ScanState[Row]], Scan[Row]]
    predicate: Callable[[Row], bool] | None = None
    state: ScanState[Row] = field(init=False)
    scan: Scan[Row] = field(init=False)
    returned_ids: list[int] = field(factory=list, init=False)
    failed: bool = field(default=False, init=False)
    _calls: list[tuple[int, Call[Page[Row]]]] = field(factory=list)
    """The planned calls without a response, with their indexes."""
    _pages: dict[int, Page[Row]] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        self.state = ScanState(lambda row: row.id, predicate=self.predicate)
        self.scan = self.start(self.state)
        self._plan()

    @property
    def done(self) -> bool:
        """True if the pass has ended."""
        return not self._calls

    def respond(self, which: int = 0) -> None:
        """Answer one of the calls in flight."""
        index, call = self._calls.pop(which % len(self._calls))
        self._pages[index] = call.read(EMPTY_REPLY)
        if not self._calls:
            self._accept_pages()
            self._plan()

    def finish(self) -> None:
        """Answer all calls, in order, until the pass ends."""
        while not self.done:
            self.respond()

    def mark_failed(self) -> None:
        """Record that the scan raised an error."""
        self.failed, self._calls = True, []

    def _accept_pages(self) -> None:
        pages, self._pages = self._pages, {}
        for index in sorted(pages):
            items = None if self.scan.done else self.scan.accept(pages[index])
            if items is None:
                return
            self.returned_ids += [row.id for row in items]

    def _plan(self) -> None:
        self._calls = [] if self.scan.done else list(enumerate(self.scan.next_calls()))

    def lost_or_duplicated(self, expected: Iterable[int] | None = None) -> Sequence[int]:
        """Return the ids of rows that were lost or returned twice."""
        expected_ids = self.changing_list.permanent_ids if expected is None else set(expected)
        duplicated = {id for id in self.returned_ids if self.returned_ids.count(id) > 1}
        return [*sorted(expected_ids - set(self.returned_ids)), *sorted(duplicated)]
