"""Logins as requests: when they are sent, what is retried, and what stays secret."""

import base64
import traceback
from collections.abc import Callable
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qs, parse_qsl

import httpx
import pytest
from attrs import evolve

from tests.conftest import FakeTime
from workflow_async import Clock, Retry
from workflow_async._core.auth import Secret
from workflow_async._core.token_auth import TokenGrant
from workflow_async.errors import (
    BadRequest,
    CallError,
    ConnectFailed,
    DecodeError,
    Forbidden,
    ForeignResponse,
    NotFound,
    RateLimited,
    ServerError,
    Unauthorized,
    UnexpectedContent,
)
from workflow_async.preservica import PreservicaClient, login_calls
from workflow_async.preservica.login import TokenService
from workflow_async.preservica.login_calls import Account, Continuation

Sample = Callable[[str], bytes]
Answers = Callable[[httpx.Request], httpx.Response]

SEED = base64.b32encode(b"12345678901234567890").decode()
"""The seed of RFC 6238's test vectors."""
LOGIN = "/api/accesstoken/login"


# On the wire


def client(answers: Answers, clock: Clock, **settings: Any) -> PreservicaClient:
    http = httpx.AsyncClient(transport=httpx.MockTransport(answers))
    account = {"username": "u@x", "password": "hunter2", "tenant": "TEN"}
    return PreservicaClient("pv.example.org", **{**account, "clock": clock, "http": http, **settings})


def with_wall_clock(time: FakeTime) -> Clock:
    """Return a clock whose wall clock advances with the fake time."""
    return evolve(time.clock, wall=lambda: time.now)


def contexts(_: httpx.Request) -> httpx.Response:
    return httpx.Response(200, text="<WorkflowContexts/>")


def server_with_logins(*logins: httpx.Response) -> tuple[list[httpx.Request], Answers]:
    """Return a server that gives these responses to logins, and no contexts to everything else."""
    requests: list[httpx.Request] = []
    left = list(logins)

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return left.pop(0) if "accesstoken" in request.url.path else contexts(request)

    return requests, answer


async def test_nothing_is_sent_before_the_first_call_and_a_login_carries_no_token(clock: Clock) -> None:
    requests, answer = server_with_logins(httpx.Response(200, json={"token": "tok-1"}))
    async with client(answer, clock) as pv:
        assert requests == []
        await pv.contexts.list().first()
    login, call = requests
    assert str(login.url) == "https://pv.example.org/api/accesstoken/login"
    assert "preservica-access-token" not in login.headers
    assert call.headers["preservica-access-token"] == "tok-1"


async def test_a_second_factor_is_the_code_of_the_wall_clock(sample: Sample, clock: Clock) -> None:
    wanted = httpx.Response(401, content=sample("login-needs-2fa.json"))
    requests, answer = server_with_logins(wanted, httpx.Response(200, content=sample("login.json")))
    at_59 = Clock(now=clock.now, sleep=clock.sleep, jitter=clock.jitter, wall=lambda: 59.0)
    async with client(answer, at_59, two_factor=SEED) as pv:
        await pv.contexts.list().first()
    assert [request.url.path for request in requests][:2] == [LOGIN, "/api/accesstoken/complete-2fa"]
    assert dict(parse_qsl(requests[1].content.decode()))["twoFactorToken"] == "287082"


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, BadRequest), (401, Unauthorized), (403, Forbidden), (404, NotFound), (501, ServerError)],
)
async def test_a_refused_login_is_a_typed_error_immediately_and_names_the_request(
    status: int, kind: type[CallError], clock: Clock
) -> None:
    requests, answer = server_with_logins(httpx.Response(status, json={"message": "Invalid tenant"}))
    async with client(answer, clock) as pv:
        with pytest.raises(kind, match="POST https://pv.example.org/api/accesstoken/login: .*Invalid tenant") as caught:
            await pv.contexts.list().first()
    assert caught.value.at_login
    assert len(requests) == 1


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (httpx.Response(503, html="<html>down</html>"), ServerError),
        (httpx.Response(429, headers={"retry-after": "3600"}), RateLimited),
        (httpx.Response(200, html="<html>portal</html>"), UnexpectedContent),
        (httpx.Response(401, html="<html>who are you?</html>"), UnexpectedContent),
        (httpx.Response(403, html="<html>firewall</html>"), UnexpectedContent),
        (httpx.Response(302, headers={"location": "/login.html"}), ForeignResponse),
        (httpx.Response(200, json={"success": False}), DecodeError),
    ],
)
async def test_a_login_that_timed_out_is_sent_again_by_the_next_call(
    answer: httpx.Response, kind: type[CallError], clock: Clock
) -> None:
    requests, answers = server_with_logins(answer, httpx.Response(200, json={"token": "tok-1"}))
    async with client(answers, clock, retry=Retry(attempts=1)) as pv:
        with pytest.raises(kind, match="accesstoken/login") as caught:
            await pv.contexts.list().first()
        assert (len(requests), caught.value.at_login, caught.value.attempts) == (1, True, 1)
        await pv.contexts.list().first()


@pytest.mark.parametrize("body", [b"", b"no", b'{"message": "Invalid username or password"}'])
async def test_credentials_that_are_refused_are_never_sent_again(body: bytes, clock: Clock) -> None:
    requests, answers = server_with_logins(httpx.Response(401, content=body))
    async with client(answers, clock) as pv:
        for _ in range(3):
            with pytest.raises(Unauthorized, match="not tried again: open a new client") as caught:
                await pv.contexts.list().first()
            assert caught.value.at_login
    assert len(requests) == 1


@pytest.mark.parametrize("body", [b"", b"no", b'{"message": "Forbidden"}', b'{"message": "Access denied by policy"}'])
async def test_a_403_does_not_refuse_the_credentials_but_stops_logins_for_a_minute(
    body: bytes, fake_time: FakeTime
) -> None:
    refused = httpx.Response(403, content=body)
    requests, answers = server_with_logins(refused, refused, httpx.Response(200, json={"token": "tok-1"}))
    async with client(answers, fake_time.clock) as pv:
        for logins in (1, 1, 2, 2):
            with pytest.raises(Forbidden) as caught:
                await pv.contexts.list().first()
            assert (len(requests), caught.value.at_login) == (logins, True)
            fake_time.now += 31
        await pv.contexts.list().first()
    assert len(requests) == 4


async def test_a_refused_one_time_code_is_followed_by_the_code_of_the_next_step(
    sample: Sample, fake_time: FakeTime
) -> None:
    wanted = httpx.Response(401, content=sample("login-needs-2fa.json"))
    refused = httpx.Response(401, json={"message": "Invalid two factor token"})
    granted = httpx.Response(200, content=sample("login.json"))
    requests, answers = server_with_logins(wanted, refused, wanted, refused, wanted, granted)
    async with client(answers, with_wall_clock(fake_time), two_factor=SEED) as pv:
        await pv.contexts.list().first()
    codes = [parse_qs(request.content.decode())["twoFactorToken"] for request in requests if "2fa" in request.url.path]
    assert len(codes) == len({code for (code,) in codes}) == 3


async def test_a_code_whose_response_was_lost_is_not_sent_again(sample: Sample, fake_time: FakeTime) -> None:
    wanted = httpx.Response(401, content=sample("login-needs-2fa.json"))
    requests, answers = server_with_logins(
        wanted, httpx.Response(502), httpx.Response(200, content=sample("login.json"))
    )
    async with client(answers, with_wall_clock(fake_time), two_factor=SEED) as pv:
        await pv.contexts.list().first()
    first, second = (parse_qs(one.content.decode())["twoFactorToken"] for one in requests if "2fa" in one.url.path)
    assert first != second


# Passwords that change


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_password_function_is_called_at_each_login_and_a_new_password_clears_the_refusal(
    asynchronous: bool,  # noqa: FBT001 - a column
    fake_time: FakeTime,
) -> None:
    current = ["old"]

    async def later() -> str:
        return current[-1]

    sent: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if "accesstoken" not in request.url.path:
            return contexts(request)
        sent.append(parse_qs(request.content.decode())["password"][0])
        return httpx.Response(200, json={"token": "tok-1"}) if sent[-1] == "new" else httpx.Response(401)

    async with client(answer, fake_time.clock, password=later if asynchronous else lambda: current[-1]) as pv:
        for _ in range(3):
            with pytest.raises(Unauthorized):
                await pv.contexts.list().first()
        assert sent == ["old"]
        current.append("new")
        await pv.contexts.list().first()
    assert sent == ["old", "new"]


# Signed timestamps


async def test_a_refused_timestamp_names_the_clock_offset_and_is_retried(
    fake_time: FakeTime,
) -> None:
    now = formatdate(1600, usegmt=True)
    late = httpx.Response(401, json={"message": "Timestamp expired"}, headers={"date": now})
    requests, answers = server_with_logins(late, httpx.Response(200, json={"token": "tok-1"}))
    async with client(answers, with_wall_clock(fake_time), shared_secret=True) as pv:
        with pytest.raises(Unauthorized, match="Timestamp expired; this clock is -600 s off: correct it") as caught:
            await pv.contexts.list().first()
        assert caught.value.clock_offset == 600
        await pv.contexts.list().first()
    assert len(requests) == 3


async def test_a_login_that_cannot_connect_is_a_typed_error(clock: Clock) -> None:
    def refusing(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    async with client(refusing, clock) as pv:
        with pytest.raises(ConnectFailed):
            await pv.contexts.list().first()


async def test_a_start_whose_login_fails_was_not_started(clock: Clock) -> None:
    _, answer = server_with_logins(httpx.Response(503))
    async with client(answer, clock, retry=Retry(attempts=1)) as pv:
        with pytest.raises(ServerError) as caught:
            await pv.workflows.start(42)
    assert caught.value.at_login


async def test_a_start_refused_with_401_whose_new_login_fails_was_not_started(clock: Clock) -> None:
    logins = 0

    def answer(request: httpx.Request) -> httpx.Response:
        nonlocal logins
        if "accesstoken" not in request.url.path:
            return httpx.Response(401)
        logins += 1
        return httpx.Response(200, json={"token": "tok-1"}) if logins == 1 else httpx.Response(500)

    async with client(answer, clock) as pv:
        with pytest.raises(ServerError, match="accesstoken/login") as caught:
            await pv.workflows.start(42)
    assert caught.value.at_login


# Secrets

SECRETS = ("hunter2", "tok-secret", "r-secret", "cont-secret", "KEYSECRET", SEED, "287082")


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (401, {"message": "needs.2fa.setup", "continuationToken": "cont-secret", "secretKey": "KEYSECRET"}),
        (401, {"continuationToken": "cont-secret", "token": "tok-secret"}),
        (403, {"token": "tok-secret", "refresh-token": "r-secret"}),
        (200, {"tokens": "tok-secret", "refresh-token": "r-secret"}),
        (500, {"form": "username=u&password=hunter2"}),
    ],
)
async def test_no_error_of_a_login_shows_a_secret_nor_do_its_frames(
    status: int, body: dict[str, str], clock: Clock
) -> None:
    _, answer = server_with_logins(*[httpx.Response(status, json=body)] * 4)
    async with client(answer, clock, two_factor=SEED) as pv:
        with pytest.raises(CallError) as caught:
            await pv.contexts.list().first()
    assert not [secret for secret in SECRETS if secret in shown_error(caught.value)]


def shown_error(error: BaseException) -> str:
    """Return the error with the local variables of all frames of the library. The test's own frames hold secrets."""
    frames = traceback.TracebackException.from_exception(error, capture_locals=True).stack
    local = [str(frame.locals) for frame in frames if "workflow_async" in frame.filename]
    return "".join([*local, str(error), repr(error), repr(error.__dict__)])


def test_nothing_that_holds_a_secret_shows_it() -> None:
    account = Account("u@x", "hunter2", "TEN", SEED)
    grant = TokenGrant(Secret("tok-secret"), 900.0, Secret("r-secret"))
    continuation = Continuation(Secret("cont-secret"), None)
    pv = PreservicaClient("pv.example.org", username="u@x", password="hunter2", two_factor=SEED)
    answer = login_calls.TokenResponse({"token": "tok-secret"})
    calls = (
        login_calls.password_login(account),
        login_calls.complete_login(account, continuation, 59.0),
        login_calls.refresh_token(grant),
    )
    things = (account, grant, continuation, pv, pv._transport, answer, TokenService(account), *calls)
    shown = "".join(f"{thing!r} {thing}" for thing in things)
    assert not [secret for secret in SECRETS if secret in shown]
