"""Scans of a list of which some pages come empty, and how many pages are asked for at once after a short one."""

import pytest
from attrs import define, field

from workflow_async._core.call import Call, Page
from workflow_async._listing.by_offset import OffsetScan, OverlapScan, PageWindow, RowRange, RowsCall
from workflow_async._listing.scan import Scan, ScanState
from workflow_async.errors import ListingInconsistent


@define
class Glitching:
    """A list of so many rows, whose answers of these numbers are empty."""

    count: int
    empty: set[int]
    total: int
    asked: int = field(default=0, init=False)

    def rows(self, offset: int, rows: int) -> Call[Page[int]]:
        """The call for rows from an offset on."""

        def read(_: object) -> Page[int]:
            items = () if self.asked in self.empty else range(self.count)[offset : offset + rows]
            self.asked += 1
            return Page(tuple(items), total=self.total)

        return Call("GET", "/list", read)

    def read(self, scan: Scan[int]) -> list[int]:
        """Every row that a scan gives, one request after the other."""
        given: list[int] = []
        while not scan.done and (calls := scan.next_calls()):
            for call in calls:
                taken = scan.accept(call.read(None))  # type: ignore[arg-type]  # the pages here read no reply
                if taken is None:
                    break
                given += taken
        return given


def anchored(rows: RowsCall[int]) -> Scan[int]:
    return OverlapScan(rows, ScanState(lambda row: row), PageWindow(10, 1))


def straight(rows: RowsCall[int]) -> Scan[int]:
    return OffsetScan(rows, ScanState(lambda row: row), PageWindow(10, 1))


@pytest.mark.parametrize("empty", [{3}, {3, 8}, {3, 8, 13, 18}, {1, 5, 9}])
def test_empty_pages_between_others_are_endured_by_an_anchored_scan(empty: set[int]) -> None:
    server = Glitching(100, empty, 100)
    assert server.read(anchored(server.rows)) == list(range(100))


@pytest.mark.parametrize("empty", [{3}, {3, 8}, {3, 8, 13}])
def test_empty_pages_between_others_are_endured_by_a_scan_straight_on(empty: set[int]) -> None:
    server = Glitching(200, empty, 200)
    assert server.read(straight(server.rows)) == list(range(200))


@pytest.mark.parametrize("empty", [set[int](), set(range(5, 1000))])
def test_a_list_that_ends_below_its_total_is_an_error_of_an_anchored_scan(empty: set[int]) -> None:
    server = Glitching(100, empty, 1000)
    with pytest.raises(ListingInconsistent):
        server.read(anchored(server.rows))
    assert server.asked <= 100


def test_a_list_that_ends_below_its_total_ends_a_scan_straight_on_after_two_empty_pages() -> None:
    server = Glitching(100, set(), 1000)
    assert server.read(straight(server.rows)) == list(range(100))
    assert server.asked == 12


def test_after_a_short_page_as_many_pages_as_before_are_asked_for_at_once_again_soon() -> None:
    pace, span = PageWindow(10, 16), RowRange(0, 10)
    pace.record_page(span, 10)
    assert pace.width(1000, 10) == 16
    pace.record_page(span, 7)
    assert pace.width(1000, 10) == 1
    rounds = 0
    while (width := pace.width(1000, 10)) < 16:
        rounds += 1
        for _ in range(width):
            pace.record_page(span, 10)
    assert rounds <= 5
