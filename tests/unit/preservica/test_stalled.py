"""A workflow that stalls, and what a watch can do about it."""

from typing import Any

import httpx
import pytest

from workflow_async import Clock, Poll, PreservicaClient
from workflow_async.errors import InvalidArgument
from workflow_async.monitor import Stalled
from workflow_async.sandbox import Fault, Faults, ManualClock, Sandbox, Step, StepResult

EVERY = Poll(interval=1, ceiling=1, jitter=0)


SLOW = Step("Store", 500.0)
HELD = Step("Store", 1.0, StepResult.HELD)


async def watch_stalled(
    time: ManualClock, step: Step = SLOW, *, faults: Faults | None = None, retry_stalled: int = 0
) -> tuple[list[Any], Sandbox]:
    """Watch a workflow whose step behaves differently from the same step of four others, which took 5 s."""

    async def sleep(seconds: float) -> None:
        time.advance(seconds)

    sandbox = Sandbox(clock=time)
    there = sandbox.preservica
    account: dict[str, Any] = {"username": there.username, "password": there.password, "tenant": there.tenant}
    clock = Clock(now=time, sleep=sleep, wall=time)
    http = httpx.AsyncClient(transport=httpx.ASGITransport(there.app))
    usual = there.context("Slow", "com.example.slow", "Ingest", [Step("Store", 5.0)])
    async with http, PreservicaClient("http://127.0.0.1", http=http, clock=clock, **account) as pv:
        for _ in range(4):
            await pv.workflows.start_and_wait(usual, poll=EVERY)
        started = await pv.workflows.start(there.context("Slow", "com.example.slow", "Ingest", [step]))
        assert started.id is not None
        there.faults = faults or Faults()
        async with pv.workflows.watch(
            [started.id], poll=EVERY, stalled_after=3, retry_stalled=retry_stalled
        ) as changes:
            return [event async for event in changes if isinstance(event, Stalled)], sandbox


def retries(sandbox: Sandbox) -> int:
    return sum(request.path.endswith("/retry") for request in sandbox.preservica.requests)


async def test_a_step_that_takes_much_longer_than_usual_is_reported_once() -> None:
    (event,), _ = await watch_stalled(ManualClock())
    assert event.seconds > 3 * event.usual
    assert not event.remedied


async def test_a_stalled_workflow_is_retried_on_request() -> None:
    (event,), sandbox = await watch_stalled(ManualClock(), HELD, retry_stalled=3)
    assert event.remedied
    assert retries(sandbox) == 1


async def test_a_stalled_workflow_that_the_server_does_not_retry_is_reported() -> None:
    (event,), sandbox = await watch_stalled(ManualClock(), SLOW, retry_stalled=1)
    assert not event.remedied
    assert retries(sandbox) == 1


async def test_nothing_is_retried_without_a_request() -> None:
    _, sandbox = await watch_stalled(ManualClock(), SLOW)
    assert retries(sandbox) == 0


async def test_a_refused_retry_is_reported_as_not_remedied(caplog: pytest.LogCaptureFixture) -> None:
    refused = Faults(script=(Fault.SERVER_ERROR,) * 5, methods=("POST",))
    (event,), _ = await watch_stalled(ManualClock(), faults=refused, retry_stalled=2)
    assert not event.remedied
    assert "could not be retried" in caplog.text


def test_the_number_of_retries_is_a_number() -> None:
    pv = PreservicaClient("https://eu.preservica.com", username="u", password="p")
    with pytest.raises(InvalidArgument, match="retry_stalled"):
        pv.workflows.watch([1], retry_stalled=-1)
