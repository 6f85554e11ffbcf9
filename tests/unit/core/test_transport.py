"""Sending a call: attempts, credentials, timeouts, request slots, and the life of a client."""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import anyio
import pytest
from attrs import define, evolve, field

from tests.conftest import FakeTime
from tests.support.byte_server import (
    DELETE,
    GET,
    POST,
    RawResponse,
    SuspensionTrigger,
    connected,
    http,
    make_transport,
    serve,
    tree,
    until,
)
from workflow_async import Limits, Retry, Timeouts
from workflow_async._core.auth import Headers, Refusable, Secret
from workflow_async._core.backend import Backend, Request
from workflow_async._core.call import Call, Replay, Reply, Signature
from workflow_async._core.retry import may_have_happened
from workflow_async._core.token_auth import TokenAuth, TokenGrant
from workflow_async._core.transport import LARGE_BODY, Transport
from workflow_async.errors import (
    CallError,
    ClientClosed,
    ConnectionBroken,
    DeadlineExceeded,
    DecodeError,
    Forbidden,
    NotFound,
    RateLimited,
    ResponseMismatch,
    ServerError,
    Unauthorized,
    UnexpectedContent,
    UnexpectedRedirect,
    WrongEventLoop,
)

OK = Reply(200, {}, b"{}")
BUSY = Reply(503, {}, b"")
PAGE = Reply(200, {}, b"<html>Please log in</html>")
URL = "http://127.0.0.1:9"


@define
class ScriptedBackend:
    """A backend that returns these replies, repeating the last one."""

    script: Sequence[Reply | Exception]
    requests: list[Request] = field(factory=list)
    resets: int = 0
    before: Callable[[], Awaitable[object]] = lambda: asyncio.sleep(0)
    closing: Callable[[], Awaitable[object]] = lambda: asyncio.sleep(0)

    async def __call__(self, request: Request) -> Reply:
        self.requests.append(request)
        await self.before()
        reply = self.script[min(len(self.requests), len(self.script)) - 1]
        if isinstance(reply, Exception):
            raise reply
        return reply

    async def reset(self) -> None:
        self.resets += 1

    async def aclose(self) -> None:
        await self.closing()


@define
class CountingCredential:
    """A credential that counts its renewals."""

    renewals: int = 0
    renewable: bool = True
    fixed: bool = False
    renews_on_redirect: bool = False

    def refusable(self, sent: Headers) -> Refusable | None:
        return Refusable("user", "open a new client with others") if self.fixed else None

    async def headers(self, method: str, url: str) -> Headers:
        return (("x-badge", str(self.renewals)),)

    async def renew(self, sent: Headers, reply: Reply, method: str, url: str) -> bool:
        self.renewals += 1
        return self.renewable


def scripted(fake_time: FakeTime, *script: Reply | Exception, **more: Any) -> tuple[Transport, ScriptedBackend]:
    transport = make_transport(URL, fake_time.clock, **{"credential": CountingCredential(), **more})
    transport.backend = backend = ScriptedBackend(script)
    transport.open()
    return transport, backend


async def failing(transport: Transport, call: Call[Any] = GET) -> CallError:
    with pytest.raises(CallError) as caught:
        await transport.send(call)
    return caught.value


def body(**parts: str) -> Reply:
    return Reply(200, {}, str(parts).replace("'", '"').encode())


# Attempts


async def test_temporary_errors_are_retried_until_success(fake_time: FakeTime) -> None:
    transport, backend = scripted(fake_time, BUSY, ConnectionBroken("cut"), body(a="b"))
    assert await transport.send(GET) == {"a": "b"}
    assert (len(backend.requests), fake_time.naps) == (3, [0.25, 0.5])


async def test_an_error_holds_the_url_and_the_attempts(fake_time: FakeTime) -> None:
    transport, _ = scripted(fake_time, Reply(500, {}, b""))
    error = await failing(transport)
    assert (error.method, error.url, error.attempts, error.elapsed) == ("GET", f"{URL}/thing", 4, 1.75)
    assert [(attempt.outcome, attempt.wait) for attempt in error.history] == [
        ("ServerError", 0.25),
        ("ServerError", 0.5),
        ("ServerError", 1.0),
        ("ServerError", None),
    ]
    assert [attempt.ended for attempt in error.history] == [0, 0.25, 0.75, 1.75]


async def test_an_unavailable_server_is_retried_for_a_minute_if_the_call_allows_it(fake_time: FakeTime) -> None:
    transport, _ = scripted(fake_time, BUSY)
    assert 60 <= (await failing(transport)).elapsed < 120
    assert (await failing(transport, evolve(GET, retries_unavailable=False))).attempts == 4


@pytest.mark.parametrize("reply", [BUSY, ConnectionBroken("cut"), Reply(201, {}, b"{"), Reply(409, {}, b""), PAGE])
async def test_a_request_that_must_not_be_repeated_is_sent_once_on_a_new_connection(
    reply: Reply | Exception, fake_time: FakeTime
) -> None:
    transport, backend = scripted(fake_time, reply)
    await failing(transport, POST)
    (request,) = backend.requests
    assert request.new_connection
    assert (request.method, request.body) == ("POST", b"a=1")


async def test_an_unreadable_response_is_retried(fake_time: FakeTime) -> None:
    transport, backend = scripted(fake_time, Reply(200, {}, b"{"), OK)
    assert await transport.send(GET) == {}
    assert len(backend.requests) == 2


async def test_a_mismatched_response_is_retried_on_new_connections(fake_time: FakeTime) -> None:
    replies = iter(["8", "7"])

    def read(_: Reply) -> str:
        if (found := next(replies)) != "7":
            raise ResponseMismatch("workflow 7", f"workflow {found}")
        return found

    transport, backend = scripted(fake_time, OK)
    assert await transport.send(Call("GET", "/7", read)) == "7"
    assert (len(backend.requests), backend.resets) == (2, 1)


async def test_a_short_retry_after_is_waited_for_and_a_long_one_raised(fake_time: FakeTime) -> None:
    transport, _ = scripted(fake_time, Reply(429, {"retry-after": "7"}, b""), OK)
    await transport.send(GET)
    assert fake_time.naps == [7.5]
    transport, backend = scripted(fake_time, Reply(429, {"retry-after": "61"}, b""), OK)
    error = await failing(transport)
    assert isinstance(error, RateLimited)
    assert (error.retry_after, error.attempts, len(backend.requests)) == (61, 1, 1)


async def test_a_budget_of_500_pays_for_100_retries_of_one_client(fake_time: FakeTime) -> None:
    transport, backend = scripted(fake_time, BUSY)
    for _ in range(50):
        await failing(transport)
    assert len(backend.requests) == 50 + 100


async def test_every_success_adds_to_the_budget(fake_time: FakeTime) -> None:
    transport, _ = scripted(fake_time, *[BUSY] * 2, *[OK] * 5, BUSY, retry=Retry(budget=5))
    assert (await failing(transport)).attempts == 2
    for _ in range(5):
        await transport.send(GET)
    assert (await failing(transport)).attempts == 2


async def test_the_retry_of_a_stale_connection_costs_nothing(fake_time: FakeTime) -> None:
    transport, _ = scripted(fake_time, ConnectionBroken("cut", reused=True), OK, retry=Retry(budget=0))
    assert await transport.send(GET) == {}
    assert fake_time.naps == [0.0]


async def test_a_bug_in_a_reader_is_raised_unchanged(fake_time: FakeTime) -> None:
    def read(_: Reply) -> None:
        raise ZeroDivisionError

    transport, backend = scripted(fake_time, OK)
    with pytest.raises(ZeroDivisionError):
        await transport.send(Call("GET", "/", read))
    assert len(backend.requests) == 1


# Deleting


@pytest.mark.parametrize("unknown", [BUSY, ConnectionBroken("cut"), DeadlineExceeded("late")])
async def test_a_404_after_a_delete_that_may_have_happened_is_success(
    unknown: Reply | Exception, fake_time: FakeTime
) -> None:
    transport, _ = scripted(fake_time, unknown, Reply(404, {}, b""))
    assert await transport.send(DELETE) is None  # type: ignore[func-returns-value]  # its reader returns None


@pytest.mark.parametrize("replies", [[Reply(404, {}, b"")], [Reply(429, {}, b""), Reply(404, {}, b"")]])
async def test_a_404_of_a_delete_that_cannot_have_happened_is_not_found(
    replies: list[Reply], fake_time: FakeTime
) -> None:
    transport, _ = scripted(fake_time, *replies)
    assert isinstance(await failing(transport, DELETE), NotFound)


async def test_a_404_after_a_failed_get_is_not_found(fake_time: FakeTime) -> None:
    transport, _ = scripted(fake_time, BUSY, Reply(404, {}, b""))
    assert isinstance(await failing(transport), NotFound)


# Credentials


@pytest.mark.parametrize("call", [GET, POST, DELETE])
async def test_a_401_is_renewed_and_sent_again_once(call: Call[Any], fake_time: FakeTime) -> None:
    success = Reply(min(call.success), {}, b"{}")
    transport, backend = scripted(fake_time, Reply(401, {}, b""), success)
    await transport.send(call)
    assert [dict(request.headers)["x-badge"] for request in backend.requests] == ["0", "1"]


@pytest.mark.parametrize("call", [GET, POST, DELETE])
@pytest.mark.parametrize("reply", [Reply(401, {}, b""), Reply(302, {"location": "/login.html"}, b"")])
async def test_a_call_that_is_always_answered_with_401_is_sent_twice(
    call: Call[Any], reply: Reply, fake_time: FakeTime
) -> None:
    transport, backend = scripted(fake_time, reply)
    error = await failing(transport, evolve(call, signature=Signature(redirects_to_login=True)))
    assert isinstance(error, Unauthorized)
    assert (len(backend.requests), transport.credential.renewals) == (2, 1)  # type: ignore[attr-defined]  # a CountingCredential


async def test_a_credential_that_cannot_be_renewed_is_sent_once(fake_time: FakeTime) -> None:
    transport, backend = scripted(fake_time, Reply(401, {}, b""), credential=CountingCredential(renewable=False))
    assert isinstance(await failing(transport), Unauthorized)
    assert len(backend.requests) == 1


async def test_a_password_that_never_worked_is_not_sent_again(fake_time: FakeTime) -> None:
    transport, backend = scripted(
        fake_time, Reply(401, {}, b""), OK, credential=CountingCredential(renewable=False, fixed=True)
    )
    errors = [await failing(transport, POST) for _ in range(5)]
    assert all(isinstance(error, Unauthorized) for error in errors)
    assert all("not tried again: open a new client with others" in str(error) for error in errors)
    assert [error.at_login for error in errors] == [False, True, True, True, True]
    assert len(backend.requests) == 1


async def test_a_401_after_a_success_does_not_block_the_password(fake_time: FakeTime) -> None:
    transport, backend = scripted(
        fake_time, OK, Reply(401, {}, b""), OK, credential=CountingCredential(renewable=False, fixed=True)
    )
    await transport.send(GET)
    assert isinstance(await failing(transport), Unauthorized)
    await transport.send(GET)
    assert len(backend.requests) == 3


async def test_a_redirect_renews_a_token_if_that_is_cheap_and_the_call_is_safe(fake_time: FakeTime) -> None:
    redirect = Reply(302, {"location": "https://sso.example.org/auth"}, b"")
    transport, _ = scripted(fake_time, redirect, OK, credential=CountingCredential(renews_on_redirect=True))
    await transport.send(GET)
    assert transport.credential.renewals == 1  # type: ignore[attr-defined]  # a CountingCredential
    transport, _ = scripted(fake_time, redirect, credential=CountingCredential(renews_on_redirect=True))
    assert isinstance(await failing(transport, POST), UnexpectedRedirect)
    assert transport.credential.renewals == 0  # type: ignore[attr-defined]  # a CountingCredential


def test_opening_without_an_asyncio_loop_raises() -> None:
    with pytest.raises(WrongEventLoop, match="no asyncio event loop is running: use asyncio.run"):
        make_transport(URL, FakeTime().clock).open()


async def test_a_complete_response_is_returned_even_if_the_client_closes_and_the_timeout_passes(
    fake_time: FakeTime,
) -> None:
    transport, backend = scripted(fake_time, Reply(201, {}, b"{}"), timeouts=Timeouts(call=0.02))

    async def close_binding() -> None:
        transport.binding.close()

    async def close_slowly() -> None:
        await asyncio.sleep(0.05)

    backend.before, backend.closing = close_binding, close_slowly
    assert await transport.send(POST) == {}


async def test_a_timeout_during_a_renewal_raises_the_refusal(fake_time: FakeTime) -> None:
    @define
    class Slow(CountingCredential):
        async def renew(self, sent: Headers, reply: Reply, method: str, url: str) -> bool:
            await asyncio.sleep(10)
            return True

    transport, _ = scripted(fake_time, Reply(401, {}, b""), OK, credential=Slow(), timeouts=Timeouts(call=0.02))
    error = await failing(transport, POST)
    assert isinstance(error, Unauthorized)
    assert not may_have_happened(error)


async def test_a_call_renews_once_in_all_its_attempts(fake_time: FakeTime) -> None:
    transport, backend = scripted(fake_time, Reply(401, {}, b""), BUSY, Reply(401, {}, b""), OK)
    assert isinstance(await failing(transport), Unauthorized)
    assert len(backend.requests) == 3


async def test_a_login_page_instead_of_data_renews_once_too(fake_time: FakeTime) -> None:
    transport, backend = scripted(fake_time, PAGE, OK)
    assert await transport.send(GET) == {}
    transport, backend = scripted(fake_time, PAGE)
    assert isinstance(await failing(transport), UnexpectedContent)
    assert (len(backend.requests), transport.credential.renewals) == (3, 1)  # type: ignore[attr-defined]  # a CountingCredential


@pytest.mark.parametrize("status", [403, 404, 409, 500, 502])
async def test_an_error_with_an_html_page_does_not_renew(status: int, fake_time: FakeTime) -> None:
    transport, _ = scripted(fake_time, Reply(status, {}, PAGE.body))
    await failing(transport)
    assert transport.credential.renewals == 0  # type: ignore[attr-defined]  # a CountingCredential


async def test_a_403_is_never_renewed(fake_time: FakeTime) -> None:
    transport, backend = scripted(fake_time, Reply(403, {}, b""))
    assert isinstance(await failing(transport), Forbidden)
    assert len(backend.requests) == 1


def logging_in(transport: Transport, fake_time: FakeTime) -> Call[TokenGrant]:
    """Make the transport log in through itself."""
    login = Call(
        "POST", "/login", lambda reply: TokenGrant(Secret(tree(reply)["token"]), 900.0), body=b"password=s3cret"
    )

    async def log_in() -> TokenGrant:
        try:
            return await transport.send_once(login)
        except CallError as error:
            error.at_login = True
            raise

    async def refresh(_: TokenGrant) -> TokenGrant:
        raise AssertionError

    transport.credential = TokenAuth(log_in, refresh, fake_time.clock)
    return login


async def test_a_login_uses_the_same_backend_and_one_request_slot(fake_time: FakeTime) -> None:
    transport, backend = scripted(fake_time, body(token="t"), OK, limits=Limits(connections=1))
    logging_in(transport, fake_time)
    assert await transport.send(GET) == {}
    assert [request.url for request in backend.requests] == [f"{URL}/login", f"{URL}/thing"]
    assert dict(backend.requests[1].headers)["preservica-access-token"] == "t"


async def test_a_failed_login_is_raised_with_the_url_of_the_login(fake_time: FakeTime) -> None:
    transport, backend = scripted(fake_time, BUSY)
    logging_in(transport, fake_time)
    error = await failing(transport, POST)
    assert isinstance(error, ServerError)
    assert (error.url, error.attempts, error.at_login) == (f"{URL}/login", 1, True)
    assert len(backend.requests) == 1


async def test_a_failed_login_after_a_401_is_raised_with_the_url_of_the_login(fake_time: FakeTime) -> None:
    transport, backend = scripted(fake_time, body(token="t"), Reply(401, {}, b""), BUSY)
    logging_in(transport, fake_time)
    error = await failing(transport, GET)
    assert (error.url, error.attempts, error.at_login) == (f"{URL}/login", 1, True)
    assert len(backend.requests) == 3


@pytest.mark.sweep
async def test_a_thousand_calls_with_an_expired_token_share_one_login(fake_time: FakeTime) -> None:
    valid_token = "t1"

    def answer(received: Any) -> bytes:
        if received.target == "/login":
            return http(body={"token": valid_token})
        return http(200, b"{}") if received.headers["preservica-access-token"] == valid_token else http(401)

    async with serve(answer) as server, connected(server.url, fake_time.clock) as transport:
        logging_in(transport, fake_time)
        await transport.send(GET)
        valid_token = "t2"
        assert await asyncio.gather(*(transport.send(GET) for _ in range(1000))) == [{}] * 1000
        assert [received.target for received in server.requests].count("/login") == 2


# Timeouts


async def test_the_timeout_limits_the_call_with_all_its_attempts() -> None:
    time = FakeTime()
    transport, backend = scripted(time, BUSY, timeouts=Timeouts(call=0.02), retry=Retry(attempts=10**6, budget=1e9))
    transport.clock = transport.clock.__class__(
        now=time.clock.now, sleep=lambda _: anyio.sleep(0.001), jitter=lambda: 0.5
    )
    error = await failing(transport)
    assert isinstance(error, DeadlineExceeded)
    assert error.sent
    assert 1 <= error.attempts <= len(backend.requests)


async def test_a_timeout_between_two_attempts_keeps_the_finished_attempts(fake_time: FakeTime) -> None:
    transport, _ = scripted(fake_time, Reply(429, {}, b""), timeouts=Timeouts(call=0.02))
    transport.clock = transport.clock.__class__(
        now=fake_time.clock.now, sleep=lambda _: anyio.sleep(60), jitter=lambda: 0.5
    )
    error = await failing(transport)
    assert isinstance(error, DeadlineExceeded)
    assert ([attempt.outcome for attempt in error.history], error.sent) == (["RateLimited"], False)


@pytest.mark.parametrize("timeouts", [Timeouts(call=0.02), Timeouts(exchange=0.02)])
async def test_a_call_that_times_out_in_flight_may_have_happened(timeouts: Timeouts, fake_time: FakeTime) -> None:
    transport, backend = scripted(fake_time, OK, timeouts=timeouts, retry=Retry(attempts=1))
    backend.before = asyncio.Event().wait
    error = await failing(transport, POST)
    assert isinstance(error, DeadlineExceeded)
    assert (error.sent, error.attempts) == (True, 1)


async def test_a_call_that_times_out_in_the_queue_was_not_sent(fake_time: FakeTime) -> None:
    transport, backend = scripted(fake_time, OK, timeouts=Timeouts(call=0.02), limits=Limits(connections=1))
    backend.before = asyncio.Event().wait
    first, second = await asyncio.gather(failing(transport, POST), failing(transport, POST))
    assert isinstance(first, DeadlineExceeded)
    assert isinstance(second, DeadlineExceeded)
    assert (first.sent, second.sent) == (True, False)
    assert (first.attempts, second.attempts, len(backend.requests)) == (1, 0, 1)


# The life of a client


async def test_before_opening_and_after_closing_nothing_is_sent(fake_time: FakeTime) -> None:
    transport = make_transport(URL, fake_time.clock)
    for _ in range(2):
        with pytest.raises(ClientClosed):
            await transport.send(GET)
        with pytest.raises(ClientClosed):
            await transport.send_once(GET)
        await transport.aclose()
    await transport.aclose()


@pytest.mark.usefixtures("pooled")
async def test_a_closed_client_can_be_opened_again(fake_time: FakeTime) -> None:
    async with serve(http(200, b"{}")) as server:
        transport = make_transport(server.url, fake_time.clock)
        for _ in range(2):
            transport.open()
            assert await transport.send(GET) == {}
            await transport.aclose()


def test_a_call_in_another_event_loop_raises(fake_time: FakeTime) -> None:
    transport = make_transport(URL, fake_time.clock)

    async def opened() -> None:
        transport.open()

    async def used() -> None:
        with pytest.raises(WrongEventLoop):
            await transport.send(GET)

    asyncio.run(opened())
    asyncio.run(used())


@pytest.mark.usefixtures("pooled")
def test_a_client_made_outside_of_a_loop_can_be_used_in_one_loop_after_another(fake_time: FakeTime) -> None:
    transport: Transport | None = None

    async def used() -> None:
        nonlocal transport
        async with serve(http(200, b"{}")) as server:
            transport = make_transport(server.url, fake_time.clock, limits=Limits(connections=2))
            transport.open()
            assert await asyncio.gather(*(transport.send(GET) for _ in range(9))) == [{}] * 9
            await transport.aclose()

    asyncio.run(used())
    asyncio.run(used())


async def test_a_call_in_another_process_raises(fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch) -> None:
    transport, _ = scripted(fake_time, OK)
    monkeypatch.setattr(os, "getpid", lambda: -1)
    with pytest.raises(WrongEventLoop):
        await transport.send(GET)


@pytest.mark.usefixtures("pooled")
async def test_a_call_in_flight_when_the_client_closes_ends_and_leaves_no_connection(fake_time: FakeTime) -> None:
    async with serve(lambda _: http(200, b"{}")) as server, connected(server.url, fake_time.clock) as transport:
        calls = [asyncio.create_task(transport.send(GET)) for _ in range(20)]
        await until(lambda: bool(server.requests))
        await transport.aclose()
        found = await asyncio.gather(*calls, return_exceptions=True)
        assert {repr(result) for result in found} <= {
            "{}",
            repr(ClientClosed("open the client with `async with` and use it inside")),
        }
        await until(lambda: not server.open)


# Cancellation


@define
class Interrupted:
    """A backend whose first request is cancelled at one of its suspensions."""

    inner_backend: Backend
    step: SuspensionTrigger | None

    async def __call__(self, request: Request) -> Reply:
        step, self.step = self.step, None
        backend = self.inner_backend(request)
        return await (backend if step is None else step.run(backend))

    async def reset(self) -> None:
        await self.inner_backend.reset()

    async def aclose(self) -> None:
        await self.inner_backend.aclose()


async def interrupted(transport: Transport, k: int, *, inner: bool, native: bool) -> int:
    """Cancel a call at its suspension number `k`, or at that of its exchange. Return the number of suspensions."""
    scope = anyio.CancelScope()
    step = SuspensionTrigger(k, lambda: task.cancel() if native else scope.cancel())
    if inner:
        transport.backend = Interrupted(transport.backend, step)

    async def call() -> None:
        with scope:
            await (transport.send(GET) if inner else step.run(transport.send(GET)))

    task = asyncio.create_task(call())
    await asyncio.wait([task])
    assert task.cancelled() or task.exception() is None
    return step.count


@pytest.mark.usefixtures("pooled")
@pytest.mark.parametrize("how", ["natively", "by scope"])
@pytest.mark.parametrize("where", ["in the exchange", "around it"])
@pytest.mark.parametrize("connection", ["warm", "cold"])
async def test_a_call_cancelled_anywhere_leaves_no_task_no_slot_and_no_broken_connection(
    how: str, where: str, connection: str, fake_time: FakeTime
) -> None:
    k, steps = 0, 0
    async with serve(http(200, b'{"a": 1}')) as server:
        while k <= steps:
            k += 1
            async with connected(server.url, fake_time.clock, limits=Limits(connections=2)) as transport:
                if connection == "warm":
                    await transport.send(GET)
                steps = await interrupted(transport, k, inner=where == "in the exchange", native=how == "natively")
                assert asyncio.all_tasks() - server.tasks == {asyncio.current_task()}
                assert transport._queue.value == 2
                assert await asyncio.gather(*(transport.send(GET) for _ in range(4))) == [{"a": 1}] * 4
            await until(lambda: not server.open)
    assert k > 1


@pytest.mark.usefixtures("pooled")
@pytest.mark.parametrize("how", ["natively", "by scope"])
async def test_many_timeouts_leave_every_request_slot_free(how: str, fake_time: FakeTime) -> None:
    async def send_with_timeout(transport: Transport, n: int) -> None:
        try:
            if how == "natively":
                await asyncio.wait_for(transport.send(GET), n % 7 / 1000)
            else:
                with anyio.fail_after(n % 7 / 1000):
                    await transport.send(GET)
        except TimeoutError:
            pass

    async with (
        serve(http(200, b"{}")) as server,
        connected(server.url, fake_time.clock, limits=Limits(connections=4)) as transport,
    ):
        for _ in range(20):
            await asyncio.gather(*(send_with_timeout(transport, n) for n in range(40)))
        assert transport._queue.value == 4
        assert await asyncio.gather(*(transport.send(GET) for _ in range(20))) == [{}] * 20
        assert server.open <= 4 + 1


@pytest.mark.parametrize("where", ["queue", "login", "pause"])
async def test_a_call_cancelled_while_it_waits_sends_nothing(where: str, fake_time: FakeTime) -> None:
    transport, backend = scripted(fake_time, BUSY, limits=Limits(connections=1))
    never = asyncio.Event()
    blocking_call = asyncio.create_task(transport.send(POST)) if where == "queue" else None
    if where == "queue":
        backend.before = never.wait
    if where == "pause":
        transport.clock = transport.clock.__class__(
            now=fake_time.clock.now, sleep=lambda _: anyio.sleep(60), jitter=lambda: 0.5
        )
    if where == "login":
        logging_in(transport, fake_time)
        backend.before = never.wait
    await asyncio.sleep(0)
    call = asyncio.create_task(transport.send(GET))
    await until(lambda: bool(backend.requests))
    for _ in range(10):
        await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert len(backend.requests) == 1
    if blocking_call is not None:
        never.set()
        with pytest.raises(ServerError):
            await blocking_call
    assert transport._queue.value == 1


@pytest.mark.usefixtures("pooled")
async def test_a_call_cancelled_twice_while_a_connection_closes_is_cancelled(fake_time: FakeTime) -> None:
    stalled = RawResponse(b"HTTP/1.1 200 OK\r\n", "stall")
    async with serve(lambda _: stalled) as server, connected(server.url, fake_time.clock) as transport:
        call = asyncio.create_task(transport.send(GET))
        await until(lambda: bool(server.requests))
        call.cancel()
        await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert transport._queue.value == transport.limits.connections
        await until(lambda: not server.open)


@pytest.mark.parametrize(
    "script", [[BUSY], [ConnectionBroken("cut")], [Reply(200, {}, b"{")], [PAGE], [RuntimeError("bug")]]
)
async def test_no_exception_group_reaches_the_caller(script: list[Reply | Exception], fake_time: FakeTime) -> None:
    transport, _ = scripted(fake_time, *script)
    with pytest.raises(Exception) as caught:  # noqa: PT011 - any class
        await transport.send(GET)
    assert not isinstance(caught.value, BaseExceptionGroup)
    assert caught.value.__context__ is None


async def test_the_log_has_the_route_and_the_status_and_no_parameter(
    fake_time: FakeTime, caplog: pytest.LogCaptureFixture
) -> None:
    transport, _ = scripted(fake_time, OK)
    with caplog.at_level(logging.DEBUG, "workflow_async"):
        await transport.send(Call("GET", "/thing/7", tree, (("filter", "s3cret"),), template="/thing/{id}"))
    (record,) = [vars(record) for record in caplog.records if record.name == "workflow_async"]
    assert caplog.messages == ["request sent"]
    assert (record["method"], record["route"], record["status"], record["seconds"]) == ("GET", "/thing/{id}", 200, 0.0)
    assert "s3cret" not in str(record)


@pytest.mark.sweep
@pytest.mark.usefixtures("pooled")
async def test_a_thousand_concurrent_calls_on_a_new_client_succeed(fake_time: FakeTime) -> None:
    async with serve(http(200, b"{}")) as server, connected(server.url, fake_time.clock) as transport:
        assert await asyncio.gather(*(transport.send(GET) for _ in range(1000))) == [{}] * 1000
        assert server.connections == transport.limits.connections


async def test_a_decode_error_holds_no_frame_that_holds_the_body(fake_time: FakeTime) -> None:
    transport, _ = scripted(fake_time, Reply(200, {}, b"{"), retry=Retry(attempts=1))
    error = await failing(transport)
    assert isinstance(error, DecodeError)
    frames = []
    trace = error.__traceback__
    while trace is not None:
        frames.append(trace.tb_frame.f_code.co_name)
        trace = trace.tb_next
    assert frames == ["failing", "send", "_with_retries"]


# Large responses


@pytest.mark.parametrize(
    ("size", "replay", "first"),
    [(LARGE_BODY, Replay.SAFE, "sent 2"), (LARGE_BODY - 1, Replay.SAFE, "read 1"), (LARGE_BODY, Replay.ONCE, "read 1")],
    ids=["long", "short", "of what happened"],
)
async def test_a_queued_call_sends_before_a_large_response_is_read(
    size: int, replay: Replay, first: str, fake_time: FakeTime
) -> None:
    events: list[str] = []

    async def sent() -> None:
        events.append(f"sent {1 + sum(event.startswith('sent') for event in events)}")

    transport, backend = scripted(fake_time, Reply(200, {}, b" " * size), limits=Limits(connections=1))
    backend.before = sent
    reading = Call("GET", "/thing", lambda _: events.append(f"read {events.count('read') + 1}"), replay=replay)
    async with anyio.create_task_group() as group:
        for _ in range(2):
            group.start_soon(transport.send, reading)
    assert events[:2] == ["sent 1", first]
