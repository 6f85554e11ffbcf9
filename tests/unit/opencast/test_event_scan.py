"""The scan of workflows by events, without any request."""

from collections import deque
from collections.abc import Mapping
from operator import attrgetter
from typing import Any

import pytest

from workflow_async._core.call import Call, Page, UnreadableRow
from workflow_async._listing.by_offset import OffsetScan, OverlapScan, PageWindow
from workflow_async._listing.scan import ScanState
from workflow_async.errors import ListingIncomplete
from workflow_async.opencast import event_calls
from workflow_async.opencast.event_records import Event
from workflow_async.opencast.event_scan import EventPage, EventScan, FallbackScan, NoList
from workflow_async.opencast.known_workflows import MAX_EVENTS, KnownWorkflows
from workflow_async.opencast.list_routes import ListRoutes
from workflow_async.opencast.records import State, Workflow

SIZE = 2


def workflow(id: int) -> Workflow:
    return Workflow(id=id, state=State.RUNNING, state_text="running", event_id=f"e{id}")


def rows_call(filter: str) -> Any:
    return lambda offset, rows: event_calls.list_events(filter=filter, size=rows, offset=offset)


def event_scan(*filters: str, limit: int | None = None) -> EventScan:
    scans = deque(
        OffsetScan(rows_call(filter), ScanState[Event](attrgetter("id")), PageWindow(SIZE, 4)) for filter in filters
    )
    return EventScan(deque(scans), ScanState(attrgetter("id"), limit))


def page(rows: Mapping[str, tuple[Any, ...]], unknown: tuple[str, ...] = (), requests: int = 0) -> EventPage:
    events = Page(tuple(Event(id=id) for id in rows))
    routes = ListRoutes(KnownWorkflows())
    return EventPage(events=events, rows=rows, unknown=unknown, requests=requests, incomplete=routes.incomplete)


def params(found: Any) -> list[dict[str, str]]:
    return [dict(call.params) for call in found]


def ids(rows: Any) -> list[int]:
    return [row.id for row in rows]


def test_pages_of_events_are_requested_one_list_after_the_other() -> None:
    scan = event_scan("a", "b")
    assert params(scan.next_calls()) == [{"filter": "a", "limit": "2", "offset": "0"}]
    assert ids(scan.accept(page({"x": (workflow(1), workflow(2)), "y": ()}, requests=2))) == [1, 2]
    assert params(scan.next_calls()) == [{"filter": "a", "limit": "2", "offset": "2"}]
    assert scan.accept(page({})) == ()
    assert params(scan.next_calls()) == [{"filter": "b", "limit": "2", "offset": "0"}]
    assert ids(scan.accept(page({"x": (workflow(1), workflow(3))}, requests=1))) == [3]
    assert (scan.done, scan.state.requests, scan.state.duplicates) == (True, 3, 1)


def test_a_page_that_does_not_continue_the_events_is_dropped() -> None:
    events = OverlapScan(rows_call("a"), ScanState[Event](attrgetter("id")), PageWindow(4, 1))
    scan = EventScan(deque([events]), ScanState(attrgetter("id")))
    scan.next_calls()
    scan.accept(page(dict.fromkeys("abcd", ())))
    scan.next_calls()
    assert scan.accept(page({"x": (workflow(1),), "y": (), "z": (), "u": ()})) is None
    assert params(scan.next_calls()) == [{"filter": "a", "limit": "4", "offset": "0"}]


def test_the_limit_ends_the_scan_without_a_check() -> None:
    scan = event_scan("a", limit=1)
    scan.next_calls()
    assert ids(scan.accept(page({"x": (workflow(1), workflow(2)), "y": ()}, unknown=("y",)))) == [1]
    assert scan.done


def test_rows_that_cannot_be_read_are_recorded_once() -> None:
    scan = event_scan("a")
    scan.next_calls()
    broken = UnreadableRow(("no state @ $",), {"id": 7})
    event: Any = UnreadableRow(("no id @ $[0]",), {"title": "x"})
    found = page({"x": (broken, workflow(1), broken)})
    assert ids(scan.accept(EventPage(events=Page((event, *found.events.items)), rows=found.rows)) or ()) == [1]
    assert [row.faults for row in scan.state.unreadable] == [("no id @ $[0]",), ("no state @ $",)]


def checked_scan(names: tuple[str, ...]) -> EventScan:
    scan = event_scan("a")
    scan.next_calls()
    assert scan.accept(page({names[0]: ()}, unknown=names)) == ()
    assert not scan.done
    return scan


def test_an_event_that_is_still_there_makes_the_listing_incomplete() -> None:
    scan = checked_scan(("x", "y", "z"))
    (call,) = params(scan.next_calls())
    assert call == {"filter": "identifier:x,identifier:y,identifier:z", "limit": "3", "offset": "0"}
    assert scan.next_calls() == ()
    with pytest.raises(ListingIncomplete) as caught:
        scan.accept(page({"y": ()}, unknown=("y",)))
    assert caught.value.events == ("y",)


def test_workflows_that_are_found_at_the_end_come_before_the_error() -> None:
    scan = checked_scan(("x", "y"))
    scan.next_calls()
    assert ids(scan.accept(page({"x": (workflow(1),), "y": ()}, unknown=("y",)))) == [1]
    assert not scan.done
    for _ in range(2):
        with pytest.raises(ListingIncomplete):
            scan.next_calls()


def test_events_that_are_gone_do_not_make_the_listing_incomplete() -> None:
    names = tuple(f"{n:036}" for n in range(200))
    scan = checked_scan(names)
    (first,) = params(scan.next_calls())
    assert 100 < int(first["limit"]) < 200
    assert ids(scan.accept(page({names[0]: (workflow(5),)}))) == [5]
    assert not scan.done
    (second,) = params(scan.next_calls())
    assert int(first["limit"]) + int(second["limit"]) == 200
    assert scan.accept(page({})) == ()
    assert scan.done


def test_events_of_later_batches_count_without_being_requested_again() -> None:
    names = tuple(f"{n:036}" for n in range(400))
    scan = checked_scan(names)
    (first,) = params(scan.next_calls())
    with pytest.raises(ListingIncomplete) as caught:
        scan.accept(page({names[1]: ()}, unknown=names[1:2]))
    assert len(caught.value.events) == 400 - int(first["limit"]) + 1


def test_the_scan_goes_on_with_events_if_there_is_no_list() -> None:
    first = Call("GET", "/api/workflows", lambda _: Page[Workflow](()))
    state: ScanState[Workflow] = ScanState(attrgetter("id"))
    listed = OffsetScan[Workflow](lambda offset, rows: first, state, PageWindow(SIZE, 4))
    scan = FallbackScan(listed, event_scan("a"))
    assert list(scan.next_calls()) == [first]
    assert scan.accept(NoList()) is None
    assert params(scan.next_calls()) == [{"filter": "a", "limit": "2", "offset": "0"}]
    assert ids(scan.accept(page({"x": (workflow(1),)}))) == [1]
    assert scan.done


def test_the_scan_reads_the_list_if_there_is_one() -> None:
    state: ScanState[Workflow] = ScanState(attrgetter("id"))
    listed = OffsetScan[Workflow](
        lambda offset, rows: Call("GET", "/", lambda _: Page[Workflow](())), state, PageWindow(SIZE, 4)
    )
    scan = FallbackScan(listed, event_scan("a"))
    scan.next_calls()
    assert ids(scan.accept(Page((workflow(1),)))) == [1]
    assert scan.done


def test_workflows_are_remembered_by_event_in_the_order_of_their_starts() -> None:
    known = KnownWorkflows()
    for event, id in (("x", 1), ("y", 2), ("x", 3), ("x", 3)):
        known.note(event, id)
    assert (known.of("x"), known.of("y"), known.of("z")) == ((1, 3), (2,), ())
    known.forget("x", 1)
    known.forget("y", 2)
    known.forget("z", 4)
    assert (known.of("x"), known.of("y")) == ((3,), ())


def test_the_event_with_the_oldest_last_start_is_forgotten_first() -> None:
    known = KnownWorkflows()
    for n in range(MAX_EVENTS):
        known.note(f"e{n}", n)
    known.note("e0", MAX_EVENTS)
    known.note("new", MAX_EVENTS + 1)
    assert (known.of("e0"), known.of("e1"), known.of("e2")) == ((0, MAX_EVENTS), (), (2,))
