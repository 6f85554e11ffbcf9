"""Boots, index faults, and several conditions together."""

import asyncio
from collections import Counter
from typing import Any

import httpx
import pytest

from tests.sandbox.opencast.releases import LISTING, every_release, with_list
from workflow_async.sandbox import (
    Boot,
    CannedResponse,
    Faults,
    IndexFault,
    ManualClock,
    Sandbox,
)
from workflow_async.sandbox.opencast.releases import Release
from workflow_async.sandbox.systems import FakeOpencast

PROCESSING = {"filter": "status:EVENTS.EVENTS.STATUS.PROCESSING"}


async def list_rows(http: httpx.AsyncClient, path: str, **params: str) -> list[Any]:
    answer = await http.get(path, params=params)
    assert answer.status_code == 200, answer.text
    tree: list[Any] = answer.json()
    return tree


async def test_a_booting_server_sends_all_its_forms_and_responds_normally_afterwards(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock
) -> None:
    opencast.faults = Boot(60)
    answers = [await http.get("/api/workflows/7") for _ in range(100)]
    seen = Counter((a.status_code, a.headers.get("content-type"), a.headers.get("allow")) for a in answers)
    assert seen.keys() == {
        (form.status, form.content_type, dict(form.headers).get("allow")) for form in Boot(60).responses
    }
    clock.advance(60)
    assert (await http.get("/api/version")).status_code == 200


async def test_a_boot_can_be_limited_to_one_path(http: httpx.AsyncClient, opencast: FakeOpencast) -> None:
    opencast.faults = Boot(60, paths="/api/workflows", responses=(CannedResponse.no_service(),))
    missing = await http.get("/api/workflows/7")
    assert (missing.status_code, missing.text) == (404, "<html><body>No service was found.</body></html>")
    assert (await http.get("/api/version")).status_code == 200


async def test_a_boot_with_one_form_twice_is_certain(http: httpx.AsyncClient, opencast: FakeOpencast) -> None:
    opencast.faults = Boot(60, responses=(CannedResponse.no_service(), CannedResponse.no_service()))
    assert {(await http.get("/api")).status_code for _ in range(20)} == {404}


async def test_a_preservica_boots_too() -> None:
    preservica = Sandbox(clock=ManualClock()).preservica
    preservica.faults = Boot(60, responses=(CannedResponse.jetty_html(404),))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(preservica.app), base_url="http://127.0.0.1") as http:
        assert (await http.post("/api/accesstoken/login")).status_code == 404


@pytest.mark.parametrize(("release", "workflows"), [("11", 500), ("16", 200)])
async def test_an_index_that_is_down_does_not_affect_the_database(
    http: httpx.AsyncClient, opencast: FakeOpencast, release: Release, workflows: int
) -> None:
    id = opencast.start(opencast.event(), "noop")
    opencast.faults = IndexFault("down")
    assert (await http.get("/api/events", params=PROCESSING)).status_code == 500
    assert (await http.get("/api/workflows")).status_code == workflows
    assert (await http.get(f"/api/workflows/{id}")).status_code == 200
    form = {"event_identifier": opencast.event(), "workflow_definition_identifier": "noop"}
    assert (await http.post("/api/workflows", data=form)).status_code == 201


async def test_an_index_that_is_down_sends_the_given_response_for_the_given_time(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock
) -> None:
    opencast.faults = IndexFault("down", during=(0, 30), response=CannedResponse(429, headers={"retry-after": "5"}))
    refused = await http.get("/api/events")
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "5")
    clock.advance(30)
    assert (await http.get("/api/events")).status_code == 200


async def test_a_slow_index_delays_responses(
    http: httpx.AsyncClient, opencast: FakeOpencast, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    opencast.faults = IndexFault("slow", delay=7.0)
    await http.get("/api/events")
    await http.get("/api/version")
    assert slept == [7.0]


@every_release
async def test_an_empty_index_finds_nothing_until_the_fault_ends(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock, release: Release
) -> None:
    opencast.seed(5)
    opencast.faults = IndexFault("empty", during=(0, 30))
    assert await list_rows(http, "/api/events") == []
    if release in LISTING:
        assert await list_rows(http, "/api/workflows") == []
    clock.advance(30)
    assert len(await list_rows(http, "/api/events")) == 5
    if release in LISTING:
        assert len(await list_rows(http, "/api/workflows")) == 5


async def test_a_stale_index_of_events_shows_what_was(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock
) -> None:
    event = opencast.event()
    opencast.start(event, "noop")
    clock.advance(2)
    opencast.faults = IndexFault("stale", during=(0, 100))
    clock.advance(60)
    opencast.event()
    assert [row["processing_state"] for row in await list_rows(http, "/api/events")] == ["RUNNING"]
    clock.advance(40)
    assert [row["processing_state"] for row in await list_rows(http, "/api/events")] == ["SUCCEEDED", ""]


@with_list
async def test_a_stale_index_of_workflows_shows_what_was(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock, release: Release
) -> None:
    opencast.start(opencast.event(), "publish")
    clock.advance(12)
    assert [row["state"] for row in await list_rows(http, "/api/workflows")] == ["running"]
    opencast.faults = IndexFault("stale", during=(0, 600))
    clock.advance(599)
    assert [row["state"] for row in await list_rows(http, "/api/workflows")] == ["running"]
    clock.advance(1)
    assert [row["state"] for row in await list_rows(http, "/api/workflows")] == ["succeeded"]


async def test_several_conditions_hold_together_and_the_first_with_a_fault_decides(
    http: httpx.AsyncClient, opencast: FakeOpencast
) -> None:
    opencast.event()
    plan = Faults(rates={CannedResponse(418): 1.0}, paths="/api/version")
    opencast.faults = [plan, IndexFault("empty"), Boot(60, paths="/api/v", responses=(CannedResponse.no_service(),))]
    assert (await http.get("/api/version")).status_code == 418
    assert await list_rows(http, "/api/events") == []
    assert opencast.app.covered == 2
    assert len(opencast.app.faults) == 2


async def test_no_faults_end_every_condition(http: httpx.AsyncClient, opencast: FakeOpencast) -> None:
    opencast.event()
    opencast.faults = (IndexFault("empty"), Boot(60))
    opencast.faults = Faults()
    assert len(await list_rows(http, "/api/events")) == 1
    assert opencast.faults == Faults()


def test_an_unknown_index_fault_is_refused() -> None:
    with pytest.raises(ValueError, match="state must be one of down, slow, empty, stale, not 'gone'"):
        IndexFault("gone")  # type: ignore[arg-type]  # The test is about an invalid value.
