"""Workflow definitions, events and the account."""

from typing import Any

import httpx
import pytest

from workflow_async.sandbox import ManualClock, Step
from workflow_async.sandbox.systems import FakeOpencast

DEFINITIONS = "/api/workflow-definitions"
BUSY = "status:EVENTS.EVENTS.STATUS.PROCESSING"


async def definition_names(http: httpx.AsyncClient, **params: str) -> list[str]:
    return [row["identifier"] for row in (await http.get(DEFINITIONS, params=params)).json()]


async def list_events(http: httpx.AsyncClient, **params: object) -> list[dict[str, Any]]:
    answer = await http.get("/api/events", params={k: str(v) for k, v in params.items()})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()
    return found


async def test_definitions_come_by_title_in_any_case_and_all_of_them(http: httpx.AsyncClient) -> None:
    titles = [row["title"] for row in (await http.get(DEFINITIONS, params={"limit": "0"})).json()]
    assert titles == sorted(titles, key=str.lower)
    assert len(titles) == 10


async def test_a_sort_by_title_puts_capital_letters_first(http: httpx.AsyncClient) -> None:
    titles = [row["title"] for row in (await http.get(DEFINITIONS, params={"sort": "title:DESC"})).json()]
    assert titles == sorted(titles, reverse=True)
    assert titles[0] == "always fails in encoding"


async def test_a_definition_is_short_unless_details_are_requested(http: httpx.AsyncClient) -> None:
    assert (await http.get(f"{DEFINITIONS}/fast")).json() == {
        "identifier": "fast",
        "title": "Fast Testing Workflow",
        "description": "\n      A minimal workflow for tests.\n    ",
        "tags": ["upload", "schedule", "archive"],
    }


async def test_panels_are_strings(http: httpx.AsyncClient) -> None:
    params = {"withconfigurationpanel": "true", "withconfigurationpaneljson": "true"}
    tree = (await http.get(f"{DEFINITIONS}/fast", params=params)).json()
    assert tree["configuration_panel"].startswith("<fieldset>")
    assert tree["configuration_panel_json"].startswith("[{")
    tree = (await http.get(f"{DEFINITIONS}/noop", params=params)).json()
    assert (tree["configuration_panel"], tree["configuration_panel_json"]) == ("", "")


async def test_operations_have_the_names_and_types_of_the_code(http: httpx.AsyncClient) -> None:
    tree = (await http.get(f"{DEFINITIONS}/schedule-and-upload", params={"withoperations": "true"})).json()
    assert tree["operations"][2] == {
        "operation": "analyze-audio",
        "description": "Normalizing audio",
        "configuration": {"target-decibel": "-26"},
        "if": "${normalizeAudio}",
        "unless": "${skipAudio}",
        "fail_workflow_on_error": True,
        "error_handler_workflow": "",
        "retry_strategy": "none",
        "max_attempts": 1,
    }


async def test_several_tags_are_all_wanted_and_unknown_filters_ignored(http: httpx.AsyncClient) -> None:
    assert await definition_names(http, filter="tag:upload") == ["fast", "schedule-and-upload"]
    assert await definition_names(http, filter="tag:upload,tag:archive,colour:red") == ["fast"]
    assert await definition_names(http, filter="tag:UPLOAD") == []


async def test_definitions_are_sorted_and_cut(http: httpx.AsyncClient) -> None:
    everything = await definition_names(http, sort="identifier:DESC")
    assert everything == sorted(everything, reverse=True)
    assert await definition_names(http, sort="identifier:DESC", limit="2", offset="1") == everything[1:3]
    assert (await definition_names(http, sort="displayorder:desc"))[:3] == ["schedule-and-upload", "fast", "publish"]


@pytest.mark.parametrize(("sort", "text"), [("title", ""), ("tags:ASC", "Unknown search criterion in request: tags")])
async def test_a_sort_of_definitions_that_is_unknown_or_half_is_400(
    http: httpx.AsyncClient, sort: str, text: str
) -> None:
    answer = await http.get(DEFINITIONS, params={"sort": sort})
    assert (answer.status_code, answer.text) == (400, text)


async def test_an_unknown_definition_is_404_in_text(http: httpx.AsyncClient) -> None:
    answer = await http.get(f"{DEFINITIONS}/none")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "text/plain")


async def test_a_definition_can_be_added(http: httpx.AsyncClient, opencast: FakeOpencast) -> None:
    opencast.define("mine", [Step("anything")], title="Mine", tags=("own",))
    assert await definition_names(http, filter="tag:own") == ["mine"]


async def test_an_event_has_a_status_but_no_workflow_id(http: httpx.AsyncClient, opencast: FakeOpencast) -> None:
    event = opencast.event(title="Optics", creator="Ada; Emmy", created=1_600_000_000.0, series="s")
    opencast.start(event, "fast")
    (row,) = await list_events(http)
    assert (row["identifier"], row["title"], row["presenter"]) == (event, "Optics", ["Ada", "Emmy"])
    assert (row["created"], row["is_part_of"], row["publication_status"]) == ("2020-09-13T12:26:40Z", "s", [])
    assert (row["status"], row["processing_state"]) == ("EVENTS.EVENTS.STATUS.PENDING", "INSTANTIATED")
    assert not any("workflow" in key for key in row)


async def test_an_event_without_a_workflow_has_no_processing_state(
    http: httpx.AsyncClient, opencast: FakeOpencast
) -> None:
    opencast.event()
    assert [(row["processing_state"], row["status"]) for row in await list_events(http)] == [
        ("", "EVENTS.EVENTS.STATUS.PROCESSED")
    ]


@pytest.mark.parametrize(
    ("definition", "seconds", "status"),
    [
        ("fast", 3, "PROCESSING"),
        ("fast", 60, "PROCESSED"),
        ("review", 60, "PAUSED"),
        ("fails", 60, "PROCESSING_FAILURE"),
        ("fails-with-handler", 10, "PROCESSING"),
    ],
)
async def test_the_status_of_an_event_follows_its_latest_workflow(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock, definition: str, seconds: float, status: str
) -> None:
    event = opencast.event()
    opencast.start(event, "noop")
    clock.advance(60)
    opencast.start(event, definition)
    clock.advance(seconds)
    found = await list_events(http, filter=f"status:EVENTS.EVENTS.STATUS.{status}")
    assert [row["identifier"] for row in found] == [event]


async def test_busy_events_are_found_and_paged_by_the_state_of_their_workflow(
    http: httpx.AsyncClient, opencast: FakeOpencast
) -> None:
    opencast.seed(200)
    everything = await list_events(http, sort="workflow_state:ASC")
    busy = await list_events(http, filter=BUSY)
    assert [row["processing_state"] for row in everything] == sorted(row["processing_state"] for row in everything)
    assert len(busy) == sum(row["processing_state"] in {"RUNNING", "FAILING"} for row in everything)
    assert await list_events(http, filter=BUSY, limit=5, offset=5) == busy[5:10]


@pytest.mark.parametrize(
    "name",
    [
        *("identifier:e-1", "title:Optics", "textFilter:ptic", "series:s-1", "is_part_of:s-1", "presenters:Ada"),
        *("contributors:Emmy", "subject:Light", "description:In hall 1", "series_name:Winter", "language:nor"),
        *("license:CC0", "created:2020-09-13T12:26:40Z", "textFilter:unheard-of OPT*s", "textFilter:+ada +win"),
        *("textFilter:-law", "identifier:x,identifier:e-1", "presenters:X,presenters:Grace", "title:x,title:Optics"),
        *("series:s-2,is_part_of:s-1", "textFilter:optics,textFilter:law"),
    ],
)
async def test_an_event_is_found_by_what_it_is(http: httpx.AsyncClient, opencast: FakeOpencast, name: str) -> None:
    people = {"creator": "Ada; Grace", "contributor": "Emmy"}
    known = {"subject": "Light", "description": "In hall 1", "language": "nor", "license": "CC0"}
    opencast.event(**dict.fromkeys({**people, **known}, ""), title="Law", series="s-2", series_title="")
    event = opencast.event(
        identifier="e-1",
        title="Optics",
        series="s-1",
        series_title="Winter",
        created=1_600_000_000.0,
        **people,
        **known,
    )
    assert [row["identifier"] for row in await list_events(http, filter=name)] == [event]


@pytest.mark.parametrize(
    "name",
    [
        *("title:opt", "title:optics", "title:Optic*", "presenters:Ad", "presenters:ada", "status:PROCESSED"),
        *("textFilter:+optics +law", "textFilter:winter -optics", "title:Optics,title:Law"),
    ],
)
async def test_an_event_is_not_found_by_a_part_or_in_another_case(
    http: httpx.AsyncClient, opencast: FakeOpencast, name: str
) -> None:
    opencast.event(title="Optics", creator="Ada", series_title="Winter", subject="", description="")
    assert await list_events(http, filter=name) == []


async def test_only_the_first_filter_of_events_counts(http: httpx.AsyncClient, opencast: FakeOpencast) -> None:
    opencast.event(title="Optics")
    assert len((await http.get("/api/events?filter=title:Optics&filter=title:Law")).json()) == 1


async def refusal(http: httpx.AsyncClient, **params: str) -> tuple[int, str, str | None]:
    answer = await http.get("/api/events", params=params)
    return answer.status_code, answer.text, answer.headers.get("content-type")


@pytest.mark.parametrize("name", ["nope", "processing_state", " title", "Status"])
async def test_an_unknown_filter_of_events_is_400_in_text_called_json(http: httpx.AsyncClient, name: str) -> None:
    expected = (400, f"Unknown filter criterion in request: {name}", "application/json")
    assert await refusal(http, filter=f"title:a,{name}:x") == expected


@pytest.mark.parametrize("name", ["start", "technical_start"])
async def test_a_period_of_events_is_read_or_refused(
    http: httpx.AsyncClient, opencast: FakeOpencast, name: str
) -> None:
    event = opencast.event(created=1_600_000_000.0)
    expected = (400, f"Filter '{name}' could not be parsed: The date range string is malformed", "application/json")
    assert await refusal(http, filter=f"{name}:2025") == expected
    found = await list_events(http, filter=f"{name}:2020-09-13T12:26:40Z/2020-09-13T12:26:40Z")
    assert [row["identifier"] for row in found] == [event]
    opencast.event(created=None)
    assert len(await list_events(http, filter=f"{name}:1960-01-01T00:00:00Z/2100-01-01T00:00:00Z")) == 1


async def test_an_unknown_sort_of_events_is_400_with_its_own_message(http: httpx.AsyncClient) -> None:
    assert await refusal(http, sort="nope:ASC") == (400, "Unknown sort criterion in request: nope", "application/json")
    assert (await refusal(http, sort="title"))[:2] == (400, "")


@pytest.mark.parametrize("name", ["location:hall-1", "agent_id:hall-1"])
async def test_every_event_has_the_same_location_and_no_source(
    http: httpx.AsyncClient, opencast: FakeOpencast, name: str
) -> None:
    opencast.event()
    assert len(await list_events(http, filter=name)) == 1
    assert [await list_events(http, filter=f"{other}:x") for other in ("source", "rightsholder")] == [[], []]


@pytest.mark.parametrize("sort", ["title", "presenter", "series_name", "date", "start_date"])
async def test_events_are_sorted(http: httpx.AsyncClient, opencast: FakeOpencast, sort: str) -> None:
    first = opencast.event(title="a", creator="a", series_title="a", created=1.0)
    last = opencast.event(title="b", creator="b", series_title="b", created=2.0)
    assert [row["identifier"] for row in await list_events(http, sort=f"{sort}:DESC")] == [last, first]


async def test_events_without_read_access_are_left_out(http: httpx.AsyncClient, opencast: FakeOpencast) -> None:
    opencast.event(readers=frozenset())
    assert (await http.get("/api/events", auth=("integration", "integration"))).json() == []


async def test_the_organization_is_described_by_info_organization(http: httpx.AsyncClient) -> None:
    tree = (await http.get("/api/info/organization")).json()
    assert tree == {
        "id": "mh_default_org",
        "name": "Opencast Project",
        "adminRole": "ROLE_ADMIN",
        "anonymousRole": "ROLE_ANONYMOUS",
    }


async def test_the_account_is_described_by_info_me(http: httpx.AsyncClient) -> None:
    assert (await http.get("/api/info/me")).json() == {
        "provider": "opencast",
        "name": "Admin",
        "email": "admin@example.org",
        "username": "admin",
        "userrole": "ROLE_USER_ADMIN",
    }
    assert "ROLE_ADMIN" in (await http.get("/api/info/me/roles")).json()
