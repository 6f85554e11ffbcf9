"""Rows 43 to 46: lists with wrong counts, and lists without an end."""

from collections.abc import Callable, Iterable
from typing import Any

import httpx
import pytest
from attrs import define, field
from hypothesis import given, settings, strategies as st

from tests.conftest import FakeTime, See
from tests.support import virtual_time as virtual
from tests.support.stub_clients import SYSTEMS, MockServer, page, row
from workflow_async.errors import ListingInconsistent

AHEAD = 16
"""Pages that may have been requested before the end of the list is known."""

IdsOfPage = Callable[[int, int, int], Iterable[int]]
"""Maps the offset and size of a request, and the number of the request, to the ids of the page."""


@define
class ListServer:
    """A server that lists any workflows, and records the requests."""

    system: str
    ids_of_page: IdsOfPage
    total: Callable[[int], Any] = lambda _: None
    """The total that it reports in its n-th response."""
    counts: dict[str, Any] = field(factory=dict)
    requests: list[tuple[int, int]] = field(factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        params = request.url.params
        offset, size = ("offset", "limit") if self.system == "opencast" else ("start", "max")
        self.requests.append((int(params[offset]), int(params[size])))
        n = len(self.requests)
        rows = [row(self.system, id) for id in self.ids_of_page(*self.requests[-1], n)]
        return httpx.Response(200, content=page(self.system, rows, self.total(n), **self.counts))

    async def list_ids(self, **options: Any) -> list[int]:
        """Return the ids that a client receives."""
        async with MockServer(self.system, self).client(FakeTime().clock) as client:
            return [workflow.id async for workflow in client.workflows.list(page_size=10, **options)]


def list_of(count: int, *, max_rows: int = 1000, extra: int = 0) -> IdsOfPage:
    """Return the pages of a list. They have at most `max_rows` rows, or `extra` rows more than requested."""
    return lambda offset, size, _: range(count)[offset : offset + min(size + extra, max_rows)]


# Row 43


@pytest.mark.row(43)
@pytest.mark.parametrize("total", [None, 0, "", " 0 ", 7])
@pytest.mark.parametrize("system", SYSTEMS)
async def test_an_empty_list_is_empty_whatever_it_counts(system: str, total: Any, see: See) -> None:
    server = ListServer(system, list_of(0), lambda _: total)
    assert await server.list_ids() == []
    assert len(server.requests) <= 2
    see("empty: no rows, 2 requests at most")


@pytest.mark.row(43)
@pytest.mark.parametrize("count", [0, 3, 1000, ""])
async def test_a_wrong_count_of_rows_is_ignored(count: Any, see: See) -> None:
    server = ListServer("preservica", list_of(25), lambda _: 25, {"Count": count})
    assert await server.list_ids() == list(range(25))
    see("a wrong Count: rows are counted instead, every row once")


# Row 44


@pytest.mark.row(44)
@pytest.mark.parametrize("total", [26, 1000, 10**15])
async def test_a_total_that_is_too_high_ends_with_the_rows(total: int, see: See) -> None:
    server = ListServer("preservica", list_of(25), lambda _: total)
    assert await server.list_ids() == list(range(25))
    assert len(server.requests) <= 4 + AHEAD
    see("too high: ends with the rows")


@pytest.mark.row(44)
@pytest.mark.parametrize("total", [0, 1, 9, 15])
async def test_a_total_below_the_received_rows_is_ignored(total: int, see: See) -> None:
    server = ListServer("preservica", list_of(25), lambda _: total)
    assert await server.list_ids() == list(range(25))
    see("too low: nothing lost")


@pytest.mark.row(44)
async def test_a_total_that_grows_during_the_listing_is_followed(see: See) -> None:
    def rows(n: int) -> range:
        return range(15 + 10 * min(n, 5))

    server = ListServer("preservica", lambda offset, size, n: rows(n)[offset : offset + size], lambda n: len(rows(n)))
    assert await server.list_ids() == list(range(65))
    see("growing: followed to its end")


@pytest.mark.row(44)
@settings(max_examples=60, deadline=None)
@given(count=st.integers(0, 45), totals=st.lists(st.integers(-5, 60) | st.none(), min_size=1, max_size=8))
def test_with_any_totals_the_listing_ends_and_returns_no_row_twice(count: int, totals: list[int | None]) -> None:
    server = ListServer("preservica", list_of(count), lambda n: totals[n % len(totals)])
    found = virtual.run(server.list_ids())
    assert found == list(range(len(found)))
    assert len(server.requests) <= count // 10 + 3 + AHEAD


# Row 45


@pytest.mark.row(45)
@pytest.mark.parametrize("system", SYSTEMS)
async def test_a_page_larger_than_requested_is_read(system: str, see: See) -> None:
    server = ListServer(system, list_of(95, extra=7), lambda _: 95)
    assert await server.list_ids() == list(range(95))
    see("larger pages: every row once")


@pytest.mark.row(45)
@pytest.mark.parametrize("system", SYSTEMS)
async def test_a_page_larger_than_requested_does_not_break_the_limit(system: str) -> None:
    server = ListServer(system, list_of(95, extra=7), lambda _: 95)
    assert await server.list_ids(limit=24) == list(range(24))


@pytest.mark.row(45)
@pytest.mark.parametrize("max_rows", [1, 3, 9])
async def test_a_list_with_pages_shorter_than_requested_is_read_to_its_end(max_rows: int, see: See) -> None:
    server = ListServer("preservica", list_of(25, max_rows=max_rows), lambda _: 25)
    assert await server.list_ids() == list(range(25))
    see("Preservica with shorter pages: every row once")


@pytest.mark.row(45)
async def test_an_opencast_page_shorter_than_requested_is_the_end(see: See) -> None:
    server = ListServer("opencast", list_of(25, max_rows=9))
    assert await server.list_ids() == list(range(9))
    see("Opencast without a total: a shorter page is the end")


# Row 46

ENDLESS: dict[str, IdsOfPage] = {
    "the same page each time": lambda _offset, size, _n: range(size),
    "two pages alternately": lambda _offset, size, n: range(n % 2 * size, (n % 2 + 1) * size),
    "a page of one row many times": lambda _offset, size, _n: [7] * size,
    "only one new row in each of the first pages": lambda _offset, size, n: [0] * (size - 1) + [min(n, 5)],
}


@pytest.mark.row(46)
@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("name", ENDLESS)
async def test_a_list_that_never_ends_is_inconsistent_after_a_few_requests(system: str, name: str, see: See) -> None:
    server = ListServer(system, ENDLESS[name], lambda _: 10**9)
    with pytest.raises(ListingInconsistent):
        await server.list_ids()
    assert len(server.requests) <= 12 + AHEAD
    see("ListingInconsistent after a few requests")


@pytest.mark.row(46)
@pytest.mark.parametrize("system", SYSTEMS)
async def test_an_endless_list_of_new_rows_ends_at_the_limit(system: str, see: See) -> None:
    server = ListServer(system, lambda offset, size, _: range(offset, offset + size), lambda _: 10**9)
    assert len(await server.list_ids(limit=1000)) == 1000
    assert len(server.requests) <= 150
    see("endless new rows: the requests that the limit takes")
