"""Workflow contexts and starts."""

import asyncio
from xml.etree import ElementTree as ET

import httpx
import pytest

from tests.sandbox.preservica.api import BASE, NS, XML, child_text, get_instance, post_start, started_id, state_of
from workflow_async.sandbox.clock import ManualClock
from workflow_async.sandbox.engine import Step
from workflow_async.sandbox.preservica.app import PreservicaState


async def context_names(http: httpx.AsyncClient, **filters: str) -> list[str | None]:
    answer = await http.get(f"{BASE}/contexts", params=filters)
    assert answer.status_code == 200
    rows = ET.fromstring(answer.content).iter(f"{NS}WorkflowContext")
    return [row.findtext(f"{NS}Name") for row in rows]


async def test_contexts_are_listed_by_type_in_any_case(http: httpx.AsyncClient) -> None:
    assert await context_names(http, type="ingest") == await context_names(http, type="Ingest")
    counts = [
        len(await context_names(http, type=type)) for type in ("Ingest", "Access", "Transformation", "DataManagement")
    ]
    assert all(count > 1 for count in counts)
    assert sum(counts) == len(await context_names(http))


async def test_contexts_are_listed_by_definition_and_both_filters_combine(http: httpx.AsyncClient) -> None:
    definition = "com.preservica.core.workflow.web.crawl.and.ingest"
    assert await context_names(http, workflowDefinitionId=definition) == ["Web Crawl & Ingest"]
    assert await context_names(http, workflowDefinitionId=definition, type="Ingest") == ["Web Crawl & Ingest"]
    assert await context_names(http, workflowDefinitionId=definition, type="Access") == []


async def test_a_context_that_is_not_active_is_neither_listed_nor_started(http: httpx.AsyncClient) -> None:
    assert "Ingest SIPs (retired)" not in await context_names(http)
    assert (await post_start(http, ("WorkflowContextId", "47"))).status_code == 404


async def test_an_unknown_type_is_400(http: httpx.AsyncClient) -> None:
    answer = await http.get(f"{BASE}/contexts", params={"type": "Baking"})
    assert (answer.status_code, child_text(answer, "Message")) == (400, "Unknown workflow type: Baking")


async def test_an_added_context_runs_the_given_steps(
    http: httpx.AsyncClient, server: PreservicaState, clock: ManualClock
) -> None:
    context = server.context("Slow", "org.example.slow", "Access", [Step("Nap", 60.0)])
    assert await context_names(http, workflowDefinitionId="org.example.slow", type="access") == ["Slow"]
    id = await started_id(http, context)
    clock.advance(30)
    assert child_text(await get_instance(http, id), "CurrentStepName") == "Nap"
    clock.advance(60)
    assert await state_of(http, id) == "COMPLETED"


def test_a_context_of_an_unknown_type_is_refused(server: PreservicaState) -> None:
    with pytest.raises(ValueError, match="Baking"):
        server.context("Bread", "org.example.bread", "Baking", [])


async def test_a_start_answers_201_with_the_pending_instance(http: httpx.AsyncClient, server: PreservicaState) -> None:
    answer = await post_start(http, ("WorkflowContextId", "42"), ("CorrelationId", "mine"))
    assert answer.status_code == 201
    assert answer.headers["content-type"] == "application/xml"
    root = ET.fromstring(answer.content)
    assert root.tag == f"{NS}WorkflowInstance"
    assert (child_text(answer, "State"), child_text(answer, "CorrelationToken")) == ("PENDING", "mine")
    assert (child_text(answer, "Started"), child_text(answer, "Creator")) == (None, server.username)
    assert server.starts == ["mine"]


async def test_the_name_of_a_context_is_enough(http: httpx.AsyncClient) -> None:
    answer = await post_start(http, ("WorkflowContextName", "Web Crawl & Ingest"))
    assert (answer.status_code, child_text(answer, "WorkflowContextId")) == (201, "44")


async def test_a_start_may_have_its_elements_in_any_order(http: httpx.AsyncClient, server: PreservicaState) -> None:
    answer = await post_start(
        http, ("CorrelationId", "c"), ("WorkflowContextName", "whatever"), ("WorkflowContextId", "42")
    )
    assert (answer.status_code, child_text(answer, "WorkflowContextName")) == (201, "Ingest OPEX (Incremental)")
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


async def test_every_start_request_starts_exactly_one_workflow(
    http: httpx.AsyncClient, server: PreservicaState
) -> None:
    ids = await asyncio.gather(*(started_id(http, "42") for _ in range(20)))
    assert len(set(ids)) == len(server.starts) == len(list(server.engine.all())) == 20


@pytest.mark.parametrize("element", [("WorkflowContextId", "999"), ("WorkflowContextName", "None such")])
async def test_an_unknown_context_is_404_and_starts_nothing(
    http: httpx.AsyncClient, server: PreservicaState, element: tuple[str, str]
) -> None:
    assert (await post_start(http, element)).status_code == 404
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
async def test_an_invalid_document_is_400(http: httpx.AsyncClient, server: PreservicaState, body: bytes) -> None:
    assert (await http.post(f"{BASE}/instances", content=body, headers=XML)).status_code == 400
    assert server.starts == []


async def test_a_doctype_is_refused_by_name(http: httpx.AsyncClient) -> None:
    answer = await http.post(f"{BASE}/instances", content=b"<!DOCTYPE a><a/>", headers=XML)
    assert child_text(answer, "Message") == "A DOCTYPE is not allowed"


async def test_a_start_in_json_is_415(http: httpx.AsyncClient) -> None:
    assert (await http.post(f"{BASE}/instances", json={"WorkflowContextId": 42})).status_code == 415
