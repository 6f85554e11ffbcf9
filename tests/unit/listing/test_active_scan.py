"""A sweep of the list asks at once for what it knows to be there, and for nothing else."""

import asyncio
from typing import Any

import anyio
import pytest
from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st

from tests.support import virtual_time as virtual
from tests.support.monitored_server import ROWS, Record, Server, running
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
class Shelf:
    """So many rows, given by pages; `told` says whether the server tells how many there are."""

    rows: int
    told: bool = False
    most: int = SIZE
    """Rows it gives at once, whatever it is asked for."""
    batches: list[list[int]] = field(factory=list)

    def page(self, offset: int, size: int) -> Call[Page[int]]:
        """The rows from an offset on."""
        end = min(self.rows, offset + min(size, self.most))
        page = Page(tuple(range(offset, end)), None, self.rows if self.told else None)
        return Call("GET", f"/{offset}", lambda _: page)

    def sweep(self, known: int = 0) -> list[int]:
        """What a sweep finds where so many are known to be."""
        found: list[int] = []
        scan = ActiveScan(self.page, ScanState[int](lambda row: row), SIZE, known)
        while not scan.done:
            calls = scan.next_calls()
            self.batches.append([int(call.path[1:]) for call in calls])
            for call in calls:
                items = None if scan.done else scan.accept(call.read(Reply(200, {}, b"")))
                if items is None:
                    break
                found += items
        return found

    @property
    def requests(self) -> int:
        """How many there were."""
        return sum(map(len, self.batches))


def test_after_the_first_page_as_many_as_there_were_last_time_are_asked_for_at_once() -> None:
    shelf = Shelf(35)
    assert shelf.sweep(known=38) == [*range(35)]
    assert shelf.batches == [[0], [10, 20, 30]]


def test_the_first_sweep_of_a_server_that_tells_its_rows_asks_once_and_then_for_the_rest() -> None:
    shelf = Shelf(40, told=True)
    assert shelf.sweep() == [*range(40)]
    assert shelf.batches == [[0], [10, 20, 30]]


def test_a_list_that_has_grown_is_read_on_page_by_page_where_nobody_tells_its_end() -> None:
    shelf = Shelf(45)
    assert shelf.sweep(known=20) == [*range(45)]
    assert shelf.batches == [[0], [10], [20], [30], [40]]


def test_a_server_that_gives_fewer_rows_than_asked_is_read_to_its_end() -> None:
    shelf = Shelf(20, told=True, most=4)
    assert shelf.sweep() == [*range(20)]
    assert shelf.batches == [[0], [4, 8, 12, 16]]


def test_no_more_pages_are_asked_for_at_once_than_share_the_connections_well() -> None:
    shelf = Shelf((MAX_PAGES_IN_FLIGHT + 2) * SIZE, told=True)
    shelf.sweep()
    assert [len(batch) for batch in shelf.batches] == [1, MAX_PAGES_IN_FLIGHT, 1]


def test_as_pages_come_the_next_are_asked_for_but_not_behind_one_that_was_short() -> None:
    shelf = Shelf(1000, told=True)
    scan = ActiveScan(shelf.page, ScanState[int](lambda row: row), SIZE, 0)

    def come(call: Call[Page[int]]) -> None:
        scan.accept(call.read(Reply(200, {}, b"")))

    come(scan.next_calls()[0])
    first = scan.next_calls()
    assert (len(first), len(scan.next_calls())) == (MAX_PAGES_IN_FLIGHT, 0)
    come(first[0])
    assert [call.path for call in scan.next_calls()] == [f"/{(MAX_PAGES_IN_FLIGHT + 1) * SIZE}"]
    assert not scan.next_calls(pages_in_use=1)
    shelf.most = 3
    come(shelf.page(2 * SIZE, SIZE))
    assert not scan.next_calls()


def test_a_server_that_says_there_is_more_and_gives_nothing_is_given_up() -> None:
    hollow = Shelf(50, told=True, most=0)
    with pytest.raises(ListingInconsistent):
        hollow.sweep()
    assert len(hollow.batches) == 2


@given(shelf=st.builds(Shelf, st.integers(0, 700), st.booleans()), known=st.integers(0, 700))
def test_however_the_list_has_changed_a_sweep_asks_for_its_pages_and_at_most_once_for_each_change(
    shelf: Shelf, known: int
) -> None:
    assert shelf.sweep(known) == [*range(shelf.rows)]
    pages = max(1, -(-shelf.rows // SIZE)) if shelf.told else shelf.rows // SIZE + 1
    assert shelf.requests <= pages + abs(shelf.rows - known)


class Ahead(Server):
    """A server whose list is asked for ahead."""

    def list_active(self, *, operations: bool, rows: int = 0) -> Listing[Any]:
        """What has not ended, many pages at once."""

        def page(offset: int, _: int) -> Call[Page[Record]]:
            return Call("GET", "/", lambda _: (offset, operations))  # type: ignore[arg-type,return-value]  # see Server

        return Listing(self._send, lambda found: ActiveScan(page, found, ROWS, rows), lambda record: record.id)


def test_a_sweep_asks_at_once_for_all_pages_that_the_watched_fill() -> None:
    async def main() -> None:
        server = Ahead(supports_listing=True, seconds=0.5, workflows=running(*MANY))
        _, told = started(server)
        await anyio.sleep(0.9)
        assert server.pages == [0.0, 0.5, 0.5]
        later(10, lambda: server.become(Phase.SUCCEEDED, *MANY))
        await told

    virtual.run(main())


def test_a_list_that_cannot_be_had_costs_one_request() -> None:
    async def main() -> None:
        server = Ahead(supports_listing=True, workflows=running(*MANY), refusal=ListingNotSupported("405"))
        _, told = started(server)
        await anyio.sleep(1)
        assert len(server.pages) == 1
        told.cancel()

    virtual.run(main())


@pytest.mark.parametrize("id", [150, 250], ids=["second page", "last page"])
def test_a_page_asked_for_ahead_that_was_overtaken_by_a_get_is_not_believed(id: int) -> None:
    async def main() -> None:
        server = Ahead(supports_listing=True, workflows=running(*MANY))
        loop, told = started(server)
        await anyio.sleep(3)
        server.seconds = 2.2
        await anyio.sleep(3)  # the first page has been asked for
        server.seconds = 4.0
        await anyio.sleep(2)  # so have the others, and are slow
        server.seconds = 0.1
        server.become(Phase.PARKED, id)
        loop.wake(id)
        later(10, lambda: server.become(Phase.SUCCEEDED, *MANY))
        assert phases(await told, id) == [Phase.RUNNING, Phase.PARKED, Phase.SUCCEEDED]

    virtual.run(main())


def test_a_sweep_remembers_how_long_the_list_was_though_few_of_it_are_watched() -> None:
    async def main() -> None:
        server = Ahead(supports_listing=True, workflows=running(*range(450)))
        _, told = started(server, MANY)
        await asyncio.sleep(3)
        before = len(server.pages)
        server.seconds = 0.4
        await anyio.sleep(1.7)
        assert len(server.pages) - before == 5
        told.cancel()

    virtual.run(main())
