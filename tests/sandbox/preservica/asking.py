"""How the tests ask the sandbox's Preservica, and look up what it says."""

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


def door(server: PreservicaState, app: ASGIApp | None = None) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app or server.app), base_url="http://127.0.0.1")


async def login(http: httpx.AsyncClient, server: PreservicaState, **more: str) -> httpx.Response:
    form = {"username": server.username, "password": server.password} | more
    return await http.post("/api/accesstoken/login", data=form)


@asynccontextmanager
async def inside(server: PreservicaState, app: ASGIApp | None = None) -> AsyncIterator[httpx.AsyncClient]:
    async with door(server, app) as http:
        http.headers["Preservica-Access-Token"] = (await login(http, server)).json()["token"]
        yield http


async def knock(http: httpx.AsyncClient, token: str, path: str = CONTEXTS) -> int:
    return (await http.get(path, headers={"Preservica-Access-Token": token})).status_code


def fact(answer: httpx.Response, name: str) -> str | None:
    return ET.fromstring(answer.content).findtext(f"{NS}{name}")


async def get(http: httpx.AsyncClient, id: object, **flags: str) -> httpx.Response:
    return await http.get(f"{BASE}/instances/{id}", params=flags)


async def state(http: httpx.AsyncClient, id: object) -> str | None:
    return fact(await get(http, id), "State")


async def start(http: httpx.AsyncClient, *elements: tuple[str, str]) -> httpx.Response:
    root = ET.Element("StartWorkflowRequest", xmlns=NS.strip("{}"))
    for name, text in elements:
        ET.SubElement(root, name).text = text
    return await http.post(f"{BASE}/instances", content=ET.tostring(root), headers=XML)


async def start_id(http: httpx.AsyncClient, context: str) -> str:
    answer = await start(http, ("WorkflowContextId", context))
    assert answer.status_code == 201
    return fact(answer, "Id") or ""


async def page(http: httpx.AsyncClient, **params: object) -> ET.Element:
    answer = await http.get(LIST, params={k.rstrip("_"): str(v) for k, v in params.items()})
    assert answer.status_code == 200
    return ET.fromstring(answer.content)


def ids(root: ET.Element) -> list[int]:
    return [int(row.findtext(f"{NS}Id", "")) for row in root.findall(f"{NS}WorkflowInstance")]


def counts(root: ET.Element) -> tuple[int, int]:
    return int(root.findtext(f"{NS}TotalCount", "")), int(root.findtext(f"{NS}Count", ""))
