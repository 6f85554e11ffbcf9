"""The library inside FastAPI and inside aiohttp: both applications, over sockets, keep the same promises."""

import time
from contextlib import AsyncExitStack
from typing import Any

import anyio
import pytest

from tests.apps.conftest import AGES, BOUND, Application, until
from workflow_async.sandbox import Fault, Faults, ManualClock, Sandbox

READERS = 500


def running(sandbox: Sandbox) -> int:
    return sandbox.opencast.start(sandbox.opencast.event(), "publish")


def looks(sandbox: Sandbox, id: int) -> int:
    """How often the Opencast was asked for a workflow."""
    return sum(exchange.path == f"/api/workflows/{id}" for exchange in list(sandbox.opencast.requests))


async def test_publishing_starts_a_workflow_and_does_not_wait_for_it(
    application: Application, sandbox: Sandbox
) -> None:
    answer = await application.web.post(f"/publish/{sandbox.opencast.event()}")
    assert answer.status_code == 202
    state = (await application.web.get(f"/workflows/{answer.json()['id']}")).json()
    assert state["phase"] in {"waiting", "running"}


async def test_a_stream_tells_every_change_to_the_end(
    application: Application, sandbox: Sandbox, clock: ManualClock
) -> None:
    id = running(sandbox)
    told: list[dict[str, Any]] = []
    with anyio.fail_after(BOUND):
        async with application.following(id) as events:
            async for event in events:
                told.append(event)
                clock.advance(11)  # more than any step takes
    assert {(event["event"], event["id"]) for event in told} == {("change", id)}
    assert [event["phase"] for event in told if event["phase"] == "succeeded"] == [told[-1]["phase"]]
    steps = [tuple(step) for event in told for step in event["operations"] if step[1] != "instantiated"]
    assert steps == [(name, state) for name in ("encode", "distribute") for state in ("running", "succeeded")]


async def test_a_reader_that_comes_late_is_told_the_end_at_once(
    application: Application, sandbox: Sandbox, clock: ManualClock
) -> None:
    id = running(sandbox)
    clock.advance(AGES)
    with anyio.fail_after(BOUND):
        assert [event["phase"] for event in await application.told(id)] == ["succeeded"]


async def test_a_reader_that_leaves_ends_its_watch_and_nothing_else(
    application: Application, sandbox: Sandbox, clock: ManualClock
) -> None:
    left, kept = running(sandbox), running(sandbox)
    async with application.following(kept) as staying:
        assert (await anext(staying))["id"] == kept
        async with application.following(left) as leaving:
            assert (await anext(leaving))["id"] == left
        seen = (looks(sandbox, left), looks(sandbox, kept))

        def forgotten() -> bool:
            """Whether the one was looked at ten times, and the other not once."""
            nonlocal seen
            now = (looks(sandbox, left), looks(sandbox, kept))
            seen = seen if now[0] == seen[0] else now
            return now[1] >= seen[1] + 10

        await until(forgotten)
        clock.advance(AGES)
        assert [event["phase"] async for event in staying][-1] == "succeeded"


@pytest.mark.sweep
async def test_five_hundred_readers_of_one_workflow_are_one_poll_loop(
    application: Application, sandbox: Sandbox, clock: ManualClock
) -> None:
    id = running(sandbox)
    began = time.monotonic()
    ends: list[str] = []
    reading = 0

    async def read() -> None:
        nonlocal reading
        async with application.following(id) as events:
            await anext(events)
            reading += 1
            ends.extend([event["phase"] async for event in events][-1:])

    with anyio.fail_after(2 * BOUND):
        async with anyio.create_task_group() as readers:
            for _ in range(READERS):
                readers.start_soon(read)
            await until(lambda: reading == READERS)
            clock.advance(AGES)
    assert ends == ["succeeded"] * READERS
    one_reader = (time.monotonic() - began) / (0.05 * 0.8) + 2  # its first look, its last, and the shortest pauses
    assert looks(sandbox, id) <= one_reader
    assert looks(sandbox, id) < READERS / 2


@pytest.mark.sweep
async def test_told_to_end_it_ends_its_streams_and_itself(application: Application, sandbox: Sandbox) -> None:
    async with AsyncExitStack() as open_streams:
        streams = []
        for _ in range(100):
            streams.append(await open_streams.enter_async_context(application.following(running(sandbox))))
            await anext(streams[-1])
        code, complaints = await anyio.to_thread.run_sync(application.stop)
        for stream in streams:
            assert [event async for event in stream] == []
    assert code in {0, -15}  # uvicorn ends by the signal it was told to end by
    assert "Traceback" not in complaints
    assert "exceeded" not in complaints


async def test_what_is_not_there_is_404(application: Application) -> None:
    answers = await application.web.post("/publish/nowhere"), await application.web.get("/workflows/99999")
    assert [answer.status_code for answer in answers] == [404, 404]
    assert [answer.json()["error"] for answer in answers] == ["StartNotFound", "NotFound"]


async def test_an_event_that_is_busy_is_409(application: Application, sandbox: Sandbox) -> None:
    event = sandbox.opencast.event()
    assert (await application.web.post(f"/publish/{event}")).status_code == 202
    answer = await application.web.post(f"/publish/{event}")
    assert (answer.status_code, answer.json()["error"]) == (409, "StartConflict")


async def test_a_start_whose_answer_is_lost_is_502_with_what_to_look_for(
    application: Application, sandbox: Sandbox
) -> None:
    event = sandbox.opencast.event()
    sandbox.opencast.faults = Faults(script=(Fault.CUT_BEFORE,), methods=("POST",))
    answer = await application.web.post(f"/publish/{event}")
    assert (answer.status_code, answer.json()["error"]) == (502, "StartOutcomeUnknown")
    assert event in answer.json()["look_for"]


@pytest.mark.parametrize("path", ["/workflows/-1", "/workflows/-1/changes"])
async def test_an_id_that_cannot_be_one_is_422_before_anything_is_streamed(
    application: Application, sandbox: Sandbox, path: str
) -> None:
    answer = await application.web.get(path)
    assert (answer.status_code, answer.json()["error"]) == (422, "InvalidArgument")
    assert sandbox.opencast.requests == []
