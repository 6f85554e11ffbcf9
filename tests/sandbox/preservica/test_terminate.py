from xml.etree import ElementTree as ET

import httpx
import pytest

from tests.sandbox.preservica.asking import BASE, NS, fact, get, start_id, state
from workflow_async.sandbox.clock import ManualClock


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
