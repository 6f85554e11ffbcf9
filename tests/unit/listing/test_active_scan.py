"""An active scan requests concurrently the pages that it expects, and no others."""

import asyncio
from typing import Any

import anyio
import pytest
from attrs import define, field
from hypothesis import given, strategies as st

from tests.support import virtual_time as virtual
from tests.support.monitored_server import PAGE_SIZE, Record, Server, running
from tests.unit.monitor.test_fetcher import MANY, phases, started
from tests.unit.monitor.test_poller import later
from workflow_async import Phase
from workflow_async._core.call import Call, Page, Reply
from workflow_async._listing.active_scan import MAX_PAGES_IN_FLIGHT, ActiveScan
from workflow_async._listing.listing import Listing
from workflow_async._listing.scan import ScanState
from workflow_async.errors import ListingInconsistent, ListingNotSupported

SIZE = 10


@define
class PagedList:
    """A list that is returned in pages."""

    rows: int
    reports_total: bool = False
    max_rows: int = SIZE
    """The most rows of a page, whatever is requested."""
    batches: list[list[int]] = field(factory=list)

    def page(self, offset: int, size: int) -> Call[Page[int]]:
        """Return the call for the rows from an offset on."""
        end = min(self.rows, offset + min(size, self.max_rows))
        page = Page(tuple(range(offset, end)), None, self.rows if self.reports_total else None)
        return Call("GET", f"/{offset}", lambda _: page)

    def read_all(self, known: int = 0) -> list[int]:
        """Return what a scan finds if it expects `known` rows."""
        rows: list[int] = []
        scan = ActiveScan(self.page, ScanState[int](lambda row: row), SIZE, known)
        while not scan.done:
            calls = scan.next_calls()
            self.batches.append([int(call.path[1:]) for call in calls])
            for call in calls:
                items = None if scan.done else scan.accept(call.read(Reply(200, {}, b"")))
                if items is None:
                    break
                rows += items
        return rows

    @property
    def request_count(self) -> int:
        """The number of requests."""
        return sum(map(len, self.batches))


def test_after_the_first_page_as_many_as_last_time_are_requested_concurrently() -> None:
    paged = PagedList(35)
    assert paged.read_all(known=38) == [*range(35)]
    assert paged.batches == [[0], [10, 20, 30]]


def test_the_first_scan_of_a_list_with_a_total_requests_one_page_and_then_the_rest() -> None:
    paged = PagedList(40, reports_total=True)
    assert paged.read_all() == [*range(40)]
    assert paged.batches == [[0], [10, 20, 30]]


def test_a_list_that_has_grown_is_read_page_by_page_if_there_is_no_total() -> None:
    paged = PagedList(45)
    assert paged.read_all(known=20) == [*range(45)]
    assert paged.batches == [[0], [10], [20], [30], [40]]


def test_a_list_with_shorter_pages_than_requested_is_read_to_its_end() -> None:
    paged = PagedList(20, reports_total=True, max_rows=4)
    assert paged.read_all() == [*range(20)]
    assert paged.batches == [[0], [4, 8, 12, 16]]


def test_no_more_than_64_pages_are_requested_concurrently() -> None:
    paged = PagedList((MAX_PAGES_IN_FLIGHT + 2) * SIZE, reports_total=True)
    paged.read_all()
    assert [len(batch) for batch in paged.batches] == [1, MAX_PAGES_IN_FLIGHT, 1]


def test_as_pages_arrive_the_next_are_requested_but_not_after_a_short_one() -> None:
    paged = PagedList(1000, reports_total=True)
    scan = ActiveScan(paged.page, ScanState[int](lambda row: row), SIZE, 0)

    def respond(call: Call[Page[int]]) -> None:
        scan.accept(call.read(Reply(200, {}, b"")))

    respond(scan.next_calls()[0])
    first = scan.next_calls()
    assert (len(first), len(scan.next_calls())) == (MAX_PAGES_IN_FLIGHT, 0)
    respond(first[0])
    assert [call.path for call in scan.next_calls()] == [f"/{(MAX_PAGES_IN_FLIGHT + 1) * SIZE}"]
    assert not scan.next_calls(pages_in_use=1)
    paged.max_rows = 3
    respond(paged.page(2 * SIZE, SIZE))
    assert not scan.next_calls()


def test_a_list_whose_pages_are_empty_below_its_total_is_an_error() -> None:
    paged = PagedList(50, reports_total=True, max_rows=0)
    with pytest.raises(ListingInconsistent):
        paged.read_all()
    assert len(paged.batches) == 2


@given(paged=st.builds(PagedList, st.integers(0, 700), st.booleans()), known=st.integers(0, 700))
def test_whatever_has_changed_a_scan_requests_the_pages_and_at_most_one_more_for_each_change(
    paged: PagedList, known: int
) -> None:
    assert paged.read_all(known) == [*range(paged.rows)]
    pages = max(1, -(-paged.rows // SIZE)) if paged.reports_total else paged.rows // SIZE + 1
    assert paged.request_count <= pages + abs(paged.rows - known)


class PrefetchingServer(Server):
    """A server whose list is requested ahead."""

    def list_active(self, *, operations: bool, rows: int = 0) -> Listing[Any]:
        """Return the workflows that have not ended, requesting many pages concurrently."""

        def page(offset: int, _: int) -> Call[Page[Record]]:
            return Call("GET", "/", lambda _: (offset, operations))  # type: ignore[arg-type,return-value]  # see Server

        return Listing(self._send, lambda state: ActiveScan(page, state, PAGE_SIZE, rows), lambda record: record.id)


def test_a_scan_requests_all_pages_of_the_watched_workflows_concurrently() -> None:
    async def main() -> None:
        server = PrefetchingServer(supports_listing=True, seconds=0.5, workflows=running(*MANY))
        _, events = started(server)
        await anyio.sleep(0.9)
        assert server.pages == [0.0, 0.5, 0.5]
        later(10, lambda: server.set_phase(Phase.SUCCEEDED, *MANY))
        await events

    virtual.run(main())


def test_a_list_that_is_not_available_costs_one_request() -> None:
    async def main() -> None:
        server = PrefetchingServer(
            supports_listing=True, workflows=running(*MANY), list_error=ListingNotSupported("405")
        )
        _, events = started(server)
        await anyio.sleep(1)
        assert len(server.pages) == 1
        events.cancel()

    virtual.run(main())


@pytest.mark.parametrize("id", [150, 250], ids=["second page", "last page"])
def test_a_prefetched_page_that_is_older_than_a_get_is_ignored(id: int) -> None:
    async def main() -> None:
        server = PrefetchingServer(supports_listing=True, workflows=running(*MANY))
        loop, events = started(server)
        await anyio.sleep(3)
        server.seconds = 2.2
        await anyio.sleep(3)  # the first page has been requested
        server.seconds = 4.0
        await anyio.sleep(2)  # the others have been requested and are slow
        server.seconds = 0.1
        server.set_phase(Phase.PARKED, id)
        loop.wake(id)
        later(10, lambda: server.set_phase(Phase.SUCCEEDED, *MANY))
        assert phases(await events, id) == [Phase.RUNNING, Phase.PARKED, Phase.SUCCEEDED]

    virtual.run(main())


def test_a_scan_remembers_the_length_of_the_list_if_few_of_its_rows_are_watched() -> None:
    async def main() -> None:
        server = PrefetchingServer(supports_listing=True, workflows=running(*range(450)))
        _, events = started(server, MANY)
        await asyncio.sleep(3)
        before = len(server.pages)
        server.seconds = 0.4
        await anyio.sleep(1.7)
        assert len(server.pages) - before == 5
        events.cancel()

    virtual.run(main())
