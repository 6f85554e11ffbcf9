"""Rows of a list that the server cannot return. Each of them turns its whole page into an error."""

from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from attrs import define, field
from hypothesis import given, settings, strategies as st

from tests.conftest import FakeTime
from tests.support.virtual_time import run
from workflow_async import Clock, OpencastClient, Retry
from workflow_async._listing.unreadable import MAX_REQUESTS
from workflow_async.errors import CallError, RateLimited, ServerError

NULL = "java.lang.IllegalArgumentException: Value of field &apos;creator&apos; must not be null"
JETTY = {
    "servlet": "org.opencastproject.kernel.rest.RestPublisher$RestServlet-7a0f244f",
    "cause0": NULL,
    "message": NULL,
}
"""Jetty's response for a workflow without a creator, seen on Opencast 11.11."""


def jetty_failure() -> httpx.Response:
    return httpx.Response(500, json=JETTY)


@define
class BrokenListServer:
    """A server with a list of the workflows 0, 1, 2, …, some of which it cannot return."""

    workflows: int
    bad: Collection[int] = ()
    failure: Callable[[], httpx.Response] = jetty_failure
    """The response to a page with a bad row."""
    other_responses: dict[int, httpx.Response] = field(factory=dict)
    """Other responses, by the number of the request."""
    works: bool = True
    requests: list[tuple[int, int]] = field(factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        params = request.url.params
        if request.url.path != "/api/workflows":
            return httpx.Response(200, json={"default": "v1.7.0"})
        offset, rows = int(params["offset"]), int(params["limit"])
        self.requests.append((offset, rows))
        if len(self.requests) in self.other_responses:
            return self.other_responses[len(self.requests)]
        if params.get("filter") == "event_identifier:no-such-event":
            return httpx.Response(200, json=[]) if self.works else jetty_failure()
        ids = range(self.workflows)[offset : offset + rows]
        if any(id in self.bad for id in ids):
            return self.failure()
        return httpx.Response(200, json=[self.row(id) for id in ids])

    def row(self, id: int) -> dict[str, Any]:
        return {"identifier": id, "state": "running", "event_identifier": f"e{id}"}


@asynccontextmanager
async def client(server: BrokenListServer, clock: Clock, **settings: Any) -> AsyncIterator[OpencastClient]:
    async with (
        httpx.AsyncClient(transport=httpx.MockTransport(server)) as http,
        OpencastClient("https://oc.example.org", auth=("user", "secret"), http=http, clock=clock, **settings) as oc,
    ):
        yield oc


async def test_an_error_names_the_rows_and_what_to_do(fake_time: FakeTime) -> None:
    async with client(BrokenListServer(500, bad={321}), fake_time.clock) as oc:
        with pytest.raises(ServerError) as caught:
            [workflow async for workflow in oc.workflows.list(page_size=100)]
    assert caught.value.message == "java.lang.IllegalArgumentException: Value of field 'creator' must not be null"
    assert caught.value.part.startswith("rows 300 to 399, one of which the server cannot return")
    assert str(caught.value).endswith(caught.value.part)


@pytest.mark.parametrize(
    "answer", [httpx.Response(503), httpx.Response(404, text="Cannot find it."), httpx.Response(400)]
)
async def test_other_errors_name_the_rows_too(fake_time: FakeTime, answer: httpx.Response) -> None:
    async with client(BrokenListServer(5, bad={0}, failure=lambda: answer), fake_time.clock) as oc:
        listing = oc.workflows.list(page_size=1, unreadable="skip")
        with pytest.raises(CallError) as caught:
            await listing.first()
    assert caught.value.part == ("" if answer.status_code == 404 else "row 0")


@pytest.mark.parametrize("page_size", [1, 2, 7, 100, 1000])
@pytest.mark.parametrize("ahead", [1, 16])
async def test_readable_rows_are_returned_and_the_others_named(fake_time: FakeTime, page_size: int, ahead: int) -> None:
    bad = {0, 1, 2, 57, 199, 230, 249}
    async with client(BrokenListServer(250, bad), fake_time.clock) as oc:
        listing = oc.workflows.list(page_size=page_size, ahead=ahead, unreadable="skip")
        found = [workflow.id async for workflow in listing]
    assert found == [id for id in range(250) if id not in bad]
    assert [row.offset for row in listing.report.unreadable] == sorted(bad)
    assert [row.row for row in listing.report.unreadable] == [None] * len(bad)
    assert listing.report.rows == 243


@settings(max_examples=30)
@given(st.sets(st.integers(0, 39), max_size=40), st.integers(1, 45), st.integers(0, 45), st.none() | st.integers(1, 45))
def test_no_other_row_is_lost(bad: set[int], size: int, offset: int, limit: int | None) -> None:
    async def main() -> tuple[list[int], tuple[int | None, ...]]:
        async with client(BrokenListServer(40, bad), FakeTime().clock, retry=Retry(attempts=1)) as oc:
            listing = oc.workflows.list(page_size=size, offset=offset, limit=limit, unreadable="skip")
            found = [workflow.id async for workflow in listing]
            return found, tuple(row.offset for row in listing.report.unreadable)

    found, unreadable = run(main())
    good = [id for id in range(offset, 40) if id not in bad]
    assert found == good[:limit]
    assert set(unreadable) <= bad
    if limit is None:
        assert set(unreadable) == {id for id in bad if id >= offset}


async def test_a_row_costs_a_bounded_number_of_requests(fake_time: FakeTime) -> None:
    server = BrokenListServer(100, bad={73})
    async with client(server, fake_time.clock, retry=Retry(attempts=3)) as oc:
        assert len([workflow async for workflow in oc.workflows.list(page_size=100, unreadable="skip")]) == 99
    singles = [rows for _, rows in server.requests if rows == 1]
    assert len(server.requests) <= 3 + 1 + 2 * 7 + 2 * len(singles) + 1
    assert server.requests.count((73, 1)) == 3  # a row counts as unreadable after three attempts


async def test_too_many_unreadable_rows_raise_the_error_of_the_page(fake_time: FakeTime) -> None:
    server = BrokenListServer(1000, bad=range(0, 1000, 2))
    async with client(server, fake_time.clock, retry=Retry(attempts=1)) as oc:
        with pytest.raises(ServerError) as caught:
            [workflow async for workflow in oc.workflows.list(page_size=1000, unreadable="skip")]
    assert caught.value.part.startswith("rows 0 to 999")
    assert len(server.requests) == 2 + MAX_REQUESTS


async def test_a_server_whose_list_fails_gets_no_requests_for_single_rows(fake_time: FakeTime) -> None:
    server = BrokenListServer(100, bad=range(100), works=False)
    async with client(server, fake_time.clock, retry=Retry(attempts=1)) as oc:
        with pytest.raises(ServerError, match="rows 0 to 99"):
            await oc.workflows.list(unreadable="skip").first()
    assert len(server.requests) == 2


async def test_a_temporary_error_makes_no_row_unreadable(fake_time: FakeTime) -> None:
    server = BrokenListServer(8, bad={5})
    server.other_responses = {number: httpx.Response(503) for number in range(6, 10)}
    async with client(server, fake_time.clock) as oc:
        listing = oc.workflows.list(page_size=8, unreadable="skip")
        assert [workflow.id async for workflow in listing] == [0, 1, 2, 3, 4, 6, 7]
    (row,) = listing.report.unreadable
    assert (row.offset, row.page) == (5, 1)
    assert row.faults[0].startswith("the server cannot return the row: 500 ServerError: java.lang.IllegalArgument")
    assert row.faults[0].endswith("@ row 5")


async def test_a_single_row_that_fails_in_another_way_is_an_error(fake_time: FakeTime) -> None:
    server = BrokenListServer(2, bad={0})
    server.other_responses = {3: httpx.Response(429, headers={"retry-after": "3600"})}
    async with client(server, fake_time.clock, retry=Retry(attempts=1)) as oc:
        with pytest.raises(RateLimited) as caught:
            await oc.workflows.list(page_size=2, unreadable="skip").first()
    assert caught.value.part == "row 0"


@pytest.mark.parametrize("consistency", ["anchored", "partitioned"])
async def test_exact_listings_do_not_read_pages_in_parts(fake_time: FakeTime, consistency: Any) -> None:
    server = BrokenListServer(5, bad={3})
    async with client(server, fake_time.clock, retry=Retry(attempts=1)) as oc:
        with pytest.raises(ServerError, match="rows 0 to 4"):
            await oc.workflows.list(consistency=consistency, unreadable="skip", page_size=5).first()
    assert len(server.requests) == 1


class UnreadableRowServer(BrokenListServer):
    """A server that returns two rows that the library cannot read."""

    def row(self, id: int) -> dict[str, Any]:
        return super().row(id) | ({"identifier": "?"} if id in {3, 4} else {})


async def test_rows_that_the_library_cannot_read_are_skipped_too(
    fake_time: FakeTime,
) -> None:
    async with client(UnreadableRowServer(9, bad={7}), fake_time.clock) as oc:
        listing = oc.workflows.list(page_size=9, unreadable="skip")
        assert [workflow.id async for workflow in listing] == [0, 1, 2, 5, 6, 8]
    assert [row.offset for row in listing.report.unreadable] == [None, None, 7]
