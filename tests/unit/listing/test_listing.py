"""Listings return every item once, page by page, and request no page that is not needed."""

import asyncio
from typing import Any

import pytest
from attrs import define, field
from hypothesis import settings, strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, precondition, rule

from workflow_async._core.call import Call, Page
from workflow_async._listing.listing import Listing
from workflow_async.errors import ConnectionBroken, ListingInconsistent

Item = tuple[int, str]


@define
class PagedList:
    """A server's list, and the pages that were requested from it."""

    rows: list[int]
    size: int = 3
    requests: list[tuple[int, int]] = field(factory=list)
    breaks: bool = False

    def page(self, offset: int = 0, limit: int | None = None, given: int = 0) -> Call[Page[int]]:
        """Return the call for one page."""
        rows = self.size if limit is None else min(self.size, limit - given)

        def read(_: object) -> Page[int]:
            self.requests.append((offset, rows))
            if self.breaks:
                raise ConnectionBroken("cut")
            items = tuple(self.rows[offset : offset + rows])
            count = len(items)
            is_last = count < rows or (limit is not None and given + count >= limit)
            return Page(items, None if is_last else self.page(offset + count, limit, given + count), len(self.rows))

        return Call("GET", "/list", read)

    def listing(self, limit: int | None = None) -> Listing[int]:
        """Return a listing of all rows."""
        return Listing(send, self.page(limit=limit), lambda row: row)


async def send(call: Call[Any], /) -> Any:
    return call.read(None)  # type: ignore[arg-type]  # the pages here read no reply


async def test_a_listing_returns_every_item_in_order() -> None:
    server = PagedList([*range(8)])
    assert [row async for row in server.listing()] == [*range(8)]
    assert server.requests == [(0, 3), (3, 3), (6, 3)]


async def test_pages_are_returned_one_by_one_with_their_total() -> None:
    pages = [page async for page in PagedList([*range(5)]).listing().pages()]
    assert [(page.items, page.total) for page in pages] == [((0, 1, 2), 5), ((3, 4), 5)]


async def test_a_listing_can_be_iterated_again_and_requests_the_list_again() -> None:
    server = PagedList([1, 2])
    listing = server.listing()
    assert [row async for row in listing] == [1, 2]
    server.rows.append(3)
    assert [row async for row in listing] == [1, 2, 3]
    assert [row async for row in listing] == [1, 2, 3]


async def test_nothing_is_sent_before_the_first_item_is_requested() -> None:
    server = PagedList([1])
    listing = server.listing()
    aiter(listing)
    listing.pages()
    assert server.requests == []


async def test_leaving_early_sends_no_more_requests() -> None:
    server = PagedList([*range(9)])
    async for row in server.listing():
        if row == 1:
            break
    assert server.requests == [(0, 3)]
    assert await server.listing().first() == 0
    assert await PagedList([]).listing().first() is None


@pytest.mark.parametrize(
    ("limit", "requests"),
    [(1, [(0, 1)]), (3, [(0, 3)]), (4, [(0, 3), (3, 1)]), (6, [(0, 3), (3, 3)]), (99, [(0, 3), (3, 3), (6, 3)])],
)
async def test_the_limit_is_sent_to_the_server(limit: int, requests: list[tuple[int, int]]) -> None:
    server = PagedList([*range(8)])
    assert [row async for row in server.listing(limit)] == [*range(8)][:limit]
    assert server.requests == requests


async def test_an_item_that_moved_between_pages_is_returned_once() -> None:
    server = PagedList([*range(6)])
    found = []
    async for row in server.listing():
        found.append(row)
        if row == 2:
            server.rows.insert(0, 100)
    assert found == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("items", [(), (1,), (1, 2, 3)])
async def test_consecutive_pages_without_new_items_are_an_error(items: tuple[int, ...]) -> None:
    requests = 0

    def again(_: object) -> Page[int]:
        nonlocal requests
        requests += 1
        return Page(items, Call("GET", "/list", again))

    with pytest.raises(ListingInconsistent, match="no new rows in 2 consecutive pages"):
        _ = [row async for row in Listing(send, Call("GET", "/list", again), lambda row: row)]
    assert requests <= 3


async def test_a_single_page_without_new_items_is_allowed() -> None:
    def page(items: tuple[int, ...], following: Call[Page[int]] | None = None) -> Call[Page[int]]:
        return Call("GET", "/list", lambda _: Page(items, following))

    first = page((1, 2), page((), page((2, 3), page((), page(())))))
    assert [row async for row in Listing(send, first, lambda row: row)] == [1, 2, 3]


async def test_an_error_ends_the_iteration_and_the_next_one_starts_over() -> None:
    server = PagedList([1], breaks=True)
    listing = server.listing()
    with pytest.raises(ConnectionBroken):
        _ = [row async for row in listing]
    server.breaks = False
    assert [row async for row in listing] == [1]


class ChangingListMachine(RuleBasedStateMachine):
    """A list that changes between the pages of a scan."""

    items = Bundle("items")

    def __init__(self) -> None:
        super().__init__()
        self.server = PagedList([*range(10)])
        self.last_new_row = 10
        self.changes = 0
        self.found: list[int] = []
        self.pages = self.server.listing().pages()
        self.loop = asyncio.Runner()
        self.done = False

    @rule(target=items, at=st.integers(0, 20))
    def insert(self, at: int) -> int:
        self.last_new_row += 1
        self.changes += 1
        self.server.rows.insert(at, self.last_new_row)
        return self.last_new_row

    @rule(at=st.integers(0, 20))
    def delete(self, at: int) -> None:
        self.changes += 1
        self.server.rows[at : at + 1] = []

    @rule(at=st.integers(0, 20), to=st.integers(0, 20))
    def move(self, at: int, to: int) -> None:
        self.changes += 1
        moved, self.server.rows[at : at + 1] = self.server.rows[at : at + 1], []
        self.server.rows[to:to] = moved

    @precondition(lambda self: not self.done)
    @rule()
    def read_page(self) -> None:
        try:
            page = self.loop.run(self.next_page())
        except ListingInconsistent:
            page = None
        self.done = page is None
        self.found += page.items if page is not None else ()

    async def next_page(self) -> Page[int] | None:
        return await anext(self.pages, None)

    @invariant()
    def no_item_is_returned_twice(self) -> None:
        assert len(self.found) == len(set(self.found))

    @invariant()
    def the_number_of_requests_is_bounded_by_the_list_and_its_changes(self) -> None:
        assert len(self.server.requests) <= 2 * (10 + self.changes) + 2

    def teardown(self) -> None:
        """Let the scan end. It then has returned everything if nothing changed."""
        for _ in range(2 * (10 + self.changes)):
            if not self.done:
                self.read_page()
        self.loop.close()
        assert self.done
        if not self.changes:
            assert self.found == [*range(10)]


TestChangingList = ChangingListMachine.TestCase
TestChangingList.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
