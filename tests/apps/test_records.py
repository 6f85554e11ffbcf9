"""FastAPI returns records and events, and shows them in its OpenAPI document."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import BaseModel

from tests.support.loopback_system import LoopbackSystem, loopback_system
from workflow_async import OpencastClient, PreservicaClient, opencast, preservica
from workflow_async.monitor import Change, Outcome, WatchEvent
from workflow_async.sandbox import Step

SCHEMAS = "#/components/schemas/"
OPENCAST_WORKFLOW = "workflow_async__opencast__records__Workflow"
PRESERVICA_WORKFLOW = "workflow_async__preservica__records__Workflow"


class Overview(BaseModel):
    workflow: opencast.Workflow
    count: int


def application(oc: OpencastClient, pv: PreservicaClient) -> FastAPI:
    app = FastAPI()

    @app.get("/opencast")
    async def listed(event: str) -> list[opencast.Workflow]:
        return [*await oc.workflows.for_event(event)]

    @app.get("/opencast/{id}")
    async def one(id: int) -> opencast.Workflow:
        return await oc.workflows.get(id, with_operations=True)

    @app.get("/opencast/{id}/overview")
    async def overview(id: int) -> Overview:
        return Overview(workflow=await oc.workflows.get(id), count=1)

    @app.get("/opencast/{id}/change")
    async def change(id: int) -> Change[opencast.Workflow]:
        async with oc.workflows.watch([id], operations=True) as events:
            event = await anext(events)
        assert isinstance(event, Change)
        return event

    @app.get("/opencast/{id}/event")
    async def event(id: int) -> WatchEvent[opencast.Workflow]:
        async with oc.workflows.watch([id]) as events:
            return await anext(events)

    @app.get("/opencast/{id}/outcome")
    async def outcome(id: int) -> Outcome[opencast.Workflow]:
        return (await oc.workflows.wait_all([id]))[0]

    @app.get("/preservica/{id}")
    async def preserved(id: int) -> preservica.Workflow:
        return await pv.workflows.get(id)

    return app


@pytest.fixture
async def oc() -> AsyncIterator[LoopbackSystem]:
    async with loopback_system("16") as loopback:
        loopback.opencast.define("publish", [Step("encode", 10), Step("distribute", 10)])
        yield loopback


@pytest.fixture
async def pv() -> AsyncIterator[LoopbackSystem]:
    async with loopback_system("preservica") as loopback:
        yield loopback


@pytest.fixture
async def web(oc: LoopbackSystem, pv: LoopbackSystem) -> AsyncIterator[httpx.AsyncClient]:
    async with oc.client() as opencast_client, pv.client() as preservica_client:
        transport = httpx.ASGITransport(app=application(opencast_client, preservica_client))
        async with httpx.AsyncClient(transport=transport, base_url="http://service.example.org") as client:
            yield client


def start(loopback: LoopbackSystem, event: str) -> int:
    """Start a workflow and return its id when its first operation runs."""
    id = loopback.opencast.start(event, "publish")
    loopback.time.advance(5)
    return id


async def read(web: httpx.AsyncClient, path: str) -> Any:
    response = await web.get(path)
    assert response.status_code == 200, response.text
    return response.json()


async def test_a_route_returns_an_opencast_workflow_with_its_operations(
    web: httpx.AsyncClient, oc: LoopbackSystem
) -> None:
    id = start(oc, oc.opencast.event())
    received = await read(web, f"/opencast/{id}")
    async with oc.client() as client:
        assert received == (await client.workflows.get(id, with_operations=True)).to_dict()
    assert (received["id"], received["state"], received["phase"]) == (id, "running", "running")
    assert [operation["operation"] for operation in received["operations"]] == ["encode", "distribute"]
    assert received["operations"][0]["start"].endswith("Z")


async def test_a_route_returns_a_list_of_workflows_and_a_model_with_one(
    web: httpx.AsyncClient, oc: LoopbackSystem
) -> None:
    event = oc.opencast.event()
    id = start(oc, event)
    assert [workflow["id"] for workflow in await read(web, f"/opencast?event={event}")] == [id]
    overview = await read(web, f"/opencast/{id}/overview")
    assert (overview["workflow"]["id"], overview["count"]) == (id, 1)


async def test_a_route_returns_a_preservica_workflow(web: httpx.AsyncClient, pv: LoopbackSystem) -> None:
    context = pv.preservica.context("Ingest", "org.example.ingest", "Ingest", [Step("Store", 10)])
    async with pv.client() as client:
        id = (await client.workflows.start(context)).id
        pv.time.advance(5)
        received = await read(web, f"/preservica/{id}")
        assert received == (await client.workflows.get(id)).to_dict()
    assert (received["id"], received["state"], received["phase"]) == (id, "Active", "running")


async def test_a_route_returns_an_event_and_an_outcome(web: httpx.AsyncClient, oc: LoopbackSystem) -> None:
    id = start(oc, oc.opencast.event())
    for path in ("change", "event"):
        received = await read(web, f"/opencast/{id}/{path}")
        assert (received["id"], received["was"], received["now"]) == (id, None, "running")
        assert received["workflow"]["id"] == id
        assert received["key"]
    received = await read(web, f"/opencast/{id}/outcome")
    assert (received["id"], received["succeeded"], received["workflow"]["phase"]) == (id, True, "succeeded")


async def test_the_openapi_document_names_the_records_and_their_fields(web: httpx.AsyncClient) -> None:
    document = await read(web, "/openapi.json")
    schemas = document["components"]["schemas"]

    def returned(path: str) -> Any:
        return document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]

    assert returned("/opencast/{id}") == {"$ref": f"{SCHEMAS}{OPENCAST_WORKFLOW}"}
    assert returned("/opencast")["items"] == {"$ref": f"{SCHEMAS}{OPENCAST_WORKFLOW}"}
    assert returned("/preservica/{id}") == {"$ref": f"{SCHEMAS}{PRESERVICA_WORKFLOW}"}
    assert returned("/opencast/{id}/change") == {"$ref": f"{SCHEMAS}Change_Workflow_"}
    assert {"$ref": f"{SCHEMAS}Stalled_Workflow_"} in returned("/opencast/{id}/event")["anyOf"]
    assert {"$ref": f"{SCHEMAS}TimedOut_Workflow_"} in returned("/opencast/{id}/outcome")["anyOf"]
    workflow = schemas[OPENCAST_WORKFLOW]["properties"]
    assert workflow["id"] == {"type": "integer", "title": "Id"}
    assert workflow["phase"] == {"$ref": f"{SCHEMAS}Phase"}
    assert workflow["operations"]["anyOf"][0] == {"type": "array", "items": {"$ref": f"{SCHEMAS}Operation"}}
    assert schemas["Operation"]["properties"]["if"] == {"type": "string", "title": "If"}
    assert schemas["Change_Workflow_"]["properties"]["workflow"] == {"$ref": f"{SCHEMAS}{OPENCAST_WORKFLOW}"}
    assert schemas["Overview"]["properties"]["workflow"] == {"$ref": f"{SCHEMAS}{OPENCAST_WORKFLOW}"}
    assert schemas[PRESERVICA_WORKFLOW]["properties"]["started"]["anyOf"][0]["format"] == "date-time"
