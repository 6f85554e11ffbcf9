from typing import Any

import httpx
import pytest

from workflow_async.sandbox import ManualClock
from workflow_async.sandbox.systems import FakeOpencast


async def instances(http: httpx.AsyncClient, event: str) -> Any:
    return (await http.get(f"/workflow/mediaPackage/{event}/instances.json")).json()["workflows"]


async def test_none_one_and_several_have_three_shapes(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock
) -> None:
    event = opencast.event()
    assert await instances(http, event) == ""
    first = opencast.start(event, "noop")
    assert (await instances(http, event))["workflow"]["id"] == first
    clock.advance(60)
    second = opencast.start(event, "noop")
    assert [tree["id"] for tree in (await instances(http, event))["workflow"]] == [first, second]


async def test_an_event_nobody_has_has_no_workflows(http: httpx.AsyncClient) -> None:
    assert await instances(http, "none") == ""


async def test_states_are_in_capitals_and_times_in_milliseconds(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock
) -> None:
    id = opencast.start(opencast.event(), "noop", {"publishLive": "true"})
    clock.advance(60)
    tree = (await http.get(f"/workflow/instance/{id}.json")).json()["workflow"]
    assert (tree["id"], tree["state"], tree["template"]) == (id, "SUCCEEDED", "noop")
    assert (tree["dateCreated"], tree["dateCompleted"]) == (1_700_000_000_000, 1_700_000_002_500)
    assert tree["configurations"] == {"configuration": {"key": "publishLive", "$": "true"}}
    assert tree["operations"]["operation"] == {
        "template": "defaults",
        "state": "SUCCEEDED",
        "description": "Applying default configuration values",
        "failed-attempts": 0,
        "job": 1001,
        "started": 1_700_000_002_000,
        "completed": 1_700_000_002_500,
    }


async def test_the_current_instance_is_the_active_one(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock
) -> None:
    event = opencast.event()
    id = opencast.start(event, "noop")
    path = f"/workflow/mediaPackage/{event}"
    assert (await http.get(f"{path}/currentInstance.json")).json()["workflow"]["id"] == id
    assert (await http.get(f"{path}/hasActiveWorkflows")).text == "true"
    clock.advance(60)
    assert (await http.get(f"{path}/currentInstance.json")).status_code == 404
    assert (await http.get(f"{path}/hasActiveWorkflows")).text == "false"


@pytest.mark.parametrize("path", ["mediaPackage/none/currentInstance.json", "instance/1.json", "instance/x.json"])
async def test_what_is_not_there_is_404(http: httpx.AsyncClient, path: str) -> None:
    assert (await http.get(f"/workflow/{path}")).status_code == 404


async def test_workflows_are_counted_by_state(http: httpx.AsyncClient, opencast: FakeOpencast) -> None:
    opencast.seed(100)
    states = ("INSTANTIATED", "RUNNING", "STOPPED", "PAUSED", "SUCCEEDED", "FAILED", "FAILING")
    counts = [int((await http.get("/workflow/count", params={"state": s})).text) for s in states]
    assert (sum(counts), (await http.get("/workflow/count")).text) == (100, "100")


@pytest.mark.parametrize("state", ["running", "BAKED", "Running"])
async def test_a_count_wants_the_state_in_capitals(http: httpx.AsyncClient, state: str) -> None:
    assert (await http.get("/workflow/count", params={"state": state})).status_code == 400


@pytest.mark.parametrize("release", ["11"])
async def test_opencast_11_does_not_have_the_routes_by_event(http: httpx.AsyncClient, opencast: FakeOpencast) -> None:
    assert (await http.get(f"/workflow/mediaPackage/{opencast.event()}/instances.json")).status_code == 404


async def test_it_is_for_administrators(http: httpx.AsyncClient) -> None:
    assert (await http.get("/workflow/count", auth=("integration", "integration"))).status_code == 403
