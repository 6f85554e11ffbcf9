from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from xml.etree import ElementTree as ET

import httpx
import pytest

from workflow_async.sandbox.clock import ManualClock
from workflow_async.sandbox.preservica.app import PreservicaWorld

BASE = "/sdb/rest/workflow"
NS = "{http://workflow.preservica.com}"
XML = {"Content-Type": "application/xml;charset=UTF-8"}


@asynccontextmanager
async def inside(world: PreservicaWorld) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=world.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        form = {"username": world.username, "password": world.password}
        token = (await http.post("/api/accesstoken/login", data=form)).json()["token"]
        http.headers["Preservica-Access-Token"] = token
        yield http


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def world(clock: ManualClock) -> PreservicaWorld:
    return PreservicaWorld(clock)


@pytest.fixture
async def http(world: PreservicaWorld) -> AsyncIterator[httpx.AsyncClient]:
    async with inside(world) as http:
        yield http


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


async def terminate(http: httpx.AsyncClient, ids: str) -> httpx.Response:
    return await http.post(f"{BASE}/instances/terminate", params={"workflowInstanceIds": ids})


async def retry(http: httpx.AsyncClient, ids: str) -> tuple[str | None, str | None]:
    answer = await http.post(f"{BASE}/instances/retry", params={"workflowInstanceIds": ids})
    assert answer.status_code == 200
    return fact(answer, "SuccessfulNumber"), fact(answer, "FailedNumber")


async def test_a_terminated_instance_is_aborted_a_little_later(http: httpx.AsyncClient, clock: ManualClock) -> None:
    id = await start_id(http, "42")
    clock.advance(3)
    answer = await terminate(http, id)
    assert (answer.status_code, answer.content) == (202, b"")
    assert await state(http, id) == "ACTIVE"
    clock.advance(1)
    assert await state(http, id) == "ABORTED"
    assert fact(await get(http, id), "Finished") == "2023-11-14T22:13:24.000Z"


@pytest.mark.parametrize("context", ["42", "45"])
@pytest.mark.parametrize("seconds", [0, 2.5, 3.5, 60])
async def test_an_aborted_instance_stays_aborted(
    http: httpx.AsyncClient, clock: ManualClock, context: str, seconds: float
) -> None:
    id = await start_id(http, context)
    clock.advance(seconds)
    ended = await state(http, id)
    await terminate(http, id)
    clock.advance(600)
    assert await state(http, id) == ("COMPLETED" if ended == "COMPLETED" else "ABORTED")


async def test_asking_again_does_not_put_off_the_end(http: httpx.AsyncClient, clock: ManualClock) -> None:
    id = await start_id(http, "42")
    for _ in range(4):
        await terminate(http, id)
        clock.advance(0.25)
    assert await state(http, id) == "ABORTED"


async def test_an_aborted_instance_has_no_active_steps(http: httpx.AsyncClient, clock: ManualClock) -> None:
    id = await start_id(http, "42")
    clock.advance(3)
    assert len(ET.fromstring((await get(http, id, includeActiveSteps="true")).content).findall(f"{NS}ActiveSteps")) == 1
    await terminate(http, id)
    clock.advance(1)
    assert fact(await get(http, id, includeActiveSteps="true"), "ActiveSteps") is None


async def test_several_are_terminated_at_once_and_strangers_are_ignored(
    http: httpx.AsyncClient, clock: ManualClock
) -> None:
    ids = [await start_id(http, "42") for _ in range(3)]
    assert (await terminate(http, f"{ids[0]},{ids[2]},7,nonsense")).status_code == 202
    clock.advance(2)
    assert [await state(http, id) for id in ids] == ["ABORTED", "ACTIVE", "ABORTED"]


@pytest.mark.parametrize("what", ["terminate", "retry"])
async def test_neither_terminate_nor_retry_guesses_whom_it_is_about(http: httpx.AsyncClient, what: str) -> None:
    assert (await http.post(f"{BASE}/instances/{what}")).status_code == 400


async def test_a_retry_takes_up_failed_and_suspended_instances_and_counts_the_others(
    http: httpx.AsyncClient, clock: ManualClock
) -> None:
    failed, held, done = [await start_id(http, context) for context in ("46", "45", "42")]
    clock.advance(60)
    assert await retry(http, f"{failed},{held},{done},7") == ("2", "2")
    assert [await state(http, id) for id in (failed, held)] == ["ACTIVE", "ACTIVE"]
    clock.advance(60)
    assert [await state(http, id) for id in (failed, held)] == ["COMPLETED", "COMPLETED"]


async def test_a_retry_of_nobody_in_particular_takes_up_all_it_can(http: httpx.AsyncClient, clock: ManualClock) -> None:
    for context in ("46", "45", "42"):
        await start_id(http, context)
    clock.advance(60)
    assert await retry(http, "") == ("2", "0")
