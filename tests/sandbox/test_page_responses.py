"""A repeated page is the last one of its list, for a limited number of lists."""

import pytest
from starlette.requests import Request
from starlette.responses import Response

from workflow_async.sandbox import Fault
from workflow_async.sandbox.conditions import BrokenRecordError
from workflow_async.sandbox.fault_middleware import FAULT
from workflow_async.sandbox.page_responses import MAX_LISTINGS, PageResponses


def respond(pages: PageResponses, query: str, row: str, *, repeated: bool) -> bytes:
    fault = Fault.REPEATED_PAGE if repeated else None
    scope = {"type": "http", "method": "GET", "path": "/list", "query_string": query.encode(), "headers": []}
    request = Request({**scope, FAULT: fault})
    return bytes(pages.respond(request, [row], lambda rows: Response(",".join(rows))).body)


def test_the_order_of_the_query_parameters_does_not_make_another_listing() -> None:
    pages = PageResponses(frozenset({"limit", "offset"}))
    respond(pages, "filter=a&sort=b&limit=1", "first", repeated=False)
    assert respond(pages, "offset=1&sort=b&filter=a", "second", repeated=True) == b"first"


def test_the_last_pages_of_many_listings_are_remembered_and_the_oldest_is_dropped() -> None:
    pages = PageResponses(frozenset())
    for n in range(MAX_LISTINGS + 1):
        respond(pages, f"filter={n}", f"old {n}", repeated=False)
    found = [respond(pages, f"filter={n}", "new", repeated=True) for n in (1, MAX_LISTINGS, 0)]
    assert found == [b"old 1", f"old {MAX_LISTINGS}".encode(), b"new"]


def test_a_page_that_cannot_be_rendered_leaves_the_last_page_in_place() -> None:
    def fail(_: list[str]) -> Response:
        raise BrokenRecordError(7)

    pages = PageResponses(frozenset())
    respond(pages, "", "first", repeated=False)
    request = Request({"type": "http", "method": "GET", "path": "/list", "query_string": b"", "headers": []})
    with pytest.raises(BrokenRecordError):
        pages.respond(request, ["second"], fail)
    assert respond(pages, "", "third", repeated=True) == b"first"
