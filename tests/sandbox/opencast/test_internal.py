"""The routes under `/workflow` and the JSON that Jettison makes of XML."""

from typing import Any

import httpx
import pytest
from hypothesis import given, strategies as st

from tests.sandbox.opencast.releases import with_list, without_list
from workflow_async.sandbox import IndexFault, ManualClock, ServerClock, Step
from workflow_async.sandbox.opencast.jettison import typed
from workflow_async.sandbox.systems import FakeOpencast


async def get_instances(http: httpx.AsyncClient, event: str) -> Any:
    return (await http.get(f"/workflow/mediaPackage/{event}/instances.json")).json()["workflows"]


async def test_none_one_and_several_have_three_shapes(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock
) -> None:
    event = opencast.event()
    assert await get_instances(http, event) == ""
    first = opencast.start(event, "noop")
    assert (await get_instances(http, event))["workflow"]["id"] == first
    clock.advance(60)
    second = opencast.start(event, "noop")
    assert [tree["id"] for tree in (await get_instances(http, event))["workflow"]] == [first, second]


async def test_an_unknown_event_has_no_workflows(http: httpx.AsyncClient) -> None:
    assert await get_instances(http, "none") == ""


async def get_instance(http: httpx.AsyncClient, id: int) -> Any:
    return (await http.get(f"/workflow/instance/{id}.json")).json()["workflow"]


DAY = 1_600_000_000.0


async def test_an_instance_has_its_own_keys(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock
) -> None:
    event = opencast.event(
        identifier="e-1", title="Optics", creator="Ada; Emmy", created=DAY, series="s-1", series_title="Winter"
    )
    id = opencast.start(event, "noop", {"publishLive": "true"})
    clock.advance(60)
    assert await get_instance(http, id) == {
        "id": id,
        "state": "SUCCEEDED",
        "template": "noop",
        "title": "No operation",
        "creator-id": "admin",
        "organization-id": "mh_default_org",
        "dateCreated": "2023-11-14T22:13:20.000Z",
        "dateCompleted": "2023-11-14T22:13:22.500Z",
        "mediapackage": {
            "id": "e-1",
            "start": "2020-09-13T12:26:40Z",
            "title": "Optics",
            "series": "s-1",
            "seriestitle": "Winter",
            "creators": {"creator": ["Ada", "Emmy"]},
            "media": "",
            "metadata": "",
            "attachments": "",
            "publications": "",
        },
        "operations": {
            "operation": {
                "id": 1001,
                "template": "defaults",
                "job": 1001,
                "state": "SUCCEEDED",
                "description": "Applying default configuration values",
                "fail-on-error": True,
                "max-attempts": 1,
                "failed-attempts": 0,
                "retry-strategy": "none",
                "configurations": {"configuration": {"key": "publishLive", "$": "false"}},
                "started": 1_700_000_002_000,
                "completed": 1_700_000_002_500,
                "time-in-queue": 1001 * 37 % 3000,
            }
        },
        "configurations": {"configuration": {"key": "publishLive", "$": "true"}},
        "mediaPackageId": "e-1",
        "seriesId": "s-1",
    }


async def test_empty_values_have_no_key(http: httpx.AsyncClient, opencast: FakeOpencast) -> None:
    event = opencast.event(title="", creator="", series="", series_title="", created=None)
    tree = await get_instance(http, opencast.start(event, "noop"))
    assert {"description", "dateCompleted", "seriesId"}.isdisjoint(tree)
    assert {"start", "title", "series", "seriestitle", "creators"}.isdisjoint(tree["mediapackage"])
    assert {"id", "job", "started", "completed", "time-in-queue"}.isdisjoint(tree["operations"]["operation"])
    assert tree["configurations"] == ""


async def test_a_parked_operation_is_abortable_and_continuable(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock
) -> None:
    id = opencast.start(opencast.event(), "review")
    clock.advance(60)
    first, parked, last = (await get_instance(http, id))["operations"]["operation"]
    assert (parked["state"], parked["abortable"], parked["continuable"]) == ("PAUSED", True, True)
    assert "abortable" not in {**first, **last}


@with_list
async def test_opencast_11_has_other_keys_of_an_instance(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock
) -> None:
    id = opencast.start(opencast.event(), "review")
    clock.advance(3)
    tree = await get_instance(http, id)
    assert tree["parent"] == {"nil": True}
    assert {"dateCreated", "mediaPackageId", "seriesId"}.isdisjoint(tree)
    begun, waiting, _ = tree["operations"]["operation"]
    assert (begun["id"], begun["job"], begun["execution-history"]) == ("inspect", 1001, "")
    assert (waiting["id"], "job" in waiting, "template" in waiting) == ("editor", False, False)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("1984", 1984), ("-5", -5), ("3.14", 3.14), ("0", 0), ("12345", 12345), ("true", True), ("false", False)),
        *(("9223372036854775807", 2**63 - 1), ("-9223372036854775808", -(2**63)), ("2.0", 2), ("0.001", 0.001)),
        *(("-0.5", -0.5), ("1234567.5", 1234567.5)),
    ],
)
def test_a_text_that_a_jvm_writes_in_the_same_way_becomes_a_number_or_a_boolean(text: str, value: object) -> None:
    assert (typed(text), type(typed(text))) == (value, type(value))


@pytest.mark.parametrize(
    "text",
    [
        *("007", "00", "1e5", "+7", "1.", ".5", "-0", "1f", "5L", "1d", "1_000", "0x10", "NaN", "Infinity", "null"),
        *("1.50", "12345678901234567890123", "9223372036854775808", "True", "FALSE", " 7", "7 ", "", "0.0001", "٣"),
        *("12345678.9", "1.0e3", "00123", "-", "1,5", "2025-10-26"),
    ],
)
def test_any_other_text_stays_a_text(text: str) -> None:
    assert typed(text) == text


@given(st.floats(1e-3, 9_999_999).map(lambda value: round(value, 3)))
def test_a_decimal_of_ordinary_size_is_a_number_by_its_own_digits(value: float) -> None:
    assert float(typed(repr(value))) == value


@given(st.text())
def test_a_text_is_itself_or_a_number_or_a_boolean_that_reads_like_it(text: str) -> None:
    found = typed(text)
    assert found == text or str(found).lower() == text or f"{found}.0" == text


async def test_texts_of_digits_are_numbers_everywhere_but_beside_an_attribute(
    http: httpx.AsyncClient, opencast: FakeOpencast
) -> None:
    opencast.define("7", [Step("8")], title="1984", description="true")
    event = opencast.event(identifier="24", title="12.5", creator="5; x", series="2024", series_title="false")
    id = opencast.state.start(event, "7", {"1": "5"}, creator="20481234")
    tree = (await get_instances(http, event))["workflow"]
    values = [tree[key] for key in ("template", "title", "description", "creator-id", "mediaPackageId", "seriesId")]
    assert values == [7, 1984, True, 20481234, 24, 2024]
    package = tree["mediapackage"]
    assert [package[key] for key in ("id", "title", "series", "seriestitle")] == [24, 12.5, 2024, False]
    assert package["creators"] == {"creator": [5, "x"]}
    assert (tree["operations"]["operation"]["template"], tree["id"]) == (8, id)
    assert tree["configurations"] == {"configuration": {"key": 1, "$": "5"}}


@pytest.mark.parametrize(
    ("offset", "created"),
    [
        (0.0, "2023-11-14T22:13:20.000Z"),
        (1.0, "2023-11-14T23:13:20.000+01:00"),
        (-3.5, "2023-11-14T18:43:20.000-03:30"),
    ],
)
async def test_dates_are_in_the_server_s_local_time(
    http: httpx.AsyncClient, opencast: FakeOpencast, offset: float, created: str
) -> None:
    opencast.faults = ServerClock(utc_offset=offset)
    id = opencast.start(opencast.event(), "noop")
    assert (await get_instance(http, id))["dateCreated"] == created


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


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("mediaPackage/none/currentInstance.json", ""),
        ("instance/x.json", ""),
        ("instance/1.json", "The resource you requested does not exist."),
    ],
)
async def test_an_unknown_resource_is_404(http: httpx.AsyncClient, path: str, text: str) -> None:
    answer = await http.get(f"/workflow/{path}")
    assert (answer.status_code, answer.text) == (404, text)
    assert answer.headers.get("content-type") == ("text/plain" if text else None)


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        *((None, 200), ("*/*", 200), ("text/plain", 200), ("text/*;q=0.5", 200), ("application/json, text/plain", 200)),
        *(("application/json", 404), ("text/html", 404)),
    ],
)
@pytest.mark.parametrize("path", ["count", "mediaPackage/none/hasActiveWorkflows"])
async def test_a_route_that_writes_text_is_404_for_a_client_that_does_not_accept_text(
    http: httpx.AsyncClient, path: str, accept: str | None, status: int
) -> None:
    del http.headers["accept"]
    headers = {} if accept is None else {"Accept": accept}
    assert (await http.get(f"/workflow/{path}", headers=headers)).status_code == status


async def test_workflows_are_counted_by_state(http: httpx.AsyncClient, opencast: FakeOpencast) -> None:
    opencast.seed(100)
    states = ("INSTANTIATED", "RUNNING", "STOPPED", "PAUSED", "SUCCEEDED", "FAILED", "FAILING")
    counts = [int((await http.get("/workflow/count", params={"state": s})).text) for s in states]
    assert (sum(counts), (await http.get("/workflow/count")).text) == (100, "100")


@pytest.mark.parametrize("state", ["running", "BAKED", "Running"])
async def test_a_count_needs_the_state_in_capitals(http: httpx.AsyncClient, state: str) -> None:
    assert (await http.get("/workflow/count", params={"state": state})).status_code == 400


async def listed(http: httpx.AsyncClient, **params: Any) -> Any:
    return (await http.get("/workflow/instances.json", params=params)).json()["workflows"]


@with_list
async def test_opencast_11_lists_instances_with_a_total(http: httpx.AsyncClient, opencast: FakeOpencast) -> None:
    ids = opencast.seed(25)
    first = await listed(http)
    assert (first["totalCount"], first["count"], first["startPage"], len(first["workflow"])) == (25, 20, 0, 20)
    second = await listed(http, startPage=1)
    assert {row["id"] for row in [*first["workflow"], *second["workflow"]]} == set(ids)
    one = await listed(http, count=1, state="nope", compact="true")
    assert (one["totalCount"], one["count"], one["workflow"]["id"] in ids) == (25, 1, True)
    assert "workflow" not in await listed(http, startPage=9)


@with_list
async def test_opencast_11_counts_by_state_operation_and_definition_whatever_their_case(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock
) -> None:
    for name in ("one", "two"):
        opencast.define(name, [Step("encode", 1000.0)])
        opencast.start(opencast.event(), name)
    opencast.start(opencast.event(), "noop")
    clock.advance(60)

    async def total(**params: Any) -> int:
        found: int = (await listed(http, **params))["totalCount"]
        return found

    assert [await total(state="running"), await total(state="-RUNNING"), await total(state=["running", ""])] == [
        2,
        1,
        2,
    ]
    assert [await total(op="Encode"), await total(op="-encode"), await total(op=["encode", "none"])] == [2, 1, 3]
    assert [await total(workflowdefinition="ONE"), await total(workflowdefinition="one", op="x")] == [1, 0]
    counts = [{"state": "RUNNING"}, {"operation": "encode"}, {"state": "SUCCEEDED", "operation": "encode"}, {}]
    assert [(await http.get("/workflow/count", params=p)).text for p in counts] == ["2", "2", "0", "3"]


@with_list
async def test_opencast_11_counts_in_an_index_that_is_late(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock
) -> None:
    opencast.seed(3)
    opencast.state.start(opencast.event(), "noop")
    assert ((await http.get("/workflow/count")).text, (await listed(http))["totalCount"]) == ("3", 3)
    clock.advance(10)
    assert ((await http.get("/workflow/count")).text, (await listed(http))["totalCount"]) == ("4", 4)
    opencast.faults = IndexFault("empty")
    assert ((await http.get("/workflow/count")).text, (await listed(http))["totalCount"]) == ("0", 0)
    opencast.faults = IndexFault("down")
    assert (await http.get("/workflow/count")).status_code == 500


@without_list
async def test_opencast_12_and_later_do_not_list_instances_and_ignore_the_operation_of_a_count(
    http: httpx.AsyncClient, opencast: FakeOpencast
) -> None:
    opencast.seed(3)
    assert (await http.get("/workflow/instances.json")).status_code == 404
    assert (await http.get("/workflow/count", params={"operation": "nope"})).text == "3"


@with_list
async def test_opencast_11_does_not_have_the_routes_by_event(http: httpx.AsyncClient, opencast: FakeOpencast) -> None:
    answer = await http.get(f"/workflow/mediaPackage/{opencast.event()}/instances.json")
    assert (answer.status_code, answer.content) == (404, b"")
    assert answer.headers["allow"] == "HEAD,DELETE,POST,GET,PUT,OPTIONS"


async def test_internal_routes_are_for_administrators(http: httpx.AsyncClient) -> None:
    assert (await http.get("/workflow/count", auth=("integration", "integration"))).status_code == 403
