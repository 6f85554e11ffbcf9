"""Messages and timeseries of process monitors."""

from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.sandbox.preservica.monitor_api import BASE, messages, read_value, start_monitored
from workflow_async.sandbox.clock import ManualClock
from workflow_async.sandbox.preservica.app import PreservicaState


async def test_messages_connect_a_monitor_with_its_workflow_instance(
    http: httpx.AsyncClient, server: PreservicaState, clock: ManualClock
) -> None:
    id = start_monitored(server, "42")
    clock.advance(60)
    found = await messages(http, monitor=id)
    assert len(found) == len({m["mappedId"] for m in found}) == 12
    assert {(m["mappedMonitorId"], m["workflowInstanceId"]) for m in found} == {(id, 51234)}
    assert [m["date"] for m in found] == sorted(m["date"] for m in found)


@pytest.mark.parametrize(
    ("context", "status", "text"),
    [("46", "Error", "Fixity has ended"), ("44", "Warning", "Crawl has ended"), ("42", "Debug", "Validate was given")],
)
async def test_messages_are_filtered_by_status(
    http: httpx.AsyncClient, server: PreservicaState, clock: ManualClock, context: str, status: str, text: str
) -> None:
    id = start_monitored(server, context)
    clock.advance(60)
    found = await messages(http, monitor=id, status=status)
    assert {m["status"] for m in found} == {status}
    assert any(m["displayMessage"].startswith(text) for m in found)


async def test_messages_of_several_monitors_are_listed_once(
    http: httpx.AsyncClient, server: PreservicaState, clock: ManualClock
) -> None:
    one, two = start_monitored(server, "42"), start_monitored(server, "60")
    clock.advance(60)
    together = await messages(http, monitor=f"{one},{two}", max=1000)
    assert {m["mappedMonitorId"] for m in together} == {one, two}
    again = await http.get(f"{BASE}/messages?monitor={one}&max=1000&monitor={one},{two}")
    assert again.json()["value"]["messages"] == together


async def test_messages_are_paged_like_monitors(
    http: httpx.AsyncClient, server: PreservicaState, clock: ManualClock
) -> None:
    id = start_monitored(server, "42")
    clock.advance(60)
    page = await read_value(http, "messages", monitor=id, status="Info,Error", max=3)
    query = parse_qs(urlsplit(page["paging"]["next"]).query)
    assert query == {"monitor": [id], "status": ["Info,Error"], "start": ["3"], "max": ["3"]}
    assert (page["paging"]["totalResults"], len(page["messages"])) == (8, 3)


@pytest.mark.parametrize("id", ["nonsense", "0" * 32, "0000c822" + "0" * 24])
async def test_an_unknown_monitor_has_no_messages_and_no_timeseries(
    http: httpx.AsyncClient, server: PreservicaState, id: str
) -> None:
    server.seed(1)
    assert await messages(http, monitor=id) == []
    assert (await http.get(f"{BASE}/monitors/{id}/timeseries")).status_code == 404


async def test_messages_of_no_monitor_are_400(http: httpx.AsyncClient) -> None:
    answer = await http.get(f"{BASE}/messages")
    assert (answer.status_code, answer.json()["message"]) == (400, "Missing parameter: monitor")


async def test_a_skipped_step_has_only_the_messages_of_its_start(
    http: httpx.AsyncClient, server: PreservicaState, clock: ManualClock
) -> None:
    id = start_monitored(server, "43")
    clock.advance(60)
    texts = [m["displayMessage"] for m in await messages(http, monitor=id)]
    assert [text for text in texts if "VirusCheck" in text] == [
        "VirusCheck was given to a worker",
        "VirusCheck has begun",
    ]


async def test_a_timeseries_grows_with_every_step(
    http: httpx.AsyncClient, server: PreservicaState, clock: ManualClock
) -> None:
    id = start_monitored(server, "60")
    assert await read_value(http, f"monitors/{id}/timeseries") == {"timeseries": []}
    clock.advance(60)
    series = (await read_value(http, f"monitors/{id}/timeseries"))["timeseries"]
    assert [point["filesProcessed"] for point in series] == [4, 8, 12]
