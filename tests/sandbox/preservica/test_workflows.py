"""Single workflow instances and their optional blocks."""

from xml.etree import ElementTree as ET

import httpx
import pytest

from tests.sandbox.preservica.api import BASE, NS, child_text, get_instance, logged_in, post_start, started_id, state_of
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
async def test_every_outcome_has_its_own_context(
    http: httpx.AsyncClient, clock: ManualClock, context: str, end: str
) -> None:
    id = await started_id(http, context)
    assert await state_of(http, id) == "PENDING"
    clock.advance(2.5)
    assert await state_of(http, id) == "ACTIVE"
    clock.advance(60)
    assert await state_of(http, id) == end


async def test_an_instance_has_all_its_fields(
    http: httpx.AsyncClient, server: PreservicaState, clock: ManualClock
) -> None:
    id = await started_id(http, "44")
    clock.advance(60.0625)
    root = ET.fromstring((await get_instance(http, id)).content)
    fields = {child.tag.removeprefix(NS): child.text for child in root}
    (run,) = server.engine.all()
    assert fields == {
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


async def test_a_successful_ingest_has_the_id_of_its_entity(http: httpx.AsyncClient, clock: ManualClock) -> None:
    id = await started_id(http, "42")
    assert child_text(await get_instance(http, id), "TopLevelDURecord") is None
    clock.advance(60)
    assert child_text(await get_instance(http, id), "TopLevelDURecord")


async def test_milliseconds_are_truncated_and_not_rounded(http: httpx.AsyncClient, clock: ManualClock) -> None:
    clock.advance(0.9996)
    id = await started_id(http, "42")
    clock.advance(3)
    assert child_text(await get_instance(http, id), "Started") == "2023-11-14T22:13:22.999Z"


async def test_the_current_step_is_shown_while_there_is_one(http: httpx.AsyncClient, clock: ManualClock) -> None:
    id = await started_id(http, "45")
    seen = []
    for seconds in (0, 2.5, 1, 60):
        clock.advance(seconds)
        seen.append(child_text(await get_instance(http, id), "CurrentStepName"))
    assert seen == [None, "Unpack", "Appraise", "Appraise"]


@pytest.mark.parametrize("id", ["1", "nonsense", "-5", "9" * 5000, "%C2%B2"])
async def test_an_unknown_id_is_404_with_a_body(http: httpx.AsyncClient, id: str) -> None:
    answer = await get_instance(http, id)
    assert answer.status_code == 404
    assert child_text(answer, "Message")


async def test_errors_of_a_failed_instance_nest_and_repeat_when_asked_for(
    http: httpx.AsyncClient, clock: ManualClock
) -> None:
    id = await started_id(http, "46")
    clock.advance(60)
    root = ET.fromstring((await get_instance(http, id, includeErrors="true")).content)
    errors = root.findall(f"{NS}Errors/{NS}Error")
    assert len(errors) == 2
    assert {error.findtext(f"{NS}StepName") for error in errors} == {"Fixity"}
    assert child_text(await get_instance(http, id), "Errors") is None


async def test_an_instance_that_did_not_fail_has_no_errors(http: httpx.AsyncClient, clock: ManualClock) -> None:
    id = await started_id(http, "42")
    clock.advance(60)
    assert child_text(await get_instance(http, id, includeErrors="true"), "Errors") is None


async def test_the_id_of_an_instance_comes_before_its_nested_blocks(
    http: httpx.AsyncClient, clock: ManualClock
) -> None:
    await post_start(http, ("WorkflowContextId", "42"))
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
    root = ET.fromstring((await get_instance(http, run.id, includeStartInputs="true")).content)
    pairs = [[e.text for e in p] for p in root.findall(f"{NS}StartInputs/{NS}Parameter")]
    assert pairs == [["seedUrl", "https://example.org"], ["maxDepth", "8"]]


async def test_a_sparse_sandbox_leaves_the_optional_elements_out_of_every_second_row(clock: ManualClock) -> None:
    server = PreservicaState(clock, sparse=True)
    ids = [server.archive.start_workflow(server.archive.contexts["42"], {}, None).id for _ in range(4)]
    async with logged_in(server) as http:
        rows = ET.fromstring((await http.get(f"{BASE}/instances")).content).findall(f"{NS}WorkflowInstance")
        single = ET.fromstring((await get_instance(http, ids[1])).content)
    assert [len(row) for row in rows] == [11, 2, 11, 2]
    assert [child.tag.removeprefix(NS) for child in single] == ["Id", "State"]
