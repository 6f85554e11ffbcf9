"""Listings that ask for several pages at once: in order, no more than needed, nothing left behind."""

import asyncio
import gc
import itertools
import tracemalloc
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import anyio
import pytest
from attrs import define, field

from tests.support.byte_server import SuspensionTrigger
from workflow_async._core.call import Call, Page
from workflow_async._listing.by_offset import (
    OffsetScan,
    OverlapScan,
    PageWindow,
    RowRange,
    continues_list,
    is_last_page,
    row_ranges,
)
from workflow_async._listing.listing import Listing, ListingReport
from workflow_async._listing.scan import ScanState
from workflow_async.errors import ConnectionBroken, DecodeError, ListingInconsistent


@define
class Far:
    """A list behind a wire: answers take a while, and come in whatever order `turns` says."""

    rows: list[int]
    size: int = 10
    totals: bool = True
    cap: int = 1000
    broken: dict[int, Exception] = field(factory=dict)
    turns: Callable[[int], int] = lambda _: 1
    """Turns of the loop that the answer from an offset on takes."""
    asked: list[tuple[int, int]] = field(factory=list)
    going: int = 0
    most: int = 0
    cut: int = 0
    """Requests that were given up."""

    def call(self, offset: int, rows: int) -> Call[Page[int]]:
        return Call("GET", f"/list?{offset}", lambda _: Page(()), (("offset", str(offset)), ("rows", str(rows))))

    async def send(self, call: Call[Any], /) -> Any:
        offset, rows = (int(value) for _, value in call.params)
        self.asked.append((offset, rows))
        self.going += 1
        self.most = max(self.most, self.going)
        try:
            for _ in range(self.turns(offset)):
                await anyio.lowlevel.checkpoint()
            if offset in self.broken:
                raise self.broken[offset]
            found = self.rows[offset : offset + min(rows, self.cap)]
            return Page(tuple(found), total=len(self.rows) if self.totals else None)
        except asyncio.CancelledError:
            self.cut += 1
            raise
        finally:
            self.going -= 1

    def listing(self, ahead: int = 4, **asked: Any) -> Listing[int]:
        return Listing(
            self.send,
            lambda found: OffsetScan(self.call, found, PageWindow(self.size, ahead)),
            lambda row: row,
            **asked,
        )

    def anchored(self, ahead: int = 4, **asked: Any) -> Listing[int]:
        return Listing(
            self.send,
            lambda found: OverlapScan(self.call, found, PageWindow(self.size, ahead)),
            lambda row: row,
            consistency="anchored",
            **asked,
        )


async def everything(listing: Listing[int], into: list[int]) -> None:
    """Read a listing to its end, wherever that is."""
    async for row in listing:
        into.append(row)  # noqa: PERF401 - what came before an error counts


def running() -> "asyncio.Task[Any]":
    task = asyncio.current_task()
    assert task is not None
    return task


def offsets(far: Far) -> list[int]:
    return [offset for offset, _ in far.asked]


async def test_the_first_page_is_asked_for_alone() -> None:
    far = Far([*range(100)])
    pages = far.listing().pages()
    await anext(pages)
    assert offsets(far) == [0]
    assert await far.listing().first() == 0
    assert offsets(far) == [0, 0]


async def test_with_a_total_exactly_the_pages_that_remain_are_asked_for() -> None:
    far = Far([*range(95)])
    assert [row async for row in far.listing()] == [*range(95)]
    assert offsets(far) == [*range(0, 100, 10)]
    assert far.most == 4


async def test_without_a_total_pages_at_once_grow_with_what_has_come() -> None:
    far = Far([*range(335)], totals=False, turns=lambda _: 20)
    assert [row async for row in far.listing(ahead=8)] == [*range(335)]
    assert offsets(far) == [*range(0, 410, 10)]  # 34 pages, and 7 in vain: as many as are on their way behind the last
    assert far.most == 8


@pytest.mark.parametrize("count", range(0, 130, 7))
@pytest.mark.parametrize("totals", [True, False])
async def test_what_is_asked_in_vain_is_less_than_what_is_asked_at_once(count: int, totals: bool) -> None:  # noqa: FBT001
    far = Far([*range(count)], totals=totals)
    assert [row async for row in far.listing(ahead=4)] == [*range(count)]
    needed = max(1, -(-count // 10)) if totals else count // 10 + 1
    assert needed <= len(far.asked) <= needed + (0 if totals else 3)


async def test_pages_come_in_order_however_the_answers_do() -> None:
    far = Far([*range(100)], turns=lambda offset: 30 - offset // 10 * 3)
    assert [row async for row in far.listing()] == [*range(100)]


@pytest.mark.parametrize("limit", [1, 9, 10, 11, 45, 50, 99, 100, 101])
@pytest.mark.parametrize("totals", [True, False])
async def test_nothing_is_asked_for_beyond_the_limit(limit: int, totals: bool) -> None:  # noqa: FBT001 - a column
    far = Far([*range(100)], totals=totals)
    assert [row async for row in far.listing(limit=limit)] == [*range(100)][:limit]
    assert max(offset + rows for offset, rows in far.asked) <= max(limit, 10) + (10 if limit > 100 else 0)


async def test_a_server_that_ignores_the_limit_gives_no_more_than_was_wanted() -> None:
    far = Far([*range(100)])
    whole = lambda _offset, _rows: far.call(0, 100)  # noqa: E731 - shorter than a function
    listing = Listing(far.send, lambda found: OffsetScan(whole, found, PageWindow(10, 4)), lambda row: row, limit=25)
    assert [row async for row in listing] == [*range(25)]
    assert len(far.asked) == 1


@pytest.mark.parametrize("totals", [True, False])
async def test_an_anchored_listing_of_a_server_that_caps_its_pages_loses_nothing(totals: bool) -> None:  # noqa: FBT001
    far = Far([*range(100)], totals=totals, cap=7)
    listing = far.anchored()
    assert [row async for row in listing] == [*range(100)]
    assert listing.report.steps_back == 0


async def test_a_server_that_caps_its_pages_is_asked_for_what_it_gives_once_that_is_known() -> None:
    far = Far([*range(100)], cap=3, turns=lambda _: 20)
    assert [row async for row in far.listing()] == [*range(100)]
    assert len(far.asked) <= 34 + 4
    assert far.most == 4


async def test_after_a_short_page_what_was_asked_behind_it_is_dropped() -> None:
    far = Far([*range(60)])
    found = []
    async for row in far.listing():
        found.append(row)
        if row == 9:
            del far.rows[55:]
            far.cap = 4
        if row == 13:
            far.cap = 1000
    assert found == [*range(55)]


async def test_after_a_short_page_an_anchored_listing_has_nothing_to_step_back_from() -> None:
    far = Far([*range(60)])
    listing, found = far.anchored(), []
    async for row in listing:
        found.append(row)
        if row == 9:
            far.cap = 4
        if row == 13:
            far.cap = 1000
    assert found == [*range(60)]
    assert listing.report.steps_back == 0


async def test_an_error_comes_when_its_turn_does_and_as_itself() -> None:
    far = Far([*range(100)], broken={30: ConnectionBroken("cut"), 40: DecodeError("later")})
    found: list[int] = []
    with pytest.raises(ConnectionBroken):
        await everything(far.listing(), found)
    assert found == [*range(30)]
    assert far.going == 0


async def test_what_is_asked_behind_an_error_is_cut_off() -> None:
    far = Far([*range(100)], broken={20: ConnectionBroken("cut")}, turns=lambda offset: 1 if offset < 30 else 10**9)
    with anyio.fail_after(30), pytest.raises(ConnectionBroken):
        _ = [row async for row in far.listing()]
    assert far.going == 0


async def test_an_error_behind_the_end_is_none() -> None:
    far = Far([*range(45)], totals=False, broken={50: ConnectionBroken("cut")})
    assert [row async for row in far.listing()] == [*range(45)]
    assert 50 in offsets(far)


@pytest.mark.parametrize("way", ["native", "scope"])
async def test_cancelling_at_any_point_leaves_no_task(way: str) -> None:
    async def run(far: Far, k: int) -> SuspensionTrigger:
        scope = anyio.CancelScope()
        step = SuspensionTrigger(k, running().cancel if way == "native" else scope.cancel)
        with scope:
            await step.run(everything(far.listing(), []))
        return step

    for k in itertools.count(1):
        far = Far([*range(100)], turns=lambda _: 2)
        (outcome,) = await asyncio.gather(run(far, k), return_exceptions=True)
        assert far.going == 0
        assert len(asyncio.all_tasks()) == 1
        if isinstance(outcome, SuspensionTrigger) and outcome.count < k:
            break
    assert k >= 5


FROM_THE_THIRD_PAGE = 20


def slow(offset: int) -> int:
    return 10**9 if offset >= FROM_THE_THIRD_PAGE else 1


async def test_while_a_page_is_read_the_next_are_on_their_way_and_it_is_one_of_so_many() -> None:
    far = Far([*range(100)], turns=slow)
    async with aclosing(far.listing(ahead=3).pages()) as pages:
        await anext(pages)
        assert offsets(far) == [0]
        await anext(pages)
        await anyio.lowlevel.checkpoint()
        assert (far.going, offsets(far)) == (2, [0, 10, 20, 30])
    assert (far.going, len(asyncio.all_tasks())) == (0, 1)


async def test_one_page_at_a_time_is_never_asked_for_while_another_is_read() -> None:
    far = Far([*range(30)])
    async for page in far.listing(ahead=1).pages():
        for _ in range(5):
            await anyio.lowlevel.checkpoint()
        assert far.going == 0
        assert len(far.asked) == page.items[-1] // 10 + 1


async def test_a_slow_reader_holds_no_connection() -> None:
    far = Far([*range(100)], turns=lambda _: 3)
    async for _ in far.listing().pages():
        for _ in range(10):
            await anyio.lowlevel.checkpoint()
        assert far.going == 0


async def test_leaving_early_leaves_no_task() -> None:
    far = Far([*range(100)], turns=slow)
    async for row in far.listing():
        if row == 15:
            break
    assert far.going == 3
    while len(asyncio.all_tasks()) > 1:  # until the event loop has closed the generator
        await anyio.lowlevel.checkpoint()
    assert far.going == 0


async def test_what_was_asked_in_vain_is_answered_so_that_its_connections_last() -> None:
    far = Far([*range(35)], totals=False, turns=lambda offset: offset + 1)
    async for _ in far.listing():
        pass
    assert (far.going, far.cut, len(far.asked)) == (0, 0, 6)


async def test_only_so_many_pages_are_held() -> None:
    class Heavy:
        def __init__(self, id: int) -> None:
            self.id, self.weight = id, bytearray(10_000)

    def page(offset: int, rows: int) -> Call[Page[Heavy]]:
        return Call("GET", "/", lambda _: Page(tuple(map(Heavy, range(offset, offset + rows))), total=1000))

    async def send(call: Call[Any], /) -> Any:
        await anyio.lowlevel.checkpoint()
        return call.read(None)  # type: ignore[arg-type]  # it reads no reply

    listing = Listing[Heavy](send, lambda found: OffsetScan(page, found, PageWindow(10, 4)), lambda heavy: heavy.id)
    gc.collect()
    tracemalloc.start()
    try:
        async for _ in listing:
            pass
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2 * 4 * 10 * 10_000


async def test_the_report_tells_what_the_last_pass_did() -> None:
    far = Far([*range(35)], totals=False)
    listing = far.listing(lag=10.0)
    assert listing.report == ListingReport("fast", lag=10.0)
    assert await listing.first() == 0
    assert listing.report == ListingReport("fast", requests=1, pages=1, rows=10, lag=10.0)
    async for row in listing:
        if row == 5:
            far.rows.insert(0, 99)
    report = listing.report
    assert (report.rows, report.duplicates, report.pages, report.steps_back) == (35, 1, 4, 0)
    assert report.requests == 6  # two in vain


async def test_an_anchored_listing_steps_back_to_where_rows_went() -> None:
    far = Far([*range(40)])
    listing, found = far.anchored(ahead=1), []
    async for row in listing:
        found.append(row)
        if row == 9:
            del far.rows[:8]
    assert found == [*range(40)]
    assert listing.report.steps_back == 1
    assert listing.report.consistency == "anchored"


async def test_a_fast_listing_misses_rows_that_move_up() -> None:
    far = Far([*range(40)])
    found = []
    async for row in far.listing():
        found.append(row)
        if row == 9:
            del far.rows[:8]
    assert found == [*range(10), *range(18, 40)]


async def test_an_undisturbed_anchored_listing_asks_for_the_overlap_and_no_more() -> None:
    far = Far([*range(1000)], size=100)
    listing = far.anchored(ahead=16)
    assert [row async for row in listing] == [*range(1000)]
    assert listing.report.requests == 11
    assert listing.report.duplicates == 50


@pytest.mark.parametrize("limit", [1, 7, 10, 26])
async def test_an_anchored_listing_asks_for_nothing_beyond_its_limit(limit: int) -> None:
    far = Far([*range(100)])
    assert [row async for row in far.anchored(limit=limit)] == [*range(limit)]
    assert max(offset + rows for offset, rows in far.asked) == limit


async def test_an_anchored_listing_whose_total_never_comes_true_is_inconsistent() -> None:
    far = Far([*range(25)])

    async def send(call: Call[Any], /) -> Any:
        page = await far.send(call)
        return Page(page.items, total=1000)

    listing = Listing[int](send, lambda found: OverlapScan(far.call, found, PageWindow(10, 4)), lambda row: row)
    found: list[int] = []
    with pytest.raises(ListingInconsistent):
        await everything(listing, found)
    assert found == [*range(25)]
    assert len(far.asked) <= 40


async def test_an_anchored_listing_of_the_same_page_for_ever_is_inconsistent() -> None:
    far = Far([*range(10)])
    same = lambda _offset, rows: far.call(0, rows)  # noqa: E731 - shorter than a function
    listing = Listing(far.send, lambda found: OverlapScan(same, found, PageWindow(10, 1)), lambda row: row)
    far.totals = False
    with pytest.raises(ListingInconsistent, match="pages, after 10 rows: the list repeats itself"):
        _ = [row async for row in listing]
    assert len(far.asked) <= 25


# Decisions


@pytest.mark.parametrize(
    ("span", "known", "joined"),
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
def test_a_page_joins_if_it_begins_with_what_is_known(span: RowRange, known: list[bool], joined: bool) -> None:  # noqa: FBT001
    assert continues_list(span, known) is joined


@pytest.mark.parametrize(
    ("reached", "asked", "count", "total", "over"),
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
def test_the_last_page_is_told_by_the_total_or_by_its_length(
    reached: int,
    asked: int,
    count: int,
    total: int | None,
    over: bool,  # noqa: FBT001 - a table's column
) -> None:
    assert is_last_page(reached, requested=asked, count=count, total=total) is over


def test_spans_overlap_and_stay_within_the_end() -> None:
    assert row_ranges(RowRange(0, 10), 0, count=3, end=None) == [RowRange(0, 10), RowRange(10, 10), RowRange(20, 10)]
    assert row_ranges(RowRange(0, 10), 0, count=3, end=15) == [RowRange(0, 10), RowRange(10, 5)]
    assert row_ranges(RowRange(8, 10, 2), 3, count=2, end=None) == [RowRange(8, 10, 2), RowRange(15, 10, 3)]
    assert row_ranges(RowRange(8, 10, 2), 3, count=9, end=12) == [RowRange(8, 4, 2)]


def test_only_rows_that_are_wanted_count_for_the_limit() -> None:
    found = ScanState[int](lambda row: row, limit=2, predicate=lambda row: row % 2 == 0)
    assert found.rows_left is None
    assert found.accept([1, 2, 3]) == (2,)
    assert not found.limit_reached
    assert found.accept([3, 4, 4, 6]) == (4,)
    assert found.limit_reached
    assert found.duplicates == 2
