"""Logins on the wire: what is sent when, what is tried again, and what nobody gets to see."""

import base64
import traceback
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest

from workflow_async import Clock
from workflow_async._auth import Grant, Secret
from workflow_async.errors import (
    BadRequest,
    CallError,
    ConnectFailed,
    DecodeError,
    Forbidden,
    ForeignResponse,
    NotFound,
    RateLimited,
    ServerFault,
    Unauthorized,
    UnexpectedContent,
)
from workflow_async.preservica import PreservicaClient, session
from workflow_async.preservica.session import Account, Continuation

Sample = Callable[[str], bytes]
Answers = Callable[[httpx.Request], httpx.Response]

SEED = base64.b32encode(b"12345678901234567890").decode()
"""The seed of RFC 6238's test vectors."""
LOGIN = "/api/accesstoken/login"


# On the wire


def client(answers: Answers, clock: Clock, **settings: Any) -> PreservicaClient:
    carrier = httpx.AsyncClient(transport=httpx.MockTransport(answers))
    account = {"username": "u@x", "password": "hunter2", "tenant": "TEN"}
    return PreservicaClient("pv.example.org", **{**account, "clock": clock, "http": carrier, **settings})


def contexts(_: httpx.Request) -> httpx.Response:
    return httpx.Response(200, text="<WorkflowContexts/>")


def answering(*logins: httpx.Response) -> tuple[list[httpx.Request], Answers]:
    """A server that answers logins with these, and everything else with no contexts."""
    asked: list[httpx.Request] = []
    left = list(logins)

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return left.pop(0) if "accesstoken" in request.url.path else contexts(request)

    return asked, answer


async def test_nothing_is_sent_before_the_first_call_and_a_login_carries_no_token(clock: Clock) -> None:
    asked, answer = answering(httpx.Response(200, json={"token": "tok-1"}))
    async with client(answer, clock) as pv:
        assert asked == []
        await pv.contexts.list().first()
    login, call = asked
    assert str(login.url) == "https://pv.example.org/api/accesstoken/login"
    assert "preservica-access-token" not in login.headers
    assert call.headers["preservica-access-token"] == "tok-1"


async def test_a_second_factor_is_answered_with_the_code_of_the_wall_clock(sample: Sample, clock: Clock) -> None:
    wanted = httpx.Response(401, content=sample("login-needs-2fa.json"))
    asked, answer = answering(wanted, httpx.Response(200, content=sample("login.json")))
    at_59 = Clock(now=clock.now, sleep=clock.sleep, jitter=clock.jitter, wall=lambda: 59.0)
    async with client(answer, at_59, two_factor=SEED) as pv:
        await pv.contexts.list().first()
    assert [request.url.path for request in asked][:2] == [LOGIN, "/api/accesstoken/complete-2fa"]
    assert dict(parse_qsl(asked[1].content.decode()))["twoFactorToken"] == "287082"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, BadRequest),
        (401, Unauthorized),
        (403, Forbidden),
        (404, NotFound),
        (302, ForeignResponse),
        (501, ServerFault),
    ],
)
async def test_a_refused_login_is_a_typed_error_at_once_and_says_where(
    status: int, kind: type[CallError], clock: Clock
) -> None:
    asked, answer = answering(httpx.Response(status, json={"message": "Invalid tenant"}))
    async with client(answer, clock) as pv:
        with pytest.raises(kind, match="POST https://pv.example.org/api/accesstoken/login: .*Invalid tenant") as caught:
            await pv.contexts.list().first()
    assert caught.value.at_login
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (httpx.Response(503, html="<html>down</html>"), ServerFault),
        (httpx.Response(429, headers={"retry-after": "3600"}), RateLimited),
        (httpx.Response(200, html="<html>portal</html>"), UnexpectedContent),
        (httpx.Response(401, html="<html>who are you?</html>"), UnexpectedContent),
        (httpx.Response(403, html="<html>firewall</html>"), UnexpectedContent),
        (httpx.Response(302, headers={"location": "/login.html"}), ForeignResponse),
        (httpx.Response(200, json={"success": False}), DecodeError),
    ],
)
async def test_a_login_is_tried_once_and_the_next_call_logs_in_anew(
    answer: httpx.Response, kind: type[CallError], clock: Clock
) -> None:
    asked, answers = answering(answer, httpx.Response(200, json={"token": "tok-1"}))
    async with client(answers, clock) as pv:
        with pytest.raises(kind, match="accesstoken/login") as caught:
            await pv.contexts.list().first()
        assert (len(asked), caught.value.at_login, caught.value.attempts) == (1, True, 1)
        await pv.contexts.list().first()


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("body", [b"", b"no", b'{"message": "Invalid username or password"}'])
async def test_credentials_that_are_refused_are_never_sent_again(status: int, body: bytes, clock: Clock) -> None:
    asked, answers = answering(httpx.Response(status, content=body))
    async with client(answers, clock) as pv:
        for _ in range(3):
            with pytest.raises((Unauthorized, Forbidden), match="not tried again: open a new client") as caught:
                await pv.contexts.list().first()
            assert caught.value.at_login
    assert len(asked) == 1


async def test_a_one_time_code_that_is_refused_is_never_followed_by_another(sample: Sample, clock: Clock) -> None:
    wanted = httpx.Response(401, content=sample("login-needs-2fa.json"))
    asked, answers = answering(wanted, httpx.Response(401, json={"message": "Invalid two factor token"}))
    async with client(answers, clock, two_factor=SEED) as pv:
        for _ in range(2):
            with pytest.raises(Unauthorized, match="Invalid two factor token; .* open a new client"):
                await pv.contexts.list().first()
    assert len(asked) == 2


async def test_a_login_that_cannot_connect_is_a_typed_error(clock: Clock) -> None:
    def refusing(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    async with client(refusing, clock) as pv:
        with pytest.raises(ConnectFailed):
            await pv.contexts.list().first()


async def test_a_start_whose_login_fails_was_not_started(clock: Clock) -> None:
    _, answer = answering(httpx.Response(503))
    async with client(answer, clock) as pv:
        with pytest.raises(ServerFault) as caught:
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
        with pytest.raises(ServerFault, match="accesstoken/login") as caught:
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
    _, answer = answering(*[httpx.Response(status, json=body)] * 4)
    async with client(answer, clock, two_factor=SEED) as pv:
        with pytest.raises(CallError) as caught:
            await pv.contexts.list().first()
    assert not [secret for secret in SECRETS if secret in ours(caught.value)]


def ours(error: BaseException) -> str:
    """The error with the local variables of every frame of the library: those of this test hold what it sends."""
    frames = traceback.TracebackException.from_exception(error, capture_locals=True).stack
    local = [str(frame.locals) for frame in frames if "workflow_async" in frame.filename]
    return "".join([*local, str(error), repr(error), repr(error.__dict__)])


def test_nothing_that_holds_a_secret_shows_it() -> None:
    account = Account("u@x", "hunter2", "TEN", SEED)
    grant = Grant(Secret("tok-secret"), 900.0, Secret("r-secret"))
    continuation = Continuation(Secret("cont-secret"), None)
    pv = PreservicaClient("pv.example.org", username="u@x", password="hunter2", two_factor=SEED)
    answer = session.Answer({"token": "tok-secret"})
    calls = (session.login(account), session.complete(account, continuation, 59.0), session.refresh(grant))
    things = (account, grant, continuation, pv, pv._transport, answer, session.Session(account), *calls)
    told = "".join(f"{thing!r} {thing}" for thing in things)
    assert not [secret for secret in SECRETS if secret in told]
