"""Requests to the sandbox's Preservica, and functions that read its responses."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from xml.etree import ElementTree as ET

import httpx
from starlette.types import ASGIApp

from workflow_async.sandbox.preservica.app import PreservicaState

BASE = "/sdb/rest/workflow"
LIST = f"{BASE}/instances"
CONTEXTS = f"{BASE}/contexts"
NS = "{http://workflow.preservica.com}"
XML = {"Content-Type": "application/xml;charset=UTF-8"}


def http_client(state: PreservicaState, app: ASGIApp | None = None) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app or state.app), base_url="http://127.0.0.1")


async def login(http: httpx.AsyncClient, state: PreservicaState, **more: str) -> httpx.Response:
    form = {"username": state.username, "password": state.password} | more
    return await http.post("/api/accesstoken/login", data=form)


@asynccontextmanager
async def logged_in(state: PreservicaState, app: ASGIApp | None = None) -> AsyncIterator[httpx.AsyncClient]:
    async with http_client(state, app) as http:
        http.headers["Preservica-Access-Token"] = (await login(http, state)).json()["token"]
        yield http


async def status_with_token(http: httpx.AsyncClient, token: str, path: str = CONTEXTS) -> int:
    return (await http.get(path, headers={"Preservica-Access-Token": token})).status_code


def child_text(answer: httpx.Response, name: str) -> str | None:
    return ET.fromstring(answer.content).findtext(f"{NS}{name}")


async def get_instance(http: httpx.AsyncClient, id: object, **flags: str) -> httpx.Response:
    return await http.get(f"{BASE}/instances/{id}", params=flags)


async def state_of(http: httpx.AsyncClient, id: object) -> str | None:
    return child_text(await get_instance(http, id), "State")


async def post_start(http: httpx.AsyncClient, *elements: tuple[str, str]) -> httpx.Response:
    root = ET.Element("StartWorkflowRequest", xmlns=NS.strip("{}"))
    for name, text in elements:
        ET.SubElement(root, name).text = text
    return await http.post(f"{BASE}/instances", content=ET.tostring(root), headers=XML)


async def started_id(http: httpx.AsyncClient, context: str) -> str:
    answer = await post_start(http, ("WorkflowContextId", context))
    assert answer.status_code == 201
    return child_text(answer, "Id") or ""


async def list_page(http: httpx.AsyncClient, **params: object) -> ET.Element:
    answer = await http.get(LIST, params={k.rstrip("_"): str(v) for k, v in params.items()})
    assert answer.status_code == 200
    return ET.fromstring(answer.content)


def row_ids(root: ET.Element) -> list[int]:
    return [int(row.findtext(f"{NS}Id", "")) for row in root.findall(f"{NS}WorkflowInstance")]


def total_and_count(root: ET.Element) -> tuple[int, int]:
    return int(root.findtext(f"{NS}TotalCount", "")), int(root.findtext(f"{NS}Count", ""))
