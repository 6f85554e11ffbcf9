"""Terminating and retrying workflow instances."""

from xml.etree import ElementTree as ET

import httpx
import pytest

from tests.sandbox.preservica.api import BASE, NS, child_text, get_instance, started_id, state_of
from workflow_async.sandbox.clock import ManualClock


async def terminate(http: httpx.AsyncClient, ids: str) -> httpx.Response:
    return await http.post(f"{BASE}/instances/terminate", params={"workflowInstanceIds": ids})


async def retry(http: httpx.AsyncClient, ids: str) -> tuple[str | None, str | None]:
    answer = await http.post(f"{BASE}/instances/retry", params={"workflowInstanceIds": ids})
    assert answer.status_code == 200
    return child_text(answer, "SuccessfulNumber"), child_text(answer, "FailedNumber")


async def test_a_terminated_instance_is_aborted_a_little_later(http: httpx.AsyncClient, clock: ManualClock) -> None:
    id = await started_id(http, "42")
    clock.advance(3)
    answer = await terminate(http, id)
    assert (answer.status_code, answer.content) == (202, b"")
    assert await state_of(http, id) == "ACTIVE"
    clock.advance(1)
    assert await state_of(http, id) == "ABORTED"
    assert child_text(await get_instance(http, id), "Finished") == "2023-11-14T22:13:24.000Z"


@pytest.mark.parametrize("context", ["42", "45"])
@pytest.mark.parametrize("seconds", [0, 2.5, 3.5, 60])
async def test_an_aborted_instance_stays_aborted(
    http: httpx.AsyncClient, clock: ManualClock, context: str, seconds: float
) -> None:
    id = await started_id(http, context)
    clock.advance(seconds)
    ended = await state_of(http, id)
    await terminate(http, id)
    clock.advance(600)
    assert await state_of(http, id) == ("COMPLETED" if ended == "COMPLETED" else "ABORTED")


async def test_a_second_terminate_does_not_delay_the_end(http: httpx.AsyncClient, clock: ManualClock) -> None:
    id = await started_id(http, "42")
    for _ in range(4):
        await terminate(http, id)
        clock.advance(0.25)
    assert await state_of(http, id) == "ABORTED"


async def test_an_aborted_instance_has_no_active_steps(http: httpx.AsyncClient, clock: ManualClock) -> None:
    id = await started_id(http, "42")
    clock.advance(3)
    assert (
        len(
            ET.fromstring((await get_instance(http, id, includeActiveSteps="true")).content).findall(f"{NS}ActiveSteps")
        )
        == 1
    )
    await terminate(http, id)
    clock.advance(1)
    assert child_text(await get_instance(http, id, includeActiveSteps="true"), "ActiveSteps") is None


async def test_several_instances_are_terminated_together_and_unknown_ids_are_ignored(
    http: httpx.AsyncClient, clock: ManualClock
) -> None:
    ids = [await started_id(http, "42") for _ in range(3)]
    assert (await terminate(http, f"{ids[0]},{ids[2]},7,nonsense")).status_code == 202
    clock.advance(2)
    assert [await state_of(http, id) for id in ids] == ["ABORTED", "ACTIVE", "ABORTED"]


@pytest.mark.parametrize("what", ["terminate", "retry"])
async def test_terminate_and_retry_need_the_ids_parameter(http: httpx.AsyncClient, what: str) -> None:
    assert (await http.post(f"{BASE}/instances/{what}")).status_code == 400


async def test_a_retry_resumes_failed_and_suspended_instances_and_counts_the_others(
    http: httpx.AsyncClient, clock: ManualClock
) -> None:
    failed, held, done = [await started_id(http, context) for context in ("46", "45", "42")]
    clock.advance(60)
    assert await retry(http, f"{failed},{held},{done},7") == ("2", "2")
    assert [await state_of(http, id) for id in (failed, held)] == ["ACTIVE", "ACTIVE"]
    clock.advance(60)
    assert [await state_of(http, id) for id in (failed, held)] == ["COMPLETED", "COMPLETED"]


async def test_a_retry_without_ids_resumes_every_retryable_instance(
    http: httpx.AsyncClient, clock: ManualClock
) -> None:
    for context in ("46", "45", "42"):
        await started_id(http, context)
    clock.advance(60)
    assert await retry(http, "") == ("2", "0")
