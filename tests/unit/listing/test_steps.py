"""Steps of a listing that are cancelled, that fail, or that several tasks take: nothing is lost and nothing doubled."""

import asyncio
import gc
import itertools
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import anyio
import pytest

from tests.support.byte_server import SuspensionTrigger
from tests.unit.listing.test_prefetch import Far, running
from workflow_async._core.call import Call, Page
from workflow_async._listing.by_time import TimeWindowScan, Window
from workflow_async._listing.listing import Listing
from workflow_async.errors import ConnectionBroken, ListingInconsistent, ServerError


def chained(far: Far) -> Listing[int]:
    """A listing in which each page names the next one."""

    def call(offset: int) -> Call[Page[int]]:
        return far.call(offset, far.size)

    async def send(asked: Call[Any], /) -> Any:
        offset = int(dict(asked.params)["offset"])
        page = await far.send(asked)
        after = offset + far.size
        return Page(page.items, call(after) if after < len(far.rows) else None)

    return Listing(send, call(0), lambda row: row)


def partitioned(far: Far) -> Listing[int]:
    """A listing by windows of time, where the time of a row is the row."""

    async def send(asked: Call[Any], /) -> Any:
        first, last, offset, rows = (int(value) for _, value in asked.params)
        await far.send(far.call(0, 0))
        found = [row for row in far.rows if first <= row <= last]
        return Page(tuple(found[offset : offset + rows]), total=len(found))

    def cut(window: Window | None, offset: int, rows: int) -> Call[Page[int]]:
        first, last = (0, 10**6) if window is None else (window.first, window.last)
        asked = {"first": first, "last": last, "offset": offset, "rows": rows}
        return Call("GET", "/", lambda _: Page(()), tuple((name, str(value)) for name, value in asked.items()))

    return Listing(send, lambda found: TimeWindowScan(cut, found, far.size, 4, Window(0, 100)), lambda row: row)


WAYS: dict[str, Callable[[Far], Listing[int]]] = {
    "fast": Far.listing,
    "one page at a time": lambda far: far.listing(ahead=1),
    "anchored": Far.anchored,
    "chained": chained,
    "partitioned": partitioned,
}


async def stepped(steps: Any, k: int, way: str) -> list[Any]:
    """Everything an iterator gives, with each step cancelled at its k-th suspension, and then repeated."""
    found = []
    while True:
        try:
            found.append(await cancelled_once(steps, k, way))
        except StopAsyncIteration:
            return found


async def cancelled_once(steps: Any, k: int, way: str) -> Any:
    """The next thing of an iterator, whose step is cancelled at its k-th suspension if it comes that far."""
    scope = anyio.CancelScope()
    step = SuspensionTrigger(k, running().cancel if way == "native" else scope.cancel)
    try:
        with scope:
            return await step.run(anext(steps))
    except asyncio.CancelledError:
        running().uncancel()
    return await anext(steps)


@pytest.mark.parametrize("way", ["native", "scope"])
@pytest.mark.parametrize("name", WAYS)
@pytest.mark.parametrize("k", [1, 2, 3, 4, 5])
async def test_a_listing_whose_every_step_is_cancelled_gives_the_same_rows(name: str, way: str, k: int) -> None:
    far = Far([*range(57)], turns=lambda offset: 2 + offset % 3)
    undisturbed = [row async for row in WAYS[name](Far(far.rows))]
    assert await stepped(aiter(WAYS[name](far)), k, way) == undisturbed
    assert sorted(undisturbed) == far.rows
    assert far.going == 0


@pytest.mark.parametrize("way", ["native", "scope"])
@pytest.mark.parametrize("name", WAYS)
async def test_pages_whose_every_step_is_cancelled_are_the_same(name: str, way: str) -> None:
    undisturbed = [page.items async for page in WAYS[name](Far([*range(57)])).pages()]
    for k in range(1, 6):
        far = Far([*range(57)], turns=lambda offset: 2 + offset % 3)
        assert [page.items for page in await stepped(WAYS[name](far).pages(), k, way)] == undisturbed


async def test_a_reader_with_a_timeout_around_each_step_goes_on_after_it() -> None:
    far, found = Far([*range(30)], turns=lambda offset: 10**9 if len(far.asked) % 2 else 1), list[int]()
    items = aiter(far.listing(ahead=1))
    while True:
        try:
            async with asyncio.timeout(0.01):
                found.append(await anext(items))
        except TimeoutError:
            assert far.going == 0, "a step that is over leaves no request"
        except StopAsyncIteration:
            break
    assert found == [*range(30)]


async def test_what_was_answered_before_a_step_was_cancelled_is_not_asked_for_again() -> None:
    far = Far([*range(60)], turns=lambda offset: 30 if offset == 20 else 1)
    pages = far.listing(ahead=4).pages()
    assert [(await anext(pages)).items[0] for _ in range(2)] == [0, 10]
    for _ in range(5):
        await anyio.lowlevel.checkpoint()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await anext(pages)
    assert far.going == 0
    assert [page.items[0] async for page in pages] == [20, 30, 40, 50]
    asked = [offset for offset, _ in far.asked]
    assert {offset: asked.count(offset) for offset in asked} == {0: 1, 10: 1, 20: 2, 30: 1, 40: 1, 50: 2}


async def test_a_step_whose_request_has_failed_sends_it_again_next_time() -> None:
    far = Far([*range(100)], broken={30: ServerError(503), 50: ConnectionBroken("cut")})
    items, found = aiter(far.listing()), list[int]()
    with pytest.raises(ServerError):
        found.extend([row async for row in items])
    assert far.going == 0
    far.broken.clear()
    rest = [row async for row in items]
    assert rest[-70:] == [*range(30, 100)]


async def test_a_pass_that_is_inconsistent_says_so_at_every_further_step() -> None:
    far = Far([*range(10)], totals=False)
    listing = Listing(far.send, lambda found: _Endless(far, found), lambda row: row)
    pages = listing.pages()
    for _ in range(3):
        with pytest.raises(ListingInconsistent):
            await everything(pages)
    assert (far.going, len(far.asked)) == (0, 3)


class _Endless:
    """A scan that asks for the same page again and again."""

    def __init__(self, far: Far, found: Any) -> None:
        self.far, self.found, self.done = far, found, False

    def next_calls(self, held: int = 0) -> list[Call[Page[int]]]:
        return [] if held else [self.far.call(0, 10)]

    def accept(self, page: Page[int]) -> tuple[int, ...]:
        fresh: tuple[int, ...] = self.found.accept(page.items)
        self.found.check_not_stuck()
        return fresh


async def everything(steps: Any) -> list[Any]:
    return [step async for step in steps]


@pytest.mark.parametrize("name", WAYS)
async def test_tasks_that_share_one_pass_share_its_rows(name: str) -> None:
    far = Far([*range(100)], turns=lambda offset: 1 + offset % 7)
    items = aiter(WAYS[name](far))
    shares = await asyncio.gather(*(everything(items) for _ in range(5)))
    assert sorted(itertools.chain(*shares)) == far.rows


async def test_one_of_several_tasks_that_share_a_pass_may_be_cancelled() -> None:
    far = Far([*range(100)], turns=lambda _: 3)
    items, found = aiter(far.listing()), list[int]()

    async def take() -> None:
        async for row in items:
            found.append(row)
            await anyio.lowlevel.checkpoint()

    tasks = [asyncio.create_task(take()) for _ in range(3)]
    while len(found) < 25:
        await asyncio.sleep(0)
    tasks[0].cancel()
    await asyncio.wait(tasks)
    assert sorted(found) == far.rows


async def test_a_pass_that_was_closed_is_over_and_leaves_nothing() -> None:
    far = Far([*range(100)], turns=lambda offset: 10**9 if offset >= 20 else 1)
    async with aclosing(aiter(far.listing())) as items:
        assert [await anext(items) for _ in range(15)] == [*range(15)]
        await anyio.lowlevel.checkpoint()
        assert far.going == 3
    assert far.going == 0
    assert await anext(items, None) is None
    await items.aclose()
    fresh = far.listing().pages()
    await fresh.aclose()
    assert await anext(fresh, None) is None
    assert len(asyncio.all_tasks()) == 1


async def test_a_pass_that_nothing_refers_to_any_more_ends_its_requests() -> None:
    far = Far([*range(100)], turns=lambda offset: 10**9 if offset >= 20 else 1)
    pages = far.listing().pages()
    await anext(pages)
    await anext(pages)
    await anyio.lowlevel.checkpoint()
    assert far.going == 3
    del pages
    gc.collect()
    while len(asyncio.all_tasks()) > 1:
        await anyio.lowlevel.checkpoint()
    assert far.going == 0


def test_a_pass_that_is_left_until_its_loop_is_closed_is_dropped_in_silence() -> None:
    async def main() -> Any:
        pages = far.listing().pages()
        await anext(pages)
        await anext(pages)
        return pages

    far = Far([*range(100)], turns=lambda offset: 10**9 if offset >= 20 else 1)
    pages = asyncio.run(main())
    del pages
    gc.collect()
    assert far.going == 0


async def test_waiting_for_answers_that_are_not_needed_can_be_cancelled() -> None:
    far = Far([*range(95)], totals=False, turns=lambda offset: 10**9 if offset >= 100 else 1)
    items = aiter(far.listing(ahead=8))
    found = [await anext(items) for _ in range(95)]
    assert far.going > 0
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await anext(items)
    assert (found, far.going) == ([*range(95)], 0)
    assert await anext(items, None) is None


async def test_an_error_of_a_request_that_is_not_needed_is_nobody_s_business() -> None:
    far = Far([*range(95)], totals=False, broken=dict.fromkeys(range(100, 200, 10), ConnectionBroken("cut")))
    assert [row async for row in far.listing(ahead=8)] == far.rows
    gc.collect()
