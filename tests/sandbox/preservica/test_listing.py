"""The list of workflow instances: pages, filters and order."""

import time
from xml.etree import ElementTree as ET

import httpx
import pytest
from hypothesis import given, strategies as st
from starlette.datastructures import QueryParams

from tests.sandbox.preservica.api import LIST, NS, list_page, row_ids, total_and_count
from workflow_async.sandbox.clock import ManualClock
from workflow_async.sandbox.preservica.app import PreservicaState
from workflow_async.sandbox.preservica.query import InstanceQuery, datetime_param
from workflow_async.sandbox.preservica.window import Window
from workflow_async.sandbox.preservica.xml import timestamp


def values_of(root: ET.Element, name: str) -> set[str | None]:
    return {row.findtext(f"{NS}{name}") for row in root.findall(f"{NS}WorkflowInstance")}


async def test_counts_and_rows_are_direct_children_of_the_root(
    http: httpx.AsyncClient, server: PreservicaState
) -> None:
    server.seed(7)
    root = await list_page(http, max=3)
    assert [child.tag.removeprefix(NS) for child in root] == ["TotalCount", "Count", *["WorkflowInstance"] * 3]
    assert total_and_count(root) == (7, 3)


@pytest.mark.parametrize("size", [1, 7, 99, 100, 1000])
async def test_pages_by_count_hold_every_instance_once(
    http: httpx.AsyncClient, server: PreservicaState, size: int
) -> None:
    seeded, seen = server.seed(230), list[int]()
    while len(seen) < 230:
        seen += row_ids(await list_page(http, start=len(seen), max=size))
    assert seen == seeded


async def test_no_page_is_longer_than_the_cap(clock: ManualClock, http: httpx.AsyncClient) -> None:
    server = PreservicaState(clock, page_cap=50)
    server.seed(60)
    root = await list_page(http, max=500)
    assert total_and_count(root) == (0, 0)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=server.app), base_url="http://127.0.0.1") as capped:
        form = {"username": server.username, "password": server.password}
        token = (await capped.post("/api/accesstoken/login", data=form)).json()["token"]
        capped.headers["Preservica-Access-Token"] = token
        assert total_and_count(await list_page(capped, max=500)) == (60, 50)
        assert total_and_count(await list_page(capped)) == (60, 50)


async def test_a_page_beyond_the_end_is_empty(http: httpx.AsyncClient, server: PreservicaState) -> None:
    server.seed(5)
    assert total_and_count(await list_page(http, start=5)) == (5, 0)


async def test_latest_first_reverses_the_order(http: httpx.AsyncClient, server: PreservicaState) -> None:
    seeded = server.seed(9)
    assert row_ids(await list_page(http, latestFirst="true", max=3)) == seeded[:-4:-1]
    assert row_ids(await list_page(http, latestFirst="false", max=3)) == seeded[:3]


async def test_instances_are_filtered_by_type_in_any_case(http: httpx.AsyncClient, server: PreservicaState) -> None:
    server.seed(48)
    root = await list_page(http, type="ACCESS")
    assert values_of(root, "WorkflowContextId") == {"60", "61"}
    assert total_and_count(root) == (8, 8)


async def test_an_empty_type_is_no_filter(http: httpx.AsyncClient, server: PreservicaState) -> None:
    server.seed(12)
    assert total_and_count(await list_page(http, type="")) == (12, 12)


async def test_states_are_a_comma_list_in_any_case(http: httpx.AsyncClient, server: PreservicaState) -> None:
    server.seed(96, age=3600)
    root = await list_page(http, state="failed,Finished_Mixed_Outcome, COMPLETED")
    assert values_of(root, "State") == {"FAILED", "FINISHED_MIXED_OUTCOME", "COMPLETED"}
    assert values_of(await list_page(http, state="Suspended"), "State") == {"SUSPENDED"}
    assert total_and_count(await list_page(http, state="Unknown")) == (0, 0)


async def test_the_states_of_the_public_list_cover_every_instance(
    http: httpx.AsyncClient, server: PreservicaState
) -> None:
    server.seed(96)
    every = "Aborted,Active,Completed,Finished_Mixed_Outcome,Pending,Suspended,Unknown,Failed"
    assert total_and_count(await list_page(http, state=every)) == total_and_count(await list_page(http)) == (96, 96)


async def test_instances_are_filtered_by_context_and_creator(http: httpx.AsyncClient, server: PreservicaState) -> None:
    server.seed(24)
    assert total_and_count(await list_page(http, contextId="44", type="Ingest")) == (2, 2)
    assert total_and_count(await list_page(http, contextId="44", type="Access")) == (0, 0)
    assert total_and_count(await list_page(http, creator=server.username)) == (24, 24)
    assert total_and_count(await list_page(http, creator="bob")) == (0, 0)


@pytest.mark.parametrize(
    ("since", "until"),
    [
        ("2023-11-14T22:14:00.000Z", "2023-11-14T22:14:30.000Z"),
        ("2023-11-14T22:14:00.000000+0000", "2023-11-14T22:14:30.000000+0000"),
        ("2023-11-15T00:14:00+02:00", "2023-11-14T22:14:30"),
    ],
)
async def test_from_and_to_are_instants_of_the_start_in_every_form(
    http: httpx.AsyncClient, server: PreservicaState, clock: ManualClock, since: str, until: str
) -> None:
    for _ in range(100):
        server.archive.start_workflow(server.archive.contexts["45"], {}, None)
        clock.advance(1)
    found = row_ids(await list_page(http, from_=since, to=until))
    starts = [timestamp(server.engine.runs[id].started) or "" for id in found]
    assert len(found) == 31
    assert min(starts) == "2023-11-14T22:14:00.000Z"
    assert max(starts) == "2023-11-14T22:14:30.000Z"


async def test_an_instance_is_found_by_its_own_start_time(
    http: httpx.AsyncClient, server: PreservicaState, clock: ManualClock
) -> None:
    clock.advance(0.1237891)
    id = server.archive.start_workflow(server.archive.contexts["42"], {}, None).id
    clock.advance(3)
    (started,) = values_of(await list_page(http), "Started")
    assert row_ids(await list_page(http, from_=started, to=started)) == [id]


async def test_a_pending_instance_is_found_by_its_creation_time(
    http: httpx.AsyncClient, server: PreservicaState, clock: ManualClock
) -> None:
    id = server.archive.start_workflow(server.archive.contexts["42"], {}, None).id
    assert row_ids(await list_page(http, from_=timestamp(clock()))) == [id]
    assert row_ids(await list_page(http, from_=timestamp(clock() + 1))) == []


async def test_unknown_parameters_are_ignored(http: httpx.AsyncClient, server: PreservicaState) -> None:
    server.seed(3)
    assert total_and_count(await list_page(http, WorkflowContextId="+ wfcontextID +", activeStepName="x")) == (3, 3)


@pytest.mark.parametrize(
    "query",
    ["state=Baked", "type=Baking", "max=many", "start=-1", "from=yesterday", "to=2023-13-01", f"max={'9' * 99}"],
)
async def test_an_invalid_filter_is_400(http: httpx.AsyncClient, query: str) -> None:
    assert (await http.get(f"{LIST}?{query}")).status_code == 400


async def test_ten_thousand_instances_are_counted_and_cut_into_pages(
    http: httpx.AsyncClient, server: PreservicaState
) -> None:
    server.seed(10_000, age=3600)
    pages = [await list_page(http, start=start, max=100, latestFirst="true") for start in range(0, 10_000, 1000)]
    assert [total_and_count(read) for read in pages] == [(10_000, 100)] * 10
    assert len({id for read in pages for id in row_ids(read)}) == 1000


@pytest.mark.sweep
def test_the_cost_of_seeding_does_not_grow_with_the_workflows_that_exist(server: PreservicaState) -> None:
    def cost(number: int) -> float:
        began = time.process_time()
        server.seed(number, age=3600)
        return time.process_time() - began

    thousand = min(cost(1_000) for _ in range(3))
    assert cost(10_000) < 40 * thousand  # It would be 100 if each start read all earlier workflows.


@given(st.lists(st.integers()), st.integers(0, 50), st.integers(0, 50), st.integers(1, 50))
def test_a_window_is_a_slice_no_longer_than_the_cap(rows: list[int], start: int, size: int, cap: int) -> None:
    window = Window.read(QueryParams({"start": str(start), "max": str(size)}), default=25, cap=cap)
    assert window.select(rows) == rows[start:][: min(size, cap)]


WORDS = ("Aborted", "Active", "Completed", "Finished_Mixed_Outcome", "Pending", "Suspended", "Unknown", "Failed")
SEEDED_STATE = PreservicaState(ManualClock())
SEEDED_IDS = SEEDED_STATE.seed(150)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["Ingest", "access", "TRANSFORMATION", "DataManagement"]),
            "state": st.lists(st.sampled_from(WORDS), min_size=1).map(",".join),
            "contextId": st.sampled_from(["42", "44", "60", "80", "999"]),
            "from": st.integers(-60, 10).map(lambda ago: timestamp(SEEDED_STATE.archive.clock() + ago)),
            "to": st.integers(-60, 10).map(lambda ago: timestamp(SEEDED_STATE.archive.clock() + ago)),
        },
    )
)
def test_filters_only_take_away_and_add_up_in_any_order(params: dict[str, str]) -> None:
    def found(params: dict[str, str]) -> list[int]:
        query = InstanceQuery.read(QueryParams(params), SEEDED_STATE.archive)
        return [run.id for run in query.select(SEEDED_STATE.engine.all())]

    alone = [set(found({name: value})) for name, value in params.items()]
    assert found(params) == [id for id in SEEDED_IDS if all(id in ids for ids in alone)]
    assert found(params | {"latestFirst": "true"}) == found(params)[::-1]


@given(st.floats(0, 4e9))
def test_an_instant_reads_back_as_it_was_written(at: float) -> None:
    written = timestamp(at)
    assert written is not None
    assert timestamp(datetime_param(written) / 1000) == written
