"""Listings that request several pages concurrently: in order, no more than needed, and no task is left."""

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
)
from workflow_async._listing.listing import Listing, ListingReport
from workflow_async.errors import ConnectionBroken, DecodeError, ListingInconsistent


@define
class SlowList:
    """A server's list whose responses take `turns` turns of the loop, and therefore arrive in any order."""

    rows: list[int]
    size: int = 10
    reports_total: bool = True
    max_rows: int = 1000
    errors: dict[int, Exception] = field(factory=dict)
    turns: Callable[[int], int] = lambda _: 1
    """Turns of the loop that the response from an offset on takes."""
    requests: list[tuple[int, int]] = field(factory=list)
    in_flight: int = 0
    max_in_flight: int = 0
    cancelled: int = 0
    """Requests that were cancelled."""

    def call(self, offset: int, rows: int) -> Call[Page[int]]:
        return Call("GET", f"/list?{offset}", lambda _: Page(()), (("offset", str(offset)), ("rows", str(rows))))

    async def send(self, call: Call[Any], /) -> Any:
        offset, rows = (int(value) for _, value in call.params)
        self.requests.append((offset, rows))
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        try:
            for _ in range(self.turns(offset)):
                await anyio.lowlevel.checkpoint()
            if offset in self.errors:
                raise self.errors[offset]
            found = self.rows[offset : offset + min(rows, self.max_rows)]
            return Page(tuple(found), total=len(self.rows) if self.reports_total else None)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.in_flight -= 1

    def fast_listing(self, ahead: int = 4, **options: Any) -> Listing[int]:
        return Listing(
            self.send,
            lambda state: OffsetScan(self.call, state, PageWindow(self.size, ahead)),
            lambda row: row,
            **options,
        )

    def anchored_listing(self, ahead: int = 4, **options: Any) -> Listing[int]:
        return Listing(
            self.send,
            lambda state: OverlapScan(self.call, state, PageWindow(self.size, ahead)),
            lambda row: row,
            consistency="anchored",
            **options,
        )


async def read_all(listing: Listing[int], into: list[int]) -> None:
    """Read a listing to its end or to an error."""
    async for row in listing:
        into.append(row)  # noqa: PERF401 - rows before an error must be kept


def current_task() -> "asyncio.Task[Any]":
    task = asyncio.current_task()
    assert task is not None
    return task


def offsets(server: SlowList) -> list[int]:
    return [offset for offset, _ in server.requests]


async def test_the_first_page_is_requested_alone() -> None:
    server = SlowList([*range(100)])
    pages = server.fast_listing().pages()
    await anext(pages)
    assert offsets(server) == [0]
    assert await server.fast_listing().first() == 0
    assert offsets(server) == [0, 0]


async def test_with_a_total_exactly_the_remaining_pages_are_requested() -> None:
    server = SlowList([*range(95)])
    assert [row async for row in server.fast_listing()] == [*range(95)]
    assert offsets(server) == [*range(0, 100, 10)]
    assert server.max_in_flight == 4


async def test_without_a_total_the_number_of_concurrent_requests_grows() -> None:
    server = SlowList([*range(335)], reports_total=False, turns=lambda _: 20)
    assert [row async for row in server.fast_listing(ahead=8)] == [*range(335)]
    assert offsets(server) == [*range(0, 410, 10)]  # 34 pages, and the 7 in flight after the last
    assert server.max_in_flight == 8


@pytest.mark.parametrize("count", range(0, 130, 7))
@pytest.mark.parametrize("totals", [True, False])
async def test_there_are_fewer_unneeded_requests_than_concurrent_ones(count: int, totals: bool) -> None:  # noqa: FBT001
    server = SlowList([*range(count)], reports_total=totals)
    assert [row async for row in server.fast_listing(ahead=4)] == [*range(count)]
    needed = max(1, -(-count // 10)) if totals else count // 10 + 1
    assert needed <= len(server.requests) <= needed + (0 if totals else 3)


async def test_pages_are_returned_in_order_whatever_the_order_of_the_responses() -> None:
    server = SlowList([*range(100)], turns=lambda offset: 30 - offset // 10 * 3)
    assert [row async for row in server.fast_listing()] == [*range(100)]


@pytest.mark.parametrize("limit", [1, 9, 10, 11, 45, 50, 99, 100, 101])
@pytest.mark.parametrize("totals", [True, False])
async def test_nothing_is_requested_beyond_the_limit(limit: int, totals: bool) -> None:  # noqa: FBT001 - a column
    server = SlowList([*range(100)], reports_total=totals)
    assert [row async for row in server.fast_listing(limit=limit)] == [*range(100)][:limit]
    assert max(offset + rows for offset, rows in server.requests) <= max(limit, 10) + (10 if limit > 100 else 0)


async def test_a_limit_that_the_server_ignores_still_holds() -> None:
    server = SlowList([*range(100)])
    whole_list = lambda _offset, _rows: server.call(0, 100)  # noqa: E731 - one line
    listing = Listing(
        server.send, lambda state: OffsetScan(whole_list, state, PageWindow(10, 4)), lambda row: row, limit=25
    )
    assert [row async for row in listing] == [*range(25)]
    assert len(server.requests) == 1


@pytest.mark.parametrize("totals", [True, False])
async def test_an_anchored_listing_of_a_server_with_shorter_pages_loses_nothing(totals: bool) -> None:  # noqa: FBT001
    server = SlowList([*range(100)], reports_total=totals, max_rows=7)
    listing = server.anchored_listing()
    assert [row async for row in listing] == [*range(100)]
    assert listing.report.steps_back == 0


async def test_a_shorter_page_size_of_the_server_is_adopted() -> None:
    server = SlowList([*range(100)], max_rows=3, turns=lambda _: 20)
    assert [row async for row in server.fast_listing()] == [*range(100)]
    assert len(server.requests) <= 34 + 4
    assert server.max_in_flight == 4


async def test_after_a_short_page_the_results_requested_behind_it_are_dropped() -> None:
    server = SlowList([*range(60)])
    found = []
    async for row in server.fast_listing():
        found.append(row)
        if row == 9:
            del server.rows[55:]
            server.max_rows = 4
        if row == 13:
            server.max_rows = 1000
    assert found == [*range(55)]


async def test_after_a_short_page_an_anchored_listing_does_not_step_back() -> None:
    server = SlowList([*range(60)])
    listing, found = server.anchored_listing(), []
    async for row in listing:
        found.append(row)
        if row == 9:
            server.max_rows = 4
        if row == 13:
            server.max_rows = 1000
    assert found == [*range(60)]
    assert listing.report.steps_back == 0


async def test_an_error_is_raised_unchanged_when_its_page_is_due() -> None:
    server = SlowList([*range(100)], errors={30: ConnectionBroken("cut"), 40: DecodeError("later")})
    found: list[int] = []
    with pytest.raises(ConnectionBroken):
        await read_all(server.fast_listing(), found)
    assert found == [*range(30)]
    assert server.in_flight == 0


async def test_requests_after_an_error_are_cancelled() -> None:
    server = SlowList(
        [*range(100)], errors={20: ConnectionBroken("cut")}, turns=lambda offset: 1 if offset < 30 else 10**9
    )
    with anyio.fail_after(30), pytest.raises(ConnectionBroken):
        _ = [row async for row in server.fast_listing()]
    assert server.in_flight == 0


async def test_an_error_behind_the_end_is_ignored() -> None:
    server = SlowList([*range(45)], reports_total=False, errors={50: ConnectionBroken("cut")})
    assert [row async for row in server.fast_listing()] == [*range(45)]
    assert 50 in offsets(server)


@pytest.mark.parametrize("style", ["native", "scope"])
async def test_cancellation_at_any_point_leaves_no_task(style: str) -> None:
    async def run(server: SlowList, k: int) -> SuspensionTrigger:
        scope = anyio.CancelScope()
        step = SuspensionTrigger(k, current_task().cancel if style == "native" else scope.cancel)
        with scope:
            await step.run(read_all(server.fast_listing(), []))
        return step

    for k in itertools.count(1):
        server = SlowList([*range(100)], turns=lambda _: 2)
        (outcome,) = await asyncio.gather(run(server, k), return_exceptions=True)
        assert server.in_flight == 0
        assert len(asyncio.all_tasks()) == 1
        if isinstance(outcome, SuspensionTrigger) and outcome.count < k:
            break
    assert k >= 5


THIRD_PAGE = 20


def never_after_two_pages(offset: int) -> int:
    return 10**9 if offset >= THIRD_PAGE else 1


async def test_while_a_page_is_read_the_next_are_in_flight_and_it_counts_as_one_of_them() -> None:
    server = SlowList([*range(100)], turns=never_after_two_pages)
    async with aclosing(server.fast_listing(ahead=3).pages()) as pages:
        await anext(pages)
        assert offsets(server) == [0]
        await anext(pages)
        await anyio.lowlevel.checkpoint()
        assert (server.in_flight, offsets(server)) == (2, [0, 10, 20, 30])
    assert (server.in_flight, len(asyncio.all_tasks())) == (0, 1)


async def test_with_ahead_1_no_page_is_requested_while_another_is_read() -> None:
    server = SlowList([*range(30)])
    async for page in server.fast_listing(ahead=1).pages():
        for _ in range(5):
            await anyio.lowlevel.checkpoint()
        assert server.in_flight == 0
        assert len(server.requests) == page.items[-1] // 10 + 1


async def test_a_slow_reader_holds_no_connection() -> None:
    server = SlowList([*range(100)], turns=lambda _: 3)
    async for _ in server.fast_listing().pages():
        for _ in range(10):
            await anyio.lowlevel.checkpoint()
        assert server.in_flight == 0


async def test_leaving_early_leaves_no_task() -> None:
    server = SlowList([*range(100)], turns=never_after_two_pages)
    async for row in server.fast_listing():
        if row == 15:
            break
    assert server.in_flight == 3
    while len(asyncio.all_tasks()) > 1:  # until the event loop has finalized the iterator
        await anyio.lowlevel.checkpoint()
    assert server.in_flight == 0


async def test_unneeded_requests_are_completed_so_that_their_connections_are_reused() -> None:
    server = SlowList([*range(35)], reports_total=False, turns=lambda offset: offset + 1)
    async for _ in server.fast_listing():
        pass
    assert (server.in_flight, server.cancelled, len(server.requests)) == (0, 0, 6)


async def test_only_the_requested_number_of_pages_is_held() -> None:
    class Heavy:
        def __init__(self, id: int) -> None:
            self.id, self.weight = id, bytearray(10_000)

    def page(offset: int, rows: int) -> Call[Page[Heavy]]:
        return Call("GET", "/", lambda _: Page(tuple(map(Heavy, range(offset, offset + rows))), total=1000))

    async def send(call: Call[Any], /) -> Any:
        await anyio.lowlevel.checkpoint()
        return call.read(None)  # type: ignore[arg-type]  # it reads no reply

    listing = Listing[Heavy](send, lambda state: OffsetScan(page, state, PageWindow(10, 4)), lambda heavy: heavy.id)
    gc.collect()
    tracemalloc.start()
    try:
        async for _ in listing:
            pass
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2 * 4 * 10 * 10_000


async def test_the_report_says_what_the_last_pass_did() -> None:
    server = SlowList([*range(35)], reports_total=False)
    listing = server.fast_listing(lag=10.0)
    assert listing.report == ListingReport("fast", lag=10.0)
    assert await listing.first() == 0
    assert listing.report == ListingReport("fast", requests=1, pages=1, rows=10, lag=10.0)
    async for row in listing:
        if row == 5:
            server.rows.insert(0, 99)
    report = listing.report
    assert (report.rows, report.duplicates, report.pages, report.steps_back) == (35, 1, 4, 0)
    assert report.requests == 6  # two of them not needed


async def test_an_anchored_listing_steps_back_to_rows_that_moved() -> None:
    server = SlowList([*range(40)])
    listing, found = server.anchored_listing(ahead=1), []
    async for row in listing:
        found.append(row)
        if row == 9:
            del server.rows[:8]
    assert found == [*range(40)]
    assert listing.report.steps_back == 1
    assert listing.report.consistency == "anchored"


async def test_a_fast_listing_misses_rows_that_move_up() -> None:
    server = SlowList([*range(40)])
    found = []
    async for row in server.fast_listing():
        found.append(row)
        if row == 9:
            del server.rows[:8]
    assert found == [*range(10), *range(18, 40)]


async def test_an_anchored_listing_of_an_unchanged_list_requests_only_the_overlap_again() -> None:
    server = SlowList([*range(1000)], size=100)
    listing = server.anchored_listing(ahead=16)
    assert [row async for row in listing] == [*range(1000)]
    assert listing.report.requests == 11
    assert listing.report.duplicates == 50


@pytest.mark.parametrize("limit", [1, 7, 10, 26])
async def test_an_anchored_listing_requests_nothing_beyond_its_limit(limit: int) -> None:
    server = SlowList([*range(100)])
    assert [row async for row in server.anchored_listing(limit=limit)] == [*range(limit)]
    assert max(offset + rows for offset, rows in server.requests) == limit


async def test_an_anchored_listing_that_never_reaches_its_total_is_inconsistent() -> None:
    server = SlowList([*range(25)])

    async def send(call: Call[Any], /) -> Any:
        page = await server.send(call)
        return Page(page.items, total=1000)

    listing = Listing[int](send, lambda state: OverlapScan(server.call, state, PageWindow(10, 4)), lambda row: row)
    found: list[int] = []
    with pytest.raises(ListingInconsistent):
        await read_all(listing, found)
    assert found == [*range(25)]
    assert len(server.requests) <= 40


async def test_an_anchored_listing_that_always_gets_the_same_page_is_inconsistent() -> None:
    server = SlowList([*range(10)])
    same_page = lambda _offset, rows: server.call(0, rows)  # noqa: E731 - one line
    listing = Listing(server.send, lambda state: OverlapScan(same_page, state, PageWindow(10, 1)), lambda row: row)
    server.reports_total = False
    with pytest.raises(ListingInconsistent, match="pages, after 10 rows: the list repeats itself"):
        _ = [row async for row in listing]
    assert len(server.requests) <= 25
