"""How the tests ask for process monitors and their messages."""

from typing import Any

import httpx

from workflow_async.sandbox.preservica.app import PreservicaState

BASE = "/api/processmonitor"


async def value(http: httpx.AsyncClient, path: str, **params: object) -> dict[str, Any]:
    answer = await http.get(f"{BASE}/{path}", params={k: str(v) for k, v in params.items()})
    assert answer.status_code == 200
    body = answer.json()
    assert (body["success"], body["version"]) == (True, 1)
    told: dict[str, Any] = body["value"]
    return told


async def monitors(http: httpx.AsyncClient, **params: object) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = (await value(http, "monitors", **params))["monitors"]
    return told


async def messages(http: httpx.AsyncClient, **params: object) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = (await value(http, "messages", **params))["messages"]
    return told


def begin(server: PreservicaState, context: str, **parameters: str) -> str:
    run = server.archive.start_workflow(server.archive.contexts[context], parameters, None)
    return server.archive.monitor_id(run)
