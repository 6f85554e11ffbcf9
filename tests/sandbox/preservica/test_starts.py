import asyncio
from xml.etree import ElementTree as ET

import httpx
import pytest

from tests.sandbox.preservica.asking import BASE, NS, XML, fact, get, start, start_id, state
from workflow_async.sandbox.clock import ManualClock
from workflow_async.sandbox.engine import Step
from workflow_async.sandbox.preservica.app import PreservicaState


async def names(http: httpx.AsyncClient, **filters: str) -> list[str | None]:
    answer = await http.get(f"{BASE}/contexts", params=filters)
    assert answer.status_code == 200
    rows = ET.fromstring(answer.content).iter(f"{NS}WorkflowContext")
    return [row.findtext(f"{NS}Name") for row in rows]


async def test_contexts_are_listed_by_type_in_any_case(http: httpx.AsyncClient) -> None:
    assert await names(http, type="ingest") == await names(http, type="Ingest")
    counts = [len(await names(http, type=type)) for type in ("Ingest", "Access", "Transformation", "DataManagement")]
    assert all(count > 1 for count in counts)
    assert sum(counts) == len(await names(http))


async def test_contexts_are_listed_by_definition_and_both_filters_combine(http: httpx.AsyncClient) -> None:
    definition = "com.preservica.core.workflow.web.crawl.and.ingest"
    assert await names(http, workflowDefinitionId=definition) == ["Web Crawl & Ingest"]
    assert await names(http, workflowDefinitionId=definition, type="Ingest") == ["Web Crawl & Ingest"]
    assert await names(http, workflowDefinitionId=definition, type="Access") == []


async def test_a_context_that_is_not_active_is_neither_listed_nor_started(http: httpx.AsyncClient) -> None:
    assert "Ingest SIPs (retired)" not in await names(http)
    assert (await start(http, ("WorkflowContextId", "47"))).status_code == 404


async def test_a_type_there_is_none_of_is_400(http: httpx.AsyncClient) -> None:
    answer = await http.get(f"{BASE}/contexts", params={"type": "Baking"})
    assert (answer.status_code, fact(answer, "Message")) == (400, "Unknown workflow type: Baking")


async def test_a_context_of_ones_own_runs_the_steps_given(
    http: httpx.AsyncClient, server: PreservicaState, clock: ManualClock
) -> None:
    context = server.context("Slow", "org.example.slow", "Access", [Step("Nap", 60.0)])
    assert await names(http, workflowDefinitionId="org.example.slow", type="access") == ["Slow"]
    id = await start_id(http, context)
    clock.advance(30)
    assert fact(await get(http, id), "CurrentStepName") == "Nap"
    clock.advance(60)
    assert await state(http, id) == "COMPLETED"


def test_a_context_of_a_type_there_is_none_of_is_refused(server: PreservicaState) -> None:
    with pytest.raises(ValueError, match="Baking"):
        server.context("Bread", "org.example.bread", "Baking", [])


async def test_a_start_answers_201_with_the_pending_instance(http: httpx.AsyncClient, server: PreservicaState) -> None:
    answer = await start(http, ("WorkflowContextId", "42"), ("CorrelationId", "mine"))
    assert answer.status_code == 201
    assert answer.headers["content-type"] == "application/xml"
    root = ET.fromstring(answer.content)
    assert root.tag == f"{NS}WorkflowInstance"
    assert (fact(answer, "State"), fact(answer, "CorrelationToken")) == ("PENDING", "mine")
    assert (fact(answer, "Started"), fact(answer, "Creator")) == (None, server.username)
    assert server.starts == ["mine"]


async def test_the_name_of_a_context_is_enough(http: httpx.AsyncClient) -> None:
    answer = await start(http, ("WorkflowContextName", "Web Crawl & Ingest"))
    assert (answer.status_code, fact(answer, "WorkflowContextId")) == (201, "44")


async def test_a_start_may_have_its_elements_in_any_order(http: httpx.AsyncClient, server: PreservicaState) -> None:
    answer = await start(http, ("CorrelationId", "c"), ("WorkflowContextName", "whatever"), ("WorkflowContextId", "42"))
    assert (answer.status_code, fact(answer, "WorkflowContextName")) == (201, "Ingest OPEX (Incremental)")
    assert server.starts == ["c"]


async def test_parameters_reach_the_workflow(http: httpx.AsyncClient, server: PreservicaState) -> None:
    body = (
        '\n<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
        '<StartWorkflowRequest  xmlns="http://workflow.preservica.com"><WorkflowContextId>44</WorkflowContextId>'
        "<Parameter><Key>seedUrl</Key><Value>a&amp;b&lt;c&gt;</Value></Parameter>"
        "<Parameter><Key>maxDepth</Key><Value>8</Value></Parameter>"
        "<Parameter><Key>itemTitle</Key><Value/></Parameter><Parameter/></StartWorkflowRequest >"
    )
    answer = await http.post(f"{BASE}/instances", content=body, headers=XML)
    (run,) = server.engine.all()
    assert answer.status_code == 201
    assert run.parameters == {"seedUrl": "a&b<c>", "maxDepth": "8", "itemTitle": ""}


async def test_every_request_to_start_starts_exactly_one(http: httpx.AsyncClient, server: PreservicaState) -> None:
    ids = await asyncio.gather(*(start_id(http, "42") for _ in range(20)))
    assert len(set(ids)) == len(server.starts) == len(list(server.engine.all())) == 20


@pytest.mark.parametrize("element", [("WorkflowContextId", "999"), ("WorkflowContextName", "None such")])
async def test_a_context_nobody_knows_is_404_and_starts_nothing(
    http: httpx.AsyncClient, server: PreservicaState, element: tuple[str, str]
) -> None:
    assert (await start(http, element)).status_code == 404
    assert server.starts == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<StartWorkflowRequest",
        b"<StartWorkflowRequest/>",
        b'<Other xmlns="http://workflow.preservica.com"/>',
        b'<?xml version="1.0" encoding="no-such"?><a/>',
        b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
        '<?xml version="1.0" encoding="UTF-16"?><!DOCTYPE a><a/>'.encode("utf-16"),
        b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
    ],
    ids=["empty", "cut", "no namespace", "another root", "encoding", "entity", "utf-16 doctype", "outside"],
)
async def test_a_document_that_is_not_the_one_asked_for_is_400(
    http: httpx.AsyncClient, server: PreservicaState, body: bytes
) -> None:
    assert (await http.post(f"{BASE}/instances", content=body, headers=XML)).status_code == 400
    assert server.starts == []


async def test_a_doctype_is_refused_by_name(http: httpx.AsyncClient) -> None:
    answer = await http.post(f"{BASE}/instances", content=b"<!DOCTYPE a><a/>", headers=XML)
    assert fact(answer, "Message") == "A DOCTYPE is not allowed"


async def test_a_start_in_json_is_415(http: httpx.AsyncClient) -> None:
    assert (await http.post(f"{BASE}/instances", json={"WorkflowContextId": 42})).status_code == 415
