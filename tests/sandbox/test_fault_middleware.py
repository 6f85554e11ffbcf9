"""Recorded requests, faults, delays and the lock of the middleware."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Message

from workflow_async.sandbox import Fault, Faults
from workflow_async.sandbox.fault_middleware import FaultMiddleware, RecordedRequest

Send = Callable[..., Awaitable[httpx.Response]]


class CountingApp:
    def __init__(self) -> None:
        self.served = 0
        self.app = Starlette(routes=[Route("/count", self.count, methods=["GET", "POST"]), Route("/empty", self.empty)])

    async def count(self, request: Request) -> Response:
        self.served += 1
        return JSONResponse({"served": self.served, "body": (await request.body()).decode()})

    async def empty(self, _: Request) -> Response:
        return Response(status_code=204)


@pytest.fixture
def counting_app() -> CountingApp:
    return CountingApp()


@pytest.fixture
def middleware(counting_app: CountingApp) -> FaultMiddleware:
    return FaultMiddleware(counting_app.app)


@pytest.fixture
def send(middleware: FaultMiddleware) -> Send:
    async def send(method: str = "GET", path: str = "/count", **more: str) -> httpx.Response:
        transport = httpx.ASGITransport(app=middleware)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
            return await http.request(method, path, content=more.get("content"), headers={"x-one": "1"})

    return send


async def test_a_request_is_recorded_with_its_response_status(send: Send, middleware: FaultMiddleware) -> None:
    await send("POST", "/count?a=1&a=%202&b=", content="text")
    assert middleware.requests == [RecordedRequest("POST", "/count", "a=1&a=%202&b=", 200)]
    (request,) = middleware.requests
    assert request.parameters == {"a": ["1", " 2"], "b": [""]}
    assert (request.body, request.headers["x-one"], request.fault) == (b"text", "1", None)


async def test_a_request_that_was_cut_off_is_not_executed(
    counting_app: CountingApp, middleware: FaultMiddleware
) -> None:
    parts: Iterator[Message] = iter(
        [{"type": "http.request", "body": b"half", "more_body": True}, {"type": "http.disconnect"}]
    )
    sent: list[Message] = []

    async def receive() -> Message:
        return next(parts)

    async def send(message: Message) -> None:
        sent.append(message)

    await middleware({"type": "http", "method": "POST", "path": "/count"}, receive, send)
    assert (counting_app.served, middleware.requests, sent) == (0, [], [])


async def test_without_faults_the_response_is_the_application_s(send: Send) -> None:
    answer = await send("POST", content="é")
    assert (answer.status_code, answer.json()) == (200, {"served": 1, "body": "é"})


@pytest.mark.parametrize(
    ("fault", "status", "executed"),
    [
        (Fault.RATE_LIMITED, 429, 0),
        (Fault.SERVER_ERROR, 503, 0),
        (Fault.UNAUTHORIZED, 401, 0),
        (Fault.LOGIN_PAGE, 200, 0),
        (Fault.ERROR_AFTER, 500, 1),
        (Fault.SHORT_PAGE, 200, 1),
        (Fault.REPEATED_PAGE, 200, 1),
    ],
)
async def test_a_fault_has_a_status_and_executes_the_request_or_not(
    send: Send, middleware: FaultMiddleware, counting_app: CountingApp, fault: Fault, status: int, executed: int
) -> None:
    middleware.faults = Faults(script=(fault,))
    assert (await send()).status_code == status
    assert counting_app.served == executed
    assert [(e.status, e.fault) for e in middleware.requests] == [(status, fault)]


@pytest.mark.parametrize("fault", [Fault.CUT_BODY, Fault.CUT_BEFORE])
async def test_a_cut_without_a_connection_is_an_error_after_execution(
    send: Send, middleware: FaultMiddleware, counting_app: CountingApp, fault: Fault
) -> None:
    middleware.faults = Faults(script=(fault,))
    with pytest.raises(ConnectionResetError):
        await send()
    assert (counting_app.served, middleware.requests[0].status) == (1, 200)


async def test_rate_limiting_has_a_retry_after_header(send: Send, middleware: FaultMiddleware) -> None:
    middleware.faults = Faults(script=(Fault.RATE_LIMITED,), retry_after=7)
    assert (await send()).headers["retry-after"] == "7"


async def test_a_login_page_is_html(send: Send, middleware: FaultMiddleware) -> None:
    middleware.faults = Faults(script=(Fault.LOGIN_PAGE,))
    assert (await send()).headers["content-type"].startswith("text/html")


async def test_an_empty_response_stays_empty(send: Send) -> None:
    answer = await send("GET", "/empty")
    assert (answer.status_code, answer.content, "content-length" in answer.headers) == (204, b"", False)


async def test_only_covered_exchanges_are_counted(send: Send, middleware: FaultMiddleware) -> None:
    middleware.faults = Faults(script=(None, Fault.SERVER_ERROR), methods=("POST",))
    assert [(await send(method)).status_code for method in ("POST", "GET", "POST", "POST")] == [200, 200, 503, 200]


async def test_a_new_plan_starts_at_its_first_exchange(send: Send, middleware: FaultMiddleware) -> None:
    for _ in range(2):
        middleware.faults = Faults(script=(Fault.SERVER_ERROR,))
        assert (await send()).status_code == 503


async def test_a_response_is_delayed_by_the_latency_of_the_plan(
    send: Send, middleware: FaultMiddleware, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    middleware.faults = Faults(latency=(3.0, 3.0))
    await send()
    assert slept == [3.0]


async def test_the_state_is_locked_while_a_request_is_handled(
    send: Send, middleware: FaultMiddleware, counting_app: CountingApp
) -> None:
    acquired: list[bool] = []

    def try_lock() -> None:
        acquired.append(middleware.lock.acquire(blocking=False))

    async def watched(request: Request) -> Response:
        thread = threading.Thread(target=try_lock)
        thread.start()
        thread.join()
        return Response()

    counting_app.app.router.routes.append(Route("/watched", watched))
    await send("GET", "/watched")
    assert acquired == [False]
