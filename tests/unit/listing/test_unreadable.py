"""Rows that cannot be read, in lists of every kind: the others are returned, then one error names these rows."""

from collections.abc import Callable
from functools import partial
from operator import attrgetter
from typing import Any

import pytest
from attrs import frozen
from hypothesis import given, strategies as st

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


def unreadable_row(index: int) -> Any:
    return UnreadableRow((f"required field missing @ $[{index}].id",), {"title": index})


async def send(call: Call[Any], /) -> Any:
    return call.read(None)  # type: ignore[arg-type]  # the pages here read no reply


def page(rows: list[Any], total: int | None, offset: int, size: int) -> Call[Page[Row]]:
    """Return the call for rows from an offset on."""
    items = tuple(rows[offset : offset + size])
    more = offset + size < len(rows)
    following = page(rows, total, offset + size, size) if more else None
    return Call("GET", "/list", lambda _: Page(items, following, total))


def linked(rows: list[Any], size: int, total: int | None) -> Any:
    return page(rows, total, 0, size)


def by_offset(rows: list[Any], size: int, total: int | None) -> Callable[[ScanState[Row]], Scan[Row]]:
    return lambda state: OffsetScan(partial(page, rows, total), state, PageWindow(size, 3))


def overlapping(rows: list[Any], size: int, total: int | None) -> Callable[[ScanState[Row]], Scan[Row]]:
    return lambda state: OverlapScan(partial(page, rows, total), state, PageWindow(size, 3))


def active(rows: list[Any], size: int, total: int | None) -> Callable[[ScanState[Row]], Scan[Row]]:
    return lambda state: ActiveScan(partial(page, rows, total), state, size, len(rows))


def by_time(rows: list[Any], size: int, total: int | None) -> Callable[[ScanState[Row]], Scan[Row]]:
    """Return a scan by time windows, in which a row's index is its date."""

    def window_call(window: Window | None, offset: int, count: int) -> Call[Page[Row]]:
        within = rows if window is None else rows[max(0, window.first) : window.last + 1]
        return page(within, None if total is None else len(within), offset, count)

    return lambda state: TimeWindowScan(window_call, state, size, 3, Window(0, 127))


KINDS = [linked, by_offset, overlapping, active, by_time]


def listing(kind: Any, rows: list[Any], size: int, *, total: bool = False, **options: Any) -> Listing[Row]:
    return Listing(send, kind(rows, size, len(rows) if total else None), attrgetter("id"), **options)


async def read_until_error(listed: Listing[Row]) -> tuple[list[int], DecodeError | None]:
    """Return the ids of the rows before an error, and the error."""
    found: list[int] = []
    try:
        async for row in listed:
            found.append(row.id)  # noqa: PERF401 - rows before an error must be kept
    except DecodeError as error:
        return found, error
    return found, None


@pytest.mark.parametrize("total", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@given(
    count=st.integers(0, 40),
    unreadable_indexes=st.sets(st.integers(0, 39), max_size=12),
    size=st.integers(2, 9),
    unreadable=st.sampled_from(["raise", "skip"]),
)
async def test_every_other_row_is_returned_once_and_each_of_these_is_named(
    kind: Any, total: bool, count: int, unreadable_indexes: set[int], size: int, unreadable: OnUnreadable  # noqa: FBT001 - a column
) -> None:  # fmt: skip
    rows = [unreadable_row(index) if index in unreadable_indexes else Row(index) for index in range(count)]
    listed = listing(kind, rows, size, total=total, unreadable=unreadable)
    found, error = await read_until_error(listed)
    skipped = sorted(index for index in unreadable_indexes if index < count)
    assert sorted(found) == [index for index in range(count) if index not in unreadable_indexes]
    assert kind is by_time or found == sorted(found)
    assert sorted(row.row["title"] for row in listed.report.unreadable) == skipped
    assert (error is not None) == (bool(skipped) and unreadable == "raise")
    assert error is None or len(error.faults) == len(skipped)
    assert listed.report.rows == len(found)


async def test_the_error_names_page_and_place_and_keeps_the_rows() -> None:
    rows = [Row(0), unreadable_row(1), Row(2), Row(3), Row(4), unreadable_row(2)]
    listed = listing(linked, rows, 3)
    found, error = await read_until_error(listed)
    assert found == [0, 2, 3, 4]
    assert error is not None
    assert error.faults == (
        "page 1: required field missing @ $[1].id",
        "page 2: required field missing @ $[2].id",
    )
    assert error.body == "{'title': 1}\n{'title': 2}"
    assert [row.page for row in listed.report.unreadable] == [1, 2]


async def test_a_list_of_unreadable_rows_is_an_error() -> None:
    rows = [unreadable_row(index) for index in range(2000)]
    listed = listing(by_offset, rows, 100)
    assert {page.items async for page in listing(by_offset, rows, 100, unreadable="skip").pages()} == {()}
    with pytest.raises(DecodeError, match="; and 1990 more$") as caught:
        await listed.first()
    assert len(caught.value.faults) == 2000
    assert len(caught.value.body) == BODY_CUT


async def test_leaving_early_raises_no_error_and_the_report_has_the_rows() -> None:
    listed = listing(linked, [unreadable_row(0), Row(1), unreadable_row(2)], 2)
    assert await listed.first() == Row(1)
    assert [row.row for row in listed.report.unreadable] == [{"title": 0}]


async def test_an_unreadable_row_does_not_count_towards_the_limit_or_reach_the_predicate() -> None:
    rows = [unreadable_row(0), Row(1), Row(2), unreadable_row(3), Row(4), Row(5)]
    listed = listing(by_offset, rows, 2, limit=3, unreadable="skip", predicate=lambda row: row.id != 2)
    assert [row.id async for row in listed] == [1, 4, 5]


async def test_the_same_row_in_two_pages_is_named_once() -> None:
    listed = listing(
        overlapping, [*map(Row, range(8)), unreadable_row(8), *map(Row, range(9, 14))], 10, unreadable="skip"
    )
    assert [row.id async for row in listed] == [*range(8), *range(9, 14)]
    assert len(listed.report.unreadable) == 1


async def test_a_second_pass_starts_over() -> None:
    listed = listing(linked, [Row(0), unreadable_row(1)], 5, unreadable="skip")
    for _ in range(2):
        assert [row.id async for row in listed] == [0]
        assert len(listed.report.unreadable) == 1


def test_another_value_is_rejected_immediately() -> None:
    with pytest.raises(InvalidArgument, match="^unreadable: must be one of raise, skip"):
        listing(linked, [], 5, unreadable="ignore")
