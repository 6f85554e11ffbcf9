"""The library inside FastAPI and inside aiohttp: both applications behave alike over sockets."""

import time
from contextlib import AsyncExitStack
from typing import Any

import anyio
import pytest

from tests.apps.conftest import COMMANDS, LONG_TIME, TIMEOUT, WORKERS, Application, wait_until
from workflow_async.sandbox import Fault, Faults, ManualClock, Sandbox

READERS = 500
STREAMS = 300
on_every_framework = pytest.mark.parametrize("application", [*COMMANDS, "litestar", "django"], indirect=True)


def start_workflow(sandbox: Sandbox) -> int:
    return sandbox.opencast.start(sandbox.opencast.event(), "publish")


def count_gets(sandbox: Sandbox, id: int) -> int:
    """Return the number of requests for a workflow."""
    return sum(exchange.path == f"/api/workflows/{id}" for exchange in list(sandbox.opencast.requests))


@on_every_framework
async def test_publishing_starts_a_workflow_without_waiting_for_its_end(
    application: Application, sandbox: Sandbox
) -> None:
    response = await application.http.post(f"/publish/{sandbox.opencast.event()}")
    assert response.status_code == 202
    state = (await application.http.get(f"/workflows/{response.json()['id']}")).json()
    assert state["phase"] in {"waiting", "running"}


@on_every_framework
async def test_a_stream_sends_every_change_until_the_end(
    application: Application, sandbox: Sandbox, clock: ManualClock
) -> None:
    id = start_workflow(sandbox)
    received: list[dict[str, Any]] = []
    with anyio.fail_after(TIMEOUT):
        async with application.stream(id) as events:
            async for event in events:
                received.append(event)
                clock.advance(11)  # longer than any step
    assert {(event["event"], event["id"]) for event in received} == {("Change", id)}
    assert [event["now"] for event in received if event["now"] == "succeeded"] == [received[-1]["now"]]
    transitions = [step for event in received for step in event["operations"]]
    steps = [(step["operation"], step["now"]) for step in transitions if step["now"] != "instantiated"]
    assert steps == [(name, state) for name in ("encode", "distribute") for state in ("running", "succeeded")]


async def test_a_late_reader_gets_the_end_immediately(
    application: Application, sandbox: Sandbox, clock: ManualClock
) -> None:
    id = start_workflow(sandbox)
    clock.advance(LONG_TIME)
    with anyio.fail_after(TIMEOUT):
        assert [event["now"] for event in await application.read_stream(id)] == ["succeeded"]


async def test_a_reader_that_disconnects_ends_only_its_own_watch(
    application: Application, sandbox: Sandbox, clock: ManualClock
) -> None:
    dropped, watched = start_workflow(sandbox), start_workflow(sandbox)
    async with application.stream(watched) as staying:
        assert (await anext(staying))["id"] == watched
        async with application.stream(dropped) as leaving:
            assert (await anext(leaving))["id"] == dropped
        seen = (count_gets(sandbox, dropped), count_gets(sandbox, watched))

        def only_one_is_polled() -> bool:
            """Return True after ten GETs of the watched workflow without a GET of the other."""
            nonlocal seen
            now = (count_gets(sandbox, dropped), count_gets(sandbox, watched))
            seen = seen if now[0] == seen[0] else now
            return now[1] >= seen[1] + 10

        await wait_until(only_one_is_polled)
        clock.advance(LONG_TIME)
        assert [event["now"] async for event in staying][-1] == "succeeded"


@pytest.mark.sweep
async def test_five_hundred_readers_of_one_workflow_are_one_poll_loop(
    application: Application, sandbox: Sandbox, clock: ManualClock
) -> None:
    id = start_workflow(sandbox)
    began = time.monotonic()
    ends: list[str] = []
    reading = 0

    async def read() -> None:
        nonlocal reading
        async with application.stream(id) as events:
            await anext(events)
            reading += 1
            ends.extend([event["now"] async for event in events][-1:])

    with anyio.fail_after(2 * TIMEOUT):
        async with anyio.create_task_group() as readers:
            for _ in range(READERS):
                readers.start_soon(read)
            await wait_until(lambda: reading == READERS)
            clock.advance(LONG_TIME)
    assert ends == ["succeeded"] * READERS
    # One reader causes a first check, a last check, and checks after the shortest delays.
    one_reader = (time.monotonic() - began) / (0.05 * 0.8) + 2
    assert count_gets(sandbox, id) <= one_reader
    assert count_gets(sandbox, id) < READERS / 2


@pytest.mark.sweep
@pytest.mark.parametrize("application", WORKERS, indirect=True)
async def test_sigterm_ends_the_streams_and_the_process(application: Application, sandbox: Sandbox) -> None:
    ids = [start_workflow(sandbox) for _ in range(10)]
    async with AsyncExitStack() as open_streams:
        streams = []
        for number in range(STREAMS):
            streams.append(await open_streams.enter_async_context(application.stream(ids[number % len(ids)])))
            await anext(streams[-1])
        code, stderr = await anyio.to_thread.run_sync(application.stop)
        for stream in streams:
            assert [event async for event in stream] == []
    assert code in {0, -15}  # uvicorn exits by the signal that it received
    assert "Traceback" not in stderr
    assert "exceeded" not in stderr


async def test_health_shows_the_counters_and_an_outage(application: Application, sandbox: Sandbox) -> None:
    id = start_workflow(sandbox)
    async with application.stream(id) as events:
        await anext(events)
        response = await application.http.get("/health")
        assert (response.status_code, response.json()["watched"]) == (200, 1)
        sandbox.opencast.faults = Faults(rates={Fault.CUT_BEFORE: 1.0})
        with anyio.fail_after(TIMEOUT):
            while (await application.http.get("/health")).status_code != 503:
                await anyio.sleep(0.05)


async def test_an_unknown_event_or_workflow_is_404(application: Application) -> None:
    responses = await application.http.post("/publish/nowhere"), await application.http.get("/workflows/99999")
    assert [response.status_code for response in responses] == [404, 404]
    assert [response.json()["title"] for response in responses] == ["StartNotFound", "NotFound"]


@on_every_framework
async def test_a_start_conflict_is_409(application: Application, sandbox: Sandbox) -> None:
    event = sandbox.opencast.event()
    assert (await application.http.post(f"/publish/{event}")).status_code == 202
    response = await application.http.post(f"/publish/{event}")
    assert (response.status_code, response.json()["title"]) == (409, "StartConflict")


async def test_a_start_without_a_response_is_502_and_names_the_event(
    application: Application, sandbox: Sandbox
) -> None:
    event = sandbox.opencast.event()
    sandbox.opencast.faults = Faults(script=(Fault.CUT_BEFORE,), methods=("POST",))
    response = await application.http.post(f"/publish/{event}")
    assert (response.status_code, response.json()["title"]) == (502, "StartOutcomeUnknown")
    assert event in response.json()["look_for"]


@pytest.mark.parametrize("path", ["/workflows/-1", "/workflows/-1/changes"])
async def test_an_invalid_id_is_422_before_any_request(application: Application, sandbox: Sandbox, path: str) -> None:
    response = await application.http.get(path)
    assert (response.status_code, response.json()["title"]) == (422, "InvalidArgument")
    assert sandbox.opencast.requests == []
