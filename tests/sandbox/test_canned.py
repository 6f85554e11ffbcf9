"""Canned responses, and plans for one path or a time span."""

import json
import re
from collections.abc import Awaitable, Callable

import httpx
import pytest

from workflow_async.sandbox import Boot, CannedResponse, Fault, Faults, ManualClock
from workflow_async.sandbox.systems import FakeOpencast

Get = Callable[[str], Awaitable[httpx.Response]]


@pytest.fixture
def get(http: httpx.AsyncClient) -> Get:
    async def get(path: str) -> httpx.Response:
        return await http.get(path)

    return get


def summary(response: httpx.Response) -> tuple[int, str | None, str]:
    return response.status_code, response.headers.get("content-type"), response.text


async def test_a_canned_response_replaces_the_response_of_the_system(get: Get, opencast: FakeOpencast) -> None:
    opencast.faults = Faults(rates={CannedResponse.text(404, "404 page not found", "text/plain; charset=utf-8"): 1.0})
    assert summary(await get("/api/version")) == (404, "text/plain; charset=utf-8", "404 page not found")
    assert opencast.requests[-1].status == 404


async def test_a_script_mixes_canned_responses_faults_and_normal_responses(get: Get, opencast: FakeOpencast) -> None:
    teapot = CannedResponse.empty(418)
    opencast.faults = Faults(script=(teapot, None, Fault.SERVER_ERROR))
    assert [(await get("/api/version")).status_code for _ in range(4)] == [418, 200, 503, 200]
    assert [request.fault for request in opencast.requests] == [teapot, None, Fault.SERVER_ERROR, None]


@pytest.mark.parametrize("status", [404, 405, 500, 299, 999])
async def test_jetty_s_error_names_the_path_in_both_its_forms(get: Get, opencast: FakeOpencast, status: int) -> None:
    opencast.faults = Faults(script=(CannedResponse.jetty_json(status), CannedResponse.jetty_html(status)))
    tree = json.loads((await get("/api/workflows/7")).text)
    assert (tree["url"], tree["status"], "servlet" in tree) == ("/api/workflows/7", str(status), True)
    page = await get("/api/workflows/7")
    assert (page.status_code, page.headers["content-type"]) == (status, "text/html;charset=iso-8859-1")
    assert f"HTTP ERROR {status}" in page.text
    assert "<td>/api/workflows/7</td>" in page.text


async def test_an_empty_response_can_have_an_allow_header(get: Get, opencast: FakeOpencast) -> None:
    opencast.faults = Faults(script=(CannedResponse.empty(405, allow="GET"), CannedResponse.empty(404)))
    refused, missing = await get("/api"), await get("/api")
    assert (summary(refused), refused.headers["allow"]) == ((405, None, ""), "GET")
    assert "allow" not in missing.headers


@pytest.mark.parametrize("to", ["https://login.example.org/?next=%2Fapi", "/maintenance.html"])
async def test_a_redirect_can_have_any_location(get: Get, opencast: FakeOpencast, to: str) -> None:
    opencast.faults = Faults(script=(CannedResponse.redirect(to), CannedResponse.redirect(to, 307)))
    answers = [await get("/api/version"), await get("/api/version")]
    assert [(a.status_code, a.headers["location"]) for a in answers] == [(302, to), (307, to)]


async def test_the_headers_of_a_canned_response_are_sent(get: Get, opencast: FakeOpencast) -> None:
    opencast.faults = Faults(script=(CannedResponse(503, headers={"Retry-After": "60"}),))
    assert (await get("/api")).headers["retry-after"] == "60"


@pytest.mark.parametrize("executed", [False, True])
async def test_a_canned_response_executes_the_start_only_if_executed_is_set(
    http: httpx.AsyncClient, opencast: FakeOpencast, *, executed: bool
) -> None:
    opencast.faults = Faults(rates={CannedResponse(504, executed=executed): 1.0}, methods="POST")
    form = {"event_identifier": opencast.event(), "workflow_definition_identifier": "noop"}
    assert (await http.post("/api/workflows", data=form)).status_code == 504
    assert len(list(opencast.engine.all())) == executed


@pytest.mark.parametrize("status", [100, 199, 0, 1000])
def test_a_status_that_is_not_final_is_refused(status: int) -> None:
    with pytest.raises(ValueError, match="final status"):
        CannedResponse(status)


def test_responses_are_values() -> None:
    assert CannedResponse.redirect("/a") == CannedResponse.redirect("/a")
    assert len({*Boot(1).responses, CannedResponse.no_service()}) == len(Boot(1).responses)


async def test_a_pattern_for_a_path_does_not_cover_longer_paths(get: Get, opencast: FakeOpencast) -> None:
    id = opencast.start(opencast.event(), "noop")
    opencast.faults = Faults(rates={CannedResponse(500): 1.0}, paths=re.compile("/api/workflows/[0-9]+"))
    assert (await get(f"/api/workflows/{id}")).status_code == 500
    assert (await get("/api/workflows")).status_code == 200
    opencast.faults = Faults(rates={CannedResponse(500): 1.0}, paths=[re.compile("/api/workflows"), "/api/version"])
    assert (await get(f"/api/workflows/{id}")).status_code == 200
    assert (await get("/api/workflows")).status_code == 500
    assert (await get("/api/version/default")).status_code == 500


async def test_a_plan_holds_for_its_span_of_the_sandbox_s_time(
    get: Get, opencast: FakeOpencast, clock: ManualClock
) -> None:
    clock.advance(1000)
    opencast.faults = Faults(rates={CannedResponse(502): 1.0}, during=(10, 160))
    seen = []
    for seconds in (0, 9.5, 0.5, 149.5, 0.5):
        clock.advance(seconds)
        seen.append((await get("/api/version")).status_code)
    assert seen == [200, 200, 502, 502, 200]


@pytest.mark.parametrize("during", [(-1.0, 5.0), (5.0, 1.0)])
def test_an_invalid_time_span_is_refused(during: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="during"):
        Faults(during=during)
