"""Steps of a listing that are cancelled, that fail, or that several tasks share: no row is lost or returned twice."""

import asyncio
import gc
import itertools
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import anyio
import pytest

from tests.support.byte_server import SuspensionTrigger
from tests.unit.listing.test_prefetch import SlowList, current_task
from workflow_async._core.call import Call, Page
from workflow_async._listing.by_time import TimeWindowScan, Window
from workflow_async._listing.listing import Listing
from workflow_async.errors import ConnectionBroken, ListingInconsistent, ServerError


def linked_listing(server: SlowList) -> Listing[int]:
    """Return a listing in which each page contains the next call."""

    def call(offset: int) -> Call[Page[int]]:
        return server.call(offset, server.size)

    async def send(request: Call[Any], /) -> Any:
        offset = int(dict(request.params)["offset"])
        page = await server.send(request)
        after = offset + server.size
        return Page(page.items, call(after) if after < len(server.rows) else None)

    return Listing(send, call(0), lambda row: row)


def partitioned_listing(server: SlowList) -> Listing[int]:
    """Return a listing by time windows, in which each row is its own time."""

    async def send(request: Call[Any], /) -> Any:
        first, last, offset, rows = (int(value) for _, value in request.params)
        await server.send(server.call(0, 0))
        found = [row for row in server.rows if first <= row <= last]
        return Page(tuple(found[offset : offset + rows]), total=len(found))

    def window_call(window: Window | None, offset: int, rows: int) -> Call[Page[int]]:
        first, last = (0, 10**6) if window is None else (window.first, window.last)
        params = {"first": first, "last": last, "offset": offset, "rows": rows}
        return Call("GET", "/", lambda _: Page(()), tuple((name, str(value)) for name, value in params.items()))

    return Listing(
        send, lambda state: TimeWindowScan(window_call, state, server.size, 4, Window(0, 100)), lambda row: row
    )


LISTINGS: dict[str, Callable[[SlowList], Listing[int]]] = {
    "fast": SlowList.fast_listing,
    "one page at a time": lambda server: server.fast_listing(ahead=1),
    "anchored": SlowList.anchored_listing,
    "linked": linked_listing,
    "partitioned": partitioned_listing,
}


async def read_with_cancellations(steps: Any, k: int, style: str) -> list[Any]:
    """Return all items of an iterator. Each step is cancelled at its k-th suspension point and then repeated."""
    found = []
    while True:
        try:
            found.append(await next_after_cancellation(steps, k, style))
        except StopAsyncIteration:
            return found


async def next_after_cancellation(steps: Any, k: int, style: str) -> Any:
    """Return the next item. The step is cancelled at its k-th suspension point, if it has that many."""
    scope = anyio.CancelScope()
    step = SuspensionTrigger(k, current_task().cancel if style == "native" else scope.cancel)
    try:
        with scope:
            return await step.run(anext(steps))
    except asyncio.CancelledError:
        current_task().uncancel()
    return await anext(steps)


@pytest.mark.parametrize("style", ["native", "scope"])
@pytest.mark.parametrize("name", LISTINGS)
@pytest.mark.parametrize("k", [1, 2, 3, 4, 5])
async def test_a_listing_whose_every_step_is_cancelled_returns_the_same_rows(name: str, style: str, k: int) -> None:
    server = SlowList([*range(57)], turns=lambda offset: 2 + offset % 3)
    undisturbed = [row async for row in LISTINGS[name](SlowList(server.rows))]
    assert await read_with_cancellations(aiter(LISTINGS[name](server)), k, style) == undisturbed
    assert sorted(undisturbed) == server.rows
    assert server.in_flight == 0


@pytest.mark.parametrize("style", ["native", "scope"])
@pytest.mark.parametrize("name", LISTINGS)
async def test_pages_whose_every_step_is_cancelled_are_the_same(name: str, style: str) -> None:
    undisturbed = [page.items async for page in LISTINGS[name](SlowList([*range(57)])).pages()]
    for k in range(1, 6):
        server = SlowList([*range(57)], turns=lambda offset: 2 + offset % 3)
        assert [
            page.items for page in await read_with_cancellations(LISTINGS[name](server).pages(), k, style)
        ] == undisturbed


async def test_a_reader_with_a_timeout_around_each_step_continues_after_it() -> None:
    server, found = SlowList([*range(30)], turns=lambda offset: 10**9 if len(server.requests) % 2 else 1), list[int]()
    items = aiter(server.fast_listing(ahead=1))
    while True:
        try:
            async with asyncio.timeout(0.01):
                found.append(await anext(items))
        except TimeoutError:
            assert server.in_flight == 0, "a step that has ended leaves no request"
        except StopAsyncIteration:
            break
    assert found == [*range(30)]


async def test_results_received_before_a_cancelled_step_are_not_requested_again() -> None:
    server = SlowList([*range(60)], turns=lambda offset: 30 if offset == 20 else 1)
    pages = server.fast_listing(ahead=4).pages()
    assert [(await anext(pages)).items[0] for _ in range(2)] == [0, 10]
    for _ in range(5):
        await anyio.lowlevel.checkpoint()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await anext(pages)
    assert server.in_flight == 0
    assert [page.items[0] async for page in pages] == [20, 30, 40, 50]
    offsets = [offset for offset, _ in server.requests]
    assert {offset: offsets.count(offset) for offset in offsets} == {0: 1, 10: 1, 20: 2, 30: 1, 40: 1, 50: 2}


async def test_the_step_after_a_failed_request_sends_it_again() -> None:
    server = SlowList([*range(100)], errors={30: ServerError(503), 50: ConnectionBroken("cut")})
    items, found = aiter(server.fast_listing()), list[int]()
    with pytest.raises(ServerError):
        found.extend([row async for row in items])
    assert server.in_flight == 0
    server.errors.clear()
    rest = [row async for row in items]
    assert rest[-70:] == [*range(30, 100)]


async def test_an_inconsistent_pass_raises_at_every_further_step() -> None:
    server = SlowList([*range(10)], reports_total=False)
    listing = Listing(server.send, lambda state: _RepeatingScan(server, state), lambda row: row)
    pages = listing.pages()
    for _ in range(3):
        with pytest.raises(ListingInconsistent):
            await read_all(pages)
    assert (server.in_flight, len(server.requests)) == (0, 3)


class _RepeatingScan:
    """A scan that requests the same page again and again."""

    def __init__(self, server: SlowList, state: Any) -> None:
        self.server, self.state, self.done = server, state, False

    def next_calls(self, pages_in_use: int = 0) -> list[Call[Page[int]]]:
        return [] if pages_in_use else [self.server.call(0, 10)]

    def accept(self, page: Page[int]) -> tuple[int, ...]:
        new: tuple[int, ...] = self.state.accept(page.items)
        self.state.check_not_stuck()
        return new


async def read_all(steps: Any) -> list[Any]:
    return [step async for step in steps]


@pytest.mark.parametrize("name", LISTINGS)
async def test_tasks_that_share_one_pass_share_its_rows(name: str) -> None:
    server = SlowList([*range(100)], turns=lambda offset: 1 + offset % 7)
    items = aiter(LISTINGS[name](server))
    shares = await asyncio.gather(*(read_all(items) for _ in range(5)))
    assert sorted(itertools.chain(*shares)) == server.rows


async def test_one_of_the_tasks_that_share_a_pass_may_be_cancelled() -> None:
    server = SlowList([*range(100)], turns=lambda _: 3)
    items, found = aiter(server.fast_listing()), list[int]()

    async def read() -> None:
        async for row in items:
            found.append(row)
            await anyio.lowlevel.checkpoint()

    tasks = [asyncio.create_task(read()) for _ in range(3)]
    while len(found) < 25:
        await asyncio.sleep(0)
    tasks[0].cancel()
    await asyncio.wait(tasks)
    assert sorted(found) == server.rows


async def test_a_closed_pass_has_ended_and_leaves_nothing() -> None:
    server = SlowList([*range(100)], turns=lambda offset: 10**9 if offset >= 20 else 1)
    async with aclosing(aiter(server.fast_listing())) as items:
        assert [await anext(items) for _ in range(15)] == [*range(15)]
        await anyio.lowlevel.checkpoint()
        assert server.in_flight == 3
    assert server.in_flight == 0
    assert await anext(items, None) is None
    await items.aclose()
    unread = server.fast_listing().pages()
    await unread.aclose()
    assert await anext(unread, None) is None
    assert len(asyncio.all_tasks()) == 1


async def test_a_garbage_collected_pass_cancels_its_requests() -> None:
    server = SlowList([*range(100)], turns=lambda offset: 10**9 if offset >= 20 else 1)
    pages = server.fast_listing().pages()
    await anext(pages)
    await anext(pages)
    await anyio.lowlevel.checkpoint()
    assert server.in_flight == 3
    del pages
    gc.collect()
    while len(asyncio.all_tasks()) > 1:
        await anyio.lowlevel.checkpoint()
    assert server.in_flight == 0


def test_a_pass_that_outlives_its_loop_is_dropped_silently() -> None:
    async def main() -> Any:
        pages = server.fast_listing().pages()
        await anext(pages)
        await anext(pages)
        return pages

    server = SlowList([*range(100)], turns=lambda offset: 10**9 if offset >= 20 else 1)
    pages = asyncio.run(main())
    del pages
    gc.collect()
    assert server.in_flight == 0


async def test_waiting_for_unneeded_results_can_be_cancelled() -> None:
    server = SlowList([*range(95)], reports_total=False, turns=lambda offset: 10**9 if offset >= 100 else 1)
    items = aiter(server.fast_listing(ahead=8))
    found = [await anext(items) for _ in range(95)]
    assert server.in_flight > 0
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await anext(items)
    assert (found, server.in_flight) == ([*range(95)], 0)
    assert await anext(items, None) is None


async def test_an_error_of_an_unneeded_request_is_ignored() -> None:
    server = SlowList(
        [*range(95)], reports_total=False, errors=dict.fromkeys(range(100, 200, 10), ConnectionBroken("cut"))
    )
    assert [row async for row in server.fast_listing(ahead=8)] == server.rows
    gc.collect()
