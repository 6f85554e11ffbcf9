"""`SkippingTime`: it skips to the next due time when everything waits, and never while a request is in flight."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any

import anyio
import pytest
from hypothesis import given, settings, strategies as st

from workflow_async import OpencastClient, Phase, Poll, PreservicaClient
from workflow_async.errors import WaitTimeout
from workflow_async.observe import Reply, Request
from workflow_async.sandbox import Fault, Faults, Sandbox, Step
from workflow_async.sandbox.fault_middleware import FaultMiddleware
from workflow_async.testing import SkippingTime

HOUR = 3600.0
REQUEST = Request(call="workflows.get", method="GET", url="http://127.0.0.1/", route="/", attempt=1)


def client_of(sandbox: Sandbox, time: SkippingTime) -> OpencastClient:
    return OpencastClient(sandbox.opencast.url, auth=sandbox.opencast.auth, **time.options)


async def quiet() -> None:
    """Wait until every other task has waited for longer than the turns after which time skips."""
    for _ in range(10):
        await anyio.wait_all_tasks_blocked()


async def spawn(coroutine: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
    task = asyncio.create_task(coroutine)
    await asyncio.sleep(0)
    return task


# Sleeping


async def test_sleepers_go_on_in_the_order_of_their_due_times() -> None:
    time, woken = SkippingTime(), list[tuple[str, float]]()

    async def sleeper(name: str, *naps: float) -> None:
        for nap in naps:
            await time.sleep(nap)
            woken.append((name, time.elapsed))

    await asyncio.gather(sleeper("slow", HOUR), sleeper("fast", 600.0, 600.0), sleeper("last", 2 * HOUR))
    assert woken == [("fast", 600.0), ("fast", 1200.0), ("slow", HOUR), ("last", 2 * HOUR)]
    assert time() == time.start + 2 * HOUR


async def test_sleepers_that_are_due_together_go_on_in_the_order_in_which_they_fell_asleep() -> None:
    time, woken = SkippingTime(), list[int]()

    async def sleeper(number: int) -> None:
        await time.sleep(5.0)
        woken.append(number)

    await asyncio.gather(*map(sleeper, range(20)))
    assert woken == [*range(20)]
    assert time.elapsed == 5.0


@given(st.lists(st.lists(st.floats(0.001, 1e6), min_size=1, max_size=4), min_size=1, max_size=6))
@settings(max_examples=30)
def test_every_sleeper_wakes_at_its_due_time(naps: list[list[float]]) -> None:
    time, seen = SkippingTime(), list[float]()

    async def sleeper(mine: list[float]) -> None:
        for nap in mine:
            due = time.elapsed + nap
            await time.sleep(nap)
            assert time.elapsed == due
            seen.append(due)

    async def main() -> None:
        await asyncio.gather(*map(sleeper, naps))

    asyncio.run(main())
    assert seen == sorted(seen)


async def test_time_stands_still_while_nothing_sleeps() -> None:
    time = SkippingTime(start=7.0)
    await quiet()
    assert (time.elapsed, time()) == (0.0, 7.0)


@pytest.mark.parametrize("seconds", [0.0, -1.0])
async def test_a_sleep_of_no_time_lets_other_tasks_run(seconds: float) -> None:
    time, ran = SkippingTime(), list[bool]()
    asyncio.get_running_loop().call_soon(ran.append, True)  # noqa: FBT003 - what is appended
    await time.sleep(seconds)
    assert ran == [True]
    assert time.elapsed == 0.0


async def test_a_sleep_without_an_end_is_never_skipped() -> None:
    time = SkippingTime()
    task = await spawn(time.sleep(float("inf")))
    await time.sleep(HOUR)
    assert not task.done()
    assert time.elapsed == HOUR
    task.cancel()


async def test_a_cancelled_sleeper_moves_no_time_and_leaves_no_task() -> None:
    time, before = SkippingTime(), asyncio.all_tasks()
    task = asyncio.create_task(time.sleep(HOUR))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before
    assert time.elapsed == 0.0


async def test_a_cancelled_sleeper_does_not_end_the_skipping_for_others() -> None:
    time = SkippingTime()
    other = await spawn(time.sleep(HOUR))
    task = await spawn(time.sleep(60.0))
    task.cancel()
    await other
    assert time.elapsed == HOUR


async def test_a_sleeper_that_follows_a_cancelled_one_immediately_wakes() -> None:
    time = SkippingTime()

    async def sleep_again() -> None:
        try:
            await time.sleep(HOUR)
        except asyncio.CancelledError:
            await time.sleep(1.0)

    task = await spawn(sleep_again())
    task.cancel()
    await task
    assert time.elapsed == 1.0


def test_one_event_loop_after_another_can_use_it() -> None:
    time = SkippingTime()
    for _ in range(2):
        asyncio.run(time.sleep(HOUR))
    assert time.elapsed == 2 * HOUR


async def test_two_event_loops_cannot_use_it_together() -> None:
    time = SkippingTime()
    with time.hold():
        task = await spawn(time.sleep(HOUR))
        with pytest.raises(RuntimeError, match="one event loop at a time"):
            await asyncio.to_thread(asyncio.run, time.sleep(1.0))
    await task


def test_a_loop_that_was_closed_with_a_sleeper_does_not_stop_the_next() -> None:
    time = SkippingTime()
    loop = asyncio.new_event_loop()
    task = loop.create_task(time.sleep(HOUR))
    loop.run_until_complete(asyncio.sleep(0))
    task.cancel()
    loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
    loop.close()
    with time.hold():
        pass
    asyncio.run(time.sleep(1.0))
    assert time.elapsed == 1.0


# What holds time


async def test_time_does_not_skip_while_it_is_held() -> None:
    time = SkippingTime()
    with time.hold(), time.hold():
        task = await spawn(time.sleep(HOUR))
        await quiet()
        assert time.elapsed == 0.0
    await task
    assert time.elapsed == HOUR


async def test_a_thread_can_hold_time() -> None:
    time, held, release = SkippingTime(), threading.Event(), threading.Event()

    def work() -> None:
        with time.hold():
            held.set()
            release.wait(30)

    thread = threading.Thread(target=work)
    thread.start()
    await asyncio.to_thread(held.wait, 30)
    task = await spawn(time.sleep(HOUR))
    await quiet()
    assert time.elapsed == 0.0
    release.set()
    await task
    thread.join()


async def test_time_does_not_skip_while_a_client_has_a_request_in_flight() -> None:
    time, answer = SkippingTime(), asyncio.Event()

    async def send(request: Request) -> Reply:
        await answer.wait()
        return Reply(200)

    async def request() -> None:
        assert await time.middleware(REQUEST, send) == Reply(200)

    sending, sleeping = await spawn(request()), await spawn(time.sleep(HOUR))
    await quiet()
    assert time.elapsed == 0.0
    answer.set()
    await asyncio.gather(sending, sleeping)
    assert time.elapsed == HOUR


async def test_time_does_not_skip_while_the_sandbox_handles_a_request() -> None:
    time, answer, sent = SkippingTime(), asyncio.Event(), list[Any]()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer.wait()
        await send({"type": "http.response.start", "status": 204, "headers": []})

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []}
    handling = await spawn(FaultMiddleware(app, clock=time)(scope, receive, send))
    sleeping = await spawn(time.sleep(HOUR))
    await quiet()
    assert time.elapsed == 0.0
    answer.set()
    await asyncio.gather(handling, sleeping)
    assert sent[0]["status"] == 204


async def test_time_does_not_skip_while_a_task_is_busy() -> None:
    time = SkippingTime()

    async def busy() -> None:
        for _ in range(50):
            await asyncio.sleep(0)
            assert time.elapsed == 0.0

    await asyncio.gather(time.sleep(HOUR), busy())


# With a sandbox and clients


async def test_three_hours_over_a_socket_are_waited_for_without_waiting() -> None:
    time = SkippingTime()
    async with Sandbox("16", time) as sandbox, client_of(sandbox, time) as oc:
        sandbox.opencast.define("long", [Step("encode", 3 * HOUR)])
        workflow = await oc.workflows.start(sandbox.opencast.event(), "long")
        done = await oc.workflows.wait(workflow.id)
    assert done.phase is Phase.SUCCEEDED
    assert 3 * HOUR <= time.elapsed < 3 * HOUR + 60


def test_a_synchronous_client_skips_too() -> None:
    time = SkippingTime()
    with Sandbox("16", time) as sandbox:
        sandbox.opencast.define("long", [Step("encode", 3 * HOUR)])
        with OpencastClient.sync(sandbox.opencast.url, auth=sandbox.opencast.auth, **time.options) as oc:
            done = oc.workflows.start_and_wait(sandbox.opencast.event(), "long", poll=Poll(interval=60, ceiling=600))
    assert done.phase is Phase.SUCCEEDED
    assert time.elapsed >= 3 * HOUR


async def test_waits_on_both_systems_end_in_the_order_of_the_workflows() -> None:
    time, ended = SkippingTime(), list[tuple[str, float]]()
    async with Sandbox("16", time) as sandbox, client_of(sandbox, time) as oc:
        opencast, pv = sandbox.opencast, sandbox.preservica
        opencast.define("short", [Step("encode", 600)])
        opencast.define("long", [Step("encode", 3 * HOUR)])
        context = pv.context("Slow", "com.preservica.core.workflow.ingest", "Ingest", [Step("store", HOUR)])
        account: dict[str, Any] = {"username": pv.username, "password": pv.password, "tenant": pv.tenant}
        async with PreservicaClient(pv.url, **account, **time.options) as pc:

            async def wait(name: str, client: Any, id: int) -> None:
                assert (await client.workflows.wait(id, poll=Poll(ceiling=60))).phase is Phase.SUCCEEDED
                ended.append((name, time.elapsed))

            started = await pc.workflows.start(context)
            assert started.id is not None
            await asyncio.gather(
                wait("long", oc, opencast.start(opencast.event(), "long")),
                wait("preservica", pc, started.id),
                wait("short", oc, opencast.start(opencast.event(), "short")),
            )
    assert [name for name, _ in ended] == ["short", "preservica", "long"]
    assert [at // 600 for _, at in ended] == [1, 6, 18]


async def test_a_timeout_passes_at_its_time_and_not_before() -> None:
    time = SkippingTime()
    async with Sandbox("16", time) as sandbox, client_of(sandbox, time) as oc:
        sandbox.opencast.define("long", [Step("encode", 3 * HOUR)])
        id = sandbox.opencast.start(sandbox.opencast.event(), "long")
        with pytest.raises(WaitTimeout):
            await oc.workflows.wait(id, timeout=HOUR)
    assert time.elapsed == pytest.approx(HOUR, abs=0.01)


async def test_the_third_poll_can_fail_with_503() -> None:
    time = SkippingTime()
    async with Sandbox("16", time) as sandbox, client_of(sandbox, time) as oc:
        id = sandbox.opencast.start(sandbox.opencast.event(), "publish")
        sandbox.opencast.faults = Faults(script=[None, None, Fault.SERVER_ERROR])
        assert (await oc.workflows.wait(id)).phase is Phase.SUCCEEDED
        assert [request.status for request in sandbox.opencast.requests[:4]] == [200, 200, 503, 200]


async def test_a_test_can_let_time_pass() -> None:
    time = SkippingTime()
    async with Sandbox("16", time) as sandbox, client_of(sandbox, time) as oc:
        workflow = await oc.workflows.start(sandbox.opencast.event(), "publish")
        await time.sleep(HOUR)
        assert (await oc.workflows.get(workflow.id)).phase is Phase.SUCCEEDED
    assert time.elapsed == HOUR


async def test_the_same_seed_gives_the_same_times() -> None:
    async def polled() -> list[float]:
        time, at = SkippingTime(seed=5), list[float]()
        async with Sandbox("16", time) as sandbox, client_of(sandbox, time) as oc:
            id = sandbox.opencast.start(sandbox.opencast.event(), "publish")
            await oc.workflows.wait(id, on_change=lambda _: at.append(time.elapsed))
        return at

    assert await polled() == await polled()
