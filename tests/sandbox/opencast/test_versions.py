"""API versions, and differences between the releases of Opencast."""

import json

import httpx
import pytest

from tests.sandbox.opencast.releases import every_release, with_gson, without_gson, without_list_or_gson
from workflow_async.sandbox import ManualClock, Sandbox
from workflow_async.sandbox.opencast.releases import RELEASES, Release
from workflow_async.sandbox.systems import FakeOpencast

WITH = {"withoperations": "true", "withconfiguration": "true"}
NEWEST = {"11": "v1.7.0", "16": "v1.11.0", "19": "v1.12.0"}


@every_release
async def test_the_api_lists_its_versions_and_the_newest_is_the_default(http: httpx.AsyncClient, release: str) -> None:
    newest = NEWEST[release]
    answers = [await http.get(path) for path in ("/api", "/api/version", "/api/version/default")]
    assert [answer.headers["content-type"] for answer in answers] == ["application/json"] * 3
    assert answers[0].json() == {"url": "http://127.0.0.1/api", "version": newest}
    versions = answers[1].json()
    assert (versions["default"], versions["versions"][0], versions["versions"][-1]) == (newest, "v1.0.0", newest)
    assert answers[2].json() == {"default": newest}


@every_release
@pytest.mark.parametrize(
    ("accept", "version"),
    [
        (None, None),
        ("*/*", None),
        ("application/json", None),
        ("application/*", None),
        ("application/v1.2.0+json, application/json;q=0.1", None),
        ("application/v1.2.0+json", "v1.2.0"),
        ("application/v1.1.0+json, application/v1.5.0+json", "v1.5.0"),
        ("text/html, application/v1.1.0+json;q=0.9", "v1.1.0"),
    ],
)
def test_the_accept_header_selects_the_version(release: Release, accept: str | None, version: str | None) -> None:
    assert RELEASES[release].negotiate(accept) == (version or NEWEST[release])


@pytest.mark.parametrize(
    "accept", ["application/v1.0.0+json", "application/v9.9.0+json", "text/html", "application/xml"]
)
async def test_an_unsupported_version_is_406_and_empty(http: httpx.AsyncClient, accept: str) -> None:
    answer = await http.get("/api/workflow-definitions", headers={"Accept": accept})
    assert (answer.status_code, answer.content) == (406, b"")


async def test_a_pinned_newer_version_is_refused_by_an_older_server() -> None:
    for release, status in (("11", 406), ("16", 200)):
        opencast = Sandbox("11" if release == "11" else "16", ManualClock()).opencast
        transport = httpx.ASGITransport(app=opencast.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", auth=opencast.auth) as http:
            answer = await http.get("/api/workflow-definitions", headers={"Accept": "application/v1.11.0+json"})
            assert answer.status_code == status


@without_list_or_gson
async def test_opencast_16_answers_a_list_with_the_object_of_another_resource(http: httpx.AsyncClient) -> None:
    answer = await http.get("/api/workflows", params={"limit": 10})
    assert (answer.status_code, answer.json()) == (200, {"url": "http://127.0.0.1/api", "version": "v1.11.0"})


@with_gson
async def test_opencast_19_refuses_a_list_with_an_empty_405(http: httpx.AsyncClient) -> None:
    answer = await http.get("/api/workflows")
    assert (answer.status_code, answer.content) == (405, b"")


@without_gson
async def test_slashes_are_escaped_and_other_letters_are_not(http: httpx.AsyncClient, opencast: FakeOpencast) -> None:
    id = opencast.start(opencast.event(), "fast", {"a": "é/<&='>"})
    text = (await http.get(f"/api/workflows/{id}", params=WITH)).text
    assert '{"a":"é\\/<&=\'>"}' in text


@with_gson
async def test_gson_escapes_the_special_characters_of_html(http: httpx.AsyncClient, opencast: FakeOpencast) -> None:
    id = opencast.start(opencast.event(), "fast", {"a": "é/<&='>"})
    answer = await http.get(f"/api/workflows/{id}", params=WITH)
    assert '{"a":"é/\\u003c\\u0026\\u003d\\u0027\\u003e"}' in answer.text
    assert answer.json()["configuration"] == {"a": "é/<&='>"}


@pytest.mark.parametrize(
    ("release", "identifier", "queue", "configuration"),
    [("11", "", None, None), ("16", "", None, None), ("19", None, 0, {})],
)
async def test_missing_values_are_absent_empty_or_null_by_release(
    http: httpx.AsyncClient, opencast: FakeOpencast, identifier: object, queue: object, configuration: object
) -> None:
    id = opencast.start(opencast.event(), "publish")
    tree = json.loads((await http.get(f"/api/workflows/{id}", params=WITH)).text)
    operation = tree["operations"][0]
    assert (operation.get("identifier"), operation.get("time_in_queue")) == (identifier, queue)
    assert (tree.get("configuration"), operation.get("configuration")) == (configuration, configuration)
    assert None not in operation.values()


@pytest.mark.parametrize(("release", "creator"), [("16", ""), ("19", None)])
async def test_a_missing_creator_is_empty_or_absent(
    http: httpx.AsyncClient, opencast: FakeOpencast, creator: str | None
) -> None:
    id = opencast.state.start(opencast.event(), "fast", creator="")
    assert (await http.get(f"/api/workflows/{id}")).json().get("creator") == creator


@pytest.mark.parametrize(("release", "expected"), [("11", True), ("16", False), ("19", False)])
async def test_only_opencast_11_has_the_unless_of_an_operation(
    http: httpx.AsyncClient, opencast: FakeOpencast, expected: object
) -> None:
    id = opencast.start(opencast.event(), "schedule-and-upload")
    operation = (await http.get(f"/api/workflows/{id}", params=WITH)).json()["operations"][2]
    assert ("unless" in operation) is expected


@pytest.mark.parametrize(("release", "expected"), [("11", False), ("16", True), ("19", True)])
async def test_opencast_11_has_no_panel_in_json(http: httpx.AsyncClient, expected: object) -> None:
    params = {"withconfigurationpaneljson": "true"}
    assert (
        "configuration_panel_json" in (await http.get("/api/workflow-definitions/fast", params=params)).json()
    ) is expected


@every_release
async def test_the_same_seed_gives_the_same_workflows(release: Release) -> None:
    texts = []
    for _ in range(2):
        opencast = Sandbox(release, ManualClock(), seed=7).opencast
        ids = opencast.seed(20)
        transport = httpx.ASGITransport(app=opencast.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", auth=opencast.auth) as http:
            texts.append([(await http.get(f"/api/workflows/{id}", params=WITH)).text for id in ids])
    assert texts[0] == texts[1]


def test_seeded_workflows_show_every_state_and_keep_moving(opencast: FakeOpencast, clock: ManualClock) -> None:
    ids = opencast.seed(500)
    before = {id: opencast.engine.runs[id].status for id in ids}
    clock.advance(30)
    opencast.engine.advance()
    assert len(set(before.values())) == 7
    assert sum(opencast.engine.runs[id].status is not before[id] for id in ids) > 50


def test_old_seeded_workflows_have_ended(opencast: FakeOpencast) -> None:
    ids = opencast.seed(50, definitions=["fast", "fails"], age=3600)
    assert all(opencast.engine.runs[id].status.final for id in ids)


def test_each_seeded_workflow_has_an_event_of_its_own_and_dates_are_shared(opencast: FakeOpencast) -> None:
    ids = opencast.seed(60) + opencast.seed(60)
    events = [opencast.state.events[opencast.engine.runs[id].subject] for id in ids]
    assert len({event.identifier for event in events}) == 120
    assert len({event.created for event in events}) == 40
