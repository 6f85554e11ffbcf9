"""Listings: page by page, every item once, nothing asked for that nobody wants."""

import asyncio
from typing import Any

import pytest
from attrs import define, field
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, precondition, rule

from workflow_async._core.call import Call, Page
from workflow_async._listing.listing import Listing
from workflow_async.errors import ConnectionBroken, ListingInconsistent

Item = tuple[int, str]


@define
class Shelf:
    """A server's list, and the pages that were asked of it."""

    rows: list[int]
    size: int = 3
    asked: list[tuple[int, int]] = field(factory=list)
    breaks: bool = False

    def page(self, offset: int = 0, limit: int | None = None, given: int = 0) -> Call[Page[int]]:
        """The call for one page."""
        rows = self.size if limit is None else min(self.size, limit - given)

        def read(_: object) -> Page[int]:
            self.asked.append((offset, rows))
            if self.breaks:
                raise ConnectionBroken("cut")
            items = tuple(self.rows[offset : offset + rows])
            count = len(items)
            over = count < rows or (limit is not None and given + count >= limit)
            return Page(items, None if over else self.page(offset + count, limit, given + count), len(self.rows))

        return Call("GET", "/list", read)

    def listing(self, limit: int | None = None) -> Listing[int]:
        """The whole of it."""
        return Listing(send, self.page(limit=limit), lambda row: row)


async def send(call: Call[Any], /) -> Any:
    return call.read(None)  # type: ignore[arg-type]  # the pages here read no reply


async def test_a_listing_gives_every_item_in_order() -> None:
    shelf = Shelf([*range(8)])
    assert [row async for row in shelf.listing()] == [*range(8)]
    assert shelf.asked == [(0, 3), (3, 3), (6, 3)]


async def test_pages_come_one_by_one_with_their_total() -> None:
    pages = [page async for page in Shelf([*range(5)]).listing().pages()]
    assert [(page.items, page.total) for page in pages] == [((0, 1, 2), 5), ((3, 4), 5)]


async def test_a_listing_can_be_iterated_again_and_asks_again() -> None:
    shelf = Shelf([1, 2])
    listing = shelf.listing()
    assert [row async for row in listing] == [1, 2]
    shelf.rows.append(3)
    assert [row async for row in listing] == [1, 2, 3]
    assert [row async for row in listing] == [1, 2, 3]


async def test_nothing_is_sent_before_the_first_item_is_asked_for() -> None:
    shelf = Shelf([1])
    listing = shelf.listing()
    aiter(listing)
    listing.pages()
    assert shelf.asked == []


async def test_leaving_early_asks_for_no_more() -> None:
    shelf = Shelf([*range(9)])
    async for row in shelf.listing():
        if row == 1:
            break
    assert shelf.asked == [(0, 3)]
    assert await shelf.listing().first() == 0
    assert await Shelf([]).listing().first() is None


@pytest.mark.parametrize(
    ("limit", "asked"),
    [(1, [(0, 1)]), (3, [(0, 3)]), (4, [(0, 3), (3, 1)]), (6, [(0, 3), (3, 3)]), (99, [(0, 3), (3, 3), (6, 3)])],
)
async def test_a_limit_reaches_the_wire(limit: int, asked: list[tuple[int, int]]) -> None:
    shelf = Shelf([*range(8)])
    assert [row async for row in shelf.listing(limit)] == [*range(8)][:limit]
    assert shelf.asked == asked


async def test_an_item_that_moved_between_pages_is_given_once() -> None:
    shelf = Shelf([*range(6)])
    found = []
    async for row in shelf.listing():
        found.append(row)
        if row == 2:
            shelf.rows.insert(0, 100)
    assert found == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("items", [(), (1,), (1, 2, 3)])
async def test_pages_that_bring_nothing_new_end_in_an_error(items: tuple[int, ...]) -> None:
    asked = 0

    def again(_: object) -> Page[int]:
        nonlocal asked
        asked += 1
        return Page(items, Call("GET", "/list", again))

    with pytest.raises(ListingInconsistent, match="no new rows in 2 consecutive pages"):
        _ = [row async for row in Listing(send, Call("GET", "/list", again), lambda row: row)]
    assert asked <= 3


async def test_one_page_that_brings_nothing_new_is_endured() -> None:
    def page(items: tuple[int, ...], following: Call[Page[int]] | None = None) -> Call[Page[int]]:
        return Call("GET", "/list", lambda _: Page(items, following))

    first = page((1, 2), page((), page((2, 3), page((), page(())))))
    assert [row async for row in Listing(send, first, lambda row: row)] == [1, 2, 3]


async def test_an_error_of_a_page_ends_the_listing_and_the_next_iteration_starts_afresh() -> None:
    shelf = Shelf([1], breaks=True)
    listing = shelf.listing()
    with pytest.raises(ConnectionBroken):
        _ = [row async for row in listing]
    shelf.breaks = False
    assert [row async for row in listing] == [1]


class Changing(RuleBasedStateMachine):
    """A list that changes between the pages of a scan."""

    items = Bundle("items")

    def __init__(self) -> None:
        super().__init__()
        self.shelf = Shelf([*range(10)])
        self.fresh = 10
        self.changes = 0
        self.found: list[int] = []
        self.pages = self.shelf.listing().pages()
        self.loop = asyncio.Runner()
        self.over = False

    @rule(target=items, at=st.integers(0, 20))
    def insert(self, at: int) -> int:
        self.fresh += 1
        self.changes += 1
        self.shelf.rows.insert(at, self.fresh)
        return self.fresh

    @rule(at=st.integers(0, 20))
    def delete(self, at: int) -> None:
        self.changes += 1
        self.shelf.rows[at : at + 1] = []

    @rule(at=st.integers(0, 20), to=st.integers(0, 20))
    def move(self, at: int, to: int) -> None:
        self.changes += 1
        moved, self.shelf.rows[at : at + 1] = self.shelf.rows[at : at + 1], []
        self.shelf.rows[to:to] = moved

    @precondition(lambda self: not self.over)
    @rule()
    def turn_the_page(self) -> None:
        try:
            page = self.loop.run(self.next_page())
        except ListingInconsistent:
            page = None
        self.over = page is None
        self.found += page.items if page is not None else ()

    async def next_page(self) -> Page[int] | None:
        return await anext(self.pages, None)

    @invariant()
    def no_item_comes_twice(self) -> None:
        assert len(self.found) == len(set(self.found))

    @invariant()
    def no_more_is_asked_than_the_list_and_its_changes_are_worth(self) -> None:
        assert len(self.shelf.asked) <= 2 * (10 + self.changes) + 2

    def teardown(self) -> None:
        """Left alone, a scan ends, and an undisturbed one gives everything."""
        for _ in range(2 * (10 + self.changes)):
            if not self.over:
                self.turn_the_page()
        self.loop.close()
        assert self.over
        if not self.changes:
            assert self.found == [*range(10)]


TestChangingList = Changing.TestCase
TestChangingList.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
