"""Odd rows, unwritable records and wrong server clocks."""

import json
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

from tests.sandbox.opencast.releases import with_list
from tests.sandbox.preservica.api import (
    CONTEXTS,
    get_instance,
    list_page,
    logged_in,
    login,
    row_ids,
    state_of,
    status_with_token,
)
from workflow_async.sandbox import ManualClock, OddRow, Sandbox, ServerClock
from workflow_async.sandbox.systems import FakeOpencast, FakePreservica

NULL_CREATOR = "java.lang.IllegalArgumentException: Value of field &apos;creator&apos; must not be null"
JSON = {"Accept": "application/json"}


@pytest.fixture
def preservica(clock: ManualClock) -> FakePreservica:
    return Sandbox(clock=clock).preservica


async def test_a_record_that_cannot_be_written_is_the_container_s_500(
    http: httpx.AsyncClient, opencast: FakeOpencast
) -> None:
    odd, even = opencast.seed(2)
    opencast.faults = OddRow(odd)
    answer = await http.get(f"/api/workflows/{odd}", headers=JSON)
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/json")
    tree = json.loads(answer.text)
    assert (tree["message"], tree["cause0"], tree["status"]) == (NULL_CREATOR, NULL_CREATOR, "500")
    assert (await http.get(f"/api/workflows/{even}")).status_code == 200
    assert (await http.get(f"/workflow/instance/{odd}.json")).status_code == 200


@with_list
async def test_an_unwritable_record_breaks_only_the_page_that_contains_it(
    http: httpx.AsyncClient, opencast: FakeOpencast
) -> None:
    seeded = [opencast.start(opencast.event(created=float(n)), "fast") for n in range(6)]
    opencast.state.commit()
    opencast.faults = OddRow(seeded[3])
    pages = [await http.get("/api/workflows", params={"limit": "2", "offset": str(n)}) for n in (0, 2, 4)]
    assert [answer.status_code for answer in pages] == [200, 500, 200]
    assert (await http.get("/api/workflows", params={"limit": "1", "offset": "2"})).status_code == 200


@with_list
async def test_an_odd_row_stands_among_the_others(http: httpx.AsyncClient, opencast: FakeOpencast) -> None:
    first, second = opencast.seed(2)
    opencast.faults = [
        OddRow(first, {"state": 7, "title": None}, without=("creator",)),
        OddRow(second, without=("state",)),
    ]
    rows: dict[int, Any] = {row["identifier"]: row for row in (await http.get("/api/workflows")).json()}
    assert (rows[first]["state"], rows[first]["title"], "creator" in rows[first]) == (7, None, False)
    assert "state" not in (await http.get(f"/api/workflows/{second}")).json()


async def test_an_odd_row_can_be_an_event(http: httpx.AsyncClient, opencast: FakeOpencast) -> None:
    event, other = opencast.event(), opencast.event()
    opencast.faults = OddRow(event, {"processing_state": "BAKED"})
    rows = (await http.get("/api/events")).json()
    assert [row["processing_state"] for row in rows] == ["BAKED", ""]
    opencast.faults = OddRow(event)
    assert (await http.get("/api/events")).status_code == 500
    assert (await http.get("/api/events", params={"filter": f"identifier:{other}"})).status_code == 200


async def test_an_odd_row_can_be_a_workflow_of_preservica(preservica: FakePreservica) -> None:
    odd, even = preservica.seed(2)
    async with logged_in(preservica.state, preservica.app) as http:
        preservica.faults = OddRow(odd, {"Started": "2025-10-26 02:30:00", "Creator": None, "State": "7"})
        assert row_ids(await list_page(http)) == [odd, even]
        text = (await get_instance(http, odd)).text
        assert "<Started>2025-10-26 02:30:00</Started>" in text
        assert ("<Creator>" in text, await state_of(http, odd)) == (False, "7")
        preservica.faults = OddRow(odd)
        assert [(await get_instance(http, id)).status_code for id in (odd, even)] == [500, 200]


async def test_an_odd_row_can_be_a_process_monitor(preservica: FakePreservica) -> None:
    (id,) = preservica.seed(1)
    monitor = preservica.state.archive.monitor_id(preservica.engine.runs[id])
    async with logged_in(preservica.state, preservica.app) as http:
        preservica.faults = OddRow(monitor, {"started": "yesterday", "size": "large"})
        (row,) = (await http.get("/api/processmonitor/monitors")).json()["value"]["monitors"]
        assert (row["started"], row["size"]) == ("yesterday", "large")


async def test_a_wrong_server_clock_does_not_change_the_pace_of_workflows(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock
) -> None:
    early = opencast.start(opencast.event(), "noop")
    opencast.faults = ServerClock(ahead=3600.0)
    late = opencast.start(opencast.event(), "noop")
    for id, now in ((early, "instantiated"), (late, "instantiated")):
        assert (await http.get(f"/api/workflows/{id}")).json()["state"] == now
    clock.advance(2.5)
    trees = [(await http.get(f"/api/workflows/{id}?withoperations=true")).json() for id in (early, late)]
    assert [tree["state"] for tree in trees] == ["succeeded", "succeeded"]
    assert trees[1]["operations"][0]["start"] == "2023-11-14T23:13:22Z"


@pytest.mark.parametrize("ahead", [0.0, 90.0, -7200.0])
async def test_the_date_of_a_response_is_by_the_server_s_clock(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock, ahead: float
) -> None:
    opencast.faults = ServerClock(ahead)
    date = parsedate_to_datetime((await http.get("/api")).headers["date"])
    assert date == datetime.fromtimestamp(clock() + ahead, UTC)


async def test_correcting_the_server_clock_does_not_change_due_times(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock
) -> None:
    opencast.faults = ServerClock(ahead=-3600.0)
    id = opencast.start(opencast.event(), "noop")
    opencast.faults = []
    clock.advance(2.4)
    assert (await http.get(f"/api/workflows/{id}")).json()["state"] == "running"
    clock.advance(0.1)
    assert (await http.get(f"/api/workflows/{id}")).json()["state"] == "succeeded"


@pytest.mark.parametrize("offset", [24.0, -24.0])
def test_an_offset_of_a_day_is_refused(offset: float) -> None:
    with pytest.raises(ValueError, match="utc_offset"):
        ServerClock(utc_offset=offset)


async def test_tokens_of_preservica_end_by_the_server_s_clock(preservica: FakePreservica) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(preservica.app), base_url="http://127.0.0.1") as http:
        token = (await login(http, preservica.state)).json()["token"]
        seen = []
        for ahead in (0.0, 899.0, 900.0):
            preservica.faults = ServerClock(ahead)
            seen.append(await status_with_token(http, token, CONTEXTS))
    assert seen == [200, 200, 401]


async def test_an_id_of_preservica_can_be_reused_for_another_workflow(preservica: FakePreservica) -> None:
    first, second = (preservica.context(name, f"org.{name}", "Ingest", []) for name in ("first", "second"))
    (id,) = preservica.seed(1, contexts=[first])
    async with logged_in(preservica.state, preservica.app) as http:
        preservica.replace(id, second)
        text = (await get_instance(http, id)).text
    assert (f"<WorkflowContextId>{second}<" in text, "<State>PENDING<" in text) == (True, True)
