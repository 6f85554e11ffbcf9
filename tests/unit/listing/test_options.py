"""The options of a listing select its scan, and are checked once."""

from typing import Any

import pytest

from workflow_async._core.call import Call, Page
from workflow_async._listing.by_offset import OffsetScan, OverlapScan
from workflow_async._listing.by_time import TimeWindowScan, Window
from workflow_async._listing.options import ListOptions, ScanFactory
from workflow_async._listing.scan import ScanState
from workflow_async.errors import InvalidArgument


def window_call(window: Window | None, offset: int, rows: int) -> Call[Page[int]]:
    return Call("GET", f"/{window}/{offset}/{rows}", lambda _: Page(()))


FACTORY = ScanFactory(window_call=window_call, period=Window(0, 100), bounded=True)


def options(**changes: Any) -> ListOptions:
    return ListOptions(**{"consistency": "fast", "page_size": 10, "ahead": 4, **changes})


@pytest.mark.parametrize(
    ("consistency", "scan", "path"),
    [
        ("fast", OffsetScan, "/None/0/10"),
        ("anchored", OverlapScan, "/None/0/10"),
        ("partitioned", TimeWindowScan, f"/{Window(0, 100)}/0/10"),
    ],
)
def test_the_consistency_selects_the_scan(consistency: str, scan: type[Any], path: str) -> None:
    started = FACTORY.bind(options(consistency=consistency))(ScanState(lambda row: row))
    assert isinstance(started, scan)
    assert [call.path for call in started.next_calls()] == [path]


@pytest.mark.parametrize(("consistency", "exact"), [("fast", False), ("anchored", True), ("partitioned", True)])
def test_all_but_fast_listings_are_exact(consistency: str, exact: bool) -> None:  # noqa: FBT001 - a column
    assert options(consistency=consistency).exact is exact


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"consistency": "slow"}, "^consistency: must be one of fast, anchored, partitioned$"),
        ({"page_size": 0}, "^page_size: "),
        ({"page_size": 1, "consistency": "anchored"}, "^page_size: "),
        ({"ahead": 0}, "^ahead: "),
    ],
    ids=str,
)
def test_an_invalid_option_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        options(**changes)


def test_a_page_of_one_row_is_valid_without_an_overlap() -> None:
    assert options(page_size=1).page_size == 1
