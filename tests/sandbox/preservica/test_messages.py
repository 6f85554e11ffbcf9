from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.sandbox.preservica.monitoring import BASE, begin, messages, value
from workflow_async.sandbox.clock import ManualClock
from workflow_async.sandbox.preservica.app import PreservicaState


async def test_messages_tie_a_monitor_to_its_workflow_instance(
    http: httpx.AsyncClient, server: PreservicaState, clock: ManualClock
) -> None:
    id = begin(server, "42")
    clock.advance(60)
    told = await messages(http, monitor=id)
    assert len(told) == len({m["mappedId"] for m in told}) == 12
    assert {(m["mappedMonitorId"], m["workflowInstanceId"]) for m in told} == {(id, 51234)}
    assert [m["date"] for m in told] == sorted(m["date"] for m in told)


@pytest.mark.parametrize(
    ("context", "status", "text"),
    [("46", "Error", "Fixity has ended"), ("44", "Warning", "Crawl has ended"), ("42", "Debug", "Validate was given")],
)
async def test_messages_are_filtered_by_status(
    http: httpx.AsyncClient, server: PreservicaState, clock: ManualClock, context: str, status: str, text: str
) -> None:
    id = begin(server, context)
    clock.advance(60)
    told = await messages(http, monitor=id, status=status)
    assert {m["status"] for m in told} == {status}
    assert any(m["displayMessage"].startswith(text) for m in told)


async def test_messages_of_several_monitors_come_together_and_once(
    http: httpx.AsyncClient, server: PreservicaState, clock: ManualClock
) -> None:
    one, two = begin(server, "42"), begin(server, "60")
    clock.advance(60)
    together = await messages(http, monitor=f"{one},{two}", max=1000)
    assert {m["mappedMonitorId"] for m in together} == {one, two}
    again = await http.get(f"{BASE}/messages?monitor={one}&max=1000&monitor={one},{two}")
    assert again.json()["value"]["messages"] == together


async def test_messages_are_paged_like_monitors(
    http: httpx.AsyncClient, server: PreservicaState, clock: ManualClock
) -> None:
    id = begin(server, "42")
    clock.advance(60)
    told = await value(http, "messages", monitor=id, status="Info,Error", max=3)
    query = parse_qs(urlsplit(told["paging"]["next"]).query)
    assert query == {"monitor": [id], "status": ["Info,Error"], "start": ["3"], "max": ["3"]}
    assert (told["paging"]["totalResults"], len(told["messages"])) == (8, 3)


@pytest.mark.parametrize("id", ["nonsense", "0" * 32, "0000c822" + "0" * 24])
async def test_a_monitor_nobody_knows_says_nothing_and_has_no_timeseries(
    http: httpx.AsyncClient, server: PreservicaState, id: str
) -> None:
    server.seed(1)
    assert await messages(http, monitor=id) == []
    assert (await http.get(f"{BASE}/monitors/{id}/timeseries")).status_code == 404


async def test_messages_of_no_monitor_are_400(http: httpx.AsyncClient) -> None:
    answer = await http.get(f"{BASE}/messages")
    assert (answer.status_code, answer.json()["message"]) == (400, "Missing parameter: monitor")


async def test_a_skipped_step_says_only_that_it_began(
    http: httpx.AsyncClient, server: PreservicaState, clock: ManualClock
) -> None:
    id = begin(server, "43")
    clock.advance(60)
    told = [m["displayMessage"] for m in await messages(http, monitor=id)]
    assert [text for text in told if "VirusCheck" in text] == [
        "VirusCheck was given to a worker",
        "VirusCheck has begun",
    ]


async def test_a_timeseries_grows_with_every_step(
    http: httpx.AsyncClient, server: PreservicaState, clock: ManualClock
) -> None:
    id = begin(server, "60")
    assert await value(http, f"monitors/{id}/timeseries") == {"timeseries": []}
    clock.advance(60)
    series = (await value(http, f"monitors/{id}/timeseries"))["timeseries"]
    assert [point["filesProcessed"] for point in series] == [4, 8, 12]
