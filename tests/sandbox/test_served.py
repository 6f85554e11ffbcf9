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

Ask = Callable[..., Awaitable[httpx.Response]]


class Counter:
    def __init__(self) -> None:
        self.served = 0
        self.app = Starlette(routes=[Route("/count", self.count, methods=["GET", "POST"]), Route("/empty", self.empty)])

    async def count(self, request: Request) -> Response:
        self.served += 1
        return JSONResponse({"served": self.served, "body": (await request.body()).decode()})

    async def empty(self, _: Request) -> Response:
        return Response(status_code=204)


@pytest.fixture
def counter() -> Counter:
    return Counter()


@pytest.fixture
def served(counter: Counter) -> FaultMiddleware:
    return FaultMiddleware(counter.app)


@pytest.fixture
def ask(served: FaultMiddleware) -> Ask:
    async def ask(method: str = "GET", path: str = "/count", **more: str) -> httpx.Response:
        transport = httpx.ASGITransport(app=served)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
            return await http.request(method, path, content=more.get("content"), headers={"x-one": "1"})

    return ask


async def test_an_exchange_is_recorded_as_it_was_served(ask: Ask, served: FaultMiddleware) -> None:
    await ask("POST", "/count?a=1&a=%202&b=", content="text")
    assert served.requests == [RecordedRequest("POST", "/count", "a=1&a=%202&b=", 200)]
    (exchange,) = served.requests
    assert exchange.parameters == {"a": ["1", " 2"], "b": [""]}
    assert (exchange.body, exchange.headers["x-one"], exchange.fault) == (b"text", "1", None)


async def test_a_request_whose_sender_has_gone_before_it_was_whole_is_not_carried_out(
    counter: Counter, served: FaultMiddleware
) -> None:
    parts: Iterator[Message] = iter(
        [{"type": "http.request", "body": b"half", "more_body": True}, {"type": "http.disconnect"}]
    )
    sent: list[Message] = []

    async def receive() -> Message:
        return next(parts)

    async def send(message: Message) -> None:
        sent.append(message)

    await served({"type": "http", "method": "POST", "path": "/count"}, receive, send)
    assert (counter.served, served.requests, sent) == (0, [], [])


async def test_without_faults_the_answer_is_the_application_s(ask: Ask) -> None:
    answer = await ask("POST", content="é")
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
async def test_a_fault_is_an_answer_and_says_whether_it_was_executed(
    ask: Ask, served: FaultMiddleware, counter: Counter, fault: Fault, status: int, executed: int
) -> None:
    served.faults = Faults(script=(fault,))
    assert (await ask()).status_code == status
    assert counter.served == executed
    assert [(e.status, e.fault) for e in served.requests] == [(status, fault)]


@pytest.mark.parametrize("fault", [Fault.CUT_BODY, Fault.CUT_BEFORE])
async def test_a_cut_without_a_connection_is_an_error_after_execution(
    ask: Ask, served: FaultMiddleware, counter: Counter, fault: Fault
) -> None:
    served.faults = Faults(script=(fault,))
    with pytest.raises(ConnectionResetError):
        await ask()
    assert (counter.served, served.requests[0].status) == (1, 200)


async def test_rate_limiting_says_how_long_to_wait(ask: Ask, served: FaultMiddleware) -> None:
    served.faults = Faults(script=(Fault.RATE_LIMITED,), retry_after=7)
    assert (await ask()).headers["retry-after"] == "7"


async def test_a_login_page_is_html(ask: Ask, served: FaultMiddleware) -> None:
    served.faults = Faults(script=(Fault.LOGIN_PAGE,))
    assert (await ask()).headers["content-type"].startswith("text/html")


async def test_an_empty_answer_stays_empty(ask: Ask) -> None:
    answer = await ask("GET", "/empty")
    assert (answer.status_code, answer.content, "content-length" in answer.headers) == (204, b"", False)


async def test_only_what_a_plan_covers_counts(ask: Ask, served: FaultMiddleware) -> None:
    served.faults = Faults(script=(None, Fault.SERVER_ERROR), methods=("POST",))
    assert [(await ask(method)).status_code for method in ("POST", "GET", "POST", "POST")] == [200, 200, 503, 200]


async def test_a_new_plan_starts_at_its_first_exchange(ask: Ask, served: FaultMiddleware) -> None:
    for _ in range(2):
        served.faults = Faults(script=(Fault.SERVER_ERROR,))
        assert (await ask()).status_code == 503


async def test_an_answer_takes_as_long_as_the_plan_says(
    ask: Ask, served: FaultMiddleware, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    served.faults = Faults(latency=(3.0, 3.0))
    await ask()
    assert slept == [3.0]


async def test_the_world_is_locked_while_a_request_is_answered(
    ask: Ask, served: FaultMiddleware, counter: Counter
) -> None:
    seen: list[bool] = []

    def look() -> None:
        seen.append(served.lock.acquire(blocking=False))

    async def watched(request: Request) -> Response:
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
        return Response()

    counter.app.router.routes.append(Route("/watched", watched))
    await ask("GET", "/watched")
    assert seen == [False]
