import json
import re
from collections.abc import Awaitable, Callable

import httpx
import pytest

from workflow_async.sandbox import Boot, CannedResponse, Fault, Faults, ManualClock
from workflow_async.sandbox.systems import FakeOpencast

Ask = Callable[[str], Awaitable[httpx.Response]]


@pytest.fixture
def ask(http: httpx.AsyncClient) -> Ask:
    async def ask(path: str) -> httpx.Response:
        return await http.get(path)

    return ask


def facts(response: httpx.Response) -> tuple[int, str | None, str]:
    return response.status_code, response.headers.get("content-type"), response.text


async def test_a_response_of_choice_takes_the_place_of_the_own_one(ask: Ask, opencast: FakeOpencast) -> None:
    opencast.faults = Faults(rates={CannedResponse.text(404, "404 page not found", "text/plain; charset=utf-8"): 1.0})
    assert facts(await ask("/api/version")) == (404, "text/plain; charset=utf-8", "404 page not found")
    assert opencast.requests[-1].status == 404


async def test_a_script_mixes_responses_faults_and_ordinary_answers(ask: Ask, opencast: FakeOpencast) -> None:
    teapot = CannedResponse.empty(418)
    opencast.faults = Faults(script=(teapot, None, Fault.SERVER_ERROR))
    assert [(await ask("/api/version")).status_code for _ in range(4)] == [418, 200, 503, 200]
    assert [exchange.fault for exchange in opencast.requests] == [teapot, None, Fault.SERVER_ERROR, None]


@pytest.mark.parametrize("status", [404, 405, 500, 299, 999])
async def test_jetty_s_error_names_the_path_in_both_its_forms(ask: Ask, opencast: FakeOpencast, status: int) -> None:
    opencast.faults = Faults(script=(CannedResponse.jetty_json(status), CannedResponse.jetty_html(status)))
    tree = json.loads((await ask("/api/workflows/7")).text)
    assert (tree["url"], tree["status"], "servlet" in tree) == ("/api/workflows/7", str(status), True)
    page = await ask("/api/workflows/7")
    assert (page.status_code, page.headers["content-type"]) == (status, "text/html;charset=iso-8859-1")
    assert f"HTTP ERROR {status}" in page.text
    assert "<td>/api/workflows/7</td>" in page.text


async def test_an_empty_response_may_say_what_is_allowed(ask: Ask, opencast: FakeOpencast) -> None:
    opencast.faults = Faults(script=(CannedResponse.empty(405, allow="GET"), CannedResponse.empty(404)))
    refused, missing = await ask("/api"), await ask("/api")
    assert (facts(refused), refused.headers["allow"]) == ((405, None, ""), "GET")
    assert "allow" not in missing.headers


@pytest.mark.parametrize("to", ["https://login.example.org/?next=%2Fapi", "/maintenance.html"])
async def test_a_redirect_leads_anywhere(ask: Ask, opencast: FakeOpencast, to: str) -> None:
    opencast.faults = Faults(script=(CannedResponse.redirect(to), CannedResponse.redirect(to, 307)))
    answers = [await ask("/api/version"), await ask("/api/version")]
    assert [(a.status_code, a.headers["location"]) for a in answers] == [(302, to), (307, to)]


async def test_headers_of_choice_are_sent(ask: Ask, opencast: FakeOpencast) -> None:
    opencast.faults = Faults(script=(CannedResponse(503, headers={"Retry-After": "60"}),))
    assert (await ask("/api")).headers["retry-after"] == "60"


@pytest.mark.parametrize("executed", [False, True])
async def test_a_start_is_carried_out_behind_a_response_of_choice_only_if_it_says_so(
    http: httpx.AsyncClient, opencast: FakeOpencast, *, executed: bool
) -> None:
    opencast.faults = Faults(rates={CannedResponse(504, executed=executed): 1.0}, methods="POST")
    form = {"event_identifier": opencast.event(), "workflow_definition_identifier": "noop"}
    assert (await http.post("/api/workflows", data=form)).status_code == 504
    assert len(list(opencast.engine.all())) == executed


@pytest.mark.parametrize("status", [100, 199, 0, 1000])
def test_a_status_that_ends_no_exchange_is_refused(status: int) -> None:
    with pytest.raises(ValueError, match="final status"):
        CannedResponse(status)


def test_responses_are_values() -> None:
    assert CannedResponse.redirect("/a") == CannedResponse.redirect("/a")
    assert len({*Boot(1).responses, CannedResponse.no_service()}) == len(Boot(1).responses)


async def test_a_plan_for_one_path_leaves_longer_paths_alone(ask: Ask, opencast: FakeOpencast) -> None:
    id = opencast.start(opencast.event(), "noop")
    opencast.faults = Faults(rates={CannedResponse(500): 1.0}, paths=re.compile("/api/workflows/[0-9]+"))
    assert (await ask(f"/api/workflows/{id}")).status_code == 500
    assert (await ask("/api/workflows")).status_code == 200
    opencast.faults = Faults(rates={CannedResponse(500): 1.0}, paths=[re.compile("/api/workflows"), "/api/version"])
    assert (await ask(f"/api/workflows/{id}")).status_code == 200
    assert (await ask("/api/workflows")).status_code == 500
    assert (await ask("/api/version/default")).status_code == 500


async def test_a_plan_holds_for_its_span_of_the_sandbox_s_time(
    ask: Ask, opencast: FakeOpencast, clock: ManualClock
) -> None:
    clock.advance(1000)
    opencast.faults = Faults(rates={CannedResponse(502): 1.0}, during=(10, 160))
    seen = []
    for seconds in (0, 9.5, 0.5, 149.5, 0.5):
        clock.advance(seconds)
        seen.append((await ask("/api/version")).status_code)
    assert seen == [200, 200, 502, 502, 200]


@pytest.mark.parametrize("during", [(-1.0, 5.0), (5.0, 1.0)])
def test_a_span_that_is_none_is_refused(during: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="during"):
        Faults(during=during)
