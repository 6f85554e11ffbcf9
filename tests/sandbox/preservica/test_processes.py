"""Ingest configurations."""

import httpx
import pytest

from workflow_async.sandbox.clock import ManualClock
from workflow_async.sandbox.preservica.app import PreservicaState

CONFIGS = "/api/process/ingest/configs"
OPEX = "9f2c4d1e-7a35-4b0c-8d61-2f0e5b7a9c13"


async def process_names(http: httpx.AsyncClient, **params: list[str]) -> list[str]:
    answer = await http.get(CONFIGS, params=params)
    return [config["name"] for config in answer.json()["configs"]]


async def test_processes_are_listed_by_any_of_several_types(http: httpx.AsyncClient) -> None:
    assert len(await process_names(http)) == 4
    assert await process_names(http, types=["SFTP", "OPEX"]) == ["OPEX incremental", "Drop box of the depositors"]
    assert await process_names(http, types=["FTP"]) == []


async def test_a_process_has_the_keys_that_pypreservica_reads(http: httpx.AsyncClient) -> None:
    first = (await http.get(CONFIGS)).json()["configs"][0]
    assert first == {
        "apiId": OPEX,
        "name": "OPEX incremental",
        "description": "",
        "type": "OPEX",
        "active": True,
        "trigger": {"type": "Manual"},
    }


@pytest.mark.parametrize("active", [True, False])
async def test_a_switched_process_stays_switched(http: httpx.AsyncClient, *, active: bool) -> None:
    answer = await http.put(f"{CONFIGS}/{OPEX}/active", json=active)
    assert (answer.status_code, answer.json()["active"]) == (200, active)
    assert (await http.get(CONFIGS)).json()["configs"][0]["active"] is active


async def test_an_unknown_process_is_404(http: httpx.AsyncClient) -> None:
    answer = await http.put(f"{CONFIGS}/none/active", json=True)
    assert (answer.status_code, answer.json()["success"]) == (404, False)


@pytest.mark.parametrize("body", [b"", b"1", b'"true"', b"yes"])
async def test_a_process_is_switched_by_true_and_false_only(http: httpx.AsyncClient, body: bytes) -> None:
    assert (await http.put(f"{CONFIGS}/{OPEX}/active", content=body)).status_code == 400


async def test_a_switch_does_not_change_another_sandbox(http: httpx.AsyncClient, clock: ManualClock) -> None:
    await http.put(f"{CONFIGS}/{OPEX}/active", json=False)
    other = PreservicaState(clock)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=other.app), base_url="http://127.0.0.1") as client:
        form = {"username": other.username, "password": other.password}
        token = (await client.post("/api/accesstoken/login", data=form)).json()["token"]
        response = await client.get(CONFIGS, headers={"Preservica-Access-Token": token})
    assert response.json()["configs"][0]["active"] is True
