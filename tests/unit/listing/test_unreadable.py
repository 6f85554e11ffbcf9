"""Rows that cannot be read, in lists of every kind: the others are given, and then one error names these."""

from collections.abc import Callable
from functools import partial
from operator import attrgetter
from typing import Any

import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st

from workflow_async._core.call import Call, OnUnreadable, Page, UnreadableRow
from workflow_async._listing.active_scan import ActiveScan
from workflow_async._listing.by_offset import OffsetScan, OverlapScan, PageWindow
from workflow_async._listing.by_time import TimeWindowScan, Window
from workflow_async._listing.listing import Listing
from workflow_async._listing.scan import Scan, ScanState
from workflow_async.errors import BODY_CUT, DecodeError, InvalidArgument


@frozen
class Row:
    id: int


def odd(place: int) -> Any:
    return UnreadableRow((f"required field missing @ $[{place}].id",), {"title": place})


async def send(call: Call[Any], /) -> Any:
    return call.read(None)  # type: ignore[arg-type]  # the pages here read no reply


def page(rows: list[Any], total: int | None, offset: int, size: int) -> Call[Page[Row]]:
    """The call for rows from an offset on."""
    items = tuple(rows[offset : offset + size])
    more = offset + size < len(rows)
    following = page(rows, total, offset + size, size) if more else None
    return Call("GET", "/list", lambda _: Page(items, following, total))


def chain(rows: list[Any], size: int, total: int | None) -> Any:
    return page(rows, total, 0, size)


def straight(rows: list[Any], size: int, total: int | None) -> Callable[[ScanState[Row]], Scan[Row]]:
    return lambda found: OffsetScan(partial(page, rows, total), found, PageWindow(size, 3))


def anchored(rows: list[Any], size: int, total: int | None) -> Callable[[ScanState[Row]], Scan[Row]]:
    return lambda found: OverlapScan(partial(page, rows, total), found, PageWindow(size, 3))


def sweep(rows: list[Any], size: int, total: int | None) -> Callable[[ScanState[Row]], Scan[Row]]:
    return lambda found: ActiveScan(partial(page, rows, total), found, size, len(rows))


def partitioned(rows: list[Any], size: int, total: int | None) -> Callable[[ScanState[Row]], Scan[Row]]:
    """Each row has its place as its date; the windows are cut until each fits into one answer."""

    def cut(window: Window | None, offset: int, count: int) -> Call[Page[Row]]:
        within = rows if window is None else rows[max(0, window.first) : window.last + 1]
        return page(within, None if total is None else len(within), offset, count)

    return lambda found: TimeWindowScan(cut, found, size, 3, Window(0, 127))


KINDS = [chain, straight, anchored, sweep, partitioned]


def listing(kind: Any, rows: list[Any], size: int, *, total: bool = False, **options: Any) -> Listing[Row]:
    return Listing(send, kind(rows, size, len(rows) if total else None), attrgetter("id"), **options)


async def given_and_error(listed: Listing[Row]) -> tuple[list[int], DecodeError | None]:
    """The ids that are given, and the error behind them."""
    found: list[int] = []
    try:
        async for row in listed:
            found.append(row.id)  # noqa: PERF401 - what came before an error counts
    except DecodeError as error:
        return found, error
    return found, None


@pytest.mark.parametrize("total", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@given(
    count=st.integers(0, 40),
    odds=st.sets(st.integers(0, 39), max_size=12),
    size=st.integers(2, 9),
    unreadable=st.sampled_from(["raise", "skip"]),
)
async def test_every_other_row_is_given_once_and_each_of_these_is_named(
    kind: Any, total: bool, count: int, odds: set[int], size: int, unreadable: OnUnreadable  # noqa: FBT001 - a column
) -> None:  # fmt: skip
    rows = [odd(place) if place in odds else Row(place) for place in range(count)]
    listed = listing(kind, rows, size, total=total, unreadable=unreadable)
    found, error = await given_and_error(listed)
    lost = sorted(place for place in odds if place < count)
    assert sorted(found) == [place for place in range(count) if place not in odds]
    assert kind is partitioned or found == sorted(found)
    assert sorted(row.row["title"] for row in listed.report.unreadable) == lost
    assert (error is not None) == (bool(lost) and unreadable == "raise")
    assert error is None or len(error.faults) == len(lost)
    assert listed.report.rows == len(found)


async def test_the_error_names_page_and_place_and_keeps_the_rows() -> None:
    rows = [Row(0), odd(1), Row(2), Row(3), Row(4), odd(2)]
    listed = listing(chain, rows, 3)
    found, error = await given_and_error(listed)
    assert found == [0, 2, 3, 4]
    assert error is not None
    assert error.faults == (
        "page 1: required field missing @ $[1].id",
        "page 2: required field missing @ $[2].id",
    )
    assert error.body == "{'title': 1}\n{'title': 2}"
    assert [row.page for row in listed.report.unreadable] == [1, 2]


async def test_a_list_of_nothing_else_is_no_empty_list() -> None:
    rows = [odd(place) for place in range(2000)]
    listed = listing(straight, rows, 100)
    assert {page.items async for page in listing(straight, rows, 100, unreadable="skip").pages()} == {()}
    with pytest.raises(DecodeError, match="; and 1990 more$") as caught:
        await listed.first()
    assert len(caught.value.faults) == 2000
    assert len(caught.value.body) == BODY_CUT


async def test_who_leaves_early_gets_no_error_and_finds_them_in_the_report() -> None:
    listed = listing(chain, [odd(0), Row(1), odd(2)], 2)
    assert await listed.first() == Row(1)
    assert [row.row for row in listed.report.unreadable] == [{"title": 0}]


async def test_such_a_row_takes_no_place_of_the_limit_and_is_asked_for_by_no_filter() -> None:
    rows = [odd(0), Row(1), Row(2), odd(3), Row(4), Row(5)]
    listed = listing(straight, rows, 2, limit=3, unreadable="skip", predicate=lambda row: row.id != 2)
    assert [row.id async for row in listed] == [1, 4, 5]


async def test_the_same_row_in_two_pages_is_named_once() -> None:
    listed = listing(anchored, [*map(Row, range(8)), odd(8), *map(Row, range(9, 14))], 10, unreadable="skip")
    assert [row.id async for row in listed] == [*range(8), *range(9, 14)]
    assert len(listed.report.unreadable) == 1


async def test_a_second_pass_begins_anew() -> None:
    listed = listing(chain, [Row(0), odd(1)], 5, unreadable="skip")
    for _ in range(2):
        assert [row.id async for row in listed] == [0]
        assert len(listed.report.unreadable) == 1


def test_another_word_is_refused_at_once() -> None:
    with pytest.raises(InvalidArgument, match="^unreadable: must be one of raise, skip"):
        listing(chain, [], 5, unreadable="ignore")
