"""Middlewares: their order, what they see, what they may change, and what happens to what they raise."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from attrs import evolve

from tests.conftest import FakeTime
from tests.support.byte_server import GET, NO_RETRIES, POST, connected, http, serve, tree
from tests.unit.core.test_transport import OK, ScriptedBackend, body, scripted
from workflow_async import Timeouts
from workflow_async._core.call import Call, Reply as FullReply
from workflow_async._core.middleware import RESERVED
from workflow_async._core.retry import may_have_happened
from workflow_async._core.transport import Transport
from workflow_async.errors import (
    CallError,
    ClientClosed,
    ConnectFailed,
    ConnectionBroken,
    DeadlineExceeded,
    InvalidArgument,
    MiddlewareFailed,
    NotSent,
    ServerError,
)
from workflow_async.observe import Middleware, Reply, Request, Send

CREATED = FullReply(201, {}, b"{}")
NAMED: Call[Any] = Call("GET", "/thing/7", tree, (("limit", "5"),), name="things.get", template="/thing/{id}")


def with_middleware(
    fake_time: FakeTime, middleware: Middleware, *script: FullReply | Exception, **more: Any
) -> tuple[Transport, ScriptedBackend]:
    return scripted(fake_time, *script, middleware=(middleware,), retry=NO_RETRIES, **more)


async def failure_of(transport: Transport, call: Call[Any] = GET) -> CallError:
    with pytest.raises(CallError) as caught:
        await transport.send(call)
    return caught.value


async def test_the_first_middleware_is_the_outermost(fake_time: FakeTime) -> None:
    steps: list[str] = []

    def named(name: str) -> Middleware:
        async def middleware(request: Request, send: Send) -> Reply:
            steps.append(f"{name} before")
            reply = await send(request)
            steps.append(f"{name} after")
            return reply

        return middleware

    transport, _ = scripted(fake_time, OK, middleware=(named("outer"), named("inner")))
    assert await transport.send(GET) == {}
    assert steps == ["outer before", "inner before", "inner after", "outer after"]


async def test_a_middleware_sees_the_request_without_credentials(fake_time: FakeTime) -> None:
    seen: list[Request] = []

    async def middleware(request: Request, send: Send) -> Reply:
        seen.append(request)
        return await send(request)

    transport, backend = with_middleware(fake_time, middleware, OK)
    await transport.send(NAMED)
    (request,) = seen
    assert (request.call, request.method, request.route) == ("things.get", "GET", "/thing/{id}")
    assert (request.url, request.attempt) == ("http://127.0.0.1:9/thing/7?limit=5", 1)
    assert request.headers == {
        "accept": "application/json",
        "accept-encoding": "gzip",
        "user-agent": "workflow-async",
    }
    assert dict(backend.requests[0].headers) == {**request.headers, "x-badge": "0"}


async def test_a_middleware_sees_the_response_without_body_and_cookies(fake_time: FakeTime) -> None:
    seen: list[Reply] = []

    async def middleware(request: Request, send: Send) -> Reply:
        seen.append(reply := await send(request))
        return reply

    headers = {
        "content-type": "application/json",
        "x-amzn-request-id": "17",
        "set-cookie": "JSESSIONID=secret",
        "location": "https://sso.example.org/?ticket=secret",
        "preservica-access-token": "secret",
    }
    transport, _ = with_middleware(fake_time, middleware, FullReply(200, headers, b'{"token": "secret"}'))
    await transport.send(GET)
    assert seen == [Reply(200, {"content-type": "application/json", "x-amzn-request-id": "17"}, 19)]
    assert "secret" not in repr(seen)


@pytest.mark.parametrize("kind", [Request, Reply])
def test_what_a_middleware_sees_has_no_attribute_for_a_credential_or_a_body(kind: type[Any]) -> None:
    assert not {"body", "content", "text", "auth", "credentials"} & set(dir(kind))


async def test_each_retry_runs_the_middlewares_with_the_next_attempt_number(fake_time: FakeTime) -> None:
    attempts: list[int] = []

    async def middleware(request: Request, send: Send) -> Reply:
        attempts.append(request.attempt)
        return await send(request)

    transport, _ = scripted(fake_time, FullReply(503, {}, b""), ConnectionBroken("cut"), OK, middleware=(middleware,))
    await transport.send(GET)
    assert attempts == [1, 2, 3]


async def test_the_resend_after_a_renewal_has_a_number_of_its_own(fake_time: FakeTime) -> None:
    attempts: list[int] = []

    async def middleware(request: Request, send: Send) -> Reply:
        attempts.append(request.attempt)
        return await send(request)

    transport, _ = scripted(fake_time, FullReply(401, {}, b""), OK, middleware=(middleware,))
    await transport.send(GET)
    assert attempts == [1, 2]


# Headers


async def test_a_middleware_adds_headers(fake_time: FakeTime) -> None:
    async def outer(request: Request, send: Send) -> Reply:
        return await send(request.with_headers({"TraceParent": "00-1"}))

    async def inner(request: Request, send: Send) -> Reply:
        assert request.headers["traceparent"] == "00-1"
        return await send(request.with_headers({"traceparent": "00-2", "x-empty": ""}))

    transport, backend = scripted(fake_time, OK, middleware=(outer, inner))
    await transport.send(GET)
    sent = dict(backend.requests[0].headers)
    assert (sent["traceparent"], sent["x-empty"], sent["x-badge"]) == ("00-2", "", "0")


@pytest.mark.parametrize("name", [*sorted(RESERVED), "", "a b", "a:b", "ä", "a\n"])
async def test_a_header_that_frames_or_authenticates_a_request_is_refused(name: str, fake_time: FakeTime) -> None:
    async def middleware(request: Request, send: Send) -> Reply:
        return await send(request.with_headers({name: "x"}))

    transport, backend = with_middleware(fake_time, middleware, OK)
    with pytest.raises(InvalidArgument, match="headers"):
        await transport.send(GET)
    assert backend.requests == []


@pytest.mark.parametrize("text", ["a\r\nx: y", "a\n", "\x00", "ä", "x" * 8193, 7, None])
async def test_a_value_that_cannot_stand_in_a_header_is_refused(text: Any, fake_time: FakeTime) -> None:
    async def middleware(request: Request, send: Send) -> Reply:
        return await send(request.with_headers({"x-mine": text}))

    transport, backend = with_middleware(fake_time, middleware, OK)
    with pytest.raises(InvalidArgument, match="printable ASCII"):
        await transport.send(GET)
    assert backend.requests == []


CHANGES: dict[str, Callable[[Request], Any]] = {
    "another URL": lambda request: evolve(request, url="https://evil.example.org/"),
    "another method": lambda request: evolve(request, method="DELETE"),
    "another attempt": lambda request: evolve(request, attempt=2),
    "a header of the library": lambda request: request.with_headers({"user-agent": "mine"}),
    "no headers": lambda request: evolve(request, headers={}),
    "no request": lambda _: "GET /",
}


@pytest.mark.parametrize("change", CHANGES)
async def test_nothing_but_headers_can_be_changed(change: str, fake_time: FakeTime) -> None:
    async def middleware(request: Request, send: Send) -> Reply:
        return await send(CHANGES[change](request))

    transport, backend = with_middleware(fake_time, middleware, OK)
    with pytest.raises(InvalidArgument):
        await transport.send(GET)
    assert backend.requests == []


# Sending


async def test_a_second_send_is_refused(fake_time: FakeTime) -> None:
    async def middleware(request: Request, send: Send) -> Reply:
        await send(request)
        return await send(request)

    transport, backend = with_middleware(fake_time, middleware, CREATED)
    error = await failure_of(transport, POST)
    assert isinstance(error, MiddlewareFailed)
    assert "send twice" in str(error)
    assert may_have_happened(error)
    assert len(backend.requests) == 1


async def test_a_send_after_the_middleware_has_returned_is_refused(fake_time: FakeTime) -> None:
    kept: list[Awaitable[Reply]] = []

    async def middleware(request: Request, send: Send) -> Reply:
        kept.append(send(request))
        return Reply(200)

    transport, backend = with_middleware(fake_time, middleware, OK)
    await failure_of(transport)  # the reply of a middleware has no body
    with pytest.raises(MiddlewareFailed, match="after it had returned"):
        await kept[0]
    assert backend.requests == []


async def test_a_middleware_may_reply_without_sending(fake_time: FakeTime) -> None:
    async def middleware(request: Request, send: Send) -> Reply:
        return Reply(503, {"Retry-After": "7"}) if request.attempt == 1 else await send(request)

    transport, backend = scripted(fake_time, body(a="b"), middleware=(middleware,))
    assert await transport.send(GET) == {"a": "b"}
    assert len(backend.requests) == 1
    assert fake_time.naps == [7.5]


@pytest.mark.parametrize("returned", [Reply(200), None, "reply"], ids=str)
async def test_after_sending_only_the_reply_of_send_can_be_returned(returned: Any, fake_time: FakeTime) -> None:
    async def middleware(request: Request, send: Send) -> Reply:
        await send(request)
        return returned  # type: ignore[no-any-return]  # what a mistaken middleware returns

    transport, _ = with_middleware(fake_time, middleware, CREATED)
    error = await failure_of(transport, POST)
    assert isinstance(error, MiddlewareFailed)
    assert error.sent


async def test_returning_nothing_without_sending_has_sent_nothing(fake_time: FakeTime) -> None:
    async def middleware(request: Request, send: Send) -> Reply:
        return None  # type: ignore[return-value]  # a mistake

    transport, _ = with_middleware(fake_time, middleware, CREATED)
    error = await failure_of(transport, POST)
    assert isinstance(error, MiddlewareFailed)
    assert not may_have_happened(error)


# Errors


@pytest.mark.parametrize(("error", "arrived"), [(ConnectFailed("refused"), False), (ConnectionBroken("cut"), True)])
async def test_an_error_of_sending_passes_through(error: CallError, arrived: bool, fake_time: FakeTime) -> None:  # noqa: FBT001 - a column
    seen: list[BaseException] = []

    async def middleware(request: Request, send: Send) -> Reply:
        try:
            return await send(request)
        except CallError as caught:
            seen.append(caught)
            raise

    transport, _ = with_middleware(fake_time, middleware, error)
    assert await failure_of(transport, POST) is error
    assert seen == [error]
    assert may_have_happened(error) is arrived


@pytest.mark.parametrize(("cause", "arrived"), [(ConnectFailed("refused"), False), (ConnectionBroken("cut"), True)])
async def test_an_exception_in_place_of_an_error_keeps_whether_it_was_sent(
    cause: CallError,
    arrived: bool,  # noqa: FBT001 - a column
    fake_time: FakeTime,
) -> None:
    async def middleware(request: Request, send: Send) -> Reply:
        try:
            return await send(request)
        except CallError:
            raise KeyError("mine") from None

    transport, _ = with_middleware(fake_time, middleware, cause)
    error = await failure_of(transport, POST)
    assert isinstance(error, MiddlewareFailed)
    assert error.sent is arrived


async def test_an_exception_after_the_response_does_not_hide_that_a_start_was_sent(fake_time: FakeTime) -> None:
    async def middleware(request: Request, send: Send) -> Reply:
        await send(request)
        raise NotSent("a lie")

    transport, _ = with_middleware(fake_time, middleware, CREATED)
    error = await failure_of(transport, POST)
    assert isinstance(error, MiddlewareFailed)
    assert may_have_happened(error)


async def test_an_error_of_the_library_before_sending_is_raised_as_it_is(fake_time: FakeTime) -> None:
    refused = NotSent("the circuit breaker is open")

    async def middleware(request: Request, send: Send) -> Reply:
        raise refused

    transport, backend = with_middleware(fake_time, middleware, CREATED)
    assert await failure_of(transport, POST) is refused
    assert backend.requests == []


async def test_an_exception_is_logged_once_with_its_traceback_and_not_retried(
    fake_time: FakeTime, caplog: pytest.LogCaptureFixture
) -> None:
    async def middleware(request: Request, send: Send) -> Reply:
        raise KeyError("mine")

    transport, backend = scripted(fake_time, OK, middleware=(middleware,))
    for _ in range(2):
        error = await failure_of(transport)
        assert isinstance(error, MiddlewareFailed)
        assert not error.sent
        assert error.attempts == 1
        assert "KeyError" in str(error)
    assert caplog.messages == ["a middleware raised an exception"]
    assert "in middleware" in caplog.text
    assert caplog.records[0].levelno == logging.ERROR
    assert backend.requests == []


async def test_a_middleware_that_hangs_after_the_response_does_not_hide_that_a_start_was_sent(
    fake_time: FakeTime,
) -> None:
    async def middleware(request: Request, send: Send) -> Reply:
        await send(request)
        return await asyncio.Event().wait()  # type: ignore[return-value]  # never returns

    transport, _ = with_middleware(fake_time, middleware, CREATED, timeouts=Timeouts(call=0.02))
    error = await failure_of(transport, POST)
    assert type(error) is DeadlineExceeded
    assert may_have_happened(error)


async def test_a_middleware_that_hangs_before_sending_has_sent_nothing(fake_time: FakeTime) -> None:
    async def middleware(request: Request, send: Send) -> Reply:
        await asyncio.Event().wait()
        return await send(request)

    transport, _ = with_middleware(fake_time, middleware, CREATED, timeouts=Timeouts(call=0.02))
    assert isinstance(await failure_of(transport, POST), NotSent)


async def test_the_exchange_timeout_does_not_limit_a_middleware(fake_time: FakeTime) -> None:
    async def middleware(request: Request, send: Send) -> Reply:
        await asyncio.sleep(0.03)
        return await send(request)

    transport, _ = with_middleware(fake_time, middleware, OK, timeouts=Timeouts(exchange=0.01))
    assert await transport.send(GET) == {}


async def test_a_cancelled_middleware_frees_its_request_slot(fake_time: FakeTime) -> None:
    async def middleware(request: Request, send: Send) -> Reply:
        await asyncio.Event().wait()
        return await send(request)

    transport, _ = with_middleware(fake_time, middleware, OK)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(transport.send(GET), 0.01)
    assert transport.in_flight == 0


async def test_a_client_that_is_closed_during_a_middleware_sends_nothing(fake_time: FakeTime) -> None:
    async def middleware(request: Request, send: Send) -> Reply:
        await transport.aclose()
        return await send(request)

    transport, backend = with_middleware(fake_time, middleware, OK)
    with pytest.raises(ClientClosed):
        await transport.send(GET)
    assert backend.requests == []


async def test_a_status_is_no_exception_for_a_middleware(fake_time: FakeTime) -> None:
    seen: list[int] = []

    async def middleware(request: Request, send: Send) -> Reply:
        reply = await send(request)
        seen.append(reply.status)
        return reply

    transport, _ = with_middleware(fake_time, middleware, FullReply(500, {}, b""))
    assert isinstance(await failure_of(transport), ServerError)
    assert seen == [500]


@pytest.mark.usefixtures("backend")
async def test_added_headers_reach_the_server_beside_the_credentials_on_every_backend(fake_time: FakeTime) -> None:
    async def middleware(request: Request, send: Send) -> Reply:
        return await send(request.with_headers({"x-mine": "1"}))

    async with (
        serve(http(200, b"{}")) as server,
        connected(server.url, fake_time.clock, middleware=(middleware,)) as transport,
    ):
        await transport.send(GET)
    (request,) = server.requests
    assert request.headers["x-mine"] == "1"
    assert request.headers["authorization"].startswith("Basic ")


@pytest.mark.parametrize("wrong", [7, "text", (7,), {"a": "b"}])
def test_what_is_no_list_of_functions_is_refused(wrong: Any, fake_time: FakeTime) -> None:
    with pytest.raises(InvalidArgument, match="middleware"):
        scripted(fake_time, OK, middleware=wrong)
