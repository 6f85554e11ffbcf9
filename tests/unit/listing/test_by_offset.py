"""Scans of a list with some empty pages, and the number of concurrent requests after a short page."""

import pytest
from attrs import define, field

from workflow_async._core.call import Call, Page
from workflow_async._listing.by_offset import (
    OffsetScan,
    OverlapScan,
    PageWindow,
    RowRange,
    RowsCall,
    continues_list,
    is_last_page,
    row_ranges,
)
from workflow_async._listing.scan import Scan, ScanState
from workflow_async.errors import ListingInconsistent


@define
class ListWithEmptyPages:
    """A list of `count` rows. The responses whose numbers are in `empty` have no rows."""

    count: int
    empty: set[int]
    total: int
    requests: int = field(default=0, init=False)

    def call(self, offset: int, rows: int) -> Call[Page[int]]:
        """Return the call for rows from an offset on."""

        def read(_: object) -> Page[int]:
            items = () if self.requests in self.empty else range(self.count)[offset : offset + rows]
            self.requests += 1
            return Page(tuple(items), total=self.total)

        return Call("GET", "/list", read)

    def read(self, scan: Scan[int]) -> list[int]:
        """Return every row that a scan returns, with one request at a time."""
        rows: list[int] = []
        while not scan.done and (calls := scan.next_calls()):
            for call in calls:
                items = scan.accept(call.read(None))  # type: ignore[arg-type]  # the pages here read no reply
                if items is None:
                    break
                rows += items
        return rows


def overlap_scan(rows: RowsCall[int]) -> Scan[int]:
    return OverlapScan(rows, ScanState(lambda row: row), PageWindow(10, 1))


def offset_scan(rows: RowsCall[int]) -> Scan[int]:
    return OffsetScan(rows, ScanState(lambda row: row), PageWindow(10, 1))


@pytest.mark.parametrize("empty", [{3}, {3, 8}, {3, 8, 13, 18}, {1, 5, 9}])
def test_an_anchored_scan_continues_after_single_empty_pages(empty: set[int]) -> None:
    server = ListWithEmptyPages(100, empty, 100)
    assert server.read(overlap_scan(server.call)) == list(range(100))


@pytest.mark.parametrize("empty", [{3}, {3, 8}, {3, 8, 13}])
def test_an_offset_scan_continues_after_single_empty_pages(empty: set[int]) -> None:
    server = ListWithEmptyPages(200, empty, 200)
    assert server.read(offset_scan(server.call)) == list(range(200))


@pytest.mark.parametrize("empty", [set[int](), set(range(5, 1000))])
def test_an_anchored_scan_fails_if_the_list_ends_below_its_total(empty: set[int]) -> None:
    server = ListWithEmptyPages(100, empty, 1000)
    with pytest.raises(ListingInconsistent):
        server.read(overlap_scan(server.call))
    assert server.requests <= 100


def test_an_offset_scan_ends_after_two_empty_pages_below_the_total() -> None:
    server = ListWithEmptyPages(100, set(), 1000)
    assert server.read(offset_scan(server.call)) == list(range(100))
    assert server.requests == 12


def test_after_a_short_page_the_number_of_concurrent_requests_recovers_within_five_rounds() -> None:
    page_window, requested = PageWindow(10, 16), RowRange(0, 10)
    page_window.record_page(requested, 10)
    assert page_window.width(1000, 10) == 16
    page_window.record_page(requested, 7)
    assert page_window.width(1000, 10) == 1
    rounds = 0
    while (width := page_window.width(1000, 10)) < 16:
        rounds += 1
        for _ in range(width):
            page_window.record_page(requested, 10)
    assert rounds <= 5


# Ranges, and whether a page continues or ends the list


@pytest.mark.parametrize(
    ("requested", "known", "continues"),
    [
        (RowRange(0, 10), [], True),
        (RowRange(0, 10), [False, False], True),
        (RowRange(5, 10, 3), [], False),
        (RowRange(5, 10, 3), [True, True, True], True),
        (RowRange(5, 10, 3), [True, False, True], False),
        (RowRange(5, 10, 1), [True, False, True], True),
        (RowRange(5, 10, 0), [False], False),
    ],
)
def test_a_page_continues_the_list_if_it_begins_with_known_rows(
    requested: RowRange,
    known: list[bool],
    continues: bool,  # noqa: FBT001 - a column
) -> None:
    assert continues_list(requested, known) is continues


@pytest.mark.parametrize(
    ("end", "requested", "count", "total", "is_last"),
    [
        (10, 10, 10, None, False),
        (9, 10, 9, None, True),
        (10, 10, 10, 10, True),
        (10, 10, 10, 25, False),
        (9, 10, 9, 25, False),
        (10, 10, 10, 5, False),
        (9, 10, 9, 5, True),
        (0, 10, 0, 0, True),
    ],
)
def test_the_last_page_is_known_by_the_total_or_by_its_length(
    end: int,
    requested: int,
    count: int,
    total: int | None,
    is_last: bool,  # noqa: FBT001 - a table's column
) -> None:
    assert is_last_page(end, requested=requested, count=count, total=total) is is_last


def test_ranges_overlap_and_stay_within_the_end() -> None:
    assert row_ranges(RowRange(0, 10), 0, count=3, end=None) == [RowRange(0, 10), RowRange(10, 10), RowRange(20, 10)]
    assert row_ranges(RowRange(0, 10), 0, count=3, end=15) == [RowRange(0, 10), RowRange(10, 5)]
    assert row_ranges(RowRange(8, 10, 2), 3, count=2, end=None) == [RowRange(8, 10, 2), RowRange(15, 10, 3)]
    assert row_ranges(RowRange(8, 10, 2), 3, count=9, end=12) == [RowRange(8, 4, 2)]
