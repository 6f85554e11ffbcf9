"""Short and repeated pages of Preservica."""

from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.sandbox.preservica.api import LIST, list_page, logged_in, row_ids, total_and_count
from workflow_async.sandbox import Fault
from workflow_async.sandbox.fault_middleware import FAULT
from workflow_async.sandbox.preservica.app import PreservicaState


class FaultForNextRequest:
    """An ASGI application that sets the fault of the next request, as the fault middleware does."""

    def __init__(self, inner: ASGIApp) -> None:
        self.inner = inner
        self.fault: Fault | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[FAULT], self.fault = self.fault, None
        await self.inner(scope, receive, send)


@pytest.fixture
def fault_app(server: PreservicaState) -> FaultForNextRequest:
    return FaultForNextRequest(server.app)


@pytest.fixture
async def http(server: PreservicaState, fault_app: FaultForNextRequest) -> AsyncIterator[httpx.AsyncClient]:
    async with logged_in(server, fault_app) as http:
        yield http


async def test_a_short_page_has_fewer_rows_and_counts_them(
    http: httpx.AsyncClient, server: PreservicaState, fault_app: FaultForNextRequest
) -> None:
    server.seed(20)
    fault_app.fault = Fault.SHORT_PAGE
    root = await list_page(http, max=10)
    assert (total_and_count(root), len(row_ids(root))) == ((20, 5), 5)
    assert total_and_count(await list_page(http, max=10)) == (20, 10)


async def test_a_short_page_is_never_empty_while_there_are_rows(
    http: httpx.AsyncClient, server: PreservicaState, fault_app: FaultForNextRequest
) -> None:
    server.seed(2)
    fault_app.fault = Fault.SHORT_PAGE
    assert total_and_count(await list_page(http, max=1)) == (2, 1)


async def test_a_repeated_page_equals_the_last_one_byte_for_byte(
    http: httpx.AsyncClient, server: PreservicaState, fault_app: FaultForNextRequest
) -> None:
    server.seed(20)
    first = await http.get(LIST, params={"max": 5})
    fault_app.fault = Fault.REPEATED_PAGE
    second = await http.get(LIST, params={"max": 5, "start": 5})
    third = await http.get(LIST, params={"max": 5, "start": 5})
    assert second.content == first.content != third.content


async def test_the_first_page_cannot_be_a_repeated_one(
    http: httpx.AsyncClient, server: PreservicaState, fault_app: FaultForNextRequest
) -> None:
    server.seed(3)
    fault_app.fault = Fault.REPEATED_PAGE
    assert total_and_count(await list_page(http)) == (3, 3)


async def test_a_repeated_page_is_of_the_same_list(
    http: httpx.AsyncClient, server: PreservicaState, fault_app: FaultForNextRequest
) -> None:
    server.seed(3)
    await list_page(http)
    fault_app.fault = Fault.REPEATED_PAGE
    assert (await http.get("/api/processmonitor/monitors")).json()["value"]["paging"] == {"totalResults": 3}


async def test_a_repeated_page_is_of_the_listing_that_was_asked_for(
    http: httpx.AsyncClient, server: PreservicaState, fault_app: FaultForNextRequest
) -> None:
    server.seed(60)
    wanted = {"state": "Completed,Active", "max": "3"}
    before = await http.get(LIST, params=wanted)
    await http.get(LIST, params={"state": "Failed", "max": 3})
    fault_app.fault = Fault.REPEATED_PAGE
    assert (await http.get(LIST, params={**wanted, "start": "3"})).content == before.content


async def test_a_listing_with_other_filters_is_not_answered_with_a_page_of_another(
    http: httpx.AsyncClient, server: PreservicaState, fault_app: FaultForNextRequest
) -> None:
    server.seed(60)
    every = await list_page(http, max=3)
    fault_app.fault = Fault.REPEATED_PAGE
    ingests = await list_page(http, max=3, type="Access")
    assert set(row_ids(every)).isdisjoint(row_ids(ingests))
    assert len(row_ids(ingests)) == 3
