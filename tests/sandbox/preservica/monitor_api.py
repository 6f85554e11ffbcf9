"""Requests for process monitors and their messages."""

from typing import Any

import httpx

from workflow_async.sandbox.preservica.app import PreservicaState

BASE = "/api/processmonitor"


async def read_value(http: httpx.AsyncClient, path: str, **params: object) -> dict[str, Any]:
    answer = await http.get(f"{BASE}/{path}", params={k: str(v) for k, v in params.items()})
    assert answer.status_code == 200
    body = answer.json()
    assert (body["success"], body["version"]) == (True, 1)
    value: dict[str, Any] = body["value"]
    return value


async def monitors(http: httpx.AsyncClient, **params: object) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = (await read_value(http, "monitors", **params))["monitors"]
    return rows


async def messages(http: httpx.AsyncClient, **params: object) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = (await read_value(http, "messages", **params))["messages"]
    return rows


def start_monitored(state: PreservicaState, context: str, **parameters: str) -> str:
    run = state.archive.start_workflow(state.archive.contexts[context], parameters, None)
    return state.archive.monitor_id(run)
