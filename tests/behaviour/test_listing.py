"""Rows 43 to 46: lists whose counts lie, and lists without an end."""

from collections.abc import Callable, Iterable
from typing import Any

import httpx
import pytest
from attrs import define, field
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import FakeTime, See
from tests.support import virtual_time as virtual
from tests.support.stub_clients import SYSTEMS, MockServer, page, row
from workflow_async.errors import ListingInconsistent

AHEAD = 16
"""Pages that may have been asked for before anybody knew that they are not there."""

Pick = Callable[[int, int, int], Iterable[int]]
"""From the place and the size that are asked for, and the how-manieth request it is, to the ids a page shows."""


@define
class Shelf:
    """A server that lists workflows as it pleases, and notes what it was asked for."""

    system: str
    pick: Pick
    total: Callable[[int], Any] = lambda _: None
    """What it says of their number at its how-manieth answer."""
    counts: dict[str, Any] = field(factory=dict)
    asked: list[tuple[int, int]] = field(factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        params = request.url.params
        place, size = ("offset", "limit") if self.system == "opencast" else ("start", "max")
        self.asked.append((int(params[place]), int(params[size])))
        n = len(self.asked)
        rows = [row(self.system, id) for id in self.pick(*self.asked[-1], n)]
        return httpx.Response(200, content=page(self.system, rows, self.total(n), **self.counts))

    async def listed(self, **asked: Any) -> list[int]:
        """The ids a client gets to see."""
        async with MockServer(self.system, self).client(FakeTime().clock) as client:
            return [workflow.id async for workflow in client.workflows.list(page_size=10, **asked)]


def of(count: int, *, cap: int = 1000, more: int = 0) -> Pick:
    """The pages of a list of so many, `cap` rows long at most, or with more rows than were asked for."""
    return lambda place, size, _: range(count)[place : place + min(size + more, cap)]


# Row 43


@pytest.mark.row(43)
@pytest.mark.parametrize("total", [None, 0, "", " 0 ", 7])
@pytest.mark.parametrize("system", SYSTEMS)
async def test_an_empty_list_is_empty_whatever_it_counts(system: str, total: Any, see: See) -> None:
    shelf = Shelf(system, of(0), lambda _: total)
    assert await shelf.listed() == []
    assert len(shelf.asked) <= 2
    see("empty: nothing, in 2 requests at most")


@pytest.mark.row(43)
@pytest.mark.parametrize("count", [0, 3, 1000, ""])
async def test_a_count_that_is_not_the_number_of_rows_does_not_count(count: Any, see: See) -> None:
    shelf = Shelf("preservica", of(25), lambda _: 25, {"Count": count})
    assert await shelf.listed() == list(range(25))
    see("a wrong Count: rows are counted instead, every row once")


# Row 44


@pytest.mark.row(44)
@pytest.mark.parametrize("total", [26, 1000, 10**15])
async def test_a_total_that_is_too_high_ends_with_the_rows(total: int, see: See) -> None:
    shelf = Shelf("preservica", of(25), lambda _: total)
    assert await shelf.listed() == list(range(25))
    assert len(shelf.asked) <= 4 + AHEAD
    see("too high: ends with the rows")


@pytest.mark.row(44)
@pytest.mark.parametrize("total", [0, 1, 9, 15])
async def test_a_total_below_what_has_come_is_not_believed(total: int, see: See) -> None:
    shelf = Shelf("preservica", of(25), lambda _: total)
    assert await shelf.listed() == list(range(25))
    see("too low: nothing lost")


@pytest.mark.row(44)
async def test_a_total_that_grows_while_it_is_paged_is_followed(see: See) -> None:
    def rows(n: int) -> range:
        return range(15 + 10 * min(n, 5))

    shelf = Shelf("preservica", lambda place, size, n: rows(n)[place : place + size], lambda n: len(rows(n)))
    assert await shelf.listed() == list(range(65))
    see("growing: followed to its end")


@pytest.mark.row(44)
@settings(max_examples=60, deadline=None)
@given(count=st.integers(0, 45), lies=st.lists(st.integers(-5, 60) | st.none(), min_size=1, max_size=8))
def test_whatever_is_said_of_the_total_the_listing_ends_and_gives_no_row_twice(
    count: int, lies: list[int | None]
) -> None:
    shelf = Shelf("preservica", of(count), lambda n: lies[n % len(lies)])
    found = virtual.run(shelf.listed())
    assert found == list(range(len(found)))
    assert len(shelf.asked) <= count // 10 + 3 + AHEAD


# Row 45


@pytest.mark.row(45)
@pytest.mark.parametrize("system", SYSTEMS)
async def test_a_page_larger_than_asked_for_is_taken(system: str, see: See) -> None:
    shelf = Shelf(system, of(95, more=7), lambda _: 95)
    assert await shelf.listed() == list(range(95))
    see("larger pages: every row once")


@pytest.mark.row(45)
@pytest.mark.parametrize("system", SYSTEMS)
async def test_a_page_larger_than_asked_for_does_not_break_the_limit(system: str) -> None:
    shelf = Shelf(system, of(95, more=7), lambda _: 95)
    assert await shelf.listed(limit=24) == list(range(24))


@pytest.mark.row(45)
@pytest.mark.parametrize("cap", [1, 3, 9])
async def test_a_server_that_gives_less_than_asked_for_is_asked_on(cap: int, see: See) -> None:
    shelf = Shelf("preservica", of(25, cap=cap), lambda _: 25)
    assert await shelf.listed() == list(range(25))
    see("Preservica that caps its pages: every row once")


@pytest.mark.row(45)
async def test_an_opencast_page_that_is_shorter_than_asked_for_is_the_end(see: See) -> None:
    shelf = Shelf("opencast", of(25, cap=9))
    assert await shelf.listed() == list(range(9))
    see("Opencast, which has neither total nor cap: a shorter page is the end")


# Row 46

ENDLESS: dict[str, Pick] = {
    "the same page for ever": lambda _place, size, _n: range(size),
    "two pages in turn": lambda _place, size, n: range(n % 2 * size, (n % 2 + 1) * size),
    "a page of one row many times": lambda _place, size, _n: [7] * size,
    "duplicates but for one, at first": lambda _place, size, n: [0] * (size - 1) + [min(n, 5)],
}


@pytest.mark.row(46)
@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("name", ENDLESS)
async def test_a_list_that_never_ends_is_inconsistent_after_a_few_requests(system: str, name: str, see: See) -> None:
    shelf = Shelf(system, ENDLESS[name], lambda _: 10**9)
    with pytest.raises(ListingInconsistent):
        await shelf.listed()
    assert len(shelf.asked) <= 12 + AHEAD
    see("ListingInconsistent after a few requests")


@pytest.mark.row(46)
@pytest.mark.parametrize("system", SYSTEMS)
async def test_a_list_of_ever_new_rows_ends_at_the_limit(system: str, see: See) -> None:
    shelf = Shelf(system, lambda place, size, _: range(place, place + size), lambda _: 10**9)
    assert len(await shelf.listed(limit=1000)) == 1000
    assert len(shelf.asked) <= 150
    see("ever new rows: as many requests as the limit takes")
