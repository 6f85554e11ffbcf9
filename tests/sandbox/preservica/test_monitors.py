"""The list of process monitors."""

from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.sandbox.preservica.monitor_api import BASE, monitors, read_value, start_monitored
from workflow_async.sandbox.clock import ManualClock
from workflow_async.sandbox.preservica.app import PreservicaState

OPEX = "9f2c4d1e-7a35-4b0c-8d61-2f0e5b7a9c13"


async def test_a_monitor_has_the_id_that_its_instance_refers_to(
    http: httpx.AsyncClient, server: PreservicaState, clock: ManualClock
) -> None:
    id = start_monitored(server, "42", OpexContainerDirectory="opex/batch-1")
    clock.advance(5.5)
    (monitor,) = await monitors(http)
    assert monitor == {
        "mappedId": id,
        "name": "opex/batch-1",
        "status": "Running",
        "started": "2023-11-14T22:13:22.000Z",
        "category": "Ingest",
        "subcategory": "OPEX",
        "progressText": "Ingest",
        "percentComplete": "50",
        "filesPending": 8,
        "size": 24332,
        "filesProcessed": 8,
        "warnings": 0,
        "errors": 0,
        "canRetry": False,
    }
    assert len(bytes.fromhex(id)) == 16


@pytest.mark.parametrize(
    ("context", "status", "can_retry"),
    [("42", "Succeeded", False), ("44", "Succeeded", False), ("45", "Suspended", True), ("46", "Failed", True)],
)
async def test_a_monitor_has_the_states_of_its_own_service(
    http: httpx.AsyncClient, server: PreservicaState, clock: ManualClock, context: str, status: str, *, can_retry: bool
) -> None:
    start_monitored(server, context)
    assert [m["status"] for m in await monitors(http)] == ["Pending"]
    assert "started" not in (await monitors(http))[0]
    clock.advance(60)
    (monitor,) = await monitors(http)
    assert (monitor["status"], monitor["canRetry"]) == (status, can_retry)
    assert ("completed" in monitor) == (status != "Suspended")


async def test_a_mixed_outcome_is_a_success_with_a_warning(
    http: httpx.AsyncClient, server: PreservicaState, clock: ManualClock
) -> None:
    start_monitored(server, "44")
    clock.advance(60)
    (monitor,) = await monitors(http)
    assert (monitor["warnings"], monitor["errors"], monitor["percentComplete"]) == (1, 0, "100")


async def test_an_opex_ingest_that_failed_is_recoverable(
    http: httpx.AsyncClient, server: PreservicaState, clock: ManualClock
) -> None:
    failing = server.archive.contexts["46"].steps
    context = server.context("OPEX that fails", "org.example.ingest.opex", "Ingest", failing)
    start_monitored(server, context)
    clock.advance(60)
    assert [m["status"] for m in await monitors(http)] == ["Recoverable"]


async def test_a_monitor_of_a_workflow_without_steps_knows_no_percentage(
    http: httpx.AsyncClient, server: PreservicaState, clock: ManualClock
) -> None:
    start_monitored(server, server.context("Nothing", "org.example.nothing", "Access", []))
    clock.advance(60)
    assert [m["percentComplete"] for m in await monitors(http)] == [""]


async def test_filters_are_comma_lists_and_add_up(
    http: httpx.AsyncClient, server: PreservicaState, clock: ManualClock
) -> None:
    server.seed(120, age=120)
    every = await monitors(http, max=1000)
    wanted = {"status": "Running,Failed", "category": "Ingest,Export", "max": 1000}
    filtered = await monitors(http, **wanted)
    assert filtered == [
        m for m in every if m["status"] in {"Running", "Failed"} and m["category"] in {"Ingest", "Export"}
    ]
    assert 0 < len(filtered) < len(every)
    assert {m["category"] for m in every} == {"Ingest", "Export", "DataManagement", "Automated"}
    assert {m["subcategory"] for m in await monitors(http, subcategory="OPEX")} == {"OPEX"}


async def test_a_monitor_is_found_by_its_full_name_with_commas(
    http: httpx.AsyncClient, server: PreservicaState
) -> None:
    id = start_monitored(server, "42", OpexContainerDirectory="opex/one, two")
    start_monitored(server, "42", OpexContainerDirectory="opex/one")
    assert [m["mappedId"] for m in await monitors(http, name="opex/one, two")] == [id]
    assert await monitors(http, name="opex") == []


async def test_pages_of_monitors_have_25_rows_and_links_to_another_host(
    http: httpx.AsyncClient, server: PreservicaState
) -> None:
    server.seed(60)
    first = await read_value(http, "monitors", category="Ingest,Export,DataManagement,Automated")
    assert len(first["monitors"]) == 25
    assert (first["paging"]["totalResults"], "previous" in first["paging"]) == (60, False)
    address = urlsplit(first["paging"]["next"])
    assert (address.scheme, address.netloc, address.path) == ("https", "other.example.org", f"{BASE}/monitors")
    assert parse_qs(address.query) == {
        "category": ["Ingest,Export,DataManagement,Automated"],
        "start": ["25"],
        "max": ["25"],
    }


async def test_following_the_next_links_lists_every_monitor_once(
    http: httpx.AsyncClient, server: PreservicaState
) -> None:
    seeded = server.seed(60)
    seen, query = list[str](), "max=7"
    while query:
        page = (await http.get(f"{BASE}/monitors?{query}")).json()["value"]
        seen += [m["mappedId"] for m in page["monitors"]]
        query = urlsplit(page["paging"].get("next", "")).query
    assert seen == [server.archive.monitor_id(server.engine.runs[id]) for id in seeded]


async def test_the_previous_link_leads_to_the_first_page(http: httpx.AsyncClient, server: PreservicaState) -> None:
    server.seed(60)
    paging = (await read_value(http, "monitors", start=10, max=25))["paging"]
    assert parse_qs(urlsplit(paging["previous"]).query) == {"start": ["0"], "max": ["25"]}
