"""Rows 57 to 59: calls that are cancelled anywhere, and more than once."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import anyio
import httpx
import pytest
import uvloop

from tests.conftest import See
from tests.support import virtual_time as virtual
from tests.support.byte_server import RawResponse, ReceivedRequest, http, serve, until
from tests.support.stub_clients import SYSTEMS, client_of, page, row, with_login, workflow
from workflow_async import Clock, Limits, Retry
from workflow_async.errors import ConnectionBroken
from workflow_async.preservica.login_calls import LOGIN

ClientCall = Callable[[Any], Coroutine[Any, Any, Any]]
ONE = Limits(connections=1)
"""One connection: a request slot that is lost would block the next call."""
LOOPS: dict[str, Any] = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


async def listed(client: Any) -> list[Any]:
    return [workflow async for workflow in client.workflows.list()]


async def watched(client: Any) -> list[Any]:
    async with client.workflows.watch([7]) as changes:
        return [change async for change in changes]


async def take_first(client: Any) -> list[Any]:
    return [outcome async for outcome in client.workflows.as_completed([7])]


SYSTEM_CALLS: dict[str, dict[str, ClientCall]] = {
    "opencast": {
        "start": lambda oc: oc.workflows.start("event-7", "fast"),
        "update": lambda oc: oc.workflows.update(7, configuration={"a": "b"}),
        "delete": lambda oc: oc.workflows.delete(7),
    },
    "preservica": {
        "start": lambda pv: pv.workflows.start("Ingest of films"),
        "terminate": lambda pv: pv.workflows.terminate(7),
    },
}
SHARED_CALLS: dict[str, ClientCall] = {
    "get": lambda client: client.workflows.get(7),
    "list": listed,
    "wait": lambda client: client.workflows.wait(7),
    "watch": watched,
    "as_completed": take_first,
}
CASES = [(system, name) for system in SYSTEMS for name in (*SHARED_CALLS, *SYSTEM_CALLS[system])]


def answers(system: str) -> Callable[[ReceivedRequest], bytes]:
    """Return a server that accepts every request."""

    def answer(received: ReceivedRequest) -> bytes:
        path = received.target.partition("?")[0]
        if received.method == "DELETE":
            return http(204)
        if path.endswith("/terminate"):
            return http(202)
        if received.method == "GET" and path.endswith(("/workflows", "/instances")):
            return http(200, page(system, [row(system, 7)], 1))
        return http(201 if received.method == "POST" else 200, workflow(system, 7, "succeeded"))

    return with_login(answer)


async def cancel_after(sent_before: Coroutine[Any, Any, Any], turns: int, *, native: bool) -> bool:
    """Cancel a call after this many turns of the event loop. Return False if it had finished before."""
    scope = anyio.CancelScope()

    async def call() -> None:
        with scope:
            await sent_before

    task = asyncio.create_task(call())
    for _ in range(turns):
        await asyncio.sleep(0)
    over = task.done()
    (task if native else scope).cancel()
    await asyncio.wait([task])
    assert task.cancelled() or task.exception() is None
    return not over


async def cancel_everywhere(system: str, ask: ClientCall, *, native: bool) -> int:
    """Cancel a call at every turn of the loop that it takes. Return the number of turns."""
    turns, pending = 0, True
    async with serve(answers(system)) as server:
        while pending:
            turns += 1
            async with client_of(system, server.url, limits=ONE) as client:
                pending = await cancel_after(ask(client), turns, native=native)
                if ask is take_first:  # its iterator is left to the garbage collector
                    await until(lambda: asyncio.all_tasks() - server.tasks == {asyncio.current_task()})
                assert asyncio.all_tasks() - server.tasks == {asyncio.current_task()}
                assert (await client.workflows.get(7)).id == 7
            await until(lambda: not server.open)
    return turns


@pytest.mark.row(57)
@pytest.mark.parametrize("how", ["natively", "by scope"])
@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize(("system", "name"), CASES)
def test_a_call_cancelled_anywhere_leaves_no_task_and_frees_its_slot(
    system: str, name: str, loop: str, how: str, see: See
) -> None:
    ask = SHARED_CALLS.get(name) or SYSTEM_CALLS[system][name]
    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        turns = runner.run(cancel_everywhere(system, ask, native=how == "natively"))
    assert turns > 10
    see(f"{len(CASES)} calls on {' and '.join(LOOPS)}, natively and by scope: nothing left, the next call works")


# Row 58: cancelled while it waits


async def cancel_while_waiting(system: str, where: str, *, native: bool) -> list[str]:
    """Cancel a call while it waits. Return the requests sent until then, and those sent later."""
    never = asyncio.Event()

    async def sleep(_: float) -> None:
        await never.wait()

    clock = Clock(sleep=sleep)

    def answer(received: ReceivedRequest) -> RawResponse | bytes:
        if where == "the token" and received.target.startswith(LOGIN):
            return RawResponse(b"", "stall")
        return RawResponse(b"", "stall") if where == "the queue" else http(503)

    async with serve(answer if where == "the token" else with_login(answer)) as server:
        async with client_of(system, server.url, limits=ONE, clock=clock) as client:
            first = asyncio.create_task(client.workflows.get(8)) if where == "the queue" else None
            wanted = 1 + (system == "preservica" and where != "the token")
            if first is not None:
                await until(lambda: len(server.requests) == wanted)
            scope = anyio.CancelScope()

            async def call() -> None:
                with scope:
                    await client.workflows.get(7)

            waits = asyncio.create_task(call())
            await until(lambda: len(server.requests) == wanted)
            for _ in range(50):
                await asyncio.sleep(0)
            assert not waits.done()
            (waits if native else scope).cancel()
            await asyncio.wait([waits])
            if first is not None:
                first.cancel()
                await asyncio.wait([first])
            for _ in range(50):
                await asyncio.sleep(0)
        return [received.target.partition("?")[0].rpartition("/")[2] for received in server.requests]


@pytest.mark.row(58)
@pytest.mark.parametrize("how", ["natively", "by scope"])
@pytest.mark.parametrize(
    ("system", "where", "sent"),
    [
        ("opencast", "the queue", ["8"]),
        ("opencast", "the next try", ["7"]),
        ("preservica", "the queue", ["login", "8"]),
        ("preservica", "the token", ["login"]),
        ("preservica", "the next try", ["login", "7"]),
    ],
)
async def test_a_call_cancelled_while_it_waits_sends_nothing_more(
    system: str, where: str, sent: list[str], how: str, see: See
) -> None:
    assert await cancel_while_waiting(system, where, native=how == "natively") == sent
    see(f"waiting for {where}: nothing sent")


# Row 59: cancelled twice, and cancelled while it fails


class Endless(httpx.AsyncByteStream):
    """A body that never arrives, on a connection that never closes."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        await anyio.sleep_forever()
        yield b""

    async def aclose(self) -> None:
        await anyio.sleep_forever()


class Stuck(httpx.AsyncBaseTransport):
    """A transport whose first response is endless."""

    def __init__(self) -> None:
        self.asked = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        if self.asked == 1:
            return httpx.Response(200, stream=Endless())
        return httpx.Response(200, content=workflow("opencast", 7))


@pytest.mark.row(59)
@pytest.mark.parametrize("times", [[1.0], [1.0, 1.0], [1.0, 1.5], [1.0, 1.1, 1.2, 2.9]], ids=str)
def test_a_call_cancelled_again_during_cleanup_ends_within_two_seconds(times: list[float], see: See) -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        async with (
            httpx.AsyncClient(transport=Stuck()) as http_client,
            client_of("opencast", "http://127.0.0.1", http=http_client, limits=ONE) as client,
        ):
            call = asyncio.create_task(client.workflows.get(7))
            for at in times:
                loop.call_later(at, call.cancel)
            await asyncio.wait([call])
            over = loop.time()
            assert call.cancelled()
            assert asyncio.all_tasks() == {asyncio.current_task()}
            assert (await client.workflows.get(7)).id == 7
        return over

    assert virtual.run(main()) <= 1.0 + 2.0
    see("cancelled up to 4 times on a connection that never closes: over within 2 s, once")


@pytest.mark.row(59)
@pytest.mark.parametrize("native", [True, False])
async def test_a_call_cancelled_as_it_fails_raises_no_exception_group(native: bool, see: See) -> None:  # noqa: FBT001 - a case
    scope = anyio.CancelScope()

    async def fail(_: httpx.Request) -> httpx.Response:
        (call if native else scope).cancel()
        raise httpx.ReadError("cut")

    async def asking() -> Any:
        with scope:
            return await client.workflows.get(7)

    async with (
        httpx.AsyncClient(transport=httpx.MockTransport(fail)) as http_client,
        client_of("opencast", "http://127.0.0.1", http=http_client, limits=ONE, retry=Retry(attempts=1)) as client,
    ):
        call = asyncio.create_task(asking())
        await asyncio.wait([call])
        assert call.cancelled() if native else call.result() is None or isinstance(call.exception(), ConnectionBroken)
    see("cut while it fails: cancelled, and no group of exceptions")
