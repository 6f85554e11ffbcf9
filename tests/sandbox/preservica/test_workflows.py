from xml.etree import ElementTree as ET

import httpx
import pytest

from tests.sandbox.preservica.asking import BASE, NS, fact, get, inside, start, start_id, state
from workflow_async.sandbox.clock import ManualClock
from workflow_async.sandbox.preservica.app import PreservicaState


@pytest.mark.parametrize(
    ("context", "end"),
    [
        ("42", "COMPLETED"),
        ("43", "COMPLETED"),
        ("44", "FINISHED_MIXED_OUTCOME"),
        ("45", "SUSPENDED"),
        ("46", "FAILED"),
    ],
)
async def test_every_outcome_has_a_context_of_its_own(
    http: httpx.AsyncClient, clock: ManualClock, context: str, end: str
) -> None:
    id = await start_id(http, context)
    assert await state(http, id) == "PENDING"
    clock.advance(2.5)
    assert await state(http, id) == "ACTIVE"
    clock.advance(60)
    assert await state(http, id) == end


async def test_an_instance_is_told_in_full(
    http: httpx.AsyncClient, server: PreservicaState, clock: ManualClock
) -> None:
    id = await start_id(http, "44")
    clock.advance(60.0625)
    root = ET.fromstring((await get(http, id)).content)
    told = {child.tag.removeprefix(NS): child.text for child in root}
    (run,) = server.engine.all()
    assert told == {
        "Id": id,
        "Started": "2023-11-14T22:13:22.000Z",
        "Finished": "2023-11-14T22:13:26.000Z",
        "State": "FINISHED_MIXED_OUTCOME",
        "DisplayState": "Finished Mixed Outcome",
        "ArchivalProcessId": str(int(id) - 1224),
        "WorkflowGroupId": server.archive.group_id(run),
        "ProcessMonitorApiId": server.archive.monitor_id(run),
        "WorkflowContextId": "44",
        "WorkflowContextName": "Web Crawl & Ingest",
        "WorkflowDefinitionTextId": "com.preservica.core.workflow.web.crawl.and.ingest",
        "WorkflowDefinitionName": "Web Crawl & Ingest",
        "Creator": "manager@example.org",
    }


async def test_an_ingest_that_succeeded_names_what_it_made(http: httpx.AsyncClient, clock: ManualClock) -> None:
    id = await start_id(http, "42")
    assert fact(await get(http, id), "TopLevelDURecord") is None
    clock.advance(60)
    assert fact(await get(http, id), "TopLevelDURecord")


async def test_milliseconds_are_cut_not_rounded(http: httpx.AsyncClient, clock: ManualClock) -> None:
    clock.advance(0.9996)
    id = await start_id(http, "42")
    clock.advance(3)
    assert fact(await get(http, id), "Started") == "2023-11-14T22:13:22.999Z"


async def test_the_current_step_is_told_while_there_is_one(http: httpx.AsyncClient, clock: ManualClock) -> None:
    id = await start_id(http, "45")
    seen = []
    for seconds in (0, 2.5, 1, 60):
        clock.advance(seconds)
        seen.append(fact(await get(http, id), "CurrentStepName"))
    assert seen == [None, "Unpack", "Appraise", "Appraise"]


@pytest.mark.parametrize("id", ["1", "nonsense", "-5", "9" * 5000, "%C2%B2"])
async def test_an_id_nobody_has_is_404_with_a_body(http: httpx.AsyncClient, id: str) -> None:
    answer = await get(http, id)
    assert answer.status_code == 404
    assert fact(answer, "Message")


async def test_errors_of_a_failed_instance_nest_and_repeat_when_asked_for(
    http: httpx.AsyncClient, clock: ManualClock
) -> None:
    id = await start_id(http, "46")
    clock.advance(60)
    told = ET.fromstring((await get(http, id, includeErrors="true")).content)
    errors = told.findall(f"{NS}Errors/{NS}Error")
    assert len(errors) == 2
    assert {error.findtext(f"{NS}StepName") for error in errors} == {"Fixity"}
    assert fact(await get(http, id), "Errors") is None


async def test_an_instance_that_did_not_fail_has_no_errors(http: httpx.AsyncClient, clock: ManualClock) -> None:
    id = await start_id(http, "42")
    clock.advance(60)
    assert fact(await get(http, id, includeErrors="true"), "Errors") is None


async def test_nested_blocks_never_stand_before_the_id_and_state_of_their_instance(
    http: httpx.AsyncClient, clock: ManualClock
) -> None:
    await start(http, ("WorkflowContextId", "42"))
    clock.advance(4)
    flags = ("includeActiveSteps", "includeStepInputs", "includeStartInputs", "includeOutputs", "includeErrors")
    answer = await http.get(f"{BASE}/instances", params=dict.fromkeys(flags, "True"))
    row = ET.fromstring(answer.content).find(f"{NS}WorkflowInstance")
    assert row is not None
    blocks = [child.tag.removeprefix(NS) for child in row if len(child)]
    assert blocks == ["ActiveSteps", "StepInputs", "Outputs"]
    assert row[0].tag == f"{NS}Id"


async def test_start_inputs_are_the_parameters(http: httpx.AsyncClient, server: PreservicaState) -> None:
    context = server.archive.contexts["44"]
    run = server.archive.start_workflow(context, {"seedUrl": "https://example.org", "maxDepth": "8"}, None)
    told = ET.fromstring((await get(http, run.id, includeStartInputs="true")).content)
    pairs = [[e.text for e in p] for p in told.findall(f"{NS}StartInputs/{NS}Parameter")]
    assert pairs == [["seedUrl", "https://example.org"], ["maxDepth", "8"]]


async def test_a_sparse_world_leaves_the_optional_elements_out_of_every_second_row(clock: ManualClock) -> None:
    server = PreservicaState(clock, sparse=True)
    ids = [server.archive.start_workflow(server.archive.contexts["42"], {}, None).id for _ in range(4)]
    async with inside(server) as http:
        rows = ET.fromstring((await http.get(f"{BASE}/instances")).content).findall(f"{NS}WorkflowInstance")
        single = ET.fromstring((await get(http, ids[1])).content)
    assert [len(row) for row in rows] == [11, 2, 11, 2]
    assert [child.tag.removeprefix(NS) for child in single] == ["Id", "State"]
